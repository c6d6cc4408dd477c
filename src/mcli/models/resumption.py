"""The parts of a run: its attempts, their nodes, and the statuses they went through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from mcli.models.run_status import RunStatus
from mcli.models.timestamp import Timestamp


def moment(text: str | None) -> Timestamp | None:
    """Return the moment the platform sent, or None where it sent none."""
    return Timestamp.parse(text) if text else None


@dataclass
class Node:
    """One node of a run's latest attempt. `rank` counts from 0."""

    rank: int
    name: str
    status: RunStatus
    reason: str | None = None

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> Node:
        """Read a node as the platform sends it."""
        status = RunStatus.from_string(answer["status"])
        return cls(answer["rank"], answer["name"] or "", status, answer.get("reason"))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@dataclass
class Resumption:
    """One attempt at executing a run; `index` counts from 0.

    `gpus` counts all nodes. `gpu_type` is `None` where there are no GPUs.
    """

    index: int
    cluster: str
    gpus: int
    cpus: int
    gpu_type: str | None
    node_count: int
    status: RunStatus
    estimated_end_time: Timestamp | None = None
    started_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    reason: str | None = None

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> Resumption:
        """Read an attempt as the platform sends it."""
        gpu_type = answer["gpuType"]
        return cls(
            index=answer["executionIndex"],
            cluster=answer["clusterName"],
            gpus=answer["gpus"] or 0,
            cpus=answer["cpus"] or 0,
            gpu_type=None if gpu_type in ("None", "") else gpu_type,
            node_count=answer["nodes"] or 0,
            status=RunStatus.from_string(answer["status"]),
            estimated_end_time=moment(answer.get("estimatedEndTime")),
            started_at=moment(answer["startTime"]),
            ended_at=moment(answer["endTime"]),
            reason=answer.get("reason"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@dataclass
class RunLifecycle:
    """A status an attempt went through; `ended_at` is None while it is in it."""

    resumption_index: int
    status: RunStatus
    started_at: Timestamp
    ended_at: Timestamp | None = None
    reason: str | None = None

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> RunLifecycle:
        """Read a step of the lifecycle as the platform sends it."""
        return cls(
            resumption_index=answer["executionIndex"],
            status=RunStatus.from_string(answer["status"]),
            started_at=Timestamp.parse(answer["startTime"]),
            ended_at=moment(answer["endTime"]),
            reason=answer.get("reason"),
        )

    @property
    def seconds(self) -> float:
        """How long the attempt was in this status;

        Until now, if it still is. 0 for a status nothing follows.
        """
        if self.status.is_terminal():
            return 0.0
        end = self.ended_at or datetime.now(UTC)
        return max(0.0, (end - self.started_at).total_seconds())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)
