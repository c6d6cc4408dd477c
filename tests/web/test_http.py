"""GraphQL over HTTP, as the published clients depend on it."""

import json
import math
import re
from typing import Any

import pytest

from mapi.domain.query import RunFilter, RunUpdate, Scope
from mapi.web import http
from mcli.models.run_status import RunStatus
from mcli.version import __version__
from tests.web.documents import DOCUMENTS
from tests.web.standin import KEY, Server, StandIn

CREATE = DOCUMENTS["createRun"]
PAGE = DOCUMENTS["getRunsPaginated"]


def configuration(**more: Any) -> dict[str, Any]:
    return {"runName": "hello", "image": "bash", "command": "echo hello", "cpus": 0, "compute": {}, **more}


def submitted(server: Server, **more: Any) -> dict[str, Any]:
    (run,) = server.data(CREATE, createRunData={"runInput": configuration(**more)})
    assert isinstance(run, dict)
    return run


def named(*names: str) -> dict[str, Any]:
    return {"filters": {"name": {"in": list(names)}}}


def test_a_created_run_comes_back_as_a_list_of_one(server: Server) -> None:
    run = submitted(server, metadata={"lr": 0.1})
    assert run["name"] == "hello-000000"
    assert run["status"] == "PENDING"
    assert run["createdByEmail"] == "ada@example.org"
    assert run["priority"] == "AUTO"
    assert run["details"]["metadata"] == {"lr": 0.1}
    assert run["details"]["originalRunInput"]["runName"] == "hello"


@pytest.mark.parametrize(
    "name", [name for name in DOCUMENTS if not DOCUMENTS[name].strip().startswith("sub")]
)
def test_every_operation_answers_with_a_list_except_the_page(server: Server, name: str) -> None:
    run = submitted(server)
    if name == "startRuns":
        server.data(DOCUMENTS["stopRuns"], getRunsData=named(run["name"]))
    only = named(run["name"])
    variables = {
        "createRunData": {"runInput": configuration()},
        "getRunsData": only,
        "getRunsPaginatedData": {**only, "includeDeleted": False, "limit": None},
        "updateRunData": {"priority": "low"},
        "updateRunMetadataData": {"metadata": {"a": 1}},
        "createRunEventData": {"runName": run["name"], "eventType": "CHECKPOINT_SAVED", "eventData": {}},
        "getClustersData": {"filters": {"allowedSubmissionTypes": {"has": "TRAINING"}}, "includeAll": False},
        "getAllUsersData": {"filters": {"email": {"in": ["ada@example.org"]}}},
        "getUsersData": {"filters": {}},
        "getOrganizationsData": {"filters": {}},
    }
    declared = re.findall(r"\$(\w+):", DOCUMENTS[name])
    value = server.data(DOCUMENTS[name], **{key: variables[key] for key in declared if key in variables})
    if name.startswith("getRunsPaginated"):
        value = value["runs"]
    assert isinstance(value, list)
    assert len(value) == 1


def test_moments_have_milliseconds_and_a_z(server: Server) -> None:
    run = submitted(server)
    assert run["createdAt"] == "2030-01-01T00:00:00.000Z"
    moments = re.findall(r'"(\d{4}-\d\d-\d\d[^"]*)"', json.dumps(server.data(PAGE, getRunsPaginatedData={})))
    assert len(moments) >= 3
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment) for moment in moments)


def test_a_missing_key_is_error_401_in_the_answer(server: Server) -> None:
    status, body = server.http("POST", "/graphql", json.dumps({"query": "{ __typename }"}).encode())
    answer = json.loads(body)
    assert status == 200
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"] == {"code": 401, "kind": "Unauthorized"}


def test_a_bearer_token_is_a_key(server: Server) -> None:
    body = json.dumps({"query": "{ __typename }"}).encode()
    assert server.post(body, Authorization=f"Bearer {KEY}") == {"data": {"__typename": "Query"}}


def test_a_body_that_is_not_json_is_refused_with_status_400(server: Server) -> None:
    status, body = server.http("POST", "/graphql", b"query { getRuns }", Authorization=KEY)
    assert status == 400
    assert json.loads(body)["errors"][0]["extensions"]["code"] == 400


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"query": "\xff"}', b'{"query": "\\ud800"}', b""])
def test_a_body_that_cannot_be_read_is_the_senders_error(server: Server, body: bytes) -> None:
    status, answer = server.http("POST", "/graphql", body, Authorization=KEY)
    assert status == 400
    assert json.loads(answer)["data"] is None


