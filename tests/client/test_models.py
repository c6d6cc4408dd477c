from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mcli import LogLine, ObjectList, PaginatedObjectList, Run, RunStatus, RunType, Timestamp
from mcli.api.exceptions import MAPIException, RunFailed
from mcli.models.cluster import ClusterDetails
from mcli.models.naming import camel, snake
from mcli.models.run_event import EventType
from tests.client.scripted_platform import lifecycle, run_answer


def test_a_moment_is_ordered_with_local_time_both_ways_round() -> None:
    moment = Timestamp.parse("2026-11-24T13:00:00.000Z")
    earlier = datetime.fromtimestamp(moment.timestamp()) - timedelta(hours=1)
    later = earlier + timedelta(hours=2)
    assert earlier < moment < later
    assert later > moment > earlier
    assert earlier <= moment <= later
    assert moment - earlier == timedelta(hours=1)
    assert earlier - moment == -timedelta(hours=1)
    assert later - moment == timedelta(hours=1)


def test_a_moment_stays_a_moment() -> None:
    moment = Timestamp.parse("2026-11-24T13:00:00.000Z")
    aware = datetime(2026, 11, 24, 14, tzinfo=timezone(timedelta(hours=1)))
    assert moment == aware
    assert hash(moment) == hash(aware)
    assert isinstance(moment + timedelta(1), Timestamp)
    assert isinstance(moment - timedelta(1), Timestamp)
    assert moment.isoformat() == "2026-11-24T13:00:00+00:00"
    copy = pickle.loads(pickle.dumps(moment))
    assert (type(copy), copy) == (Timestamp, moment)


def test_a_naive_datetime_is_never_equal_to_a_moment_which_keeps_sets_honest() -> None:
    moment = Timestamp.now(UTC)
    assert moment != moment.astimezone().replace(tzinfo=None)


def test_runs_older_than_a_month_are_found_as_the_documentation_does() -> None:
    runs = [Run.from_wire(run_answer()), Run.from_wire(run_answer(createdAt="2020-01-01T00:00:00.000Z"))]
    reference = datetime.fromisoformat("2026-11-24T12:00:00") - timedelta(days=30)
    assert [run for run in runs if run.created_at < reference] == runs[1:]


def test_a_list_of_runs_is_a_list() -> None:
    runs = ObjectList([1, 2])
    assert runs == [1, 2]
    assert 2 in runs
    assert runs != [1]
    assert isinstance(runs, list)


def test_the_last_page_has_no_next() -> None:
    last = PaginatedObjectList([1])
    with pytest.raises(StopIteration):
        last.next_page()


def test_the_next_page_is_fetched_with_its_cursor() -> None:
    asked: list[Any] = []

    def fetch(cursor: str, limit: int | None) -> PaginatedObjectList[int]:
        asked.append((cursor, limit))
        return PaginatedObjectList([2])

    first = PaginatedObjectList([1], cursor="c", has_next_page=True, fetch=fetch)
    assert first.next_page(limit=7) == [2]
    assert asked == [("c", 7)]


@pytest.mark.parametrize(
    ("line", "text", "micros"),
    [
        ("2026-11-24T13:22:01.123456Z hello  world", "hello  world", 123456),
        ("2026-11-24T13:22:01.123456Z ", "", 123456),
        ("2026-11-24T13:22:01Z   indented\n", "  indented", 0),
        ("no time at all", "no time at all", None),
        ("2026-99-99T99:99:99Z x", "2026-99-99T99:99:99Z x", None),
        ("", "", None),
    ],
)
def test_a_line_is_taken_apart_into_time_and_text(line: str, text: str, micros: int | None) -> None:
    parsed = LogLine.from_line(line)
    assert parsed.text == text
    assert (parsed.timestamp.microsecond if parsed.timestamp else None) == micros


def test_a_run_is_read_with_all_its_details() -> None:
    run = Run.from_wire(run_answer())
    assert (run.run_uid, run.name, run.status) == ("0198-id", "hello-abc123", RunStatus.RUNNING)
    assert run.created_at == datetime(2026, 11, 24, 13, tzinfo=UTC)
    assert run.started_at == datetime(2026, 11, 24, 13, 0, 2, tzinfo=UTC)
    assert run.completed_at is None
    assert (run.config.name, run.config.image, run.config.gpus) == ("hello-abc123", "bash", 16)
    assert run.submitted_config is not None
    assert (run.submitted_config.name, run.submitted_config.gpu_num) == ("hello", 16)
    assert (run.cluster, run.gpus, run.gpu_type, run.node_count) == ("lab", 16, "a100_80gb", 2)
    assert (run.max_duration, run.max_duration_seconds, run.run_type) == (1.5, 5400, RunType.TRAINING)
    assert (run.metadata, run.resumption_count, run.image) == ({"a": 1}, 1, "bash")
    assert run.nodes[0].to_dict() == {"rank": 0, "name": "n0", "status": RunStatus.RUNNING, "reason": None}
    assert run.events[0].event_type is EventType.CREATED
    assert "hello-abc123" in repr(run)


