"""When each part of a log was written: fixed-size records beside it, appended while it grows.

A record (u64 time in µs since 1970, u64 size in bytes) says "at this time the file had this size". What
begins at byte `o` was therefore written at the time of the first record whose size is greater than `o`.
Sizes only go up, so that record is found by bisection whatever the clock did.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

_RECORD = struct.Struct("<QQ")
_BLOCK = 1024 * _RECORD.size


class Record(msgspec.Struct, frozen=True):
    """At time `at` (µs since 1970) the log had `size` bytes."""

    at: int
    size: int


class TimeIndex:
    """The index of one log, open for appending; no descriptor stays open.

    `size` is how much of the log has a time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self.size = 0
        with suppress(FileNotFoundError), path.open("rb") as file:
            # A record cut short by a crash is no record, and the next one takes its place.
            self._count = os.fstat(file.fileno()).st_size // _RECORD.size
            if self._count:
                self.size = _read(file.fileno(), self._count - 1).size

    def append(self, records: Iterable[Record]) -> None:
        """Record which sizes the log came to have, and when. What has a time already keeps it.

        A full disk costs the time of these bytes, which then have that of the next record, never the log.
        """
        new = []
        for record in records:
            if record.size > self.size:
                self.size = record.size
                new.append(_RECORD.pack(record.at, record.size))
        with suppress(OSError):
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                written = os.pwrite(fd, b"".join(new), self._count * _RECORD.size)
            finally:
                os.close(fd)
            self._count += written // _RECORD.size


def records_between(path: Path, start: int, end: int) -> list[Record]:
    """Return the records that give the bytes from `start` up to `end` of a log their times, in order.

    The bytes behind the last record returned have none, for example because the index is missing.
    """
    found: list[Record] = []
    with suppress(FileNotFoundError), path.open("rb") as file:
        fd = file.fileno()
        count = os.fstat(fd).st_size // _RECORD.size
        place = bisect_right(range(count), start, key=lambda number: _read(fd, number).size)
        while place < count and (not found or found[-1].size < end):
            block = os.pread(fd, _BLOCK, place * _RECORD.size)
            whole = len(block) // _RECORD.size * _RECORD.size
            for record in _RECORD.iter_unpack(block[:whole]):
                found.append(Record(*record))
                place += 1
                if found[-1].size >= end:
                    break
    return found


def size_at(path: Path, at: int) -> int:
    """Return how many bytes a log had before `at` (µs since 1970): what was written since begins there."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        fd = file.fileno()
        count = os.fstat(fd).st_size // _RECORD.size
        place = bisect_left(range(count), at, key=lambda number: _read(fd, number).at)
        return _read(fd, place - 1).size if place else 0
    return 0


def _read(fd: int, number: int) -> Record:
    return Record(*_RECORD.unpack(os.pread(fd, _RECORD.size, number * _RECORD.size)))
