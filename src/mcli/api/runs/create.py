"""Submitting runs."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, Literal, overload

from mcli import calls, operations
from mcli.calls import Deadline
from mcli.models.job_type import MCLIJobType
from mcli.models.run import Run
from mcli.models.run_name import MAX_NAME, RULE, is_legal, legal_name
from mcli.transport import execute

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mcli.models.run_config import RunConfig
    from mcli.models.run_plan import RunPlan


@overload
def create_run(
    run: RunConfig,
    timeout: float | None = 10,
    future: Literal[False] = False,
    _priority: str | None = None,
    _job_type: MCLIJobType = MCLIJobType.RUN,
) -> Run: ...
@overload
def create_run(
    run: RunConfig,
    timeout: float | None = 10,
    *,
    future: Literal[True],
    _priority: str | None = None,
    _job_type: MCLIJobType = MCLIJobType.RUN,
) -> Future[Run]: ...
def create_run(
    run: RunConfig,
    timeout: float | None = 10,
    future: bool = False,
    _priority: str | None = None,
    _job_type: MCLIJobType = MCLIJobType.RUN,
) -> Run | Future[Run]:
    """Launch a run.

    The configuration is read when the call is made and never changed: change it and submit it again for the
    next run. A lost connection or a restart of the platform never makes two runs of one call.

    Args:
        run: what to run, with enough details to launch.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the run at once.
        _priority: deprecated; say `scheduling={"priority": …}` in the configuration.
        _job_type: deprecated, has no effect.

    Returns:
        The run, which is queued and will be kept.

    Raises:
        InstanceTypeUnavailable: the requested compute can never be had.
        RunConfigException: the configuration is incomplete or wrong; the message lists every problem.
        MCLIRunConfigValidationError: the configuration holds something that cannot be sent.
        TimeoutError: the call took too long; the run may have been created.
    """
    run_input = _run_input(run)
    if _priority is not None:
        run_input["scheduling"] = {"priority": str(_priority), **run_input.get("scheduling", {})}
    variables = {"createRunData": {"runInput": run_input}}

    def work(deadline: Deadline) -> Run:
        return Run.from_wire(execute(operations.CREATE_RUN, variables, deadline)[0])

    return calls.call(work, timeout, future)


@overload
def create_interactive_run(
    run: RunConfig,
    timeout: float | None = 10,
    future: Literal[False] = False,
    *,
    seconds: int | None = None,
) -> Run: ...
@overload
def create_interactive_run(
    run: RunConfig, timeout: float | None = 10, *, future: Literal[True], seconds: int | None = None
) -> Future[Run]: ...
def create_interactive_run(
    run: RunConfig, timeout: float | None = 10, future: bool = False, *, seconds: int | None = None
) -> Run | Future[Run]:
    """Launch a run that holds its compute for a while, to work in by hand.

    Args:
        run: its compute, and whatever else matters; the platform chooses the command, and a name and image if
            missing.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the run at once.
        seconds: how long the run lasts; the platform's default if None.

    Returns:
        The run.

    Raises:
        InstanceTypeUnavailable: the requested compute can never be had.
        RunConfigException: the configuration is wrong.
        TimeoutError: the call took too long; the run may have been created.
    """
    variables = {"createRunData": {"runInput": _run_input(run), "seconds": seconds}}

    def work(deadline: Deadline) -> Run:
        return Run.from_wire(execute(operations.CREATE_INTERACTIVE_RUN, variables, deadline)[0])

    return calls.call(work, timeout, future)


@overload
def plan_run(run: RunConfig, timeout: float | None = 10, future: Literal[False] = False) -> RunPlan: ...
@overload
def plan_run(run: RunConfig, timeout: float | None = 10, *, future: Literal[True]) -> Future[RunPlan]: ...
def plan_run(run: RunConfig, timeout: float | None = 10, future: bool = False) -> RunPlan | Future[RunPlan]:
    """Ask what would become of a run if it were launched now: every check is made, no run is.

    Args:
        run: what would run.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the plan at once.

    Returns:
        The completed configuration, where it would run, and whether it would have to wait.

    Raises:
        InstanceTypeUnavailable: the requested compute can never be had.
        RunConfigException: the configuration is incomplete or wrong; the message lists every problem.
        MCLIRunConfigValidationError: the configuration holds something that cannot be sent.
        TimeoutError: the call took too long.
    """
    variables = {"createRunData": {"runInput": _run_input(run)}}

    def work(deadline: Deadline) -> RunPlan:
        from mcli.models.run_plan import RunPlan

        return RunPlan.from_wire(execute(operations.PLAN_RUN, variables, deadline)[0])

    return calls.call(work, timeout, future)


def _run_input(run: RunConfig) -> dict[str, Any]:
    """Return what to send for `run`, under a legal name; inside a run, that run is its parent."""
    run_input = run.to_wire()
    name = run_input.get("runName")
    if name and not is_legal(name) and len(name) <= MAX_NAME:
        run_input["runName"] = legal_name(name)
        warnings.warn(f"The run is called {run_input['runName']!r}: {name!r} is not {RULE}", stacklevel=3)
    if os.environ.get("MOSAICML_PLATFORM") == "true" and os.environ.get("RUN_NAME"):
        run_input.setdefault("parentName", os.environ["RUN_NAME"])
    return run_input