def test_a_run_without_details_has_an_empty_configuration() -> None:
    answer = run_answer()
    del answer["details"], answer["runInput"]
    run = Run.from_wire(answer)
    assert run.submitted_config is None
    assert str(run.config) == "{}\n"
    assert not run.lifecycle and not run.nodes and not run.events


def test_times_and_gpu_hours_add_up_over_attempts() -> None:
    answer = run_answer(status="COMPLETED")
    first = answer["resumptions"][0]
    answer["resumptions"] = [first, {**first, "executionIndex": 1, "endTime": "2026-11-24T13:00:50.000Z"}]
    answer["details"]["lifecycle"] = [
        lifecycle("PENDING", 0, 2),
        lifecycle("STARTING", 2, 4),
        lifecycle("RUNNING", 4, 10),
        lifecycle("STOPPING", 10, 11),
        lifecycle("STOPPED", 11, None),
        lifecycle("PENDING", 20, 22, 1),
        lifecycle("QUEUED", 22, 23, 1),
        lifecycle("STARTING", 23, 24, 1),
        lifecycle("RUNNING", 24, 49, 1),
        lifecycle("TERMINATING", 49, 50, 1),
        lifecycle("COMPLETED", 50, None, 1),
    ]
    run = Run.from_wire(answer)
    assert run.cumulative_pending_time == 5
    assert run.cumulative_running_time == 31
    assert run.get_gpu_hours() == pytest.approx(16 * (9 + 27) / 3600)
    assert run.completed_at == datetime(2026, 11, 24, 13, 0, 50, tzinfo=UTC)


def test_a_run_stopped_before_it_started_has_used_no_gpus() -> None:
    answer = run_answer(status="STOPPED")
    answer["details"]["lifecycle"] = [lifecycle("PENDING", 0, 9), lifecycle("STOPPING", 9, 12)]
    assert Run.from_wire(answer).get_gpu_hours() == 0


def test_a_status_this_client_does_not_know_is_unknown() -> None:
    assert Run.from_wire(run_answer(status="DREAMING")).status is RunStatus.UNKNOWN
    assert Run.from_wire(run_answer(runType="HOBBY")).run_type is RunType.UNKNOWN


def test_a_cluster_is_read_with_who_uses_it() -> None:
    instance = {
        "name": "cpu",
        "gpuType": "None",
        "gpusPerNode": 0,
        "cpus": 4,
        "memory": "8Gi",
        "storage": None,
        "gpuNums": [],
        "numNodes": 1,
        "nodes": [{"name": "n0", "isAlive": True, "isSchedulable": True}],
    }
    queued = {
        "id": "1",
        "createdAt": "2026-11-24T13:00:00.000Z",
        "userName": "me",
        "runName": "r",
        "instance": "cpu",
        "gpuNum": 0,
        "gpuType": "None",
        "reason": "waiting for room",
        "scheduling": {"priority": "auto"},
    }
    cluster = ClusterDetails.from_wire(
        {
            "id": "c",
            "name": "local",
            "provider": "LOCAL",
            "allowedInstances": [instance],
            "utilization": {
                "instanceUtils": [{"instance": instance, "gpusUsed": 0, "gpusAvailable": 0, "gpusTotal": 0}],
                "activeRunsByUser": [],
                "queuedRunsByUser": [queued],
            },
        }
    )
    assert cluster.instances[0].gpu_type is None
    assert cluster.cluster_instances[0].nodes[0].name == "n0"
    assert cluster.utilization is not None
    assert cluster.utilization.queued_runs[0].reason == "waiting for room"


@pytest.mark.parametrize(
    ("python", "wire"),
    [("git_repo", "gitRepo"), ("cpus", "cpus"), ("API_KEY", "API_KEY"), ("node_names", "nodeNames")],
)
def test_names_have_one_form_here_and_one_on_the_wire(python: str, wire: str) -> None:
    assert camel(python) == wire
    assert snake(wire) == python
    assert camel(wire) == wire


def test_exceptions_survive_being_sent_to_another_process() -> None:
    from http import HTTPStatus

    error = pickle.loads(pickle.dumps(MAPIException(HTTPStatus.NOT_FOUND, "Run x not found")))
    assert (str(error), error.status) == ("Error 404: Run x not found", 404)
    failed = RunFailed(Run.from_wire(run_answer(status="FAILED", reason="exit code 3")), RunStatus.COMPLETED)
    assert str(pickle.loads(pickle.dumps(failed))) == (
        "Run hello-abc123 ended as FAILED (exit code 3) before it reached COMPLETED"
    )
