"""A piece of a log, as raw bytes or with the time before each line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from mapi.logs.times import Record, records_between

#: The most bytes of data a chunk has.
CHUNK_SIZE = 256 * 1024

_EPOCH = datetime(1970, 1, 1)
_STAMP_SIZE = len("2026-11-24T13:22:01.123456Z ")


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a log. `end_offset`: where it ends in the raw log, in bytes from the start."""

    data: bytes
    end_offset: int


def read_chunk(log: Path, times: Path, offset: int, end: int, *, timestamps: bool = False) -> Chunk | None:
    """Read the piece of a log that begins at `offset`, at most `CHUNK_SIZE` of data.

    Args:
        log: the file of raw bytes.
        times: its time index.
        offset: the byte to begin at.
        end: the byte to stop before, even if the log goes on.
        timestamps: whether each line that begins in the chunk gets the time it was written at. Their bytes
            count as data but not in `end_offset`, so that reading on there continues the same stream.

    Returns:
        The chunk; None if there is nothing between `offset` and `end`.
    """
    if offset >= end:
        return None
    before = 1 if timestamps and offset else 0
    try:
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        data = os.pread(fd, min(end - offset, CHUNK_SIZE) + before, offset - before)
        modified_at = os.fstat(fd).st_mtime_ns // 1000 if timestamps else 0
    finally:
        os.close(fd)
    starts_line = data[:before] in (b"", b"\n")
    data = data[before:]
    if not data:
        return None
    if not timestamps:
        return Chunk(data, offset + len(data))
    while len(data) + _STAMP_SIZE * (1 + data.count(b"\n")) > CHUNK_SIZE:
        data = data[: len(data) // 2]
    end = offset + len(data)
    records = [*records_between(times, offset, end), Record(modified_at, end)]
    return Chunk(stamp(data, offset, records, starts_line=starts_line), end)


def last_lines(log: Path, end: int, count: int) -> int:
    """Return the offset at which the last `count` lines before byte `end` begin.

    The newline that ends the last one begins no further line.
    """
    try:
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        place, missing = max(end - 1, 0), count
        while place and missing:
            begin = max(place - CHUNK_SIZE, 0)
            block = os.pread(fd, place - begin, begin)
            found = len(block)
            while missing and (found := block.rfind(b"\n", 0, found)) >= 0:
                missing -= 1
            if not missing:
                return begin + found + 1
            place = begin
        return 0 if count else end
    finally:
        os.close(fd)


def stamp(data: bytes, offset: int, records: Iterable[Record], *, starts_line: bool) -> bytes:
    r"""Put the time before each line of `data`. Only `\n` ends a line: a bar drawn with `\r` is one line.

    Args:
        data: raw bytes that begin at `offset` of a log.
        offset: where they begin.
        records: times in the order of their sizes; the last one's size is at least the end of `data`.
        starts_line: whether a line begins at `offset`.
    """
    stamped: list[bytes] = []
    start = 0
    for record in records:
        part = data[start : max(record.size - offset, start)]
        if not part:
            continue
        start += len(part)
        time = _stamp(record.at)
        if starts_line:
            stamped.append(time)
        # The line after a last newline begins in the next part, and has that one's time.
        starts_line = part.endswith(b"\n")
        inner = part[:-1] if starts_line else part
        stamped.append(inner.replace(b"\n", b"\n" + time))
        if starts_line:
            stamped.append(b"\n")
    return b"".join(stamped)


def _stamp(at: int) -> bytes:
    time = _EPOCH + timedelta(microseconds=at)
    return time.isoformat(timespec="microseconds").encode() + b"Z "
