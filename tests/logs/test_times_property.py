"""A stream of lines with times is the same however it is cut and wherever it is resumed."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mapi.logs import chunks
from mapi.logs.chunks import Chunk, read_chunk, stamp
from mapi.logs.times import Record, TimeIndex, records_between

writes = st.lists(st.text("a\r\né", min_size=1, max_size=12).map(str.encode), min_size=1, max_size=12)


def line_by_line(parts: list[bytes]) -> bytes:
    """The promise, said slowly: before each line, the time of the write its first byte came with."""
    data = b"".join(parts)
    time_of = [number for number, part in enumerate(parts) for _ in part]
    stamped = b""
    for offset in range(len(data)):
        if offset == 0 or data[offset - 1 : offset] == b"\n":
            stamped += b"1970-01-01T00:00:00.%06dZ " % time_of[offset]
        stamped += data[offset : offset + 1]
    return stamped


def record_all(folder: Path, parts: list[bytes]) -> tuple[Path, Path, int]:
    log, times = folder / "0.log", folder / "0.times"
    index = TimeIndex(times)
    size = 0
    for at, part in enumerate(parts):
        size += len(part)
        index.append([Record(at, size)])
    log.write_bytes(b"".join(parts))
    return log, times, size


@settings(max_examples=150, deadline=None)
@given(writes, st.data())
def test_any_cuts_give_the_same_stream(parts: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log, times, size = record_all(Path(folder), parts)
        stamped, offset = b"", 0
        while offset < size:
            end = data.draw(st.integers(offset + 1, size))
            chunk = read_chunk(log, times, offset, end, timestamps=True)
            assert chunk
            assert chunk.end_offset == end
            stamped, offset = stamped + chunk.data, chunk.end_offset
        assert stamped == line_by_line(parts)


@settings(max_examples=50, deadline=None)
@given(writes, st.integers(60, 120))
def test_a_limit_on_chunks_loses_nothing(parts: list[bytes], limit: int) -> None:
    whole = chunks.CHUNK_SIZE
    chunks.CHUNK_SIZE = limit
    try:
        with tempfile.TemporaryDirectory() as folder:
            log, times, size = record_all(Path(folder), parts)
            got: list[Chunk] = []
            while chunk := read_chunk(log, times, got[-1].end_offset if got else 0, size, timestamps=True):
                got.append(chunk)
            assert b"".join(chunk.data for chunk in got) == line_by_line(parts)
            assert max(len(chunk.data) for chunk in got) <= limit
    finally:
        chunks.CHUNK_SIZE = whole


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=2500), st.data())
def test_the_index_finds_the_record_of_every_byte(steps: list[int], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0.times"
        index = TimeIndex(path)
        records = []
        for number, step in enumerate(steps):
            records.append(Record(1000 - number, index.size + step))  # the clock may run backwards
            index.append(records[-1:])
        start = data.draw(st.integers(0, index.size - 1))
        end = data.draw(st.integers(start + 1, index.size))
        before = [record for record in records if record.size <= start]
        until = next(number for number, record in enumerate(records) if record.size >= end)
        assert records_between(path, start, end) == records[len(before) : until + 1]
        assert TimeIndex(path).size == index.size


def test_a_line_that_goes_on_has_no_second_time() -> None:
    assert stamp(b"end\nnext", 7, [Record(0, 99)], starts_line=False) == (
        b"end\n1970-01-01T00:00:00.000000Z next"
    )