def test_a_body_without_a_query_says_what_a_request_is(server: Server) -> None:
    answer = server.post(b'{"variables": {}}')
    assert "query" in answer["errors"][0]["message"]
    assert answer["errors"][0]["extensions"] == {"code": 400, "kind": "BadRequest"}


def test_a_body_that_is_too_long_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_BODY", 100)
    status, body = server.http("POST", "/graphql", b" " * 101, Authorization=KEY)
    assert status == 400
    assert b"longer than 100 bytes" in body


def test_infinite_numbers_reach_the_run_and_come_back_as_their_names(
    server: Server, platform: StandIn
) -> None:
    run = submitted(server, parameters={"lr": math.inf, "loss": math.nan}, metadata={"best": -math.inf})
    assert platform.runs[0].spec.parameters["lr"] == math.inf
    assert run["details"]["originalRunInput"]["parameters"] == {"lr": "Infinity", "loss": "NaN"}
    assert run["details"]["metadata"] == {"best": "-Infinity"}


def test_numbers_of_any_size_survive(server: Server) -> None:
    run = submitted(server, parameters={"seed": 10**30, "text": "Zürich 🚀"})
    assert run["details"]["originalRunInput"]["parameters"] == {"seed": 10**30, "text": "Zürich 🚀"}


def test_unknown_keys_of_a_configuration_reach_the_platform_which_says_what_is_wrong(server: Server) -> None:
    code, kind, message = server.error(CREATE, createRunData={"runInput": configuration(comand="x")})
    assert (code, kind) == (400, "BadRunRequest")
    assert "did you mean command" in message


def test_a_field_that_is_missing_is_named_as_the_client_expects(server: Server) -> None:
    code, _, message = server.error(CREATE, createRunData={"runInput": {"runName": "x", "command": "y"}})
    assert code == 400
    assert "Bad run request" in message
    assert "image is a required field" in message


def test_the_same_idempotency_key_creates_one_run(server: Server, platform: StandIn) -> None:
    body = json.dumps(
        {"query": CREATE, "variables": {"createRunData": {"runInput": configuration()}}}
    ).encode()
    first = server.post(body, Idempotency_Key="once")
    assert server.post(body, Idempotency_Key="once") == first
    assert len(platform.runs) == 1
    server.post(body)
    assert len(platform.runs) == 2


def test_an_interactive_run_has_its_type(server: Server) -> None:
    (run,) = server.data(
        DOCUMENTS["createInteractiveRun"], createRunData={"runInput": configuration(), "seconds": 60}
    )
    assert run["runType"] == "INTERACTIVE"


CHANGES: dict[str, dict[str, Any]] = {
    "stopRuns": {},
    "startRuns": {},
    "deleteRuns": {},
    "updateRun": {"updateRunData": {"priority": "low"}},
    "updateRunMetadata": {"updateRunMetadataData": {"metadata": {"a": 1}}},
}


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize("filters", [{}, None, {"name": None}, {"name": {}}])
def test_a_change_of_no_run_in_particular_is_refused(server: Server, operation: str, filters: Any) -> None:
    run = submitted(server)
    code, _, message = server.error(
        DOCUMENTS[operation], getRunsData={"filters": filters}, **CHANGES[operation]
    )
    assert code == 400
    assert operation in message
    assert server.data(PAGE, getRunsPaginatedData={})["runs"][0]["status"] == run["status"]


@pytest.mark.parametrize("operation", CHANGES)
def test_a_change_of_an_unknown_run_is_error_404(server: Server, operation: str) -> None:
    code, kind, message = server.error(
        DOCUMENTS[operation], getRunsData=named("nobody"), **CHANGES[operation]
    )
    assert (code, kind) == (404, "NotFound")
    assert "nobody" in message


@pytest.mark.parametrize("operation", CHANGES)
def test_a_change_on_behalf_of_others_is_refused(server: Server, operation: str) -> None:
    data = {**named("x"), "entity": {"userIds": ["user-2"]}}
    code, _, message = server.error(DOCUMENTS[operation], getRunsData=data, **CHANGES[operation])
    assert code == 400
    assert "entity" in message


