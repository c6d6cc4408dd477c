from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest

import mcli
from mcli import RunConfig, RunStatus
from mcli.api.exceptions import (
    InstanceTypeUnavailable,
    InvalidArgument,
    KubernetesException,
    MAPIException,
    RunFailed,
    RunStatusNotReached,
)
from tests.client.scripted_platform import (
    DROP,
    Refused,
    ScriptedPlatform,
    lifecycle,
    page,
    run_answer,
    until,
)


def asked(platform: ScriptedPlatform, field: str) -> list[dict[str, Any]]:
    return [variables for name, variables in platform.requests if name == field]


def query(platform: ScriptedPlatform) -> dict[str, Any]:
    (variables,) = asked(platform, "getRunsPaginated")
    asked_for: dict[str, Any] = variables["getRunsPaginatedData"]
    return asked_for


def there_is(platform: ScriptedPlatform, *runs: dict[str, Any]) -> None:
    platform.answers["getRunsPaginated"] = lambda _: page(*runs)


# ------------------------------------------------------------------ create


def test_a_run_is_created_and_the_configuration_is_left_as_it_was(platform: ScriptedPlatform) -> None:
    platform.answers["createRun"] = lambda _: [run_answer()]
    config = RunConfig(name="hello", image="bash", command="true", parameters={"a": [1]})
    before = str(config)
    run = mcli.create_run(config)
    assert (run.name, run.status) == ("hello-abc123", RunStatus.RUNNING)
    assert str(config) == before
    assert asked(platform, "createRun") == [{"createRunData": {"runInput": config.to_wire()}}]


def test_a_sweep_submits_the_parameters_as_they_were_at_each_call(platform: ScriptedPlatform) -> None:
    platform.answers["createRun"] = lambda _: [run_answer()]
    config = RunConfig(name="sweep", parameters={"lr": 0.0})
    futures = []
    for lr in (0.1, 0.01):
        config.parameters["lr"] = lr
        futures.append(mcli.create_run(config, future=True))
    assert [future.result(5).name for future in futures] == ["hello-abc123"] * 2
    sent = [each["createRunData"]["runInput"]["parameters"]["lr"] for each in asked(platform, "createRun")]
    assert sorted(sent) == [0.01, 0.1]


