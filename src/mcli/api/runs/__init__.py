"""Managing runs. Every name is loaded when it is first used; where each is defined, `mcli` says."""

from __future__ import annotations

import mcli

TYPE_CHECKING = False  # what type checkers take for True
if TYPE_CHECKING:
    from mcli.api.runs.annotate import create_run_event as create_run_event
    from mcli.api.runs.annotate import update_run_metadata as update_run_metadata
    from mcli.api.runs.change import delete_run as delete_run
    from mcli.api.runs.change import delete_runs as delete_runs
    from mcli.api.runs.change import start_run as start_run
    from mcli.api.runs.change import start_runs as start_runs
    from mcli.api.runs.change import stop_run as stop_run
    from mcli.api.runs.change import stop_runs as stop_runs
    from mcli.api.runs.change import update_run as update_run
    from mcli.api.runs.create import create_interactive_run as create_interactive_run
    from mcli.api.runs.create import create_run as create_run
    from mcli.api.runs.create import plan_run as plan_run
    from mcli.api.runs.fetch import get_run as get_run
    from mcli.api.runs.fetch import get_runs as get_runs
    from mcli.api.runs.logs import follow_run_logs as follow_run_logs
    from mcli.api.runs.logs import get_run_logs as get_run_logs
    from mcli.api.runs.status import wait_for_run_status as wait_for_run_status
    from mcli.api.runs.status import watch_run_status as watch_run_status
    from mcli.models.cluster import Cluster as Cluster
    from mcli.models.cluster import ClusterDetails as ClusterDetails
    from mcli.models.gpu_type import GPUType as GPUType
    from mcli.models.log_line import LogLine as LogLine
    from mcli.models.object_list import ObjectList as ObjectList
    from mcli.models.object_list import PaginatedObjectList as PaginatedObjectList
    from mcli.models.resumption import Node as Node
    from mcli.models.resumption import Resumption as Resumption
    from mcli.models.resumption import RunLifecycle as RunLifecycle
    from mcli.models.run import Run as Run
    from mcli.models.run_config import FinalRunConfig as FinalRunConfig
    from mcli.models.run_config import RunConfig as RunConfig
    from mcli.models.run_event import EventType as EventType
    from mcli.models.run_event import FormattedRunEvent as FormattedRunEvent
    from mcli.models.run_event import RunEvent as RunEvent
    from mcli.models.run_plan import RunPlan as RunPlan
    from mcli.models.run_status import RunStatus as RunStatus
    from mcli.models.run_type import RunType as RunType
    from mcli.models.scheduling_config import ComputeConfig as ComputeConfig
    from mcli.models.scheduling_config import SchedulingConfig as SchedulingConfig

__all__ = [
    "Cluster",
    "ClusterDetails",
    "ComputeConfig",
    "EventType",
    "FinalRunConfig",
    "FormattedRunEvent",
    "GPUType",
    "LogLine",
    "Node",
    "ObjectList",
    "PaginatedObjectList",
    "Resumption",
    "Run",
    "RunConfig",
    "RunEvent",
    "RunLifecycle",
    "RunPlan",
    "RunStatus",
    "RunType",
    "SchedulingConfig",
    "create_interactive_run",
    "create_run",
    "create_run_event",
    "delete_run",
    "delete_runs",
    "follow_run_logs",
    "get_run",
    "get_run_logs",
    "get_runs",
    "plan_run",
    "start_run",
    "start_runs",
    "stop_run",
    "stop_runs",
    "update_run",
    "update_run_metadata",
    "wait_for_run_status",
    "watch_run_status",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(mcli, name)
    return value
