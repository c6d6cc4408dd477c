"""A self-hosted platform for training runs: the Python API.

    from mcli import RunConfig, create_run, follow_run_logs

    run = create_run(RunConfig(name="hello", image="bash", command="echo 'Hello World!'"))
    for line in follow_run_logs(run):
        print(line)

Every name is loaded when it is first used: `import mcli` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for True; importing it would cost more than all the rest
if TYPE_CHECKING:
    from mcli.api.clusters import get_cluster as get_cluster
    from mcli.api.clusters import get_clusters as get_clusters
    from mcli.api.exceptions import InstanceTypeUnavailable as InstanceTypeUnavailable
    from mcli.api.exceptions import InvalidArgument as InvalidArgument
    from mcli.api.exceptions import KubernetesException as KubernetesException
    from mcli.api.exceptions import MAPIException as MAPIException
    from mcli.api.exceptions import MCLIConfigError as MCLIConfigError
    from mcli.api.exceptions import MCLIException as MCLIException
    from mcli.api.exceptions import MCLIRunConfigValidationError as MCLIRunConfigValidationError
    from mcli.api.exceptions import RunConfigException as RunConfigException
    from mcli.api.exceptions import RunFailed as RunFailed
    from mcli.api.exceptions import RunStatusNotReached as RunStatusNotReached
    from mcli.api.organizations import get_organizations as get_organizations
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
    from mcli.api.secrets import create_secret as create_secret
    from mcli.api.secrets import delete_secrets as delete_secrets
    from mcli.api.secrets import get_secrets as get_secrets
    from mcli.api.users import get_current_user as get_current_user
    from mcli.api.users import get_users as get_users
    from mcli.config import initialize as initialize
    from mcli.config import set_api_key as set_api_key
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
    from mcli.models.secret import MCLIDatabricksSecret as MCLIDatabricksSecret
    from mcli.models.secret import MCLIDockerSecret as MCLIDockerSecret
    from mcli.models.secret import MCLIEnvVarSecret as MCLIEnvVarSecret
    from mcli.models.secret import MCLIGCPSecret as MCLIGCPSecret
    from mcli.models.secret import MCLIGitSSHSecret as MCLIGitSSHSecret
    from mcli.models.secret import MCLIMountedSecret as MCLIMountedSecret
    from mcli.models.secret import MCLIOCISecret as MCLIOCISecret
    from mcli.models.secret import MCLIS3Secret as MCLIS3Secret
    from mcli.models.secret import MCLISFTPSSHSecret as MCLISFTPSSHSecret
    from mcli.models.secret import MCLISSHSecret as MCLISSHSecret
    from mcli.models.secret import Secret as Secret
    from mcli.models.secret import SecretType as SecretType
    from mcli.models.timestamp import Timestamp as Timestamp
    from mcli.models.user import Organization as Organization
    from mcli.models.user import User as User
    from mcli.version import __version__ as __version__

#: Where each public name is defined.
_WHERE = {
    "mcli.api.clusters": "get_cluster get_clusters",
    "mcli.api.exceptions": (
        "InstanceTypeUnavailable InvalidArgument KubernetesException MAPIException MCLIConfigError "
        "MCLIException MCLIRunConfigValidationError RunConfigException RunFailed RunStatusNotReached"
    ),
    "mcli.api.organizations": "get_organizations",
    "mcli.api.runs.annotate": "create_run_event update_run_metadata",
    "mcli.api.runs.change": "delete_run delete_runs start_run start_runs stop_run stop_runs update_run",
    "mcli.api.runs.create": "create_interactive_run create_run plan_run",
    "mcli.api.runs.fetch": "get_run get_runs",
    "mcli.api.runs.logs": "follow_run_logs get_run_logs",
    "mcli.api.runs.status": "wait_for_run_status watch_run_status",
    "mcli.api.secrets": "create_secret delete_secrets get_secrets",
    "mcli.api.users": "get_current_user get_users",
    "mcli.config": "initialize set_api_key",
    "mcli.models.cluster": "Cluster ClusterDetails",
    "mcli.models.gpu_type": "GPUType",
    "mcli.models.log_line": "LogLine",
    "mcli.models.object_list": "ObjectList PaginatedObjectList",
    "mcli.models.resumption": "Node Resumption RunLifecycle",
    "mcli.models.run": "Run",
    "mcli.models.run_config": "FinalRunConfig RunConfig",
    "mcli.models.run_event": "EventType FormattedRunEvent RunEvent",
    "mcli.models.run_plan": "RunPlan",
    "mcli.models.run_status": "RunStatus",
    "mcli.models.run_type": "RunType",
    "mcli.models.scheduling_config": "ComputeConfig SchedulingConfig",
    "mcli.models.secret": (
        "MCLIDatabricksSecret MCLIDockerSecret MCLIEnvVarSecret MCLIGCPSecret MCLIGitSSHSecret "
        "MCLIMountedSecret MCLIOCISecret MCLIS3Secret MCLISFTPSSHSecret MCLISSHSecret Secret SecretType"
    ),
    "mcli.models.timestamp": "Timestamp",
    "mcli.models.user": "Organization User",
    "mcli.version": "__version__",
}
_HOME = {name: module for module, names in _WHERE.items() for name in names.split()}

__all__ = [
    "Cluster",
    "ClusterDetails",
    "ComputeConfig",
    "EventType",
    "FinalRunConfig",
    "FormattedRunEvent",
    "GPUType",
    "InstanceTypeUnavailable",
    "InvalidArgument",
    "KubernetesException",
    "LogLine",
    "MAPIException",
    "MCLIConfigError",
    "MCLIDatabricksSecret",
    "MCLIDockerSecret",
    "MCLIEnvVarSecret",
    "MCLIException",
    "MCLIGCPSecret",
    "MCLIGitSSHSecret",
    "MCLIMountedSecret",
    "MCLIOCISecret",
    "MCLIRunConfigValidationError",
    "MCLIS3Secret",
    "MCLISFTPSSHSecret",
    "MCLISSHSecret",
    "Node",
    "ObjectList",
    "Organization",
    "PaginatedObjectList",
    "Resumption",
    "Run",
    "RunConfig",
    "RunConfigException",
    "RunEvent",
    "RunFailed",
    "RunLifecycle",
    "RunPlan",
    "RunStatus",
    "RunStatusNotReached",
    "RunType",
    "SchedulingConfig",
    "Secret",
    "SecretType",
    "Timestamp",
    "User",
    "__version__",
    "create_interactive_run",
    "create_run",
    "create_run_event",
    "create_secret",
    "delete_run",
    "delete_runs",
    "delete_secrets",
    "follow_run_logs",
    "get_cluster",
    "get_clusters",
    "get_current_user",
    "get_organizations",
    "get_run",
    "get_run_logs",
    "get_runs",
    "get_secrets",
    "get_users",
    "initialize",
    "plan_run",
    "set_api_key",
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
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