def test_a_run_submitted_inside_a_run_has_a_parent(
    platform: ScriptedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.answers["createRun"] = lambda _: [run_answer()]
    monkeypatch.setenv("RUN_NAME", "parent-abc123")
    mcli.create_run(RunConfig(name="a"))
    monkeypatch.setenv("MOSAICML_PLATFORM", "true")
    mcli.create_run(RunConfig(name="a"))
    mcli.create_run(RunConfig(name="a", parent_name="other"))
    inputs = [each["createRunData"]["runInput"] for each in asked(platform, "createRun")]
    assert [each.get("parentName") for each in inputs] == [None, "parent-abc123", "other"]


def test_compute_that_can_never_be_had_has_an_exception_of_its_own(platform: ScriptedPlatform) -> None:
    def refuse(_: Any) -> Any:
        raise Refused(400, "lab has no h100; it has a100_80gb", "InstanceTypeUnavailable")

    platform.answers["createRun"] = refuse
    with pytest.raises(InstanceTypeUnavailable, match="lab has no h100"):
        mcli.create_run(RunConfig(name="a", gpu_type="h100"))


# ------------------------------------------------------------------- look up


def test_all_runs_are_fetched_page_by_page(platform: ScriptedPlatform) -> None:
    def answer(variables: dict[str, Any]) -> dict[str, Any]:
        cursor = variables["getRunsPaginatedData"].get("cursor")
        following = {None: "1", "1": "2", "2": None}[cursor]
        return page(run_answer(f"run-{cursor}"), cursor=following)

    platform.answers["getRunsPaginated"] = answer
    runs = mcli.get_runs()
    assert [run.name for run in runs] == ["run-None", "run-1", "run-2"]
    assert not runs.has_next_page


def test_a_limit_fetches_one_page_and_the_next_on_request(platform: ScriptedPlatform) -> None:
    platform.answers["getRunsPaginated"] = lambda variables: page(
        run_answer(), cursor=None if "cursor" in variables["getRunsPaginatedData"] else "c"
    )
    first = mcli.get_runs(limit=1, statuses=["RUNNING"])
    assert first.has_next_page
    second = first.next_page(limit=3)
    assert not second.has_next_page
    sent = [each["getRunsPaginatedData"] for each in asked(platform, "getRunsPaginated")]
    filters = {"status": {"in": ["RUNNING"]}}
    assert sent[0] == {"filters": filters, "includeDeleted": False, "limit": 1}
    assert sent[1] == {"filters": filters, "includeDeleted": False, "limit": 3, "cursor": "c"}


def test_filters_take_names_objects_enums_and_single_values(platform: ScriptedPlatform) -> None:
    there_is(platform)
    mcli.get_runs(
        runs="just-one",
        cluster_names=["a"],
        clusters=mcli.ClusterDetails(name="b"),
        gpu_types=[mcli.GPUType.A100_80GB, "h100"],
        gpu_nums=8,
        statuses=[RunStatus.FAILED, "completed"],
        run_types=mcli.RunType.TRAINING,
        user_emails="me@example.org",
        before="2026-01-31T00:00:00+00:00",
        include_deleted=True,
    )
    sent = query(platform)
    assert sent["filters"] == {
        "name": {"in": ["just-one"]},
        "clusterName": {"in": ["a", "b"]},
        "gpuType": {"in": ["a100_80gb", "h100"]},
        "gpuNum": {"in": [8]},
        "status": {"in": ["FAILED", "COMPLETED"]},
        "runType": {"in": ["TRAINING"]},
        "createdAt": {"lt": "2026-01-31T00:00:00+00:00"},
    }
    assert sent["includeDeleted"] is True
    assert sent["entity"] == {"emails": ["me@example.org"]}


def test_naive_moments_are_local_time(platform: ScriptedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import datetime

    there_is(platform)
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    try:
        mcli.get_runs(before=datetime(2026, 2, 1), after="2026-01-01")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert query(platform)["filters"]["createdAt"] == {
        "lt": "2026-02-01T00:00:00+02:00",
        "gte": "2026-01-01T00:00:00+02:00",
    }


def test_everybodys_runs_are_those_of_the_organization(platform: ScriptedPlatform) -> None:
    there_is(platform)
    platform.answers["getUsers"] = lambda _: [{"id": "u", "organizations": [{"id": "org", "name": "Org"}]}]
    mcli.get_runs(all_users=True)
    assert query(platform)["entity"] == {"organizationIds": ["org"]}


@pytest.mark.parametrize("change", [mcli.stop_runs, mcli.delete_runs, mcli.start_runs, mcli.get_runs])
def test_an_empty_list_is_never_everything(platform: ScriptedPlatform, change: Callable[..., Any]) -> None:
    assert change([]) == []
    assert platform.requests == []


def test_a_filter_that_cannot_be_is_refused_here(platform: ScriptedPlatform) -> None:
    with pytest.raises(InvalidArgument, match=r"'RUNING' is not one of .*; did you mean 'RUNNING'\?"):
        mcli.get_runs(statuses=["RUNING"])
    with pytest.raises(InvalidArgument, match="before: 'yesterday' is not a date such as"):
        mcli.get_runs(before="yesterday")
    with pytest.raises(InvalidArgument, match="limit"):
        mcli.get_runs(limit=0)
    assert platform.requests == []


def test_a_run_that_is_not_there_is_not_found(platform: ScriptedPlatform) -> None:
    there_is(platform)
    with pytest.raises(KubernetesException, match="Error 404: Run nobody not found"):
        mcli.get_run("nobody")


# -------------------------------------------------------------------- change


def test_runs_are_changed_by_name_or_object(platform: ScriptedPlatform) -> None:
    for field in ("stopRuns", "startRuns", "deleteRuns"):
        platform.answers[field] = lambda _: [run_answer(status="STOPPED")]
    run = mcli.Run.from_wire(run_answer())
    assert mcli.stop_run(run, reason="enough").status is RunStatus.STOPPED
    assert [each.name for each in mcli.delete_runs([run, "hello-abc123"])] == ["hello-abc123"]
    assert mcli.start_run("hello-abc123", future=True).result(5).name == "hello-abc123"
    selected = {"filters": {"name": {"in": ["hello-abc123"]}}}
    assert platform.requests == [
        ("stopRuns", {"getRunsData": selected, "stopRunsData": {"reason": "enough"}}),
        ("deleteRuns", {"getRunsData": selected}),
        ("startRuns", {"getRunsData": selected}),
    ]


def test_an_update_says_only_what_changes(platform: ScriptedPlatform) -> None:
    platform.answers["updateRun"] = lambda _: [run_answer()]
    mcli.update_run("a", {"maxRetries": 1}, max_duration=1.5, preemptible=False)
    (sent,) = asked(platform, "updateRun")
    assert sent["updateRunData"] == {"maxRetries": 1, "maxDurationSeconds": 5400, "preemptible": False}
    with pytest.raises(InvalidArgument, match=r"did you mean 'priority'\?"):
        mcli.update_run("a", {"prioritty": "low"})


def test_metadata_is_kept_as_json_can_carry_it(platform: ScriptedPlatform) -> None:
    platform.answers["updateRunMetadata"] = lambda _: [run_answer()]
    with pytest.warns(UserWarning, match=r"metadata\['f'\]: a function cannot be sent.*left out"):
        mcli.update_run_metadata(
            "a", {"x": float("nan"), "y": [float("inf"), -float("inf"), 1.5], "f": lambda: 1}, protect=True
        )
    (sent,) = asked(platform, "updateRunMetadata")
    assert sent["updateRunMetadataData"] == {"metadata": {"x": "NaN", "y": ["Infinity", "-Infinity", 1.5]}}


def test_an_event_is_added(platform: ScriptedPlatform) -> None:
    platform.answers["createRunEvent"] = lambda variables: [
        {
            "id": "e",
            "runId": "r",
            "executionId": "x",
            "updatedAt": "2026-11-24T13:00:00.000Z",
            **{key: variables["createRunEventData"][key] for key in ("eventType", "eventData")},
        }
    ]
    event = mcli.create_run_event("a", mcli.EventType.CHECKPOINT_SAVED, {"step": 3})
    assert (event.event_type, event.event_data) == (mcli.EventType.CHECKPOINT_SAVED, {"step": 3})


def test_a_run_refreshes_stops_and_clones_itself(platform: ScriptedPlatform) -> None:
    there_is(platform, run_answer(status="COMPLETED"))
    platform.answers["createRun"] = lambda _: [run_answer("hello-2")]
    run = mcli.Run.from_wire(run_answer())
    assert run.refresh() is run
    assert run.status is RunStatus.COMPLETED
    clone = run.clone(gpus=8, priority="low", name="again")
    assert clone.name == "hello-2"
    (sent,) = asked(platform, "createRun")
    assert sent["createRunData"]["runInput"] == {
        "runName": "again",
        "image": "bash",
        "command": "true",
        "compute": {"gpus": 8},
        "scheduling": {"priority": "low"},
    }


# ---------------------------------------------------------------------- logs


def log_of(content: bytes, *, size: int = 5, drop_at: set[int] | None = None) -> Callable[..., Iterator[Any]]:
    """Return a stream of a log in chunks; the connection is lost once at each of these offsets."""
    drops = set(drop_at or ())

    def stream(variables: dict[str, Any]) -> Iterator[Any]:
        offset = variables["getRunLogsInput"]["offset"]
        while offset < len(content):
            chunk = content[offset : offset + size]
            offset += len(chunk)
            yield {"chunk": base64.b64encode(chunk).decode(), "endOffset": offset}
            if offset in drops:
                drops.remove(offset)
                yield DROP

    return stream


CONTENT = "first\nprogress 1%\rprogress 100%\nhéllo wörld 🎉\n\n".encode() + b"bad \xff byte\nno newline"
LINES = ["first", "progress 1%\rprogress 100%", "héllo wörld 🎉", "", "bad \ufffd byte", "no newline"]


def test_logs_are_one_text(platform: ScriptedPlatform) -> None:
    platform.streams["getRunLogsV2"] = log_of(CONTENT)
    assert mcli.get_run_logs("a") == "\n".join(LINES)
    assert mcli.get_run_logs("a", 1, True, resumption=2, tail=100, future=True).result(5) == "\n".join(LINES)
    sent = [each["getRunLogsInput"] for each in asked(platform, "getRunLogsV2")]
    assert sent[0] == {"name": "a", "follow": False, "offset": 0}
    assert sent[1] == {
        "name": "a",
        "follow": False,
        "offset": 0,
        "nodeRank": 1,
        "attemptIndex": 2,
        "tail": 100,
        "timestamps": True,
    }


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_lines_are_whole_however_the_bytes_arrive(platform: ScriptedPlatform, size: int) -> None:
    there_is(platform, run_answer())
    platform.streams["getRunLogsV2"] = log_of(CONTENT, size=size)
    assert list(mcli.follow_run_logs("a")) == LINES


def test_following_goes_on_at_the_exact_byte_after_a_lost_connection(platform: ScriptedPlatform) -> None:
    there_is(platform, run_answer())
    platform.streams["getRunLogsV2"] = log_of(CONTENT, drop_at={10, 15, 40})
    assert list(mcli.follow_run_logs("a", tail=len(CONTENT))) == LINES
    sent = [each["getRunLogsInput"] for each in asked(platform, "getRunLogsV2")]
    assert [each["offset"] for each in sent] == [0, 10, 15, 40]
    assert ["tail" in each for each in sent] == [True, False, False, False]
    assert {each["attemptIndex"] for each in sent} == {0}


def test_errors_of_following_come_at_the_call(platform: ScriptedPlatform) -> None:
    there_is(platform)
    with pytest.raises(KubernetesException, match="404"):
        mcli.follow_run_logs("nobody")
    there_is(platform, run_answer())
    with pytest.raises(KubernetesException, match="no node of rank 2; its ranks are 0 to 1") as raised:
        mcli.follow_run_logs("a", rank=2)
    assert raised.value.status is HTTPStatus.BAD_REQUEST
    with pytest.raises(KubernetesException, match="no resumption 1; the latest is 0"):
        mcli.follow_run_logs("a", resumption=1)


def test_arguments_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="rank and node_rank"):
        mcli.get_run_logs("a", 1, node_rank=1)
    with pytest.raises(ValueError, match="failed chooses the node"):
        mcli.get_run_logs("a", 1, failed=True)
    with pytest.raises(ValueError, match="tail"):
        mcli.get_run_logs("a", tail=-1)


def test_an_error_of_a_subscription_is_raised_as_any_other(platform: ScriptedPlatform) -> None:
    def refuse(_: Any) -> Iterator[Any]:
        raise Refused(400, "a has no node of rank 7")
        yield

    platform.streams["getRunLogsV2"] = refuse
    with pytest.raises(KubernetesException, match="Error 400: a has no node of rank 7"):
        mcli.get_run_logs("a", rank=7)


def test_a_finished_subscription_leaves_its_connection_for_the_next(platform: ScriptedPlatform) -> None:
    platform.streams["getRunLogsV2"] = log_of(CONTENT)
    for _ in range(3):
        mcli.get_run_logs("a")
    assert len(platform.inits) == 1
    assert platform.inits[0]["Authorization"] == "the-key"
    assert platform.inits[0]["x-mosaicml-client"] == "mcli-platform"


def test_an_abandoned_follower_closes_its_connection(platform: ScriptedPlatform) -> None:
    there_is(platform, run_answer())
    platform.streams["getRunLogsV2"] = log_of(b"line\n" * 1000)
    lines = mcli.follow_run_logs("a")
    assert next(lines) == "line"
    lines.close()
    until(lambda: platform.open_sockets == 0)


# -------------------------------------------------------------------- status


def told(*statuses: Any) -> Iterator[Any]:
    """The run in each of `statuses`; a `DROP` among them stays what it is."""
    return iter([run_answer(status=each) if isinstance(each, str) else each for each in statuses])


def goes_through(platform: ScriptedPlatform, *statuses: str, passed: tuple[str, ...] = ()) -> None:
    """Let the run be told in `statuses`; in the last one it has passed `passed` too."""
    answer = run_answer(status=statuses[-1], reason="exit code 3")
    answer["details"]["lifecycle"] = [lifecycle(each, 0, 1) for each in (*passed, statuses[-1])]
    platform.streams["watchRun"] = lambda _: iter([*told(*statuses[:-1]), answer])


@pytest.mark.parametrize(
    ("statuses", "wanted"),
    [
        (("PENDING", "QUEUED", "RUNNING"), "RUNNING"),
        (("RUNNING",), RunStatus.RUNNING),
        (("PENDING", "COMPLETED"), "running"),
        (("COMPLETED",), "TERMINATING"),
        (("STARTING",), "QUEUED"),
        (("RUNNING", "STOPPING", "STOPPED"), "STOPPED"),
        (("RUNNING", "STOPPED"), "STOPPING"),
        (("FAILED",), "FAILED"),
        (("FAILED_PULL",), "FAILED_PULL"),
    ],
)
def test_waiting_returns_the_run_at_or_past_the_status(
    platform: ScriptedPlatform, statuses: tuple[str, ...], wanted: str | RunStatus
) -> None:
    goes_through(platform, *statuses)
    run = mcli.wait_for_run_status("hello-abc123", wanted, timeout=5)
    assert run.status.value == statuses[-1]
    assert run.lifecycle


def test_a_run_that_ran_and_failed_has_reached_running(platform: ScriptedPlatform) -> None:
    goes_through(platform, "FAILED", passed=("PENDING", "STARTING", "RUNNING"))
    assert mcli.wait_for_run_status("a", "RUNNING").status is RunStatus.FAILED


@pytest.mark.parametrize("ended", ["FAILED", "FAILED_PULL", "STOPPED"])
@pytest.mark.parametrize("wanted", ["RUNNING", "COMPLETED"])
def test_a_run_that_ended_before_the_status_has_failed(
    platform: ScriptedPlatform, ended: str, wanted: str
) -> None:
    goes_through(platform, "PENDING", ended, passed=("PENDING", "STARTING"))
    with pytest.raises(RunFailed, match=rf"ended as {ended} \(exit code 3\) before it reached {wanted}"):
        mcli.wait_for_run_status("a", wanted)


def test_a_run_that_did_well_never_reaches_failed(platform: ScriptedPlatform) -> None:
    goes_through(platform, "RUNNING", "COMPLETED")
    for wanted in ("FAILED", "STOPPED", "STOPPING"):
        with pytest.raises(RunStatusNotReached, match=f"ended as COMPLETED and never was {wanted}"):
            mcli.wait_for_run_status("a", wanted)


def test_an_earlier_attempt_does_not_count(platform: ScriptedPlatform) -> None:
    answer = run_answer(status="FAILED")
    answer["resumptions"].append({**answer["resumptions"][0], "executionIndex": 1})
    answer["details"]["lifecycle"] = [lifecycle("RUNNING", 0, 1), lifecycle("FAILED", 2, None, 1)]
    platform.streams["watchRun"] = lambda _: iter([answer])
    with pytest.raises(RunFailed):
        mcli.wait_for_run_status("a", "RUNNING")


def test_waiting_survives_lost_connections(platform: ScriptedPlatform) -> None:
    said: Iterator[list[Any]] = iter(
        [["PENDING", DROP], [DROP], ["PENDING"], ["RUNNING", DROP], ["RUNNING", "COMPLETED"]]
    )
    platform.streams["watchRun"] = lambda _: told(*next(said))
    assert mcli.wait_for_run_status("a", "COMPLETED", timeout=10).status is RunStatus.COMPLETED


def test_waiting_ends_at_its_deadline(platform: ScriptedPlatform) -> None:
    platform.streams["watchRun"] = lambda _: told("PENDING")
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"Run a did not reach RUNNING within 0\.3 seconds"):
        mcli.wait_for_run_status("a", "RUNNING", timeout=0.3)
    assert time.monotonic() - began < 1


