"""What containers print, kept and served as a kubelet does.

A line is whole when its newline has come, or 16 KiB of it have, or its end: until then nobody is shown it. So
what only returns the carriage is seen late, and each line has the time at which it was whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from tests.kubernetes.emulation.resources import bad_request

_LONGEST = 16 * 1024


@dataclass(frozen=True)
class Entry:
    """A line, or a part of one. `starts`: it is the first part, which is shown with its time."""

    at: int
    data: bytes
    starts: bool


class Log:
    """The output of one container."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ended = False
        self._waiting: list[asyncio.Future[None]] = []

    async def collect(self, stream: asyncio.StreamReader) -> None:
        """Take what a stream brings, until it ends. Several may be collected at once."""
        rest, starts = b"", True
        while data := await stream.read(1 << 16):
            rest += data
            *lines, rest = rest.split(b"\n")
            for line in lines:
                starts = self._add(line + b"\n", starts)
            while len(rest) >= _LONGEST:
                starts = self._add(rest[:_LONGEST], starts)
                rest = rest[_LONGEST:]
            self._wake()
        if rest:
            self._add(rest, starts)
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    async def read(
        self, *, follow: bool, since: int = 0, tail: int | None = None, timestamps: bool
    ) -> AsyncIterator[bytes]:
        """Yield the log.

        Args:
            follow: go on until the container has ended.
            since: leave out what is older (ns).
            tail: how many lines of what is there to begin with.
            timestamps: put its time before each line.
        """
        position = len(self.entries) - tail if tail is not None and tail < len(self.entries) else 0
        while True:
            fresh = self.entries[position:]
            position += len(fresh)
            if data := b"".join(_shown(entry, timestamps) for entry in fresh if entry.at >= since):
                yield data
            if not fresh and (self.ended or not follow):
                return
            if not fresh:
                future = asyncio.get_running_loop().create_future()
                self._waiting.append(future)
                await future

    def _add(self, data: bytes, starts: bool) -> bool:
        """Keep a line or a part of one; return whether what comes next starts a line."""
        last = self.entries[-1].at if self.entries else 0
        self.entries.append(Entry(max(time.time_ns(), last + 1), data, starts))
        return data.endswith(b"\n")

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


def since_ns(text: str) -> int:
    """Read `sinceTime`: the API server hands the kubelet whole seconds, whatever it was given."""
    try:
        return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000
    except ValueError:
        raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse it') from None


def _shown(entry: Entry, timestamps: bool) -> bytes:
    return f"{_written(entry.at)} ".encode() + entry.data if timestamps and entry.starts else entry.data


def _written(at: int) -> str:
    """RFC 3339 with nanoseconds."""
    seconds, rest = divmod(at, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"
