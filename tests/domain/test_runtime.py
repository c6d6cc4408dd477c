"""The environment of a rank, and its parameters file."""

from typing import Any

import yaml

from mapi.domain.identity import IdSource, first_id, unique_name
from mapi.domain.parameters import parameters_yaml
from mapi.domain.runtime import rank_environment


def environment(**changes: Any) -> dict[str, str]:
    fields: dict[str, Any] = {
        "run_name": "a-1",
        "resumption": 2,
        "rank": 1,
        "nodes": 2,
        "gpus_per_node": 8,
        "master_addr": "host",
        "master_port": 7501,
        "parameters_path": "/mnt/config/parameters.yaml",
        "user": {},
    }
    return rank_environment(**{**fields, **changes})


def test_the_documented_variables_are_there() -> None:
    assert environment() == {
        "MOSAICML_PLATFORM": "true",
        "RUN_NAME": "a-1",
        "COMPOSER_RUN_NAME": "a-1",
        "RESUMPTION_INDEX": "2",
        "NUM_NODES": "2",
        "NODE_RANK": "1",
        "WORLD_SIZE": "16",
        "LOCAL_WORLD_SIZE": "8",
        "MASTER_ADDR": "host",
        "MASTER_PORT": "7501",
        "PARAMETERS": "/mnt/config/parameters.yaml",
    }


def test_ranks_without_gpus_count_as_one_worker_each() -> None:
    assert environment(gpus_per_node=0)["WORLD_SIZE"] == "2"


def test_the_users_variables_come_on_top() -> None:
    assert environment(user={"WORLD_SIZE": "1", "MINE": "x"})["WORLD_SIZE"] == "1"


def test_parameters_read_back_as_they_were_in_their_order() -> None:
    parameters = {"z": 1, "a": {"lr": 1e-4, "none": None, "text": "1e-4", "é": [True, "yes"]}}
    text = parameters_yaml(parameters)
    assert yaml.safe_load(text) == parameters
    assert text.index("z") < text.index("a:")


def test_ids_sort_by_time_even_when_the_clock_is_set_back() -> None:
    ids = IdSource()
    made = [ids.next(at) for at in (1000, 1000, 2000, 500)]
    assert made == sorted(made)
    assert [at for _, at in made] == [1000, 1000, 2000, 2000]
    assert made[1][0] < first_id(2000) <= made[2][0]


def test_names_are_unique_and_keep_what_was_written() -> None:
    names = {unique_name("hello") for _ in range(200)}
    assert len(names) == 200
    assert all(name.startswith("hello-") and len(name) == 12 for name in names)
