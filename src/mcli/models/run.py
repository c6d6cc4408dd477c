"""A run, as the platform knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from mcli.models.resumption import Node, Resumption, RunLifecycle, moment
from mcli.models.run_config import FinalRunConfig, RunConfig
from mcli.models.run_event import FormattedRunEvent
from mcli.models.run_status import RunStatus
from mcli.models.run_type import RunType
from mcli.models.timestamp import Timestamp

#: Waiting for room.
_PENDING = (RunStatus.PENDING, RunStatus.SCHEDULED, RunStatus.QUEUED)

#: Holding GPUs: from the first moment a node is taken until it is given back.
_HOLDING = (RunStatus.STARTING, RunStatus.RUNNING, RunStatus.TERMINATING)

#: What is asked for in `compute`, and the older field that asks for the same.
_FLAT = {"cluster": "cluster", "gpu_type": "gpu_type", "gpus": "gpu_num"}


@dataclass(repr=False)
class Run:
    """A run that has been launched.

    Args:
        run_uid: unique identifier of the run.
        name: name of the run, unique.
        status: status of the run at the time it was asked for.
        created_at: when the run was created.
        updated_at: when the run was last updated.
        config: the configuration the run was launched with, completed by the platform; empty if the run was
            fetched without details.
        started_at: when the run first started.
        completed_at: when the run ended; None while it is active.
        reason: why the run is in its status.
        submitted_config: the configuration as it was submitted; None if the run was fetched without details.
        nodes: the nodes of the latest attempt.
        created_by: e-mail address of the user who submitted the run.
        priority: its place among other runs.
        preemptible: whether a run with a higher priority may take its place.
        retry_on_system_failure: whether it starts again after a failure that is not its own.
        max_retries: how many times it starts again after it failed.
        max_duration: hours after which it is stopped.
        is_deleted: whether it was deleted.
        run_type: what the run is for.
        image: its container image.
        metadata: what was kept with the run.
        last_resumption_id: identifier of the latest attempt.
        resumptions: every attempt at executing it, the latest last.
        lifecycle: the statuses its attempts went through.
        events: its history, as a person reads it.
    """

    run_uid: str
    name: str
    status: RunStatus
    created_at: datetime
    updated_at: datetime
    config: FinalRunConfig
    started_at: datetime | None = None
    completed_at: datetime | None = None
    reason: str | None = None
    submitted_config: RunConfig | None = None
    nodes: list[Node] = field(default_factory=list)
    created_by: str = ""
    priority: str = "auto"
    preemptible: bool = False
    retry_on_system_failure: bool = False
    max_retries: int | None = None
    max_duration: float | None = None
    is_deleted: bool = False
    run_type: RunType = RunType.TRAINING
    image: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    last_resumption_id: str | None = None
    resumptions: list[Resumption] = field(default_factory=list)
    lifecycle: list[RunLifecycle] = field(default_factory=list)
    events: list[FormattedRunEvent] = field(default_factory=list)

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> Run:
        """Read a run as the platform sends it, with or without details."""
        details: Mapping[str, Any] = answer.get("details") or {}
        submitted = details.get("originalRunInput")
        resumptions = [Resumption.from_wire(item) for item in answer["resumptions"]]
        seconds = answer.get("maxDurationSeconds")
        return cls(
            run_uid=answer["id"],
            name=answer["name"],
            status=RunStatus.from_string(answer["status"]),
            created_at=Timestamp.parse(answer["createdAt"]),
            updated_at=Timestamp.parse(answer["updatedAt"]),
            config=FinalRunConfig.from_wire(answer.get("runInput") or {}),
            started_at=next((one.started_at for one in resumptions if one.started_at), None),
            completed_at=resumptions[-1].ended_at if resumptions else moment(answer.get("completedAt")),
            reason=answer.get("reason") or (resumptions[-1].reason if resumptions else None),
            submitted_config=RunConfig.from_wire(submitted) if submitted else None,
            nodes=[Node.from_wire(item) for item in details.get("nodes") or ()],
            created_by=answer["createdByEmail"],
            priority=answer["priority"],
            preemptible=answer["preemptible"],
            retry_on_system_failure=answer["retryOnSystemFailure"],
            max_retries=answer.get("maxRetries"),
            max_duration=None if seconds is None else seconds / 3600,
            is_deleted=answer["isDeleted"],
            run_type=RunType.from_string(answer["runType"]),
            image=details.get("image"),
            metadata=details.get("metadata") or {},
            last_resumption_id=details.get("lastExecutionId"),
            resumptions=resumptions,
            lifecycle=[RunLifecycle.from_wire(item) for item in details.get("lifecycle") or ()],
            events=[FormattedRunEvent.from_wire(item) for item in details.get("formattedRunEvents") or ()],
        )

    @property
    def latest_resumption(self) -> Resumption | None:
        """The attempt that counts; None if there was none yet."""
        return self.resumptions[-1] if self.resumptions else None

    @property
    def resumption_count(self) -> int:
        """How many attempts there were, the first one included."""
        return len(self.resumptions)

    @property
    def cluster(self) -> str:
        """The cluster of the latest attempt."""
        return self.latest_resumption.cluster if self.latest_resumption else ""

    @property
    def gpus(self) -> int:
        """The number of GPUs of the latest attempt, over all nodes."""
        return self.latest_resumption.gpus if self.latest_resumption else 0

    @property
    def gpu_type(self) -> str | None:
        """The GPU type of the latest attempt; None where it has no GPUs."""
        return self.latest_resumption.gpu_type if self.latest_resumption else None

    @property
    def cpus(self) -> int:
        """The number of CPUs of the latest attempt."""
        return self.latest_resumption.cpus if self.latest_resumption else 0

    @property
    def node_count(self) -> int:
        """The number of nodes of the latest attempt."""
        return self.latest_resumption.node_count if self.latest_resumption else 0

    @property
    def max_duration_seconds(self) -> int | None:
        """Seconds after which the run is stopped."""
        return None if self.max_duration is None else round(self.max_duration * 3600)

    @property
    def display_name(self) -> str:
        """The name, marked if the run was deleted."""
        return f"{self.name} (Deleted)" if self.is_deleted else self.name

    @property
    def cumulative_pending_time(self) -> float:
        """Seconds the run has waited for room, over all attempts."""
        return sum(step.seconds for step in self.lifecycle if step.status in _PENDING)

    @property
    def cumulative_running_time(self) -> float:
        """Seconds the run's command has run, over all attempts."""
        return sum(step.seconds for step in self.lifecycle if step.status is RunStatus.RUNNING)

    def get_gpu_hours(self) -> float:
        """Return the GPU hours used: from entering STARTING to leaving TERMINATING, over all attempts."""
        gpus = {one.index: one.gpus for one in self.resumptions}
        held: set[int] = set()
        seconds = 0.0
        for step in self.lifecycle:
            # A run that is being stopped holds its GPUs if it had any to begin with.
            stopping = step.status is RunStatus.STOPPING and step.resumption_index in held
            if step.status in _HOLDING or stopping:
                held.add(step.resumption_index)
                seconds += step.seconds * gpus.get(step.resumption_index, 0)
        return seconds / 3600

    def refresh(self, *, timeout: float | None = 10) -> Run:
        """Bring every field up to date, and return this run.

        Args:
            timeout: seconds the call may take.
        """
        from mcli.api.runs.fetch import get_run

        return self._become(get_run(self.name, timeout=timeout))

    def stop(self, *, reason: str | None = None, timeout: float | None = 10) -> Run:
        """Stop this run; see `mcli.stop_run`."""
        from mcli.api.runs.change import stop_run

        return self._become(stop_run(self.name, reason=reason, timeout=timeout))

    def delete(self, *, timeout: float | None = 10) -> Run:
        """Delete this run; see `mcli.delete_run`."""
        from mcli.api.runs.change import delete_run

        return self._become(delete_run(self.name, timeout=timeout))

    def update(
        self,
        *,
        preemptible: bool | None = None,
        priority: str | None = None,
        max_retries: int | None = None,
        retry_on_system_failure: bool | None = None,
        max_duration: float | None = None,
        timeout: float | None = 10,
    ) -> Run:
        """Change how this run is scheduled; see `mcli.update_run`."""
        from mcli.api.runs.change import update_run

        return self._become(
            update_run(
                self.name,
                preemptible=preemptible,
                priority=priority,
                max_retries=max_retries,
                retry_on_system_failure=retry_on_system_failure,
                max_duration=max_duration,
                timeout=timeout,
            )
        )

    def update_metadata(self, metadata: Mapping[str, Any], *, timeout: float | None = 10) -> Run:
        """Add to what is kept with this run; see `mcli.update_run_metadata`."""
        from mcli.api.runs.annotate import update_run_metadata

        return self._become(update_run_metadata(self.name, metadata, timeout=timeout))

    def clone(
        self,
        *,
        name: str | None = None,
        image: str | None = None,
        cluster: str | None = None,
        instance: str | None = None,
        nodes: int | None = None,
        gpu_type: str | None = None,
        gpus: int | None = None,
        priority: str | None = None,
        preemptible: bool | None = None,
        max_retries: int | None = None,
        max_duration: float | None = None,
        timeout: float | None = 10,
    ) -> Run:
        """Submit this run's configuration again, changed where an argument says so, and return the new run.

        Raises:
            MAPIException: the platform refused the configuration.
        """
        from mcli.api.runs.create import create_run
        from mcli.api.runs.fetch import get_run

        source = self if self.submitted_config else get_run(self.name, timeout=timeout)
        values = (source.submitted_config or source.config).to_wire()
        config = RunConfig.from_wire(values)
        config.name, config.image = name or config.name, image or config.image
        compute = _given(cluster=cluster, instance=instance, nodes=nodes, gpu_type=gpu_type, gpus=gpus)
        for key in compute.keys() & _FLAT.keys():
            # One answer to each question: what is overridden is asked for in `compute` alone.
            setattr(config, _FLAT[key], None)
        scheduling = _given(
            priority=priority, preemptible=preemptible, max_retries=max_retries, max_duration=max_duration
        )
        config.compute = {**config.compute, **compute}
        config.scheduling = {**config.scheduling, **scheduling}
        return create_run(config, timeout=timeout)

    def _become(self, other: Run) -> Run:
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))
        return self

    def __repr__(self) -> str:
        return f"Run(name={self.name!r}, status={self.status}, created_at={self.created_at.isoformat()!r})"


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
