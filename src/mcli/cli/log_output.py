"""A run's log on its way to a person: of one rank or of all, filtered, as it was written or as it looks.

A progress bar that redraws its line with carriage returns is passed on as it comes, so that a terminal draws
it and a file has it whole. Only where lines of several ranks are mixed does a terminal get its last state.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mcli.models.resumption import Resumption
    from mcli.models.run import Run

#: Colours of ranks, in turn: cyan, yellow, green, magenta, blue, red.
_COLOURS = (36, 33, 32, 35, 34, 31)

#: Lines that may wait to be printed while ranks write faster than a terminal reads.
_AHEAD = 10_000


class Wanted(NamedTuple):
    """Which part of which log is shown. `rank` None: the lowest, or with `all_ranks` each."""

    rank: int | None = None
    all_ranks: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: dt.datetime | None = None
    grep: re.Pattern[str] | None = None

    def beginning(self) -> dict[str, Any]:
        """Where to begin, as arguments of `mcli.get_run_logs`."""
        return {"tail_lines": self.tail_lines, "since": self.since}


def show_exception(run: Run, resumption: Resumption, rank: int | None) -> None:
    """Print the first Python traceback of a rank; of the first that failed, where none is named."""
    from mcli import get_run_logs

    how: dict[str, Any] = {"failed": True} if rank is None else {"rank": rank}
    _print_text([get_run_logs(run, resumption=resumption.index, first_exception=True, **how)])


def follow(run: Run, resumption: Resumption, wanted: Wanted) -> None:
    """Print what a resumption has written, then what it writes, until it has ended."""
    from mcli import follow_run_logs

    how: dict[str, Any] = {"timestamps": wanted.timestamps, "resumption": resumption.index}
    how |= wanted.beginning()
    if wanted.all_ranks:
        _print_lines(_mixed(wanted, _as_they_come(run, resumption.node_count, how)))
    elif wanted.grep:
        _print_lines(_matching(wanted, follow_run_logs(run, rank=wanted.rank, **how)))
    else:
        _print_text(follow_run_logs(run, rank=wanted.rank, whole_lines=False, **how))


def show(run: Run, resumption: Resumption, wanted: Wanted, *, failed: bool) -> None:
    """Print what a resumption has written until now; with `failed`, the first rank that failed."""
    from mcli import get_run_logs

    how: dict[str, Any] = {"resumption": resumption.index, "timeout": None} | wanted.beginning()
    if wanted.all_ranks:
        _print_lines(_mixed(wanted, _by_time(run, resumption.node_count, wanted, how)))
        return
    text = get_run_logs(run, rank=wanted.rank, failed=failed, timestamps=wanted.timestamps, **how)
    if wanted.grep:
        _print_lines(_matching(wanted, _lines(text)))
    else:
        _print_text([text])


def _as_they_come(run: Run, ranks: int, how: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the lines of all ranks while they are written."""
    import threading
    from queue import Queue

    from mcli import follow_run_logs

    Item = tuple[int, str] | BaseException | None
    waiting: Queue[Item] = Queue(_AHEAD)

    def read(rank: int) -> None:
        ended: Item = None
        try:
            for line in follow_run_logs(run, rank=rank, **how):
                waiting.put((rank, line))
        except BaseException as error:
            ended = error
        waiting.put(ended)

    for rank in range(ranks):
        threading.Thread(target=read, args=(rank,), daemon=True).start()
    open_logs = ranks
    while open_logs:
        item = waiting.get()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            open_logs -= 1
        else:
            yield item


def _by_time(run: Run, ranks: int, wanted: Wanted, how: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the lines of all ranks in the order they were written in."""
    import heapq

    from mcli import get_run_logs

    texts = [get_run_logs(run, rank=rank, timestamps=True, future=True, **how) for rank in range(ranks)]
    stamped = [
        [(*line.partition(" ")[::2], rank) for line in _lines(text.result())]
        for rank, text in enumerate(texts)
    ]
    for time, line, rank in heapq.merge(*stamped, key=lambda each: each[0]):
        yield rank, f"{time} {line}" if wanted.timestamps else line


def _mixed(wanted: Wanted, lines: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Yield lines with the rank they are from."""
    drawn = sys.stdout.isatty()
    coloured = drawn and not os.environ.get("NO_COLOR")
    for rank, line in lines:
        if _matches(wanted, line):
            label = f"[{rank}]"
            if coloured:
                label = f"\x1b[{_COLOURS[rank % len(_COLOURS)]}m{label}\x1b[0m"
            yield f"{label} {_last_state(line) if drawn else line}"


def _matching(wanted: Wanted, lines: Iterable[str]) -> Iterator[str]:
    return (line for line in lines if _matches(wanted, line))


def _matches(wanted: Wanted, line: str) -> bool:
    """Whether a line is one that is looked for; the time in front of it is no part of it."""
    text = line.partition(" ")[2] if wanted.timestamps else line
    return wanted.grep is None or wanted.grep.search(text) is not None


def _last_state(line: str) -> str:
    """Return what is seen of a line that was drawn over."""
    return line.rstrip("\r").rpartition("\r")[2]


def _lines(text: str) -> list[str]:
    r"""Return the lines of a log: only `\n` ends one."""
    return text.removesuffix("\n").split("\n") if text else []


def _print_lines(lines: Iterable[str]) -> None:
    _print_text(f"{line}\n" for line in lines)


def _print_text(pieces: Iterable[str]) -> None:
    """Print each piece as soon as it is there."""
    last = "\n"
    try:
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
            last = piece or last
    finally:
        if not last.endswith("\n") and sys.stdout.isatty():
            sys.stdout.write("\n")  # what is said next begins a line
