"""The schema of a run configuration says what client and server accept."""

from __future__ import annotations

from mapi.domain import submission
from mapi.scheduling import PRIORITIES
from mcli.models import config_schema, config_wire
from mcli.models.config_check import problems
from mcli.models.naming import snake
from mcli.models.run_config import RunConfig

FIELDS = config_schema.SCHEMA["properties"]


def snaked(names: object) -> set[str]:
    return {snake(name) for name in names}  # type: ignore[attr-defined]


def test_the_fields_are_those_of_a_run_configuration() -> None:
    assert set(FIELDS) == {*config_wire.FIELDS, "run_name", "platform"}


def test_nested_fields_priorities_and_integrations_are_those_of_the_server() -> None:
    assert set(FIELDS["compute"]["properties"]) == snaked(submission._COMPUTE)
    assert set(FIELDS["scheduling"]["properties"]) == snaked(submission._SCHEDULING) - {"priority_int"}
    assert list(PRIORITIES) == list(config_schema.PRIORITIES)
    assert set(config_schema.INTEGRATIONS) == set(submission.INTEGRATIONS)
    for kind, needed in submission.INTEGRATIONS.items():
        assert config_schema.INTEGRATIONS[kind][1] == ((snake(needed),) if needed else ())


def test_null_and_nothing_mean_not_said() -> None:
    values = {
        "name": "a",
        "image": "b",
        "command": "c",
        "compute": None,
        "gpu_num": 0,
        "scheduling": {"priority": None},
        "parameters": None,
    }
    assert problems(values) == []


def test_every_form_a_field_may_have_is_accepted() -> None:
    config = RunConfig(
        name="a",
        image="b",
        entrypoint="train.py",
        gpu_type="3090",
        compute={"gpus": 8, "node_names": ["n"]},
        scheduling={"max_duration": 0.5, "priority": "LOW"},
        integrations=[{"integration_type": "pip_packages", "packages": ["x"]}],
        env_variables={"B": "x"},
    )
    assert problems(config.to_dict()) == []
    assert problems({**config.to_dict(), "env_variables": [{"key": "A", "value": 1}, {"B": True}]}) == []
