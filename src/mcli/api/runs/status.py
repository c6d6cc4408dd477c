"""Watching runs: every change of status, and waiting for one. Pushed by the platform, never polled."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, overload

from mcli import calls, operations
from mcli.api.exceptions import RunFailed, RunStatusNotReached
from mcli.api.runs.arguments import name_of, status_of
from mcli.api.runs.fetch import fetch_run
from mcli.calls import Backoff, Deadline
from mcli.models.run_status import FAILED_STATES, RunStatus

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mcli.models.run import Run

#: The statuses a run that does well goes through. Who has come to one has passed those before it.
_PROGRESS = (
    RunStatus.PENDING,
    RunStatus.SCHEDULED,
    RunStatus.QUEUED,
    RunStatus.STARTING,
    RunStatus.RUNNING,
    RunStatus.TERMINATING,
    RunStatus.COMPLETED,
)

#: Where a stop that was asked for leads.
_STOP = (RunStatus.STOPPING, RunStatus.STOPPED)


@overload
def wait_for_run_status(
    run: str | Run,
    status: str | RunStatus,
    timeout: float | None = None,
    future: Literal[False] = False,
) -> Run: ...
@overload
def wait_for_run_status(
    run: str | Run, status: str | RunStatus, timeout: float | None = None, *, future: Literal[True]
) -> Future[Run]: ...
def wait_for_run_status(
    run: str | Run, status: str | RunStatus, timeout: float | None = None, future: bool = False
) -> Run | Future[Run]:
    """Wait until a run has reached a status, or has come past it.

    Only the latest attempt counts: a run that was started again has its way before it. A lost connection or a
    restart of the platform is bridged.

    Args:
        run: the run, or its name.
        status: status to wait for.
        timeout: seconds to wait; ignored if `future`.
        future: return a future at once, which is done when the run has reached the status.

    Returns:
        The run as it is then, with all details.

    Raises:
        InvalidArgument: `status` is not a status.
        KubernetesException: 404, there is no such run.
        RunFailed: the run ended as FAILED, FAILED_PULL or STOPPED before it reached the status.
        RunStatusNotReached: the run ended otherwise without reaching the status.
        TimeoutError: the run did not reach the status in time.
    """
    name, wanted = name_of(run), status_of(status)

    def work(deadline: Deadline) -> Run:
        try:
            return _wait(name, wanted, deadline)
        except TimeoutError:
            within = f"{deadline.timeout or 0:g} seconds"
            raise TimeoutError(f"Run {name} did not reach {wanted} within {within}") from None

    return calls.long_call(work, timeout, future)


@overload
def watch_run_status(
    run: str | Run, timeout: float | None = None, future: Literal[False] = False
) -> Generator[Run]: ...
@overload
def watch_run_status(
    run: str | Run, timeout: float | None = None, *, future: Literal[True]
) -> Future[Generator[Run]]: ...
def watch_run_status(
    run: str | Run, timeout: float | None = None, future: bool = False
) -> Generator[Run] | Future[Generator[Run]]:
    """Watch a run: yield it at once, and again at every change of its status, until it ends.

    Args:
        run: the run, or its name.
        timeout: seconds until watching is established; the changes may take as long as they do. Ignored if
            `future`.
        future: return a future of the generator at once.

    Returns:
        A generator of the run with the status it had then; `refresh()` brings the rest of it up to date.

    Raises:
        KubernetesException: 404, there is no such run.
        TimeoutError: watching could not be established in time.
    """
    name = name_of(run)

    def work(deadline: Deadline) -> Generator[Run]:
        known = fetch_run(name, deadline)
        return (replace(known, status=status) for status in _statuses(name, Deadline(None)))

    return calls.call(work, timeout, future)


def _wait(name: str, wanted: RunStatus, deadline: Deadline) -> Run:
    while True:
        for current in _statuses(name, deadline):
            if not (_reached((current,), wanted) or current.is_terminal()):
                continue
            run = fetch_run(name, deadline)
            latest = run.resumption_count - 1
            passed = {step.status for step in run.lifecycle if step.resumption_index == latest}
            if _reached({current, run.status, *passed}, wanted):
                return run
            if run.status.is_terminal():
                raise (RunFailed if run.status in FAILED_STATES else RunStatusNotReached)(run, wanted)
        # It had ended, and was started again before it could be looked at.


def _statuses(name: str, deadline: Deadline) -> Iterator[RunStatus]:
    """Yield the status of a run now, and each time it changes, until it has ended."""
    from mcli.subscriptions import subscribe

    backoff = Backoff(deadline)
    last: RunStatus | None = None
    while last is None or not last.is_terminal():
        watched = subscribe(
            operations.WATCH_RUN_STATUS, lambda: {"watchRunStatusInput": {"name": name}}, deadline
        )
        for text in watched:
            status = RunStatus.from_string(text)
            # After a lost connection the platform says the current status again.
            if status is not last:
                backoff.reset()
                last = status
                yield status
        # A platform that goes down may end the subscription of a run that goes on.
        if (last is None or not last.is_terminal()) and not backoff.pause():
            raise deadline.error()


def _reached(passed: Iterable[RunStatus], wanted: RunStatus) -> bool:
    """Return whether a run that was in these statuses has been in `wanted`, or has come past it."""
    for order in (_PROGRESS, _STOP):
        if wanted in order:
            return not set(order[order.index(wanted) :]).isdisjoint(passed)
    return wanted in passed
