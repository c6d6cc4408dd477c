"""Managing runs."""

from mcli.api.runs.annotate import create_run_event, update_run_metadata
from mcli.api.runs.change import (
    delete_run,
    delete_runs,
    start_run,
    start_runs,
    stop_run,
    stop_runs,
    update_run,
)
from mcli.api.runs.create import create_interactive_run, create_run
from mcli.api.runs.fetch import get_run, get_runs
from mcli.api.runs.logs import follow_run_logs, get_run_logs
from mcli.api.runs.status import wait_for_run_status, watch_run_status
from mcli.models.cluster import Cluster, ClusterDetails
from mcli.models.gpu_type import GPUType
from mcli.models.log_line import LogLine
from mcli.models.object_list import ObjectList, PaginatedObjectList
from mcli.models.resumption import Node, Resumption, RunLifecycle
from mcli.models.run import Run
from mcli.models.run_config import FinalRunConfig, RunConfig
from mcli.models.run_event import EventType, FormattedRunEvent, RunEvent
from mcli.models.run_status import RunStatus
from mcli.models.run_type import RunType
from mcli.models.scheduling_config import ComputeConfig, SchedulingConfig

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
    "start_run",
    "start_runs",
    "stop_run",
    "stop_runs",
    "update_run",
    "update_run_metadata",
    "wait_for_run_status",
    "watch_run_status",
]
