"""What the end of a resumption means for its run."""

from typing import Any

from mapi.domain.outcome import WATCHDOG_RETRIES, outcome
from mapi.domain.run import Allocation, RankState, Resumption, Scheduling
from mcli.models.run_status import RunStatus

ALLOCATION = Allocation("local", "cpu", 2, 0, 0)


def ended(*codes: int | None, **fields: Any) -> Resumption:
    ranks = tuple(
        RankState(
            rank,
            "node",
            RunStatus.COMPLETED if code == 0 else RunStatus.FAILED,
            exit_code=code,
            reason="the node was lost" if code is None else None,
            ended_at=100 - rank,
            system=code is None,
        )
        for rank, code in enumerate(codes)
    )
    return Resumption(0, ALLOCATION, RunStatus.RUNNING, 0, ranks=ranks, **fields)


def test_all_ranks_zero_is_completed() -> None:
    assert outcome(ended(0, 0), Scheduling(), 0).status is RunStatus.COMPLETED


def test_the_rank_that_failed_first_gives_the_reason() -> None:
    decided = outcome(ended(1, 7), Scheduling(), 0)
    assert (decided.status, decided.reason) == (RunStatus.FAILED, "exit code 7 on rank 1")


def test_a_stop_is_stopped_with_its_reason_and_never_retried() -> None:
    decided = outcome(ended(1, ending="stop", reason="by hand"), Scheduling(max_retries=3), 0)
    assert (decided.status, decided.reason, decided.resume) == (RunStatus.STOPPED, "by hand", None)


def test_a_preempted_run_comes_back_without_using_a_retry() -> None:
    decided = outcome(ended(143, ending="preemption", reason="preempted by x"), Scheduling(), 0)
    assert (decided.status, decided.reason) == (RunStatus.STOPPED, "Preempted")
    assert decided.resume == "preempted by x"
    assert not decided.failed


def test_retries_are_counted() -> None:
    scheduling = Scheduling(max_retries=2)
    assert outcome(ended(1), scheduling, 0).resume == "retry 1 of 2 after: exit code 1"
    assert outcome(ended(1), scheduling, 1).resume is not None
    assert outcome(ended(1), scheduling, 2).resume is None


def test_the_watchdog_retries_system_failures_only() -> None:
    watchdog = Scheduling(retry_on_system_failure=True)
    assert outcome(ended(None), watchdog, 0).resume is not None
    assert outcome(ended(None), watchdog, WATCHDOG_RETRIES).resume is None
    assert outcome(ended(1), watchdog, 0).resume is None
    assert outcome(ended(None), Scheduling(), 0).resume is None
