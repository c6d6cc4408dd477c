"""Runs, as the protocol shows them: every field any version of the client asks for.

Nothing the client takes for a list or an object is ever null here, and every moment has milliseconds and a
`Z`: the oldest Python a published client runs on reads no other form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from mapi.domain.run import Event, RankState, Resumption, Run
from mapi.domain.secrets import Secret
from mapi.platform.views import RunPlan
from mcli.models.run_status import RunStatus

#: Fields of a submitted configuration that a client cannot read as null.
_NEVER_NULL = ("envVariables", "integrations", "scheduling", "compute", "dependentDeployment")

#: Statuses in which the clock of `max_duration` runs.
_TICKING = frozenset({RunStatus.RUNNING, RunStatus.TERMINATING})


def timestamp(ms: int) -> str:
    """Return a moment as `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    seconds, millis = divmod(ms, 1000)
    return f"{_second(seconds)}.{millis:03d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def maybe_timestamp(ms: int | None) -> str | None:
    """Return a moment as text, or None for one that has not come."""
    return None if ms is None else timestamp(ms)


def status_name(status: RunStatus) -> str:
    """The one place where a status becomes text for a client."""
    return status.value


def gpu_type_name(gpu_type: str | None) -> str:
    """A client calls `.lower()` on it, so that CPUs have a name too."""
    return gpu_type or "None"


def run_wire(run: Run, *, email: str, reason: str | None, history: Sequence[Event]) -> dict[str, Any]:
    """Return a run in the full shape of the schema's `Run`.

    Args:
        run: the run.
        email: its owner's e-mail address.
        reason: why it is in its status, or what it waits for now.
        history: its events, oldest first; may be empty where neither lifecycle nor events are asked for.
    """
    latest, scheduling = run.latest, run.spec.scheduling
    original = original_input(run)
    resumptions = [resumption_wire(run, resumption, resumption.reason) for resumption in run.resumptions]
    resumptions[-1]["reason"] = reason
    started = next((item.started_at for item in run.resumptions if item.started_at is not None), None)
    return {
        "id": run.id,
        "name": run.name,
        "status": status_name(latest.status),
        "createdAt": timestamp(run.created_at),
        "startedAt": maybe_timestamp(started),
        "completedAt": maybe_timestamp(latest.ended_at),
        "updatedAt": timestamp(run.updated_at),
        "reason": reason,
        "createdByEmail": email,
        "priority": scheduling.priority.upper(),
        "preemptible": scheduling.preemptible,
        "retryOnSystemFailure": scheduling.retry_on_system_failure,
        "maxRetries": scheduling.max_retries,
        "maxDurationSeconds": scheduling.max_duration_seconds,
        "isDeleted": run.is_deleted,
        "runType": run.spec.run_type,
        "runInput": final_input(run),
        "originalRunInput": original,
        "resumptions": resumptions,
        "details": {
            "image": run.spec.image,
            "originalRunInput": original,
            "metadata": run.metadata,
            "lastExecutionId": str(run.execution),
            "lifecycle": lifecycle_wire(run, history),
            "nodes": [_node_wire(rank) for rank in latest.ranks],
            "formattedRunEvents": [_formatted_event(event) for event in history],
        },
        "executionsStatusUpdates": [_status_updates(run, resumption) for resumption in run.resumptions],
    }


def resumption_wire(run: Run, resumption: Resumption, reason: str | None) -> dict[str, Any]:
    """Return one resumption in the shape of the schema's `Resumption`."""
    allocation = resumption.allocation
    return {
        "executionIndex": resumption.index,
        "clusterName": allocation.cluster,
        "nodes": allocation.nodes,
        "cpus": allocation.cpus,
        "gpus": allocation.gpus,
        "gpuType": gpu_type_name(allocation.gpu_type),
        "status": status_name(resumption.status),
        "startTime": maybe_timestamp(resumption.started_at),
        "endTime": maybe_timestamp(resumption.ended_at),
        "estimatedEndTime": estimated_end(run, resumption),
        "reason": reason,
    }


def estimated_end(run: Run, resumption: Resumption) -> str | None:
    """When a running resumption reaches its time limit, if it has one."""
    limit = run.spec.scheduling.max_duration_seconds
    if limit is None or resumption.started_at is None or resumption.status not in _TICKING:
        return None
    return timestamp(resumption.started_at + limit * 1000)


def final_input(run: Run) -> dict[str, Any]:
    """Return the configuration a run executes with, in the flat and the nested form at once.

    The first clients read the flat fields and fail where one is absent, also those that no longer mean
    anything (`optimizationLevel`, `entrypoint`).
    """
    spec, allocation, scheduling = run.spec, run.latest.allocation, run.spec.scheduling
    limit = scheduling.max_duration_seconds
    gpu_type = gpu_type_name(allocation.gpu_type)
    return {
        "run_id": run.name.rpartition("-")[2],
        "runName": spec.name,
        "parentName": spec.parent_name,
        "image": spec.image,
        "command": spec.command,
        "entrypoint": "",
        "optimizationLevel": 0,
        "cluster": allocation.cluster,
        "gpuType": gpu_type,
        "gpuNum": allocation.gpus,
        "cpus": allocation.cpus_per_node,
        "compute": {
            "cluster": allocation.cluster,
            "instance": allocation.instance,
            "nodes": allocation.nodes,
            "gpus": allocation.gpus,
            **({"gpuType": gpu_type} if allocation.gpus else {}),
            **({"cpus": allocation.cpus_per_node} if allocation.cpus_per_node else {}),
            **({"nodeNames": list(allocation.node_names)} if allocation.node_names else {}),
        },
        "scheduling": {
            "priority": scheduling.priority,
            "preemptible": scheduling.preemptible,
            "maxRetries": scheduling.max_retries,
            "retryOnSystemFailure": scheduling.retry_on_system_failure,
            **({} if limit is None else {"maxDuration": limit / 3600}),
        },
        "integrations": list(spec.integrations),
        "envVariables": [{"envKey": key, "envValue": value} for key, value in spec.env.items()],
        "parameters": spec.parameters,
        "metadata": run.metadata,
    }


def plan_wire(planned: RunPlan) -> dict[str, Any]:
    """Return a plan in the shape of the schema's `RunPlan`."""
    allocation, wait = planned.run.latest.allocation, planned.wait
    run_input = final_input(planned.run)
    del run_input["run_id"]  # it has none yet
    return {
        "runInput": run_input,
        "cluster": allocation.cluster,
        "instance": allocation.instance,
        "nodes": allocation.nodes,
        "gpusPerNode": allocation.gpus_per_node,
        "startsNow": wait is None,
        "reason": wait and wait.reason,
        "position": wait and wait.position,
    }


def original_input(run: Run) -> dict[str, Any]:
    """Return the configuration as it was submitted, without the nulls a client cannot read."""
    submitted = run.submitted
    if all(submitted.get(field, "") is not None for field in _NEVER_NULL):
        return submitted
    return {key: value for key, value in submitted.items() if value is not None or key not in _NEVER_NULL}


def lifecycle_wire(run: Run, history: Iterable[Event]) -> list[dict[str, Any]]:
    """Return the statuses a run went through: each ends where the next of its resumption begins.

    A client looks up a resumption by its place in this list: one without an event still has an entry.
    """
    steps: dict[int, list[Event]] = {resumption.index: [] for resumption in run.resumptions}
    for event in history:
        if event.status is not None:
            steps.setdefault(event.resumption, []).append(event)
    entries = []
    for resumption in run.resumptions:
        events = steps[resumption.index]
        if not events:
            entries.append(
                _lifecycle_entry(
                    resumption,
                    resumption.status,
                    resumption.created_at,
                    resumption.ended_at,
                    resumption.reason,
                )
            )
            continue
        ends = [event.at for event in events[1:]] + [resumption.ended_at]
        for event, end in zip(events, ends, strict=True):
            status = event.status or RunStatus.UNKNOWN
            entries.append(_lifecycle_entry(resumption, status, event.at, end, _reason_of(event)))
    return entries


def _lifecycle_entry(
    resumption: Resumption, status: RunStatus, start: int, end: int | None, reason: str | None
) -> dict[str, Any]:
    return {
        "executionIndex": resumption.index,
        "status": status_name(status),
        "startTime": timestamp(start),
        "endTime": maybe_timestamp(end),
        "reason": reason,
    }


def _reason_of(event: Event) -> str | None:
    reason = event.data.get("reason") if event.data else None
    return None if reason is None else str(reason)


def _formatted_event(event: Event) -> dict[str, Any]:
    return {
        "resumptionIndex": event.resumption,
        "eventType": event.type,
        "eventTime": timestamp(event.at),
        "eventMessage": event.message,
    }


def _node_wire(rank: RankState) -> dict[str, Any]:
    return {
        "rank": rank.rank,
        "name": rank.node,
        "status": status_name(rank.status),
        "reason": rank.reason,
    }


def _status_updates(run: Run, resumption: Resumption) -> dict[str, Any]:
    def update(rank: RankState, **more: str) -> dict[str, Any]:
        reached = rank.ended_at or resumption.started_at or resumption.created_at
        return {
            "nodeRank": rank.rank,
            "status": status_name(rank.status),
            "reachedAt": timestamp(reached),
            "reason": rank.reason,
            **more,
        }

    return {
        "id": f"{run.id}/{resumption.index}",
        "executionIndex": resumption.index,
        "containerStatusUpdates": [update(rank, containerName="MAIN") for rank in resumption.ranks],
        "podStatusUpdates": [update(rank, nodeName=rank.node) for rank in resumption.ranks],
    }


def event_wire(event: Event) -> dict[str, Any]:
    """Return an event in the shape of the schema's `RunEvent`."""
    return {
        "id": f"{event.run_id}/{event.seq}",
        "runId": event.run_id,
        "executionId": f"{event.run_id}/{event.resumption}",
        "eventType": event.type,
        "eventData": event.data or {},
        "updatedAt": timestamp(event.at),
    }


def secret_wire(secret: Secret) -> dict[str, Any]:
    """Return a secret in the shape of the schema's `Secret`: all but its value."""
    return {
        "id": secret.id,
        "name": secret.name,
        "type": secret.type.value,
        "metadata": secret.metadata,
        "createdAt": timestamp(secret.created_at),
    }
