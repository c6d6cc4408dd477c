"""From a log as the kubelet tells it to the bytes that a rank wrote. Pure.

The kubelet keeps no offsets, only a time for each line, and goes on from a whole second. So it is asked from
the second of the newest line that is in the copy, and that line is found again by its time, which is exact to
the nanosecond. From there on, as much is passed over as the copy has of it.

Lines carry their time in front (`2026-11-24T15:00:00.123456789Z `), which is taken off again. The parts of a
line longer than 16 KiB have times too, but only the first one's is shown; so a log that is told from the
middle of such a line on begins without a time. What else begins without one is not of the rank: an error of
the kubelet's own, or a time that was cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from mapi.logs.times import Record

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})(Z|[+-]\d\d:\d\d) ")
_LONGEST_STAMP = 36


class Mark(msgspec.Struct, frozen=True):
    """A line in the copy: its time in nanoseconds, and the byte at which it begins."""

    at: int
    offset: int

    @property
    def since(self) -> str:
        """The second from which the kubelet is to tell the log, so that the line is in it."""
        return datetime.fromtimestamp(self.at // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Resumption:
    """What a log, told anew, adds to the copy.

    `mark`: the newest line there is, from which to ask another time; None: only from the beginning.
    `gap`: whether the line at the mark was no longer there, but later ones were. `written`: when what was fed
    last was written; what was within a millisecond of each other has one time.
    """

    def __init__(self, mark: Mark | None, size: int) -> None:
        """Begin where the copy ends.

        Args:
            mark: a line of the copy; the log is told from its second on, or from the beginning.
            size: of the copy.
        """
        self.mark = mark
        self.gap = False
        self._latest = mark.at if mark else 0
        self._wanted = mark
        self._size = size
        self._position = 0
        self._passing = False
        self._rest = b""
        self._line_begins = True
        self._line_at = self._latest
        self.written: list[Record] = []

    @property
    def caught_up(self) -> bool:
        """Whether the log was told as far as the copy goes."""
        return self._wanted is None and self._position >= self._size

    def feed(self, data: bytes) -> bytes:
        """Return what of this the copy does not have."""
        fresh = []
        self.written = []
        for at, piece in self._pieces(data):
            if self._line_begins:
                self._begin(at)
            self._line_begins = piece.endswith(b"\n")
            if self._passing:
                continue
            known = max(0, self._size - self._position)
            self._position += len(piece)
            fresh.append(piece[known:])
            if self._position > self._size:
                self._note(Record(self._line_at // 1000, self._position))
        return b"".join(fresh)

    def _begin(self, at: int | None) -> None:
        """Meet the beginning of a line."""
        wanted = self._wanted
        self._passing = at is None or (wanted is not None and at < wanted.at)
        if at is None or self._passing:
            return
        self._line_at = at
        if wanted is not None:
            self.gap = at > wanted.at
            self._position = self._size if self.gap else wanted.offset
            self._wanted = None
        if at > self._latest:
            self.mark, self._latest = Mark(at, self._position), at
        elif at < self._latest:  # the node's clock was set back: no second separates old from new
            self.mark = None

    def _note(self, record: Record) -> None:
        if self.written and self.written[-1].at // 1000 == record.at // 1000:
            record = Record(self.written.pop().at, record.size)
        self.written.append(record)

    def _pieces(self, data: bytes) -> Iterator[tuple[int | None, bytes]]:
        """Yield lines, or parts of them, those that begin one with its time."""
        data = self._rest + data
        place = 0
        while place < len(data):
            at = None
            if self._line_begins:
                stamp = _STAMP.match(data, place)
                if stamp:
                    at = _second((stamp[1] + stamp[3]).decode()) * 10**9 + int(stamp[2])
                    place = stamp.end()
                elif len(data) - place < _LONGEST_STAMP and data.find(b"\n", place) < 0:
                    break
            end = data.find(b"\n", place) + 1 or len(data)
            yield at, data[place:end]
            place = end
        self._rest = data[place:]


@lru_cache(16)
def _second(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
