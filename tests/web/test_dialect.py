"""Clients that know fewer statuses see the nearest ones, in everything they are told."""

from mapi.domain import lifecycle
from mapi.domain.query import RunFilter
from mapi.web.dialect import ALL_STATUSES, NINE_STATUSES, dialect_of
from mcli.models.run_status import RunStatus
from tests.web.samples import BEGIN, created

S = RunStatus
KNOWN = {S.PENDING, S.QUEUED, S.STARTING, S.RUNNING, S.TERMINATING, S.COMPLETED, S.STOPPED, S.FAILED}


def test_a_published_client_is_known_by_its_name_and_others_see_everything() -> None:
    assert dialect_of("mcli") is NINE_STATUSES
    assert dialect_of("mcli-platform") is dialect_of("") is dialect_of(None) is ALL_STATUSES


def test_every_status_has_one_that_the_client_knows() -> None:
    assert {NINE_STATUSES.status(status) for status in S} == KNOWN | {S.UNKNOWN}


def test_an_image_that_could_not_be_had_is_a_failure_with_the_reason_the_client_knows() -> None:
    run, history = created()
    events = list(history)
    reasons = {S.SCHEDULED: None, S.QUEUED: "wait", S.STARTING: None, S.FAILED_PULL: "no such image"}
    for status, reason in reasons.items():
        run, event = lifecycle.advance(run, status, at=BEGIN + 5, reason=reason)
        events.append(event)
    assert ALL_STATUSES.run(run) is run
    shown = NINE_STATUSES.run(run)
    assert (shown.status, shown.latest.reason) == (S.FAILED, "FailedImagePull")
    steps = [(event.status, (event.data or {}).get("reason")) for event in NINE_STATUSES.history(events)]
    assert steps == [
        (S.PENDING, None),
        (None, None),
        (S.QUEUED, "wait"),
        (S.STARTING, None),
        (S.FAILED, "FailedImagePull"),
    ]


def test_a_filter_means_all_that_the_client_sees_so() -> None:
    wanted = NINE_STATUSES.filter(RunFilter(statuses=(S.FAILED, S.QUEUED)))
    assert set(wanted.statuses or ()) == {S.FAILED, S.FAILED_PULL, S.QUEUED, S.SCHEDULED}
    assert NINE_STATUSES.filter(RunFilter()) == RunFilter()
    assert NINE_STATUSES.filter(RunFilter(statuses=())) == RunFilter(statuses=())
