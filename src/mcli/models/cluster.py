"""Clusters: what nodes there are, and who uses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcli.models.resumption import moment
from mcli.models.timestamp import Timestamp


@dataclass
class ClusterNode:
    """A node of a cluster."""

    name: str
    is_alive: bool
    is_schedulable: bool

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> ClusterNode:
        """Read a node as the platform sends it."""
        return cls(answer["name"], answer["isAlive"], answer["isSchedulable"])


@dataclass
class Instance:
    """A kind of node. `gpus` and `cpus` are those of one node; `gpu_type` is None where it has no GPUs.

    `memory` and `storage` are as the platform writes them, for example `512Gi`.
    """

    name: str
    gpu_type: str | None
    gpus: int
    cpus: int | None = None
    memory: str | None = None
    storage: str | None = None
    num_nodes: int = 0
    gpu_nums: list[int] = field(default_factory=list)
    nodes: list[ClusterNode] = field(default_factory=list)

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> Instance:
        """Read a kind of node as the platform sends it."""
        gpu_type = answer["gpuType"]
        return cls(
            name=answer["name"],
            gpu_type=None if gpu_type in ("None", "") else gpu_type,
            gpus=answer["gpusPerNode"] or 0,
            cpus=answer.get("cpus"),
            memory=answer.get("memory"),
            storage=answer.get("storage"),
            num_nodes=answer["numNodes"] or 0,
            gpu_nums=answer.get("gpuNums") or [],
            nodes=[ClusterNode.from_wire(item) for item in answer.get("nodes") or ()],
        )


@dataclass
class InstanceUtilization:
    """How many GPUs of a kind of node are used."""

    instance: Instance
    gpus_used: int
    gpus_available: int
    gpus_total: int

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> InstanceUtilization:
        """Read the use of a kind of node as the platform sends it."""
        return cls(
            Instance.from_wire(answer["instance"]),
            answer["gpusUsed"],
            answer["gpusAvailable"],
            answer["gpusTotal"],
        )


@dataclass
class RunUtilization:
    """A run that uses a cluster, or waits for it; `reason` says why it waits."""

    id: str
    user: str
    name: str
    instance: str
    gpus: int
    created_at: Timestamp
    gpu_type: str | None = None
    started_at: Timestamp | None = None
    estimated_end_time: Timestamp | None = None
    max_duration_seconds: int | None = None
    reason: str | None = None
    scheduling: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> RunUtilization:
        """Read a run on a cluster as the platform sends it."""
        return cls(
            id=answer["id"],
            user=answer["userName"],
            name=answer["runName"],
            instance=answer["instance"],
            gpus=answer["gpuNum"],
            created_at=Timestamp.parse(answer["createdAt"]),
            gpu_type=answer.get("gpuType"),
            started_at=moment(answer.get("startTime")),
            estimated_end_time=moment(answer.get("estimatedEndTime")),
            max_duration_seconds=answer.get("maxDurationSeconds"),
            reason=answer.get("reason"),
            scheduling=answer.get("scheduling") or {},
        )


@dataclass
class ClusterUtilization:
    """Who uses a cluster, and who waits for it, the next first."""

    instances: list[InstanceUtilization] = field(default_factory=list)
    active_runs: list[RunUtilization] = field(default_factory=list)
    queued_runs: list[RunUtilization] = field(default_factory=list)

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> ClusterUtilization:
        """Read the use of a cluster as the platform sends it."""
        return cls(
            [InstanceUtilization.from_wire(item) for item in answer["instanceUtils"]],
            [RunUtilization.from_wire(item) for item in answer["activeRunsByUser"]],
            [RunUtilization.from_wire(item) for item in answer["queuedRunsByUser"]],
        )


@dataclass
class ClusterDetails:
    """A place that executes runs. `utilization` is None unless it was asked for."""

    name: str
    id: str = ""
    provider: str = ""
    allow_fractional: bool = False
    allow_multinode: bool = False
    allowed_submission_types: list[str] = field(default_factory=list)
    is_multitenant: bool = False
    reservation_type: str | None = None
    scheduler_enabled: bool = False
    instances: list[Instance] = field(default_factory=list)
    utilization: ClusterUtilization | None = None

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> ClusterDetails:
        """Read a cluster as the platform sends it."""
        utilization = answer.get("utilization")
        return cls(
            name=answer["name"],
            id=answer["id"],
            provider=answer.get("provider") or "",
            allow_fractional=bool(answer.get("allowFractional")),
            allow_multinode=bool(answer.get("allowMultinode")),
            allowed_submission_types=answer.get("allowedSubmissionTypes") or [],
            is_multitenant=bool(answer.get("isMultiTenant")),
            reservation_type=answer.get("reservationType"),
            scheduler_enabled=bool(answer.get("schedulerEnabled")),
            instances=[Instance.from_wire(item) for item in answer.get("allowedInstances") or ()],
            utilization=ClusterUtilization.from_wire(utilization) if utilization else None,
        )

    @property
    def cluster_instances(self) -> list[Instance]:
        """Another name of `instances`."""
        return self.instances


#: What the first versions of the API called it.
Cluster = ClusterDetails
