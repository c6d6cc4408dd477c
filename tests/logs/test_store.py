"""What the log store promises: every byte, once, in order, at once; with its time where that is asked for."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mapi.domain.run import ExecutionId
from mapi.logs import CHUNK_SIZE, Chunk, LogStore
from mapi.logs.chunks import read_chunk
from mapi.logs.inotify import Inotify

RUN = ExecutionId("0198c0de-run", 0)
STAMPED = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (.*)\n")
DEADLINE = 5.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LogStore]:
    store = LogStore(tmp_path / "logs")
    yield store
    store.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def with_deadline() -> None:
        await asyncio.wait_for(test(), DEADLINE)

    asyncio.run(with_deadline())


def write(store: LogStore, data: bytes, *, execution: ExecutionId = RUN, rank: int = 0) -> None:
    with store.path(execution, rank).open("ab") as file:
        file.write(data)


def text(chunks: Iterator[Chunk]) -> bytes:
    return b"".join(chunk.data for chunk in chunks)


async def all_of(chunks: AsyncIterator[Chunk]) -> bytes:
    return b"".join([chunk.data async for chunk in chunks])


def opened(store: LogStore, data: bytes = b"", ranks: int = 1) -> None:
    store.open(RUN, ranks)
    write(store, data)


def finished(store: LogStore, data: bytes) -> None:
    async def do() -> None:
        opened(store, data)
        store.finish(RUN)

    asyncio.run(do())


# -- files


def test_a_log_lies_where_the_layout_says(store: LogStore, tmp_path: Path) -> None:
    path = store.path(ExecutionId("some-run", 3), 12)
    assert path == tmp_path / "logs" / "some-run" / "3" / "12.log"


@pytest.mark.parametrize("run_id", ["", ".", "..", "../other", "a/b"])
def test_a_run_id_that_is_no_folder_name_is_refused(store: LogStore, run_id: str) -> None:
    with pytest.raises(ValueError, match="run id"):
        store.forget(run_id)


def test_every_rank_has_a_log_as_soon_as_its_execution_is_open(store: LogStore) -> None:
    async def test() -> None:
        store.open(RUN, 3)
        assert [store.exists(RUN, rank) for rank in range(4)] == [True, True, True, False]
        assert store.size(RUN, 2) == 0

    run(test)


def test_opening_again_changes_nothing(store: LogStore) -> None:
    async def test() -> None:
        opened(store, b"one\n")
        store.open(RUN, 1)
        assert text(store.read(RUN, 0)) == b"one\n"

    run(test)


def test_a_log_that_does_not_exist_reads_as_an_empty_one(store: LogStore) -> None:
    async def test() -> None:
        assert not store.exists(RUN, 0)
        assert store.size(RUN, 0) == 0
        assert store.tail_offset(RUN, 0, 10) == 0
        assert text(store.read(RUN, 0)) == b""
        assert await all_of(store.follow(RUN, 0)) == b""

    run(test)


def test_no_descriptor_stays_open_for_a_log(store: LogStore) -> None:
    async def test() -> None:
        store.open(RUN, 1)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(50):
            execution = ExecutionId(f"run-{number}", 0)
            store.open(execution, 2)
            write(store, b"line\n", execution=execution)
            if number % 2:
                store.finish(execution)
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    run(test)


def test_what_only_its_owner_may_read_is_readable_by_nobody_else(store: LogStore) -> None:
    finished(store, b"secret\n")
    for file in store.path(RUN, 0).parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


# -- reading


def test_reading_goes_on_at_the_exact_byte(store: LogStore) -> None:
    finished(store, b"0123456789")
    assert text(store.read(RUN, 0, 4)) == b"456789"
    assert text(store.read(RUN, 0, 10)) == b""
    assert text(store.read(RUN, 0, 99)) == b""


def test_a_long_log_comes_in_chunks_that_know_where_they_end(store: LogStore) -> None:
    data = os.urandom(3 * CHUNK_SIZE + 17)
    finished(store, data)
    chunks = list(store.read(RUN, 0))
    assert [chunk.end_offset for chunk in chunks] == [
        CHUNK_SIZE,
        2 * CHUNK_SIZE,
        3 * CHUNK_SIZE,
        3 * CHUNK_SIZE + 17,
    ]
    assert b"".join(chunk.data for chunk in chunks) == data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"10%\r50%\r100%\n", id="a bar"),
        pytest.param(bytes(range(256)), id="not text"),
        pytest.param(b"x" * (2 * CHUNK_SIZE) + b"\n", id="a line longer than chunks"),
        pytest.param(b"no newline at the end", id="no newline"),
    ],
)
def test_bytes_pass_through_whole(store: LogStore, data: bytes) -> None:
    finished(store, data)
    assert text(store.read(RUN, 0)) == data
    stamped = text(store.read(RUN, 0, timestamps=True))
    assert stamped[28:] == data.replace(b"\n", b"\n" + stamped[:28], data[:-1].count(b"\n"))


@pytest.mark.parametrize(
    ("data", "tail", "expected"),
    [
        (b"hello", 0, b""),
        (b"hello", -3, b""),
        (b"hello", 2, b"lo"),
        (b"hello", 99, b"hello"),
        ("aé".encode(), 1, b""),
        ("é€b".encode(), 3, b"b"),
        ("é€b".encode(), 4, "€b".encode()),
        ("a😀".encode(), 3, b""),
        (b"\x80" * 9, 5, b"\x80" * 5),
    ],
)
def test_a_tail_begins_where_a_character_does(
    store: LogStore, data: bytes, tail: int, expected: bytes
) -> None:
    finished(store, data)
    assert text(store.read(RUN, 0, store.tail_offset(RUN, 0, tail))) == expected


# -- times


@pytest.mark.parametrize(
    ("data", "count", "expected"),
    [
        (b"one\ntwo\nthree\n", 2, b"two\nthree\n"),
        (b"one\ntwo\nthree", 2, b"two\nthree"),
        (b"one\n\n", 1, b"\n"),
        (b"one\ntwo\n", 9, b"one\ntwo\n"),
        (b"one\ntwo\n", 0, b""),
        (b"bar 1\rbar 2\rbar 3\n", 1, b"bar 1\rbar 2\rbar 3\n"),
        (b"", 3, b""),
        (b"first\n" + b"x" * CHUNK_SIZE * 2 + b"\nlast\n", 2, b"x" * CHUNK_SIZE * 2 + b"\nlast\n"),
    ],
)
def test_the_last_lines_begin_where_one_does(
    store: LogStore, data: bytes, count: int, expected: bytes
) -> None:
    finished(store, data)
    assert text(store.read(RUN, 0, store.lines_offset(RUN, 0, count))) == expected


def test_what_was_written_since_a_moment_begins_with_a_whole_line(store: LogStore) -> None:
    between: list[int] = []

    async def test() -> None:
        opened(store)
        for part in (b"one\ntw", b"o\nthree\n"):
            write(store, part)
            assert text(store.read(RUN, 0)).endswith(part)
            between.append(time.time_ns() // 1_000_000 + 1)
            await asyncio.sleep(0.003)  # the next part has a later millisecond
        store.finish(RUN)

    run(test)
    since = [text(store.read(RUN, 0, store.since_offset(RUN, 0, at))) for at in (0, *between)]
    assert since == [b"one\ntwo\nthree\n", b"two\nthree\n", b""]


def test_each_line_carries_the_time_it_was_written(store: LogStore) -> None:
    async def test() -> None:
        follower = store.follow(RUN, 0, timestamps=True)
        store.open(RUN, 1)
        moments = []
        for line in (b"first\n", b"second\n"):
            before = datetime.now(UTC)
            write(store, line)
            stamped = STAMPED.fullmatch((await anext(follower)).data)
            after = datetime.now(UTC)
            assert stamped
            assert stamped[2] + b"\n" == line
            moment = datetime.fromisoformat(stamped[1].decode())
            assert before <= moment <= after
            moments.append(moment)
        store.finish(RUN)
        again = STAMPED.findall(text(store.read(RUN, 0, timestamps=True)))
        assert [datetime.fromisoformat(time.decode()) for time, _ in again] == moments

    run(test)


def test_what_came_while_the_server_was_down_has_the_time_of_the_last_change(
    store: LogStore, tmp_path: Path
) -> None:
    async def before() -> None:
        opened(store, b"seen\n")
        list(store.read(RUN, 0))
        store.close()

    async def after() -> None:
        restarted = LogStore(tmp_path / "logs")
        restarted.open(RUN, 1)
        lines = STAMPED.findall(text(restarted.read(RUN, 0, timestamps=True)))
        assert lines[1] == (b"2001-09-09T01:46:40.000000Z", b"missed")
        assert lines[0][0] > lines[1][0]
        restarted.close()

    asyncio.run(before())
    write(store, b"missed\n")
    os.utime(store.path(RUN, 0), (1_000_000_000, 1_000_000_000))
    asyncio.run(after())


def test_a_torn_index_record_costs_nothing_but_itself(store: LogStore, tmp_path: Path) -> None:
    async def after() -> None:
        restarted = LogStore(tmp_path / "logs")
        restarted.open(RUN, 1)
        write(restarted, b"two\n")
        restarted.finish(RUN)
        lines = STAMPED.findall(text(restarted.read(RUN, 0, timestamps=True)))
        assert [line for _, line in lines] == [b"one", b"two"]
        assert all(moment.startswith(b"20") for moment, _ in lines)
        restarted.close()

    finished(store, b"one\n")
    with store.path(RUN, 0).with_suffix(".times").open("ab") as index:
        index.write(b"\xff" * 7)
    asyncio.run(after())


def test_a_log_without_an_index_still_has_times(store: LogStore) -> None:
    finished(store, b"one\ntwo\n")
    store.path(RUN, 0).with_suffix(".times").unlink()
    os.utime(store.path(RUN, 0), (1_000_000_000, 1_000_000_000))
    stamp = b"2001-09-09T01:46:40.000000Z "
    assert text(store.read(RUN, 0, timestamps=True)) == stamp + b"one\n" + stamp + b"two\n"


def test_chunks_with_times_are_no_larger_than_others(store: LogStore) -> None:
    finished(store, b"\n" * CHUNK_SIZE)
    chunks = list(store.read(RUN, 0, timestamps=True))
    assert max(len(chunk.data) for chunk in chunks) <= CHUNK_SIZE
    assert sum(chunk.data.count(b"Z \n") for chunk in chunks) == CHUNK_SIZE
    assert chunks[-1].end_offset == CHUNK_SIZE


# -- following


def test_a_follower_gets_what_was_there_then_what_comes_then_the_end(store: LogStore) -> None:
    async def test() -> None:
        opened(store, b"before\n")
        follower = store.follow(RUN, 0)
        store.open(RUN, 1)
        write(store, b"after\n")
        assert (await anext(follower)).data.startswith(b"before\n")
        store.finish(RUN)
        write(store, b"")
        assert await all_of(store.follow(RUN, 0)) == b"before\nafter\n"

    run(test)


def test_a_line_is_with_its_follower_within_milliseconds(store: LogStore) -> None:
    async def test() -> None:
        opened(store)
        follower = store.follow(RUN, 0)
        delays = []
        for _ in range(30):
            write_at = asyncio.get_running_loop().call_later(0.003, write, store, b"line\n").when()
            await anext(follower)
            delays.append(asyncio.get_running_loop().time() - write_at)
        assert sorted(delays)[len(delays) // 2] < 0.010

    run(test)


def test_a_follower_of_a_finished_execution_reads_to_the_end_and_completes(store: LogStore) -> None:
    finished(store, b"all of it\n")

    async def test() -> None:
        assert await all_of(store.follow(RUN, 0)) == b"all of it\n"
        assert await all_of(store.follow(RUN, 0, 4)) == b"of it\n"

    run(test)


def test_the_last_bytes_before_the_end_are_not_missed(store: LogStore) -> None:
    async def test() -> None:
        opened(store)
        following = asyncio.create_task(all_of(store.follow(RUN, 0)))
        await asyncio.sleep(0)
        write(store, b"last words")
        store.finish(RUN)
        assert await following == b"last words"

    run(test)


def test_what_a_process_writes_arrives_whole_and_in_order(store: LogStore) -> None:
    async def test() -> None:
        opened(store)
        following = asyncio.create_task(all_of(store.follow(RUN, 0, timestamps=True)))
        with store.path(RUN, 0).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                "bash", "-c", "for i in {1..3000}; do echo line $i; done", stdout=log
            )
            await process.wait()
        store.finish(RUN)
        lines = STAMPED.findall(await following)
        assert [line for _, line in lines] == [b"line %d" % number for number in range(1, 3001)]
        assert [moment for moment, _ in lines] == sorted(moment for moment, _ in lines)

    run(test)


def test_followers_at_one_place_cost_one_reader(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0

    def counted(log: Path, times: Path, offset: int, end: int, *, timestamps: bool) -> Chunk | None:
        nonlocal reads
        chunk = read_chunk(log, times, offset, end, timestamps=timestamps)
        reads += chunk is not None
        return chunk

    monkeypatch.setattr("mapi.logs.store.read_chunk", counted)

    async def test() -> None:
        opened(store, b"first\n")
        followers = [asyncio.create_task(all_of(store.follow(RUN, 0))) for _ in range(1000)]
        await asyncio.sleep(0)
        for _ in range(5):
            write(store, b"more\n")
            list(store.read(RUN, 0, 10**9))  # looks at the log, which wakes the followers
            await asyncio.sleep(0)
        store.finish(RUN)
        assert set(await asyncio.gather(*followers)) == {b"first\n" + 5 * b"more\n"}

    run(test)
    assert reads <= 6


def test_a_follower_that_gives_up_leaves_the_others_alone(store: LogStore) -> None:
    async def test() -> None:
        opened(store)
        leaving, staying = (asyncio.create_task(all_of(store.follow(RUN, 0))) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        write(store, b"still here\n")
        store.finish(RUN)
        assert await staying == b"still here\n"

    run(test)


def test_a_slow_follower_reads_from_the_file_when_it_comes(store: LogStore) -> None:
    async def test() -> None:
        opened(store, b"0\n")
        slow = store.follow(RUN, 0)
        assert (await anext(slow)).data == b"0\n"
        fast = asyncio.create_task(all_of(store.follow(RUN, 0)))
        data = os.urandom(20 * CHUNK_SIZE)
        write(store, data)
        store.finish(RUN)
        assert await fast == b"0\n" + data
        assert await all_of(slow) == data

    run(test)


def test_deleting_completes_the_followers(store: LogStore) -> None:
    async def test() -> None:
        opened(store, b"gone\n")
        follower = store.follow(RUN, 0)
        assert (await anext(follower)).data == b"gone\n"
        following = asyncio.create_task(all_of(follower))
        await asyncio.sleep(0)
        store.forget(RUN.run_id)
        assert await following == b""
        assert not store.exists(RUN, 0)
        assert await all_of(store.follow(RUN, 0)) == b""

    run(test)


def test_deleting_a_run_leaves_the_others_alone(store: LogStore) -> None:
    async def test() -> None:
        other = ExecutionId(RUN.run_id + "-other", 0)
        store.open(other, 1)
        opened(store, b"x")
        store.forget(RUN.run_id)
        write(store, b"kept\n", execution=other)
        store.finish(other)
        assert await all_of(store.follow(other, 0)) == b"kept\n"

    run(test)


def test_closing_completes_the_followers(store: LogStore) -> None:
    async def test() -> None:
        opened(store)
        following = asyncio.create_task(all_of(store.follow(RUN, 0)))
        await asyncio.sleep(0)
        store.close()
        assert await following == b""

    run(test)


@pytest.mark.parametrize("missing", ["file system", "instances", "watches"])
def test_where_the_kernel_does_not_tell_files_are_polled(
    store: LogStore, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    match missing:
        case "file system":
            monkeypatch.setattr("mapi.logs.watcher.network_file_system", lambda _: "nfs")
        case "instances":
            monkeypatch.setattr(Inotify, "__init__", refuse)
        case "watches":
            monkeypatch.setattr(Inotify, "watch", refuse)

    async def test() -> None:
        opened(store)
        follower = store.follow(RUN, 0)
        for line in (b"one\n", b"two\n"):
            write(store, line)
            assert (await anext(follower)).data == line
        store.finish(RUN)
        assert await all_of(follower) == b""

    run(test)


def test_a_process_that_never_stops_writing_leaves_the_loop_to_others(store: LogStore) -> None:
    async def test() -> None:
        opened(store)
        with store.path(RUN, 0).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                "bash", "-c", "while :; do echo line; done", stdout=log
            )
        try:
            wakes = 0
            ends = time.monotonic() + 0.2
            while time.monotonic() < ends:
                await asyncio.sleep(0.001)
                wakes += 1
        finally:
            process.kill()
            await process.wait()
        store.finish(RUN)
        index = store.path(RUN, 0).with_suffix(".times").stat().st_size
        assert index <= 16 * 0.2 * 600
        assert wakes > 20

    run(test)


def test_opening_and_finishing_is_cheap(store: LogStore) -> None:
    async def test() -> None:
        executions = [ExecutionId(f"run-{number}", 0) for number in range(200)]
        started = time.process_time()
        for execution in executions:
            store.open(execution, 1)
            store.finish(execution)
        each = (time.process_time() - started) / len(executions)
        assert each < 0.005, f"{each * 1000:.3f} ms"  # 0.15 ms on an idle machine

    run(test)
