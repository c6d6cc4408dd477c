"""No status is left for an earlier one, and every step is recorded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapi.domain import lifecycle
from mapi.domain.run import Allocation, RankState, Run, RunSpec
from mcli.models.run_status import TERMINAL, RunStatus

ALLOCATION = Allocation("local", "cpu", 1, 0, 0)


def new_run() -> Run:
    run, _ = lifecycle.create(
        run_id="1",
        name="a-1",
        owner_id="u",
        spec=RunSpec("a", "bash", "true"),
        submitted={},
        metadata={},
        allocation=ALLOCATION,
        at=1000,
    )
    return run


def test_the_table_only_leads_forward() -> None:
    for before, following in lifecycle.ALLOWED.items():
        for after in following:
            assert not after.before(before), (before, after)


def test_every_status_but_unknown_has_its_row() -> None:
    assert set(lifecycle.ALLOWED) == set(RunStatus) - {RunStatus.UNKNOWN}


def test_every_active_status_can_come_to_stopped() -> None:
    for status in set(RunStatus) - TERMINAL - {RunStatus.UNKNOWN}:
        following = lifecycle.ALLOWED[status]
        assert RunStatus.STOPPED in following or RunStatus.STOPPING in following


def test_a_step_the_table_does_not_know_is_refused() -> None:
    with pytest.raises(lifecycle.IllegalStep, match="PENDING may not become COMPLETED"):
        lifecycle.advance(new_run(), RunStatus.COMPLETED, at=1)


@given(st.lists(st.sampled_from(sorted(set(RunStatus) - {RunStatus.UNKNOWN})), max_size=12), st.data())
def test_whatever_is_tried_time_and_status_never_go_back(steps: list[RunStatus], data: st.DataObject) -> None:
    run, events = new_run(), 1
    for step in steps:
        before = run
        try:
            run, event = lifecycle.advance(run, step, at=data.draw(st.integers(0, 5000)))
        except lifecycle.IllegalStep:
            assert step not in lifecycle.ALLOWED[before.status]
            continue
        assert event.seq == events
        assert event.status is run.status is step
        assert event.at >= before.updated_at
        assert not run.status.before(before.status)
        events += 1
    assert run.event_count == events
    assert (run.latest.ended_at is not None) == (run.status in TERMINAL)


def test_a_resumption_follows_an_end_and_counts_failures() -> None:
    run = new_run()
    with pytest.raises(lifecycle.IllegalStep):
        lifecycle.resume(run, at=2000, reason="again", failed=True)
    run, _ = lifecycle.advance(run, RunStatus.FAILED, at=2000, reason="exit code 1")
    run, event = lifecycle.resume(run, at=3000, reason="retry 1 of 1", failed=True)
    assert (run.status, run.latest.index, run.failures) == (RunStatus.PENDING, 1, 1)
    assert (event.type, event.resumption) == ("REQUEUED", 1)
    assert run.resumptions[0].status is RunStatus.FAILED


def test_a_reason_is_kept_with_the_status_and_told_in_the_event() -> None:
    run, event = lifecycle.advance(
        new_run(), RunStatus.STARTING, at=2000, reason="because", ranks=[RankState(0, "here")]
    )
    assert run.latest.reason == "because"
    assert event.message == "Run starting on here: because"
