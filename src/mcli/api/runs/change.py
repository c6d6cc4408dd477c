"""Changing runs: stop, start again, delete, update.

Each change comes for one run and for many. An unknown name changes nothing: the platform refuses the whole
call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from mcli import calls, operations
from mcli.api.exceptions import InvalidArgument
from mcli.api.runs.arguments import each, name_of
from mcli.calls import Deadline
from mcli.models.naming import camel, suggestion
from mcli.models.object_list import ObjectList
from mcli.models.run import Run
from mcli.operations import Operation
from mcli.transport import execute

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mcli.api.runs.fetch import Runs

_UPDATABLE = ("preemptible", "priority", "maxRetries", "retryOnSystemFailure", "maxDurationSeconds")


def _select(names: list[str]) -> dict[str, Any]:
    return {"filters": {"name": {"in": names}}}


def _change_one(
    operation: Operation, run: str | Run, timeout: float | None, future: bool, **inputs: Any
) -> Run | Future[Run]:
    variables = {"getRunsData": _select([name_of(run)]), **inputs}

    def work(deadline: Deadline) -> Run:
        return Run.from_wire(execute(operation, variables, deadline)[0])

    return calls.call(work, timeout, future)


def _change_many(
    operation: Operation, runs: Runs, timeout: float | None, future: bool, **inputs: Any
) -> ObjectList[Run] | Future[ObjectList[Run]]:
    # Each name once, in the order given.
    names = list(dict.fromkeys(each(runs, name_of)))
    variables = {"getRunsData": _select(names), **inputs}

    def work(deadline: Deadline) -> ObjectList[Run]:
        # No names would select every run there is.
        return ObjectList(map(Run.from_wire, execute(operation, variables, deadline) if names else ()))

    return calls.call(work, timeout, future)


def _reason(reason: str | None) -> dict[str, Any]:
    return {} if reason is None else {"stopRunsData": {"reason": reason}}


@overload
def stop_run(
    run: str | Run,
    timeout: float | None = 10,
    future: Literal[False] = False,
    *,
    reason: str | None = None,
) -> Run: ...
@overload
def stop_run(
    run: str | Run, timeout: float | None = 10, *, future: Literal[True], reason: str | None = None
) -> Future[Run]: ...
def stop_run(
    run: str | Run, timeout: float | None = 10, future: bool = False, *, reason: str | None = None
) -> Run | Future[Run]:
    """Stop a run. It and its logs are kept, and it can be started again.

    Args:
        run: the run, or its name.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the run at once.
        reason: why; kept with the run.

    Returns:
        The run, which is stopping or has stopped.

    Raises:
        KubernetesException: 404, there is no such run.
        TimeoutError: the call took too long.
    """
    return _change_one(operations.STOP_RUNS, run, timeout, future, **_reason(reason))


@overload
def stop_runs(
    runs: Runs, timeout: float | None = 10, future: Literal[False] = False, *, reason: str | None = None
) -> ObjectList[Run]: ...
@overload
def stop_runs(
    runs: Runs, timeout: float | None = 10, *, future: Literal[True], reason: str | None = None
) -> Future[ObjectList[Run]]: ...
def stop_runs(
    runs: Runs, timeout: float | None = 10, future: bool = False, *, reason: str | None = None
) -> ObjectList[Run] | Future[ObjectList[Run]]:
    """Stop a list of runs.

    Args:
        runs: runs, or their names; an empty list stops nothing.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the list at once.
        reason: why; kept with the runs.

    Returns:
        The runs, which are stopping or have stopped.

    Raises:
        KubernetesException: 404, some of them do not exist; the message names them, and none was stopped.
        TimeoutError: the call took too long.
    """
    return _change_many(operations.STOP_RUNS, runs, timeout, future, **_reason(reason))


@overload
def start_run(run: str | Run, timeout: float | None = 10, future: Literal[False] = False) -> Run: ...
@overload
def start_run(run: str | Run, timeout: float | None = 10, *, future: Literal[True]) -> Future[Run]: ...
def start_run(run: str | Run, timeout: float | None = 10, future: bool = False) -> Run | Future[Run]:
    """Start a run again that has ended, as a new attempt at the same run.

    Args:
        run: the run, or its name.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the run at once.

    Returns:
        The run, which is queued again.

    Raises:
        KubernetesException: 404, there is no such run; 409, it has not ended.
        TimeoutError: the call took too long.
    """
    return _change_one(operations.START_RUNS, run, timeout, future)


@overload
def start_runs(runs: Runs, timeout: float | None = 10, future: Literal[False] = False) -> ObjectList[Run]: ...
@overload
def start_runs(
    runs: Runs, timeout: float | None = 10, *, future: Literal[True]
) -> Future[ObjectList[Run]]: ...
def start_runs(
    runs: Runs, timeout: float | None = 10, future: bool = False
) -> ObjectList[Run] | Future[ObjectList[Run]]:
    """Start runs again that have ended, each as a new attempt at the same run.

    Args:
        runs: runs, or their names; an empty list starts nothing.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the list at once.

    Returns:
        The runs, which are queued again.

    Raises:
        KubernetesException: 404, some of them do not exist; 409, some have not ended.
        TimeoutError: the call took too long.
    """
    return _change_many(operations.START_RUNS, runs, timeout, future)


@overload
def delete_run(run: str | Run, timeout: float | None = 10, future: Literal[False] = False) -> Run: ...
@overload
def delete_run(run: str | Run, timeout: float | None = 10, *, future: Literal[True]) -> Future[Run]: ...
def delete_run(run: str | Run, timeout: float | None = 10, future: bool = False) -> Run | Future[Run]:
    """Delete a run and its logs; if it is active, it is stopped first.

    Args:
        run: the run, or its name.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the run at once.

    Returns:
        The run as it was deleted.

    Raises:
        KubernetesException: 404, there is no such run.
        TimeoutError: the call took too long.
    """
    return _change_one(operations.DELETE_RUNS, run, timeout, future)


@overload
def delete_runs(
    runs: Runs, timeout: float | None = 10, future: Literal[False] = False
) -> ObjectList[Run]: ...
@overload
def delete_runs(
    runs: Runs, timeout: float | None = 10, *, future: Literal[True]
) -> Future[ObjectList[Run]]: ...
def delete_runs(
    runs: Runs, timeout: float | None = 10, future: bool = False
) -> ObjectList[Run] | Future[ObjectList[Run]]:
    """Delete a list of runs and their logs; those that are active are stopped first.

    Args:
        runs: runs, or their names; an empty list deletes nothing.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the list at once.

    Returns:
        The runs as they were deleted.

    Raises:
        KubernetesException: 404, some of them do not exist; the message names them, and none was deleted.
        TimeoutError: the call took too long.
    """
    return _change_many(operations.DELETE_RUNS, runs, timeout, future)


@overload
def update_run(
    run: str | Run,
    update_run_data: Mapping[str, Any] | None = None,
    *,
    preemptible: bool | None = None,
    priority: str | None = None,
    max_retries: int | None = None,
    retry_on_system_failure: bool | None = None,
    timeout: float | None = 10,
    future: Literal[False] = False,
    max_duration: float | None = None,
) -> Run: ...
@overload
def update_run(
    run: str | Run,
    update_run_data: Mapping[str, Any] | None = None,
    *,
    preemptible: bool | None = None,
    priority: str | None = None,
    max_retries: int | None = None,
    retry_on_system_failure: bool | None = None,
    timeout: float | None = 10,
    future: Literal[True],
    max_duration: float | None = None,
) -> Future[Run]: ...
def update_run(
    run: str | Run,
    update_run_data: Mapping[str, Any] | None = None,
    *,
    preemptible: bool | None = None,
    priority: str | None = None,
    max_retries: int | None = None,
    retry_on_system_failure: bool | None = None,
    timeout: float | None = 10,
    future: bool = False,
    max_duration: float | None = None,
) -> Run | Future[Run]:
    """Change how an active run is scheduled. What is not given stays as it is.

    Args:
        run: the run, or its name.
        update_run_data: the same values by name, for callers that have them in a mapping.
        preemptible: whether a run with a higher priority may take its place.
        priority: its place among other runs.
        max_retries: how many times it starts again after it failed.
        retry_on_system_failure: whether it starts again after a failure that is not its own.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the run at once.
        max_duration: hours after which it is stopped.

    Returns:
        The run with its new values.

    Raises:
        InvalidArgument: `update_run_data` has a name that cannot be changed.
        KubernetesException: 404, there is no such run; 400, a value is wrong.
        TimeoutError: the call took too long.
    """
    data = {camel(key): value for key, value in (update_run_data or {}).items()}
    for key in data:
        if key not in _UPDATABLE:
            hint = suggestion(key, _UPDATABLE)
            raise InvalidArgument(f"update_run_data: {key!r} is not one of {', '.join(_UPDATABLE)}{hint}")
    given = {
        "preemptible": preemptible,
        "priority": priority,
        "maxRetries": max_retries,
        "retryOnSystemFailure": retry_on_system_failure,
        "maxDurationSeconds": None if max_duration is None else int(max_duration * 3600),
    }
    data |= {key: value for key, value in given.items() if value is not None}
    return _change_one(operations.UPDATE_RUN, run, timeout, future, updateRunData=data)
