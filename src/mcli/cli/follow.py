"""Following a run: its log as it is written, through every resumption, to the outcome."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from typing import TYPE_CHECKING

from mcli.cli import log_output
from mcli.cli.log_output import Wanted
from mcli.cli.output import duration, note, progress
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.run import Run

_WAITING = (RunStatus.PENDING, RunStatus.SCHEDULED, RunStatus.QUEUED)

#: How often what a run waits for is looked up; that it has started is told at once.
_REFRESH_SECONDS = 1


def follow_to_the_end(run: Run, wanted: Wanted = Wanted()) -> Run:  # noqa: B008 - a tuple
    """Print the log of a run while it is written, and go on with its next resumption if it is retried.

    Returns:
        The run as it ended.
    """
    if sys.stderr.isatty():
        tell_until_started(run)
    resumption = run.resumptions[-1]
    while True:
        log_output.follow(run, resumption, wanted)
        run = _after(run, resumption.index)
        if run.resumptions[-1].index == resumption.index:
            return run
        resumption, wanted = run.resumptions[resumption.index + 1], wanted._replace(tail_lines=None)
        note(f"{run.name} is tried again (resumption {resumption.index})")


def tell_until_started(run: Run) -> None:
    """Show, in place, what a run waits for and how long it has, until it does not wait any more."""
    import threading
    from queue import Empty, Queue

    from mcli import get_run, watch_run_status
    from mcli.api.exceptions import MCLIException

    changes: Queue[bool] = Queue()

    def watch() -> None:
        with contextlib.suppress(MCLIException):  # whoever asks for the log next is told the same
            for seen in watch_run_status(run):
                changes.put(seen.status in _WAITING)
        changes.put(False)

    threading.Thread(target=watch, daemon=True).start()
    waits = True
    while waits:
        try:
            waits = changes.get(timeout=_REFRESH_SECONDS)
        except Empty:
            waiting = get_run(run.name, include_details=False)
            waited = (dt.datetime.now(dt.UTC) - waiting.created_at).total_seconds()
            progress(
                f"{run.name}: {waiting.status.display_name.lower()} for {duration(waited)} "
                f"({waiting.reason or 'not in line yet'})"
            )
    progress("")


def how_to_go_on(run: Run) -> str:
    """Return what to tell a person who stopped following with Ctrl-C."""
    return f"\nStopped following; {run.name} goes on. Follow it again: mcli logs -f {run.name}"


def outcome(run: Run) -> str:
    """Return one sentence: how a run ended, after how long, and why."""
    took = ""
    if run.started_at and run.completed_at:
        took = f" after {duration((run.completed_at - run.started_at).total_seconds())}"
    ended = {
        RunStatus.COMPLETED: "completed",
        RunStatus.STOPPED: "was stopped",
        RunStatus.FAILED: "failed",
        RunStatus.FAILED_PULL: "could not get its image",
    }.get(run.status, f"is {run.status.display_name.lower()}")
    why = f": {run.reason}" if run.reason and run.status is not RunStatus.COMPLETED else ""
    return f"{run.name} {ended}{took}{why}"


def _after(run: Run, resumption: int) -> Run:
    """Return the run once it has ended, or has begun another resumption."""
    from mcli import get_run, watch_run_status

    for _ in watch_run_status(run):
        run = get_run(run.name)
        if run.status.is_terminal() or run.resumptions[-1].index > resumption:
            break
    return run