def test_runs_are_stopped_with_a_reason_started_again_updated_and_deleted(
    server: Server, platform: StandIn
) -> None:
    name = submitted(server)["name"]
    only = named(name)
    (stopped,) = server.data(DOCUMENTS["stopRuns"], getRunsData=only, stopRunsData={"reason": "enough"})
    assert stopped["status"] == "STOPPED"
    assert platform.runs[0].latest.reason == "enough"
    (started,) = server.data(DOCUMENTS["startRuns"], getRunsData=only)
    assert [item["executionIndex"] for item in started["resumptions"]] == [0, 1]
    server.data(DOCUMENTS["updateRun"], getRunsData=only, updateRunData={"maxDurationSeconds": 3600})
    assert platform.asked[-1] == ("update_runs", RunUpdate(max_duration_seconds=3600))
    (updated,) = server.data(
        DOCUMENTS["updateRunMetadata"], getRunsData=only, updateRunMetadataData={"metadata": {"a": [1]}}
    )
    assert updated["details"]["metadata"] == {"a": [1]}
    (deleted,) = server.data(DOCUMENTS["deleteRuns"], getRunsData=only)
    assert deleted["isDeleted"] is True
    assert server.data(PAGE, getRunsPaginatedData={})["runs"] == []
    assert len(server.data(PAGE, getRunsPaginatedData={"includeDeleted": True})["runs"]) == 1


def test_pages_follow_each_other_by_their_cursor(server: Server) -> None:
    for _ in range(3):
        submitted(server)
    first = server.data(PAGE, getRunsPaginatedData={"limit": 2})
    assert [run["name"] for run in first["runs"]] == ["hello-000002", "hello-000001"]
    assert first["hasNextPage"] is True
    second = server.data(PAGE, getRunsPaginatedData={"limit": 2, "cursor": first["cursor"]})
    assert [run["name"] for run in second["runs"]] == ["hello-000000"]
    assert second["hasNextPage"] is False


def test_runs_of_others_are_asked_for_by_entity_only(server: Server, platform: StandIn) -> None:
    server.data(PAGE, getRunsPaginatedData={})
    server.data(PAGE, getRunsPaginatedData={"entity": {"emails": ["bob@example.org"], "userIds": []}})
    scopes = [asked[2] for asked in platform.asked if asked[0] == "find_runs"]
    assert scopes == [None, Scope(emails=("bob@example.org",))]


def test_the_first_clients_filter_by_cluster_and_later_ones_by_cluster_name(
    server: Server, platform: StandIn
) -> None:
    for field in ("cluster", "clusterName"):
        server.data(DOCUMENTS["getRuns 0.3.0"], getRunsData={"filters": {field: {"in": ["lab"]}}})
        assert platform.asked[-1] == ("find_runs", RunFilter(clusters=("lab",)), None)


def test_history_is_read_only_where_it_is_asked_for(server: Server, platform: StandIn) -> None:
    submitted(server)
    server.data(DOCUMENTS["getRunsPaginated 0.5.34"], getRunsPaginatedData={})
    assert ("history",) not in platform.asked
    page = server.data(PAGE, getRunsPaginatedData={})
    assert ("history",) in platform.asked
    assert page["runs"][0]["details"]["lifecycle"][0]["status"] == "PENDING"
    assert page["runs"][0]["reason"] == "waiting for 2 CPUs on lab; 0 free"


def test_the_current_user_is_one_user_with_an_organization(server: Server) -> None:
    (user,) = server.data(DOCUMENTS["getUsers"], getUsersData={"filters": {}})
    assert user == {
        "id": "user-1",
        "name": "Ada",
        "email": "ada@example.org",
        "organizations": [{"id": "org-1", "name": "Engines", "isDatabricksInternal": False}],
    }


@pytest.mark.parametrize("version", ["getAllUsers 0.3.0", "getAllUsers 0.5.34", "getAllUsers"])
def test_every_version_may_ask_for_all_users(server: Server, version: str) -> None:
    data = (
        {} if "0.3.0" in version else {"getAllUsersData": {"filters": {}, "entity": {"organizationIds": "a"}}}
    )
    assert [user["email"] for user in server.data(DOCUMENTS[version], **data)] == ["ada@example.org"]


def test_clusters_are_filtered_by_name_and_by_what_they_take(server: Server) -> None:
    def names(**filters: Any) -> list[str]:
        return [
            item["name"]
            for item in server.data(DOCUMENTS["getClusters"], getClustersData={"filters": filters})
        ]

    assert names() == ["lab"]
    assert names(name={"in": ["lab"]}) == ["lab"]
    assert names(name={"in": ["other"]}) == []
    assert names(allowedSubmissionTypes={"has": "TRAINING"}) == ["lab"]
    assert names(allowedSubmissionTypes={"has": "INFERENCE"}) == []


