"""What is sent is what a GraphQL executor would have sent, for every document a client has."""

import math
from typing import Any

import pytest
from graphql import ExecutionResult, execute_sync, parse

from mapi.web.graphql import wire, wire_clusters
from mapi.web.graphql.documents import document, root_fields, schema, unavailable_operations
from mapi.web.graphql.projection import TYPENAME, IncompleteValue, finite
from mapi.web.graphql.resolvers import RESOLVERS, SOURCES
from tests.web.documents import DOCUMENTS, EXTRAS
from tests.web.samples import ADA, ORGANIZATION, cluster, retried, waiting

VARIABLES: dict[str, Any] = {
    "createRunData": {"runInput": {}},
    "getRunsData": {"filters": {}},
    "getRunsPaginatedData": {"filters": {}},
    "updateRunData": {},
    "updateRunMetadataData": {"metadata": {}},
    "createRunEventData": {"runName": "x", "eventType": "y"},
    "getRunLogsInput": {"name": "x"},
    "watchRunStatusInput": {"name": "x"},
    "getClustersData": {"filters": {}},
    "getAllUsersData": {"filters": {}},
    "getUsersData": {"filters": {}},
    "getOrganizationsData": {"filters": {}},
}


def values() -> dict[str, Any]:
    """What each root field resolves to, in full."""
    runs = [
        wire.run_wire(run, email=ADA.email, reason=run.latest.reason, history=history)
        for run, history in (retried(), waiting())
    ]
    _, history = retried()
    users = [wire_clusters.user_wire(ADA, [ORGANIZATION])]
    return {
        **dict.fromkeys(
            "createRun createInteractiveRun getRuns stopRuns startRuns deleteRuns updateRun "
            "updateRunMetadata".split(),
            runs,
        ),
        "getRunsPaginated": {"cursor": "next", "hasNextPage": True, "runs": runs},
        "createRunEvent": [wire.event_wire(history[-1])],
        "getRunLogs": "aGVsbG8=",
        "getRunLogsV2": {"chunk": "aGVsbG8=", "endOffset": 5_000_000_000},
        "watchRunStatus": "RUNNING",
        "getClusters": [wire_clusters.cluster_wire(cluster(), utilization=True)],
        "getAllUsers": users,
        "getUsers": users,
        "getAllOrganizations": [wire_clusters.organization_wire(ORGANIZATION)],
    }


def projected(text: str) -> dict[str, Any]:
    checked = document(text)
    operation = checked.operation(None)
    return {
        root.field.key: operation.operation.value.capitalize()
        if root.field.name == TYPENAME
        else root.field.project(values()[root.field.name])
        for root in checked.roots(operation, VARIABLES)
    }


@pytest.mark.parametrize("text", [*DOCUMENTS.values(), *EXTRAS.values()], ids=[*DOCUMENTS, *EXTRAS])
def test_the_projection_sends_what_a_graphql_executor_would_send(text: str) -> None:
    reference = execute_sync(
        schema(),
        parse(text.replace("GetAllUsersInput", "GetUsersInput")),
        root_value=values(),
        variable_values=VARIABLES,
    )
    assert isinstance(reference, ExecutionResult)
    assert reference.errors is None
    assert projected(text) == reference.data


def test_every_operation_of_the_schema_is_performed_or_says_that_it_is_not() -> None:
    assert set(RESOLVERS) | set(SOURCES) | unavailable_operations() == set(root_fields())
    assert not (set(RESOLVERS) | set(SOURCES)) & unavailable_operations()


def test_the_wire_values_hold_every_field_of_the_schema() -> None:
    def check(type_name: str, value: Any) -> None:
        fields = schema().type_map[type_name].fields  # type: ignore[attr-defined]
        assert set(value) == set(fields), type_name

    run = values()["getRuns"][0]
    check("Run", run)
    check("Resumption", run["resumptions"][0])
    check("RunDetails", run["details"])
    check("LifecycleEntry", run["details"]["lifecycle"][0])
    check("RunNode", run["details"]["nodes"][0])
    check("FormattedRunEvent", run["details"]["formattedRunEvents"][0])
    check("ExecutionStatusUpdates", run["executionsStatusUpdates"][0])
    lab = values()["getClusters"][0]
    check("Cluster", lab)
    check("Instance", lab["allowedInstances"][0])
    check("Utilization", lab["utilization"])
    check("RunUtilization", lab["utilization"]["activeRunsByUser"][0])
    check("InstanceUtilization", lab["utilization"]["instanceUtils"][0])
    check("ClusterInstanceUtilization", lab["utilization"]["clusterInstanceUtils"][0])


@pytest.mark.parametrize("broken", [{"status": None}, {"resumptions": [None]}])
def test_a_null_where_the_schema_promises_a_value_is_an_error(broken: dict[str, Any]) -> None:
    (root,) = document(DOCUMENTS["getRunsPaginated"]).roots(
        document(DOCUMENTS["getRunsPaginated"]).operation(None), VARIABLES
    )
    run = values()["getRuns"][0] | broken
    with pytest.raises(IncompleteValue):
        root.field.project({"cursor": None, "hasNextPage": False, "runs": [run]})


def test_a_field_that_a_resolver_forgot_is_an_error() -> None:
    (root,) = document(DOCUMENTS["watchRunStatus"]).roots(
        document(DOCUMENTS["watchRunStatus"]).operation(None), VARIABLES
    )
    with pytest.raises(IncompleteValue):
        root.field.project(None)
    (root,) = document(EXTRAS["an alias"]).roots(document(EXTRAS["an alias"]).operation(None), VARIABLES)
    with pytest.raises(KeyError):
        root.field.project([{}])


def test_numbers_json_has_no_form_for_are_sent_as_their_names() -> None:
    value = {"a": [math.nan, 1.5, {"b": -math.inf}], "c": math.inf, "d": (True, None)}
    assert finite(value) == {"a": ["NaN", 1.5, {"b": "-Infinity"}], "c": "Infinity", "d": [True, None]}


def test_a_document_is_checked_once() -> None:
    assert document(DOCUMENTS["getRuns 0.3.0"]) is document(DOCUMENTS["getRuns 0.3.0"])
