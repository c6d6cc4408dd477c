r"""The logs of every run: where they lie, what is in them, and who waits for more.

    <root>/<run id>/<resumption>/<rank>.log     raw bytes, written by the process itself (O_APPEND)
    <root>/<run id>/<resumption>/<rank>.times   when it had which size (see `times.py`)

The server only watches. A follower reads from the file when its turn comes, so that a slow one never makes
the server remember anything; what many followers want at once is read once. Everything here runs on one
event loop. A log that does not exist reads as an empty one.

A process can empty its own log (`> /dev/stdout` in a shell truncates the file): what it writes then is
read from where the log had come to, once it is that long again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from mapi.domain.run import ExecutionId
from mapi.logs.chunks import Chunk, last_lines, read_chunk
from mapi.logs.times import Record, TimeIndex, size_at
from mapi.logs.traceback import first_traceback
from mapi.logs.watcher import Watcher

#: Chunks remembered for other followers at the same place, over all logs.
_RECENT_CHUNKS = 16
_LONGEST_CHARACTER = 4


class LogStore:
    """All logs under one folder.

    Args:
        root: the folder; it is created when the first log is opened.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[ExecutionId, tuple[_GrowingLog, ...]] = {}
        self._recent: OrderedDict[tuple[Path, int, bool], Chunk] = OrderedDict()
        self._watcher: Watcher | None = None

    def path(self, execution: ExecutionId, rank: int) -> Path:
        """The file a rank writes its output to."""
        return self._folder(execution.run_id) / str(execution.resumption) / f"{rank}.log"

    def open(self, execution: ExecutionId, ranks: int) -> None:
        """Create the logs of an execution that are not there yet, and watch them. Twice is once.

        What was written while nobody watched gets the time of the file's last change.
        """
        if execution in self._open:
            return
        folder = self.path(execution, 0).parent
        folder.mkdir(parents=True, exist_ok=True)
        if self._watcher is None:
            self._watcher = Watcher(self._root)
        logs = []
        for rank in range(ranks):
            path = self.path(execution, rank)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
            log = _GrowingLog(path)
            self._watcher.watch(path, log.look)
            log.catch_up()
            logs.append(log)
        self._open[execution] = tuple(logs)

    def written(self, execution: ExecutionId, rank: int, records: Iterable[Record]) -> None:
        """Say when a log came to have which sizes, by who has just written it and knows that better."""
        log = self._growing(execution, rank)
        if log:
            log.written(records)

    def finish(self, execution: ExecutionId) -> None:
        """Say that an execution has ended and its logs are whole: followers read to the end and complete."""
        for log in self._open.pop(execution, ()):
            log.look()
            self._release(log)

    def exists(self, execution: ExecutionId, rank: int) -> bool:
        """Whether the rank has a log, be it empty."""
        return self.path(execution, rank).exists()

    def size(self, execution: ExecutionId, rank: int) -> int:
        """Bytes in the log now."""
        return _size(self.path(execution, rank))

    def read(
        self, execution: ExecutionId, rank: int, offset: int = 0, *, timestamps: bool = False
    ) -> Iterator[Chunk]:
        """Yield what the log has now, from byte `offset` on.

        Args:
            execution: whose log.
            rank: which of its ranks.
            offset: the raw byte to begin at.
            timestamps: put the time it was written at (UTC, µs) before each line.
        """
        log = self._growing(execution, rank)
        if log:
            log.look()
        path = self.path(execution, rank)
        end = _size(path) if log is None else log.size
        while chunk := read_chunk(path, _times(path), offset, end, timestamps=timestamps):
            yield chunk
            offset = chunk.end_offset

    async def follow(
        self, execution: ExecutionId, rank: int, offset: int = 0, *, timestamps: bool = False
    ) -> AsyncIterator[Chunk]:
        """Yield what the log has from byte `offset` on, then what is added to it, until it is whole.

        The log of an execution that is not open is whole. Arguments as for `read`.
        """
        log = self._growing(execution, rank)
        path = self.path(execution, rank)
        while True:
            size, whole = (log.size, log.whole) if log else (_size(path), True)
            chunk = self._shared_chunk(path, offset, size, timestamps)
            if chunk:
                yield chunk
                offset = chunk.end_offset
                await asyncio.sleep(0)  # a long log must not keep the loop to itself
            elif log is None or whole:
                return
            else:
                await log.changed.wait()

    def tail_offset(self, execution: ExecutionId, rank: int, tail: int) -> int:
        """Return the offset `tail` bytes before the end, or just after it, where a UTF-8 character begins."""
        path = self.path(execution, rank)
        size = _size(path)
        start = max(size - max(tail, 0), 0)
        chunk = read_chunk(path, _times(path), start, min(start + _LONGEST_CHARACTER, size))
        inside = 0
        for byte in chunk.data if chunk else b"":
            if byte & 0xC0 != 0x80:
                return start + inside
            inside += 1
        return start if inside == _LONGEST_CHARACTER else start + inside

    async def first_traceback(self, execution: ExecutionId, rank: int) -> Chunk | None:
        """Return the first Python traceback in a log, or None. A thread reads: a log can be long."""
        path = self.path(execution, rank)

        def chunks() -> Iterator[Chunk]:
            offset, end = 0, _size(path)
            while chunk := read_chunk(path, _times(path), offset, end):
                yield chunk
                offset = chunk.end_offset

        return await asyncio.to_thread(lambda: first_traceback(chunks()))

    def lines_offset(self, execution: ExecutionId, rank: int, count: int) -> int:
        """Return the offset at which the last `count` lines begin."""
        path = self.path(execution, rank)
        return last_lines(path, _size(path), count)

    def since_offset(self, execution: ExecutionId, rank: int, at: int) -> int:
        """Return the offset of the first line that was written, or went on, at `at` (ms) or later."""
        path = self.path(execution, rank)
        size = _size(path)
        begin = size_at(_times(path), at * 1000)
        return size if begin >= size else last_lines(path, begin + 1, 1)

    def forget(self, run_id: str) -> None:
        """Delete every log of a run; its followers complete."""
        folder = self._folder(run_id)
        for execution in [each for each in self._open if each.run_id == run_id]:
            for log in self._open.pop(execution):
                self._release(log)
        for key in [each for each in self._recent if folder in each[0].parents]:
            del self._recent[key]
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)

    def close(self) -> None:
        """Stop watching; followers complete with what they have. The logs can be opened again later."""
        for logs in self._open.values():
            for log in logs:
                self._release(log)
        self._open.clear()
        self._recent.clear()
        if self._watcher:
            self._watcher.close()
            self._watcher = None

    def _folder(self, run_id: str) -> Path:
        if run_id in ("", ".", "..") or "/" in run_id:
            raise ValueError(f"run id {run_id!r}: must be usable as the name of a folder")
        return self._root / run_id

    def _growing(self, execution: ExecutionId, rank: int) -> _GrowingLog | None:
        logs = self._open.get(execution, ())
        return logs[rank] if 0 <= rank < len(logs) else None

    def _release(self, log: _GrowingLog) -> None:
        if self._watcher:
            self._watcher.unwatch(log.path)
        log.complete()

    def _shared_chunk(self, path: Path, offset: int, end: int, timestamps: bool) -> Chunk | None:
        key = (path, offset, timestamps)
        chunk = self._recent.get(key)
        if chunk is None:
            chunk = read_chunk(path, _times(path), offset, end, timestamps=timestamps)
            if chunk:
                self._recent[key] = chunk
                if len(self._recent) > _RECENT_CHUNKS:
                    self._recent.popitem(last=False)
        return chunk


class _GrowingLog:
    """A log that is being written: how long it was when last looked at, and a bell for those who wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed = asyncio.Event()
        self.whole = False
        self._index = TimeIndex(_times(path))

    @property
    def size(self) -> int:
        """Bytes known to be there; all of them have a time."""
        return self._index.size

    def catch_up(self) -> None:
        """Give what was written before anybody watched the time of the file's last change."""
        status = self.path.stat()
        if status.st_size > self.size:
            self._index.append([Record(status.st_mtime_ns // 1000, status.st_size)])

    def look(self) -> None:
        """See whether the file has grown; if so, record when and wake the followers."""
        size = _size(self.path)
        if size > self.size:
            self.written([Record(time.time_ns() // 1000, size)])

    def written(self, records: Iterable[Record]) -> None:
        """Take which sizes it came to have, and when, and wake the followers."""
        self._index.append(records)
        self._ring()

    def complete(self) -> None:
        """Nothing more will come."""
        self.whole = True
        self._ring()

    def _ring(self) -> None:
        self.changed.set()
        self.changed.clear()


def _times(log: Path) -> Path:
    return log.with_suffix(".times")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