def test_a_cluster_shows_who_uses_it_and_who_waits(server: Server) -> None:
    document = DOCUMENTS["getClusters with utilization"]
    (lab,) = server.data(document, getClustersData={"filters": {}})
    gpus, cpus = lab["utilization"]["instanceUtils"]
    assert (gpus["gpusUsed"], gpus["gpusAvailable"], gpus["gpusTotal"]) == (16, 0, 24)
    assert gpus["instance"]["gpuNums"] == [1, 2, 3, 4, 5, 6, 7, 8, 16, 24]
    assert cpus["instance"]["gpuType"] == "None"
    (active,) = lab["utilization"]["activeRunsByUser"]
    assert active["userName"] == "Ada"
    (queued,) = lab["utilization"]["queuedRunsByUser"]
    assert queued["reason"] == "waiting for 2 CPUs on lab; 0 free"


@pytest.mark.parametrize(
    "query",
    [
        "query ($x: GetInferenceDeploymentsInput!) "
        "{ getInferenceDeployments(getInferenceDeploymentsData: $x) { id name } }",
        "mutation ($x: CreateFinetuneInput!) { createFinetune(createFinetuneData: $x) { id name whatever } }",
    ],
)
def test_an_operation_that_is_not_available_is_named(server: Server, query: str) -> None:
    code, kind, message = server.error(query)
    assert (code, kind) == (501, "NotImplementedHere")
    assert re.search("getInferenceDeployments|createFinetune", message)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("{ getRuns(getRunsData: {}) { nam } }", "Did you mean 'name'"),
        ("{ getRuns(getRunsData: {filter: {}}) { id } }", "Did you mean 'filters'"),
        ("{ getRuns", "Syntax Error"),
        ("{ " + "a { " * 5000, "deeply"),
        ("#" * 70_000, "70000 characters"),
        ("fragment F on Run { id }", "never used"),
        ("query A { __typename } query B { __typename }", "A, B"),
        ("subscription { watchRunStatus(watchRunStatusInput: {name: \"x\"}) }", "WebSocket"),
        ("{ __schema { types { name } } getRuns(getRunsData: {}) { id } }", "send two"),
    ],
)  # fmt: skip
def test_a_document_that_is_wrong_is_error_400_and_says_why(server: Server, query: str, says: str) -> None:
    code, kind, message = server.error(query)
    assert (code, kind) == (400, "BadRequest")
    assert says in message


def test_a_variable_of_the_wrong_type_is_error_400_and_named(server: Server) -> None:
    code, _, message = server.error(PAGE, getRunsPaginatedData={"limit": "many"})
    assert code == 400
    assert "getRunsPaginatedData.limit" in message or "limit" in message
    assert "many" in message


def test_the_operation_to_perform_can_be_named(server: Server) -> None:
    body = {"query": "query A { a: __typename } query B { b: __typename }", "operationName": "B"}
    assert server.post(json.dumps(body).encode()) == {"data": {"b": "Query"}}


def test_the_schema_can_be_asked_for(server: Server) -> None:
    answer = server.ask('{ __schema { queryType { name } } __type(name: "Run") { kind } }')
    assert answer == {"data": {"__schema": {"queryType": {"name": "Query"}}, "__type": {"kind": "OBJECT"}}}


def test_an_error_nobody_foresaw_is_logged_and_its_details_stay_here(
    server: Server, platform: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    platform.failure = RuntimeError("the password is swordfish")
    assert server.error(PAGE, getRunsPaginatedData={}) == (500, "MAPIError", "Internal Server Error")
    assert "swordfish" in caplog.text
    assert "Traceback" in caplog.text


def test_other_methods_are_not_allowed(server: Server) -> None:
    assert server.http("GET", "/graphql")[0] == 405


def test_health_says_whether_calls_are_answered(server: Server, platform: StandIn) -> None:
    status, body = server.http("GET", "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ready", "version": __version__})
    platform.is_ready = False
    status, body = server.http("GET", "/healthz")
    assert (status, json.loads(body)["status"]) == (503, "unavailable")


def test_metrics_count_operations_and_what_the_platform_counts(server: Server, platform: StandIn) -> None:
    submitted(server)
    platform.metrics.runs.labels(RunStatus.QUEUED.value).set(3)
    platform.metrics.queue_length.labels("lab").set(2)
    status, body = server.http("GET", "/metrics")
    text = body.decode()
    assert status == 200
    assert 'mapi_api_seconds_count{operation="createRun"} 1.0' in text
    assert 'mapi_runs{status="QUEUED"} 3.0' in text
    assert 'mapi_queue_length{cluster="lab"} 2.0' in text
    assert "mapi_submit_to_start_seconds_count 0.0" in text
