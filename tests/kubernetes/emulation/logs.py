"""What containers print, kept and served as a kubelet does.

A line is shown when its newline has come, or the end; a longer one 16 KiB at a time, when more has come. So
what only returns the carriage is seen late, and each line has the time at which it was shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from tests.kubernetes.emulation.resources import bad_request

#: What the runtime shows of a line at once, and how much it reads at once.
_LONGEST = 16 * 1024
_READ = 4 * 1024


@dataclass(frozen=True)
class Entry:
    """A line, or a part of one."""

    at: int
    data: bytes


class Log:
    """The output of one container."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ended = False
        self._kept_from = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def collect(self, stream: asyncio.StreamReader) -> None:
        """Take what a stream brings, until it ends. Several may be collected at once."""
        rest = b""
        while data := await stream.read(1 << 16):
            rest += data
            *lines, rest = rest.split(b"\n")
            for line in lines:
                self._add(line + b"\n")
            while len(rest) // _READ * _READ > _LONGEST:
                self._add(rest[:_LONGEST])
                rest = rest[_LONGEST:]
            self._wake()
        if rest:
            self._add(rest)
        self._wake()

    async def rotate(self, last: bytes) -> None:
        """Forget everything up to a line, as soon as that is there; who follows is told all of it."""
        while not any(entry.data == last for entry in self.entries):
            await self._news()
        place = next(place for place, entry in enumerate(self.entries) if entry.data == last)
        self._kept_from = place + 1

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
        there = len(self.entries) - self._kept_from
        position = self._kept_from + (there - tail if tail is not None and tail < there else 0)
        starts = True
        while True:
            fresh = self.entries[position:]
            position += len(fresh)
            data = b""
            for entry in fresh:
                # What comes after a part of a line has no time of its own, be it of the other stream
                stamp = f"{_written(entry.at)} ".encode() if timestamps and starts else b""
                data += stamp + entry.data if entry.at >= since else b""
                starts = entry.data.endswith(b"\n")
            if data:
                yield data
            if not fresh and (self.ended or not follow):
                return
            if not fresh:
                await self._news()

    async def _news(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _add(self, data: bytes) -> None:
        last = self.entries[-1].at if self.entries else 0
        self.entries.append(Entry(max(time.time_ns(), last + 1), data))

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


def _written(at: int) -> str:
    """RFC 3339 with nanoseconds."""
    seconds, rest = divmod(at, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"
