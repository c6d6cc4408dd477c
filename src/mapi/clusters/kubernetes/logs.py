"""A rank's output, copied into its log while its pod lives: every byte once, over broken connections.

The kubelet keeps no offsets, only a time for each line, and goes on from a whole second. So there is a note
beside each copy, `<second> <offset>`: what was written from that second on begins at that byte. After a break
the log is asked for from that second, and of what comes, as much is passed over as the copy has of it.

Lines carry their time in front (`2026-11-24T15:00:00.123456789Z `), which is taken off again. What a line
that began earlier goes on with has no time, and is in the copy already.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from mapi.clusters.kubernetes.client import PODS, Api, KubernetesError, Refused, backoff
from mapi.clusters.kubernetes.status import CONTAINER

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[.\d]*(Z|[+-]\d\d:\d\d) ")
_LONGEST_STAMP = 40

#: How often a log that cannot be read any more is asked for, when its rank has ended.
_LAST_TRIES = 6

#: How long to wait for word of the end of a container whose log has ended, in seconds.
_END_IS_NEAR = 1.0

#: A log may be silent for hours: now and then it is asked for anew, lest its connection has died.
_LONG_SILENCE = 300.0
#: How long a log may be silent when its container has ended; that of a lost node is so for ever. In seconds.
_LAST_WORDS = 2.0
#: And how long if it is asked for then: an API server gives up earlier on a node that does not answer.
_NO_MORE = 60.0

_REMOVED = "its pod was removed before all of it was read"


class Unstamper:
    """Takes the times off the lines of a log. Pure.

    `resumed`: whether the log is read from a time on, so that it may begin inside of a line.
    """

    def __init__(self, *, resumed: bool) -> None:
        self._rest = b""
        self._line_begins = True
        self._skipping = resumed

    def feed(self, data: bytes) -> Iterator[tuple[str | None, bytes]]:
        """Yield what was written, piece by piece, each with the second its line began (None: as before)."""
        self._rest += data
        while self._rest:
            second = None
            if self._line_begins:
                stamp = _STAMP.match(self._rest)
                if stamp:
                    second = (stamp[1] + stamp[2]).decode()
                    self._rest = self._rest[stamp.end() :]
                    self._skipping = False
                elif len(self._rest) < _LONGEST_STAMP and b"\n" not in self._rest:
                    return
                self._line_begins = False
            line, newline, self._rest = self._rest.partition(b"\n")
            self._line_begins = bool(newline)
            if not self._skipping:
                yield second, line + newline

    def finish(self) -> Iterator[tuple[str | None, bytes]]:
        """Yield what is left when the log has ended."""
        if self._rest and not self._skipping:
            yield None, self._rest


class LogCopy:
    """The log of one rank and the note beside it.

    `lost`: why not all of the output could be had; None while there is no such reason.
    """

    def __init__(self, api: Api, log: Path, note: Path) -> None:
        self._api = api
        self._log = log
        self._note = note
        self._ended = False
        self.lost: str | None = None

    async def run(self, pod: str, over: asyncio.Event) -> None:
        """Copy until everything is there.

        Args:
            pod: whose output it is.
            over: set when its container has ended.
        """
        pauses, tries = backoff(), 0
        while True:
            last = over.is_set()
            try:
                if last:
                    await self._read(pod)
                    return
                await self._read(pod, over)
                pauses = backoff()
                await _wait(over, _END_IS_NEAR)
                continue
            except Refused as error:
                if last and error.code == 404:
                    self.lost = None if self._ended else self.lost or _REMOVED
                    return
                if last and tries == _LAST_TRIES:
                    self.lost = str(error)
                    return
                tries += last
            except (KubernetesError, TimeoutError):
                pass
            except FileNotFoundError:  # the log's folder is gone: nobody wants it
                return
            except OSError as error:
                self.lost = f"the log cannot be written: {error.strerror}"
            await _wait(over, next(pauses)) if not last else await asyncio.sleep(next(pauses))

    async def _read(self, pod: str, over: asyncio.Event | None = None) -> None:
        """Copy what there is that the copy has not; with `over`, until the log ends, as it does then."""
        follow = over is not None

        def opened() -> None:
            self._ended &= not follow

        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(log).st_size
            since, position = self._noted(size)
            lines = Unstamper(resumed=since is not None)

            def take(pieces: Iterator[tuple[str | None, bytes]]) -> None:
                nonlocal position, since
                kept = b""
                for second, data in pieces:
                    if second is not None and (since is None or second > since):
                        _append(log, kept)
                        kept, since = b"", second
                        self._write_note(second, position)
                    fresh = data[max(0, size - position) :] if position < size else data
                    position += len(data)
                    kept += fresh
                _append(log, kept)

            async with _last_words(over) as heard:
                async for data in self._api.stream(
                    self._api.path(PODS, pod, "log"),
                    _LONG_SILENCE if follow else _NO_MORE,
                    opened,
                    container=CONTAINER,
                    follow="true" if follow else None,
                    timestamps="true",
                    sinceTime=since,
                ):
                    heard()
                    take(lines.feed(data))
            take(lines.finish())
            self.lost, self._ended = None, True
        finally:
            os.close(log)

    def _noted(self, size: int) -> tuple[str | None, int]:
        """Where to go on from; from the beginning if the copy is shorter than was noted."""
        try:
            second, offset = self._note.read_text().split()
        except (FileNotFoundError, ValueError):
            return None, 0
        return (second, int(offset)) if int(offset) <= size else (None, 0)

    def _write_note(self, second: str, offset: int) -> None:
        new = self._note.with_suffix(".new")
        new.write_text(f"{second} {offset}")
        new.replace(self._note)


def _append(log: int, data: bytes) -> None:
    while data:
        data = data[os.write(log, data) :]


@asynccontextmanager
async def _last_words(over: asyncio.Event | None) -> AsyncIterator[Callable[[], None]]:
    """Give up what is silent for long after `over`; called by who hears something.

    Raises:
        TimeoutError: it was given up.
    """
    now = asyncio.get_running_loop().time

    def heard() -> None:
        if over is not None and over.is_set():
            patience.reschedule(now() + _LAST_WORDS)

    async def begin(over: asyncio.Event) -> None:
        await over.wait()
        heard()

    async with asyncio.timeout(None) as patience:
        beginning = None if over is None else asyncio.create_task(begin(over))
        try:
            yield heard
        finally:
            if beginning is not None:
                beginning.cancel()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
