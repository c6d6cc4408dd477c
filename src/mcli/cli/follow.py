"""Following a run: its log as it is written, through every resumption, to the outcome."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mcli.cli.output import duration, note
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.run import Run


def follow_to_the_end(
    run: Run, *, rank: int | None = None, timestamps: bool = False, tail: int | None = None
) -> Run:
    """Print the log of a run while it is written, and go on with its next resumption if it is retried.

    Returns:
        The run as it ended.
    """
    from mcli import follow_run_logs

    if sys.stderr.isatty():
        tell_until_started(run)
    resumption = run.resumptions[-1].index
    while True:
        print_lines(follow_run_logs(run, rank=rank, timestamps=timestamps, tail=tail, resumption=resumption))
        run = _after(run, resumption)
        if run.resumptions[-1].index == resumption:
            return run
        resumption, tail = resumption + 1, None
        note(f"{run.name} is tried again (resumption {resumption})")


def tell_until_started(run: Run) -> None:
    """Say what a run waits for until it does not wait any more."""
    from mcli import get_run, watch_run_status

    told = None
    for seen in watch_run_status(run):
        status = seen.status
        if status.after(RunStatus.RUNNING, inclusive=True):
            return
        reason = get_run(run.name).reason if status in (RunStatus.PENDING, RunStatus.QUEUED) else None
        if (status, reason) != told:
            told = status, reason
            note(f"{run.name}: {status.display_name.lower()}{f' ({reason})' if reason else ''}")


def print_lines(lines: Iterable[str]) -> None:
    """Print each line as soon as it is there."""
    for line in lines:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


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
