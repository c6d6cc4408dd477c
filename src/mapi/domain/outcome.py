"""What an ended resumption means for its run: the final status, and whether it runs again."""

from __future__ import annotations

import msgspec

from mapi.domain.run import RankState, Resumption, Scheduling
from mcli.models.run_status import RunStatus

#: Retries of a run that asked for the watchdog without saying how many.
WATCHDOG_RETRIES = 10


class Outcome(msgspec.Struct, frozen=True):
    """How a resumption ended. `resume`: why the run starts again, None if it does not."""

    status: RunStatus
    reason: str | None
    resume: str | None = None
    failed: bool = False


def outcome(resumption: Resumption, scheduling: Scheduling, failures: int) -> Outcome:
    """Decide what follows when every rank of a resumption has ended.

    Args:
        resumption: with the final state of all ranks.
        scheduling: the run's rules for retries.
        failures: retries used so far.
    """
    if resumption.ending in ("stop", "limit"):
        return Outcome(RunStatus.STOPPED, resumption.reason)
    if resumption.ending == "preemption":
        return Outcome(RunStatus.STOPPED, "Preempted", resume=resumption.reason or "preempted")
    failed = first_failed(resumption.ranks)
    if failed is None:
        return Outcome(RunStatus.COMPLETED, None)
    return failure(_describe(failed, len(resumption.ranks)), scheduling, failures, system=failed.system)


def failure(reason: str, scheduling: Scheduling, failures: int, *, system: bool) -> Outcome:
    """Return FAILED, with another try if the run's rules grant one."""
    allowed = scheduling.max_retries
    if system and scheduling.retry_on_system_failure:
        allowed = allowed or WATCHDOG_RETRIES
    elif system and allowed == 0:
        reason += " (a failure of the system: retry_on_system_failure would have tried again)"
    if failures >= allowed:
        return Outcome(RunStatus.FAILED, reason)
    return Outcome(
        RunStatus.FAILED, reason, resume=f"retry {failures + 1} of {allowed} after: {reason}", failed=True
    )


def first_failed(ranks: tuple[RankState, ...]) -> RankState | None:
    """The rank that failed first, which is the one whose log says why."""
    failed = [rank for rank in ranks if rank.status is RunStatus.FAILED]
    return min(failed, key=lambda rank: (rank.ended_at or 0, rank.rank), default=None)


def _describe(rank: RankState, ranks: int) -> str:
    what = rank.reason or f"exit code {rank.exit_code}"
    return f"{what} on rank {rank.rank}" if ranks > 1 else what