def test_waiting_for_a_run_that_is_not_there_is_not_found(platform: ScriptedPlatform) -> None:
    def refuse(_: Any) -> Iterator[Any]:
        raise Refused(404, "Run nobody not found", "NotFound")
        yield

    platform.streams["watchRun"] = refuse
    with pytest.raises(KubernetesException, match="Error 404") as raised:
        mcli.wait_for_run_status("nobody", "RUNNING", future=True).result(5)
    assert raised.value.status is HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("wanted", ["UNKNOWN", "COMPLETE", RunStatus.UNKNOWN])
def test_waiting_for_what_is_no_status_says_what_is_one(wanted: str | RunStatus) -> None:
    with pytest.raises(ValueError, match=r"is not one of PENDING, .*FAILED"):
        mcli.wait_for_run_status("a", wanted)


def test_watching_yields_the_run_at_every_change(platform: ScriptedPlatform) -> None:
    there_is(platform, run_answer())
    said: Iterator[list[Any]] = iter([["PENDING", "RUNNING", DROP], ["RUNNING", "COMPLETED"]])
    platform.streams["watchRun"] = lambda _: told(*next(said))
    runs = list(mcli.watch_run_status("a"))
    assert [run.status.value for run in runs] == ["PENDING", "RUNNING", "COMPLETED"]
    assert {run.name for run in runs} == {"hello-abc123"}


# ------------------------------------------------------------------ clusters


def test_clusters_are_fetched_by_name(platform: ScriptedPlatform) -> None:
    platform.answers["getClusters"] = lambda variables: [
        {"id": name, "name": name} for name in variables["getClustersData"]["filters"]["name"]["in"]
    ]
    assert [each.name for each in mcli.get_clusters(["a", "b"])] == ["a", "b"]
    assert mcli.get_cluster("c").name == "c"
    platform.answers["getClusters"] = lambda _: []
    with pytest.raises(MAPIException, match="Cluster d not found"):
        mcli.get_cluster("d")


def test_many_threads_share_the_connections(platform: ScriptedPlatform) -> None:
    there_is(platform, run_answer())
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                mcli.get_run("a")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
