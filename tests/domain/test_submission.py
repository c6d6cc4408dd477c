"""A configuration is checked whole, and every problem is named in the user's words."""

from typing import Any

import pytest

from mapi.domain.errors import BadRunRequest
from mapi.domain.run import Compute
from mapi.domain.submission import parse_submission
from mcli.models.run_name import MAX_NAME, legal_name

MINIMAL = {"runName": "hello", "image": "bash", "command": "true"}


def problems(**changes: Any) -> list[str]:
    with pytest.raises(BadRunRequest) as caught:
        parse_submission({**MINIMAL, **changes})
    return caught.value.problems


def test_what_published_clients_send_for_a_minimal_run_is_enough() -> None:
    sent: dict[str, Any] = {
        **MINIMAL,
        "integrations": [],
        "envVariables": [],
        "parameters": {},
        "cpus": 0,
        "scheduling": {},
        "compute": {},
        "metadata": {},
        "dependentDeployment": {},
        "parentName": None,
    }
    spec = parse_submission(sent).spec
    assert (spec.name, spec.command, spec.compute) == ("hello", "true", Compute())


def test_all_missing_fields_are_named_at_once_as_the_clients_expect() -> None:
    with pytest.raises(BadRunRequest) as caught:
        parse_submission({})
    assert caught.value.message.startswith("Bad run request")
    for field in ("runName", "image", "command"):
        assert f"{field} is a required field" in caught.value.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gpuz": 1}, "did you mean gpu_num"),
        ({"compute": {"gpu": 8}}, "did you mean compute.gpus"),
        ({"scheduling": {"priorty": "low"}}, "did you mean scheduling.priority"),
        ({"compute": {"gpus": -1}}, "compute.gpus must be a whole number, at least 1, not -1"),
        ({"compute": {"nodes": "two"}}, "compute.nodes must be a whole number, at least 1, not 'two'"),
        ({"gpuNum": 8, "compute": {"gpus": 4}}, "gpus is given twice and differs"),
        (
            {"scheduling": {"maxDuration": 0}},
            "scheduling.max_duration must be a positive number of hours, not 0",
        ),
        ({"scheduling": {"preemptible": "yes"}}, "scheduling.preemptible must be true or false, not 'yes'"),
        ({"envVariables": [{"envKey": "1A", "envValue": "x"}]}, "'1A' is no name of a variable"),
        ({"envVariables": [{"key": "A", "value": "x"}]}, "env_variables[0] must have a key and a value"),
        ({"integrations": [{"type": "gitrepo"}]}, "did you mean git_repo?"),
        ({"integrations": [{"type": "git_repo", "params": {}}]}, "git_repo is missing"),
        ({"parameters": [1]}, "parameters must be a mapping"),
        ({"command": "x" * 200_000}, "command is longer than the 131071 bytes"),
        ({"command": "a\0b"}, "command holds a NUL character"),
        ({"command": "true", "entrypoint": "train.py"}, "command and entrypoint exclude each other"),
        ({"runName": "My_Run!"}, "for example 'my-run'"),
        ({"runName": "a" * 58}, f"at most {MAX_NAME} characters"),
        ({"dependentDeployment": {"image": "x"}}, "dependent_deployment is not supported"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_what_is_accepted(
    changes: dict[str, Any], said: str
) -> None:
    assert any(said in problem for problem in problems(**changes)), problems(**changes)


def test_flat_and_nested_compute_are_one() -> None:
    flat = parse_submission({**MINIMAL, "gpuType": 3090, "gpuNum": 2, "cluster": "lab"}).spec.compute
    nested = parse_submission(
        {**MINIMAL, "compute": {"gpuType": "3090", "gpus": 2, "cluster": "lab"}}
    ).spec.compute
    assert flat == nested == Compute(cluster="lab", gpus=2, gpu_type="3090")


def test_zero_gpus_in_compute_means_none_and_not_unsaid() -> None:
    assert parse_submission({**MINIMAL, "compute": {"gpus": 0}}).spec.compute.gpus == 0


def test_max_duration_is_hours() -> None:
    sent = {**MINIMAL, "scheduling": {"maxDuration": 1.5, "maxRetries": 3, "retryOnSystemFailure": True}}
    scheduling = parse_submission(sent).spec.scheduling
    assert (scheduling.max_duration_seconds, scheduling.max_retries) == (5400, 3)
    assert scheduling.retry_on_system_failure


def test_an_entrypoint_is_a_composer_command() -> None:
    sent = {"runName": "a", "image": "b", "command": "", "entrypoint": "train.py"}
    assert parse_submission(sent).spec.command == "composer train.py -f /mnt/config/parameters.yaml"


@pytest.mark.parametrize("name", ["My_Run!", "-x-", "", "llama3.1-70b", "é" * 80, "a" * 80])
def test_the_suggested_name_is_itself_accepted(name: str) -> None:
    parse_submission({**MINIMAL, "runName": legal_name(name)})
