"""Watching runs: every change of status, and waiting for one. Pushed by the platform, never polled."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Literal, overload

from mcli import calls, operations
from mcli.api.exceptions import RunFailed, RunStatusNotReached
from mcli.api.runs.arguments import name_of, status_of
from mcli.api.runs.fetch import fetch_run
from mcli.calls import Backoff, Deadline
from mcli.models.run import Run
from mcli.models.run_status import FAILED_STATES, RunStatus

if TYPE_CHECKING:
    from concurrent.futures import Future

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
        A generator of the run as it was then, with all details.

    Raises:
        KubernetesException: 404, there is no such run.
        TimeoutError: watching could not be established in time.
    """
    name = name_of(run)

    def work(deadline: Deadline) -> Generator[Run]:
        fetch_run(name, deadline)
        return _versions(name, None, Deadline(None))

    return calls.call(work, timeout, future)


def _wait(name: str, wanted: RunStatus, deadline: Deadline) -> Run:
    telling = [status for status in RunStatus if _reached((status,), wanted) or status.is_terminal()]
    while True:
        for run in _versions(name, telling, deadline):
            latest = run.resumption_count - 1
            passed = {step.status for step in run.lifecycle if step.resumption_index == latest}
            if _reached({run.status, *passed}, wanted):
                return run
            if run.status.is_terminal():
                raise (RunFailed if run.status in FAILED_STATES else RunStatusNotReached)(run, wanted)


def _versions(name: str, statuses: Iterable[RunStatus] | None, deadline: Deadline) -> Generator[Run]:
    """Yield a run now, and each time it comes to one of `statuses` (any, if None), until it has ended."""
    from mcli.subscriptions import subscribe

    wanted = None if statuses is None else [status.value for status in statuses]
    variables = {"watchRunInput": {"name": name, "statuses": wanted}}
    backoff = Backoff(deadline)
    last: tuple[int, RunStatus] | None = None
    while last is None or not last[1].is_terminal():
        for answer in subscribe(operations.WATCH_RUN, lambda: variables, deadline):
            run = Run.from_wire(answer)
            # After a lost connection the platform says the current status again.
            if (run.resumption_count, run.status) != last:
                backoff.reset()
                last = run.resumption_count, run.status
                yield run
        # A platform that goes down may end the subscription of a run that goes on.
        if (last is None or not last[1].is_terminal()) and not backoff.pause():
            raise deadline.error()


def _reached(passed: Iterable[RunStatus], wanted: RunStatus) -> bool:
    """Return whether a run that was in these statuses has been in `wanted`, or has come past it."""
    for order in (_PROGRESS, _STOP):
        if wanted in order:
            return not set(order[order.index(wanted) :]).isdisjoint(passed)
    return wanted in passed
