"""What a run is: the records every other part passes around.

All times are integer milliseconds since 1970 (UTC), the precision of the wire.
"""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec

from mcli.models.run_status import RunStatus

#: Any value JSON can carry.
Json = Any


def now_ms() -> int:
    """The wall clock, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class ExecutionId(msgspec.Struct, frozen=True, order=True):
    """One attempt at executing a run: what a cluster knows it by."""

    run_id: str
    resumption: int

    def __str__(self) -> str:
        return f"{self.run_id}/{self.resumption}"


class Compute(msgspec.Struct, frozen=True):
    """What a run asked for, before it is matched with what there is. `None` means not said."""

    cluster: str | None = None
    instance: str | None = None
    nodes: int | None = None
    gpus: int | None = None
    gpu_type: str | None = None
    cpus: int | None = None
    node_names: tuple[str, ...] = ()


class Scheduling(msgspec.Struct, frozen=True):
    """How a run queues, and what happens when it fails. Durations in seconds."""

    priority: str = "auto"
    preemptible: bool = False
    max_retries: int = 0
    retry_on_system_failure: bool = False
    max_duration_seconds: int | None = None


class RunSpec(msgspec.Struct, frozen=True):
    """A checked run configuration: nothing in it is missing or of the wrong type."""

    name: str
    image: str
    command: str
    compute: Compute = Compute()
    scheduling: Scheduling = Scheduling()
    env: dict[str, str] = {}
    integrations: tuple[dict[str, Json], ...] = ()
    parameters: dict[str, Json] = {}
    parent_name: str | None = None
    run_type: str = "TRAINING"


class Allocation(msgspec.Struct, frozen=True):
    """A request matched with a kind of node: what each of `nodes` ranks gets. Fixed when a run is accepted.

    `cpus` is 0 where the run asked for none: it then shares the machine with others of its kind.
    """

    cluster: str
    instance: str
    nodes: int
    gpus_per_node: int
    cpus_per_node: int
    gpu_type: str | None = None
    node_names: tuple[str, ...] = ()

    @property
    def gpus(self) -> int:
        """GPUs over all nodes."""
        return self.nodes * self.gpus_per_node

    @property
    def cpus(self) -> int:
        """CPUs over all nodes."""
        return self.nodes * self.cpus_per_node


class RankState(msgspec.Struct, frozen=True):
    """One node of a resumption: where it runs and how it ended.

    `system`: True if it ended by no doing of its own.
    """

    rank: int
    node: str
    status: RunStatus = RunStatus.PENDING
    exit_code: int | None = None
    reason: str | None = None
    ended_at: int | None = None
    system: bool = False


#: Why a resumption is being ended before its command is done: a person's stop, a limit of the run,
#: room for a run of higher priority, or the failure of another rank.
Ending = Literal["stop", "limit", "preemption", "failure"]


class Resumption(msgspec.Struct, frozen=True):
    """One attempt at executing a run, with the status it has come to."""

    index: int
    allocation: Allocation
    status: RunStatus
    created_at: int
    reason: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    ranks: tuple[RankState, ...] = ()
    ending: Ending | None = None


class Run(msgspec.Struct, frozen=True):
    """A submission and all its resumptions; the last one gives the run its status."""

    id: str
    name: str
    owner_id: str
    spec: RunSpec
    submitted: dict[str, Json]
    metadata: dict[str, Json]
    created_at: int
    updated_at: int
    resumptions: tuple[Resumption, ...]
    failures: int = 0
    is_deleted: bool = False
    event_count: int = 0

    @property
    def latest(self) -> Resumption:
        """The resumption that counts."""
        return self.resumptions[-1]

    @property
    def status(self) -> RunStatus:
        """The status of the latest resumption."""
        return self.latest.status

    @property
    def execution(self) -> ExecutionId:
        """The latest resumption, as a cluster knows it."""
        return ExecutionId(self.id, self.latest.index)


class Event(msgspec.Struct, frozen=True):
    """Anything worth telling about a run. One with a `status` is a step of its lifecycle.

    `seq` counts up within a run. Events are never changed afterwards.
    """

    run_id: str
    seq: int
    resumption: int
    type: str
    at: int
    message: str
    status: RunStatus | None = None
    data: dict[str, Json] | None = None
