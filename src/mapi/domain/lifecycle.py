"""How a run moves: the table of allowed steps, and the one way to take a step.

    PENDING → SCHEDULED → QUEUED → STARTING → RUNNING → TERMINATING → COMPLETED | FAILED
                 any active status → STOPPING → STOPPED          STARTING → FAILED_PULL

A status may be skipped; none is ever left for an earlier one except through a new resumption.
Everything here is a function of its arguments; writing and telling happen elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mapi.domain.run import Allocation, Event, Json, RankState, Resumption, Run, RunSpec
from mcli.models.run_status import TERMINAL, RunStatus

_S = RunStatus

#: From each status, the statuses that may follow it within one resumption.
ALLOWED: dict[RunStatus, frozenset[RunStatus]] = {
    _S.PENDING: frozenset({_S.SCHEDULED, _S.QUEUED, _S.STARTING, _S.STOPPED, _S.FAILED}),
    _S.SCHEDULED: frozenset({_S.QUEUED, _S.STARTING, _S.STOPPED, _S.FAILED}),
    _S.QUEUED: frozenset({_S.STARTING, _S.STOPPED, _S.FAILED}),
    _S.STARTING: frozenset(
        {_S.RUNNING, _S.TERMINATING, _S.STOPPING, _S.COMPLETED, _S.STOPPED, _S.FAILED_PULL, _S.FAILED}
    ),
    _S.RUNNING: frozenset({_S.TERMINATING, _S.STOPPING, _S.COMPLETED, _S.STOPPED, _S.FAILED}),
    _S.TERMINATING: frozenset({_S.STOPPING, _S.COMPLETED, _S.STOPPED, _S.FAILED}),
    _S.STOPPING: frozenset({_S.STOPPED, _S.FAILED}),
    **{status: frozenset() for status in TERMINAL},
}

#: Waiting for a place; nothing of the run exists on a cluster.
WAITING = frozenset({_S.PENDING, _S.SCHEDULED, _S.QUEUED})
#: Holding a place: from nodes assigned to everything cleaned up. What counts as GPU time.
PLACED = frozenset({_S.STARTING, _S.RUNNING, _S.TERMINATING, _S.STOPPING})

#: What a step is called in the event log.
EVENT_TYPES: dict[RunStatus, str] = {
    _S.PENDING: "CREATED",
    _S.SCHEDULED: "SCHEDULED",
    _S.QUEUED: "QUEUED",
    _S.STARTING: "STARTING",
    _S.RUNNING: "STARTED",
    _S.TERMINATING: "TERMINATING",
    _S.STOPPING: "STOPPING",
    _S.COMPLETED: "COMPLETED",
    _S.STOPPED: "STOPPED",
    _S.FAILED_PULL: "FAILED",
    _S.FAILED: "FAILED",
}

_MESSAGES: dict[RunStatus, str] = {
    _S.SCHEDULED: "Run placed on cluster {cluster}",
    _S.QUEUED: "Run queued on cluster {cluster}",
    _S.STARTING: "Run starting on {where}",
    _S.RUNNING: "Run started",
    _S.TERMINATING: "Run ending",
    _S.STOPPING: "Run stopping",
    _S.COMPLETED: "Run completed",
    _S.STOPPED: "Run stopped",
    _S.FAILED_PULL: "Run failed: its image could not be had",
    _S.FAILED: "Run failed",
}


class IllegalStep(Exception):
    """A step the table does not allow: a bug of the caller, never of a user."""


def create(
    *,
    run_id: str,
    name: str,
    owner_id: str,
    spec: RunSpec,
    submitted: dict[str, Json],
    metadata: dict[str, Json],
    allocation: Allocation,
    at: int,
) -> tuple[Run, Event]:
    """Return a new run, PENDING, and the event that says so."""
    run = Run(
        id=run_id,
        name=name,
        owner_id=owner_id,
        spec=spec,
        submitted=submitted,
        metadata=metadata,
        created_at=at,
        updated_at=at,
        resumptions=(Resumption(0, allocation, RunStatus.PENDING, at),),
    )
    return note(run, type="CREATED", at=at, message="Run created", status=RunStatus.PENDING)


def advance(
    run: Run,
    status: RunStatus,
    *,
    at: int,
    reason: str | None = None,
    ranks: Iterable[RankState] | None = None,
) -> tuple[Run, Event]:
    """Take one step: return the run in its new status, and the event that records it.

    Args:
        run: the run as it is.
        status: the status its latest resumption enters.
        at: when, in milliseconds; never earlier than the step before (a clock may be set back).
        reason: why, in words a person can act on; None for plain progress.
        ranks: the new state of the ranks, where it changes with this step.

    Raises:
        IllegalStep: if the table does not allow it.
    """
    latest = run.latest
    if status not in ALLOWED[latest.status]:
        raise IllegalStep(f"{run.name}: {latest.status} may not become {status}")
    at = max(at, run.updated_at)
    latest = replace(
        latest,
        status=status,
        reason=reason,
        started_at=at if status is RunStatus.RUNNING else latest.started_at,
        ended_at=at if status in TERMINAL else None,
        ranks=latest.ranks if ranks is None else tuple(ranks),
    )
    cluster = latest.allocation.cluster
    nodes = ", ".join(dict.fromkeys(rank.node for rank in latest.ranks if rank.node)) or cluster
    message = _MESSAGES[status].format(cluster=cluster, where=nodes)
    run = replace(run, resumptions=(*run.resumptions[:-1], latest))
    return note(
        run,
        type=EVENT_TYPES[status],
        at=at,
        message=f"{message}: {reason}" if reason else message,
        status=status,
        data={"reason": reason} if reason else None,
    )


def resume(run: Run, *, at: int, reason: str, failed: bool) -> tuple[Run, Event]:
    """Return the run with its next resumption, PENDING: a retry, a return after preemption, or a restart.

    Args:
        run: a run whose latest resumption has ended.
        at: when, in milliseconds.
        reason: why it runs again.
        failed: True if this uses up one of its retries.
    """
    latest = run.latest
    if latest.status not in TERMINAL:
        raise IllegalStep(f"{run.name}: {latest.status} has not ended, so it cannot be resumed")
    at = max(at, run.updated_at)
    following = Resumption(latest.index + 1, latest.allocation, RunStatus.PENDING, at, reason=reason)
    run = replace(run, resumptions=(*run.resumptions, following), failures=run.failures + failed)
    return note(
        run,
        type="REQUEUED",
        at=at,
        message=f"Run queued again: {reason}",
        status=RunStatus.PENDING,
        data={"reason": reason},
    )


def note(
    run: Run,
    *,
    type: str,
    at: int,
    message: str,
    status: RunStatus | None = None,
    data: dict[str, Json] | None = None,
) -> tuple[Run, Event]:
    """Add an event to a run's history; without a `status` it changes nothing else."""
    event = Event(run.id, run.event_count, run.latest.index, type, at, message, status, data)
    return replace(run, event_count=run.event_count + 1, updated_at=max(at, run.updated_at)), event


def with_latest(run: Run, **changes: Json) -> Run:
    """Return the run with fields of its latest resumption replaced, its status excepted."""
    return replace(run, resumptions=(*run.resumptions[:-1], replace(run.latest, **changes)))
