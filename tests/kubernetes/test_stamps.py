"""A log that the kubelet tells in pieces is copied whole, wherever it is cut and however it is taken up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapi.clusters.kubernetes.stamps import Mark, Resumption
from mapi.logs.times import Record

_BEGAN = 1_795_532_400 * 10**9


class Entry(NamedTuple):
    """A line, or a part of one, as the container runtime writes it down."""

    at: int
    data: bytes


def told(entries: list[Entry], since: str | None) -> bytes:
    """What a kubelet answers: nothing older than a second, and times where a line begins."""
    first = int(datetime.fromisoformat(since).timestamp()) if since else 0
    shown, begins = b"", True
    for at, data in entries:
        if at >= first * 10**9:
            shown += (stamp(at) if begins else b"") + data
        begins = data.endswith(b"\n")
    return shown


def stamp(at: int) -> bytes:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 10**9))
    return f"{seconds}.{at % 10**9:09d}Z ".encode()


#: What a program prints, with what could be taken for a time, a bar, or an error of the kubelet's.
LINES = st.sampled_from(
    [b"", b"a", b"ab", b"\r1%\r2%", b"\xff\x00", b"2026-11-24T15:00:00.123456789Z x", b"2026-11-24T15:0"]
)
#: Parts of long lines go on with anything but a whole time, which nothing could tell from one.
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 10**8, 10**9, 3 * 10**9]),
        st.lists(st.sampled_from([b"more", b"2026-11-24T1", b"\r", b"\xfe"]), max_size=3),
        LINES,
    ),
    max_size=12,
)


def written(lines: list[tuple[int, list[bytes], bytes]], whole: bool) -> list[Entry]:
    entries, at = [], _BEGAN
    for number, (gap, parts, line) in enumerate(lines):
        pieces = [line or b"-", *parts] if parts else [line]
        for place, piece in enumerate(pieces):
            at += gap
            last = place == len(pieces) - 1
            ended = last and (whole or number < len(lines) - 1)
            if piece or ended:
                entries.append(Entry(at, piece + (b"\n" if ended else b"")))
    return entries


@settings(max_examples=400, deadline=None)
@given(ENTRIES, st.booleans(), st.data())
def test_every_byte_is_there_once(
    lines: list[tuple[int, list[bytes], bytes]], whole: bool, data: st.DataObject
) -> None:
    entries = written(lines, whole)
    copy, mark, there = b"", None, 0
    for _ in range(data.draw(st.integers(0, 5), label="cuts")):
        there = data.draw(st.integers(there, len(entries)), label="written so far")
        answer = told(entries[:there], mark.since if mark else None)
        answer = answer[: data.draw(st.integers(0, len(answer)), label="cut")]
        resumption = Resumption(mark, len(copy))
        before = copy
        for piece in cut_up(answer, data):
            copy += resumption.feed(piece)
        assert copy.startswith(before)
        assert not resumption.gap
        mark = data.draw(st.sampled_from([resumption.mark, mark, None]), label="noted")
    last = Resumption(mark, len(copy))
    copy += last.feed(told(entries, mark.since if mark else None))
    assert copy == b"".join(entry.data for entry in entries)
    assert last.caught_up
    assert not last.gap


def cut_up(answer: bytes, data: st.DataObject) -> Iterator[bytes]:
    while answer:
        size = data.draw(st.integers(1, len(answer)))
        yield answer[:size]
        answer = answer[size:]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([1, 10**8, 10**9]), min_size=1, max_size=12), st.data())
def test_what_was_rotated_away_is_missed_and_nothing_comes_twice(
    gaps: list[int], data: st.DataObject
) -> None:
    entries = [Entry(_BEGAN + sum(gaps[: n + 1]), b"line %d\n" % n) for n in range(len(gaps))]
    everything = b"".join(entry.data for entry in entries)
    there = data.draw(st.integers(1, len(entries)), label="written before")
    answer = told(entries[:there], None)
    first = Resumption(None, 0)
    copy = first.feed(answer[: data.draw(st.integers(0, len(answer)), label="cut")])
    rotated = data.draw(st.integers(0, len(entries)), label="rotated away")
    mark = first.mark
    second = Resumption(mark, len(copy))
    had = len(copy)
    copy += second.feed(told(entries[rotated:], mark.since if mark else None))
    noted = next((n for n, entry in enumerate(entries) if mark and entry.at == mark.at), 0)
    if rotated <= noted or mark is None:
        return
    assert copy == everything[:had] + b"".join(entry.data for entry in entries[rotated:])
    assert second.gap or not second.caught_up


def test_the_kubelets_own_words_are_not_the_ranks() -> None:
    entries = [Entry(_BEGAN, b"one\n"), Entry(_BEGAN + 1, b"two\n")]
    copied = Resumption(None, 0)
    assert copied.feed(told(entries[:1], None) + b"rpc error: code = Unknown\n" + stamp(1)) == b"one\n"
    assert copied.feed(b"") == b""


def test_a_clock_that_was_set_back_makes_the_log_be_read_from_its_beginning() -> None:
    entries = [Entry(_BEGAN, b"one\n"), Entry(_BEGAN - 10**10, b"two\n"), Entry(_BEGAN + 10**9, b"three\n")]
    copied = Resumption(None, 0)
    copied.feed(told(entries[:1], None))
    assert copied.mark == Mark(_BEGAN, 0)
    copied = Resumption(copied.mark, 4)
    copied.feed(told(entries[:2], None))
    assert copied.mark is None
    copied.feed(told(entries[2:], None))
    assert copied.mark == Mark(_BEGAN + 10**9, 8)


@pytest.mark.parametrize(("hour", "zone"), [(15, b"Z"), (17, b"+02:00")])
def test_times_are_those_of_the_nodes_zone(hour: int, zone: bytes) -> None:
    copied = Resumption(None, 0)
    assert copied.feed(b"2026-11-24T%d:00:00.000000001%s x\n" % (hour, zone)) == b"x\n"
    assert copied.mark is not None
    assert copied.mark.since == "2026-11-24T15:00:00Z"


def test_what_is_added_has_the_time_of_its_line() -> None:
    later = 2_500_000
    entries = [
        Entry(_BEGAN, b"one\n"),
        Entry(_BEGAN + 1000, b"two\n"),
        Entry(_BEGAN + later, b"three\n"),
        Entry(_BEGAN + 2 * later, b"four\n"),
    ]
    told_all = told(entries, None)
    copied = Resumption(None, 0)
    copied.feed(told_all)
    began = _BEGAN // 1000
    after = later // 1000
    assert copied.written == [Record(began, 8), Record(began + after, 14), Record(began + 2 * after, 19)]
    again = Resumption(Mark(_BEGAN + 1000, 4), 10)
    assert again.feed(told_all) == b"ree\nfour\n"
    assert again.written == copied.written[1:]
