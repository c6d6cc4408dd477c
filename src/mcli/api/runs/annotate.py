"""Adding to runs: metadata, and events of their history."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from mcli import calls, operations
from mcli.api.exceptions import MCLIRunConfigValidationError
from mcli.api.runs.arguments import name_of, text_of
from mcli.calls import Deadline
from mcli.models.config_wire import jsonable
from mcli.models.run import Run
from mcli.models.run_event import EventType, RunEvent
from mcli.transport import execute

if TYPE_CHECKING:
    from concurrent.futures import Future


@overload
def update_run_metadata(
    run: str | Run,
    metadata: Mapping[str, Any],
    timeout: float | None = 10,
    future: Literal[False] = False,
    protect: bool = False,
) -> Run: ...
@overload
def update_run_metadata(
    run: str | Run,
    metadata: Mapping[str, Any],
    timeout: float | None = 10,
    *,
    future: Literal[True],
    protect: bool = False,
) -> Future[Run]: ...
def update_run_metadata(
    run: str | Run,
    metadata: Mapping[str, Any],
    timeout: float | None = 10,
    future: bool = False,
    protect: bool = False,
) -> Run | Future[Run]:
    """Add to what is kept with a run. Keys that are not given stay as they are.

    Args:
        run: the run, or its name.
        metadata: at most 200 keys of at most 200 characters, with values of at most 0.1 MB as JSON. NaN and
            infinities are kept as text; a value that has no form in JSON is left out with a warning.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the run at once.
        protect: let SIGTERM end this process only when the update is done.

    Returns:
        The run with its new metadata.

    Raises:
        KubernetesException: 400, the metadata exceeds a limit; 404, there is no such run.
        TimeoutError: the call took too long.
    """
    variables = {
        "getRunsData": {"filters": {"name": {"in": [name_of(run)]}}},
        "updateRunMetadataData": {"metadata": _metadata(metadata)},
    }

    def work(deadline: Deadline) -> Run:
        return Run.from_wire(execute(operations.UPDATE_RUN_METADATA, variables, deadline)[0])

    if not protect:
        return calls.call(work, timeout, future)
    from mcli.protection import protected

    update = protected(work)
    return update if future else update.result(calls.effective_timeout(timeout))


@overload
def create_run_event(
    run_name: str | Run,
    event_type: str | EventType,
    event_data: Mapping[str, Any] | None = None,
    timeout: float | None = 10,
    future: Literal[False] = False,
) -> RunEvent: ...
@overload
def create_run_event(
    run_name: str | Run,
    event_type: str | EventType,
    event_data: Mapping[str, Any] | None = None,
    timeout: float | None = 10,
    *,
    future: Literal[True],
) -> Future[RunEvent]: ...
def create_run_event(
    run_name: str | Run,
    event_type: str | EventType,
    event_data: Mapping[str, Any] | None = None,
    timeout: float | None = 10,
    future: bool = False,
) -> RunEvent | Future[RunEvent]:
    """Add an event to a run's history.

    Args:
        run_name: the run, or its name.
        event_type: what kind of event.
        event_data: anything to keep with it.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the event at once.

    Returns:
        The event as it was recorded.

    Raises:
        KubernetesException: 404, there is no such run.
        TimeoutError: the call took too long; the event may have been recorded.
    """
    data = {
        "runName": name_of(run_name),
        "eventType": text_of(event_type),
        "eventData": jsonable(event_data or {}, "event_data"),
    }

    def work(deadline: Deadline) -> RunEvent:
        answer = execute(operations.CREATE_RUN_EVENT, {"createRunEventData": data}, deadline)
        return RunEvent.from_wire(answer[0])

    return calls.call(work, timeout, future)


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as it is sent: without what JSON cannot carry."""
    sent = {}
    for key, value in metadata.items():
        try:
            sent[str(key)] = _named(jsonable(value, f"metadata[{key!r}]"))
        except MCLIRunConfigValidationError as error:
            warnings.warn(f"{error}; it is left out", stacklevel=3)
    return sent


def _named(value: Any) -> Any:
    """Return `value` with numbers that JSON lacks as text: NaN, Infinity, -Infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, dict):
        return {key: _named(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_named(item) for item in value]
    return value
