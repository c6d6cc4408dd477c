"""What the inputs of the protocol mean, and how a wrong one is refused."""

from typing import Any

import pytest

from mapi.domain.errors import BadRequest
from mapi.domain.query import LogRequest, RunFilter, RunUpdate, Scope
from mapi.web.graphql import inputs
from mcli.models.run_status import RunStatus


def test_every_filter_of_the_protocol_is_understood() -> None:
    assert inputs.run_filter(
        {
            "id": {"in": ["1"]},
            "name": {"in": ["a", "b"]},
            "status": {"in": ["RUNNING", "FAILED_PULL"]},
            "clusterName": {"in": ["lab"]},
            "gpuType": {"in": ["A100_80GB", "None"]},
            "gpuNum": {"in": [8]},
            "runType": {"in": ["TRAINING"]},
            "createdAt": {"lt": "2030-01-02", "gte": "2030-01-01T00:00:00.5Z"},
            "endedAt": {"lt": "2030-01-01T02:00:00+02:00"},
        }
    ) == RunFilter(
        ids=("1",),
        names=("a", "b"),
        statuses=(RunStatus.RUNNING, RunStatus.FAILED_PULL),
        clusters=("lab",),
        gpu_types=("a100_80gb", "none"),
        gpu_nums=(8,),
        run_types=("TRAINING",),
        created_before=1_893_542_400_000,
        created_after=1_893_456_000_500,
        ended_before=1_893_456_000_000,
    )


def test_nulls_ask_for_nothing_and_an_empty_list_matches_nothing() -> None:
    assert inputs.run_filter(None) == RunFilter()
    assert inputs.run_filter({"name": None, "createdAt": {"lt": None}, "status": {}}) == RunFilter()
    assert inputs.run_filter({"name": {"in": []}}) == RunFilter(names=())


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"status": {"in": ["RUNING"]}}, "filters.status: 'RUNING' is not known; did you mean RUNNING?"),
        ({"runType": {"in": ["xyz"]}}, "filters.runType: 'xyz' is not known; accepted: TRAINING, "),
        ({"createdAt": {"lt": "yesterday"}}, "filters.createdAt.lt: 'yesterday' is no moment"),
        ({"endedAt": {"gte": 5}}, "filters.endedAt.gte: 5 is no moment"),
    ],
)
def test_a_filter_that_is_not_understood_names_field_and_value(filters: Any, says: str) -> None:
    with pytest.raises(BadRequest) as refused:
        inputs.run_filter(filters)
    assert says in refused.value.message


def test_an_entity_without_anybody_is_the_caller() -> None:
    assert inputs.scope(None) is None
    assert inputs.scope({"userIds": [], "emails": None}) is None
    assert inputs.scope({"organizationIds": ["o"]}) == Scope(organization_ids=("o",))


def test_an_update_changes_what_is_given() -> None:
    assert inputs.run_update({"preemptible": False, "priority": None}) == RunUpdate(preemptible=False)
    assert inputs.run_update({"maxRetries": 0}) == RunUpdate(max_retries=0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "changes nothing"),
        ({"maxRetries": -1}, "maxRetries must be a whole number, at least 0, not -1"),
        ({"maxDurationSeconds": 0}, "maxDurationSeconds must be a whole number, at least 1, not 0"),
    ],
)
def test_an_update_that_makes_no_sense_is_refused(data: Any, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        inputs.run_update(data)


def test_a_log_is_asked_for_by_name_alone() -> None:
    assert inputs.log_request({"name": "x", "containerName": "main", "offset": 0}) == LogRequest("x")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"offset": -1}, "offset must be a whole number, at least 0, not -1"),
        ({"offset": "3"}, "offset must be a whole number, at least 0, not '3'"),
        ({"tail": True}, "tail must be a whole number"),
        ({"containerName": "MODEL"}, "containerName: 'MODEL' is not known; a run has the container MAIN"),
        ({"globalGpuRank": 3}, "globalGpuRank: 3: logs are kept for each node"),
    ],
)
def test_a_log_that_cannot_be_had_is_refused(data: Any, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        inputs.log_request({"name": "x", **data})


@pytest.mark.parametrize("limit", [0, -5])
def test_a_page_has_at_least_one_run(limit: int) -> None:
    with pytest.raises(BadRequest, match=f"it was {limit}"):
        inputs.page_limit(limit)
