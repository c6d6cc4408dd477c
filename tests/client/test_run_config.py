from __future__ import annotations

import copy
import pickle
import warnings
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from mcli import RunConfig
from mcli.api.exceptions import MCLIException, MCLIRunConfigValidationError

REAL_CONFIGS = sorted((Path(__file__).parents[3] / "shared" / "real-configs").glob("*.yaml"))


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_positional_order_is_the_one_users_know() -> None:
    config = RunConfig(
        "old-name",
        None,
        "a100_80gb",
        8,
        4,
        "old-cluster",
        None,
        "bash",
        ["p"],
        1,
        [],
        [],
        {},
        "true",
        {"a": 1},
    )
    assert (config.name, config.gpu_type, config.gpu_num, config.cpus) == ("old-name", "a100_80gb", 8, 4)
    assert (config.cluster, config.image, config.partitions) == ("old-cluster", "bash", ["p"])
    assert (config.optimization_level, config.command, config.parameters) == (1, "true", {"a": 1})


def test_what_is_not_given_is_empty_and_not_shared() -> None:
    config, other = RunConfig(), RunConfig.empty()
    assert config.integrations == config.env_variables == []
    assert config.parameters == config.scheduling == config.compute == config.metadata == {}
    assert config.command == config.entrypoint == ""
    config.parameters["lr"] = 1
    assert other.parameters == {}


def test_older_names_are_the_same_field_and_the_newer_name_wins() -> None:
    config = RunConfig(run_name="old", name="new", platform="there", cluster="here")
    assert (config.name, config.run_name) == ("new", "new")
    assert (config.cluster, config.platform) == ("here", "here")
    config.run_name, config.platform = "other", "elsewhere"
    assert (config.name, config.cluster) == ("other", "elsewhere")


def test_setting_gpus_asks_for_so_many_whatever_the_file_said(tmp_path: Path) -> None:
    config = RunConfig.from_file(written(tmp_path, "name: a\ngpu_num: 2\ncompute: {gpus: 4, cluster: c}"))
    config.gpus = 8
    assert config.gpus == 8
    assert config.to_wire()["compute"] == {"gpus": 8, "cluster": "c"}
    assert "gpuNum" not in config.to_wire()


def test_gpus_nodes_and_instance_are_read_from_compute() -> None:
    config = RunConfig(gpu_num=3)
    assert config.gpus == 3
    config.nodes, config.instance = 2, "big"
    assert config.compute == {"nodes": 2, "instance": "big"}
    config.nodes = None
    assert (config.nodes, config.instance) == (None, "big")


def test_setting_gpus_does_not_change_a_configuration_that_shares_the_block() -> None:
    block = {"gpus": 1}
    config, other = RunConfig(compute=block), RunConfig(compute=block)
    config.gpus = 8
    assert (other.gpus, block) == (1, {"gpus": 1})


def test_a_mistyped_attribute_is_warned_about_with_a_suggestion() -> None:
    with pytest.warns(UserWarning, match=r"no field 'gpuz'.*did you mean 'gpus'\?"):
        RunConfig().gpuz = 8
    with pytest.warns(UserWarning, match=r"did you mean 'scheduling.max_retries'\?"):
        RunConfig().max_retries = 8


def test_a_mistyped_key_is_warned_about_and_sent_all_the_same() -> None:
    with pytest.warns(UserWarning, match=r"Unknown field 'compute.gpuz'; did you mean 'gpus'\?"):
        config = RunConfig(compute={"gpuz": 8})
    assert config.to_wire() == {"compute": {"gpuz": 8}}


def test_a_numeric_gpu_type_is_text() -> None:
    assert RunConfig(gpu_type=3090).gpu_type == "3090"


@pytest.mark.parametrize(
    "variables",
    [
        {"A": 1, "B": "two"},
        [{"key": "A", "value": 1}, {"key": "B", "value": "two"}],
        [{"A": "1"}, {"B": "two"}],
        [{"A": "1", "B": "two"}],
    ],
)
def test_every_form_of_environment_variables_asks_for_the_same(variables: Any) -> None:
    config = RunConfig(env_variables=variables)
    assert config.to_wire()["envVariables"] == [
        {"envKey": "A", "envValue": "1"},
        {"envKey": "B", "envValue": "two"},
    ]
    assert config == RunConfig(env_variables={"A": "1", "B": "two"})


@pytest.mark.parametrize("variables", ["A=1", ["A=1"], [{"A": ["x"]}], 3])
def test_environment_variables_of_another_form_are_refused(variables: Any) -> None:
    with pytest.raises(MCLIRunConfigValidationError, match=r"env_variables.*expected \{NAME: value\}"):
        RunConfig(env_variables=variables).to_wire()


def test_only_what_is_said_is_sent() -> None:
    config = RunConfig(name="a", image="bash", command="true", gpu_num=0, compute={}, scheduling=None)
    assert config.to_wire() == {"runName": "a", "image": "bash", "command": "true"}


def test_nested_blocks_travel_in_camel_case() -> None:
    config = RunConfig(
        compute={"gpu_type": "t4", "node_names": ["n1"], "cluster": None},
        scheduling={
            "max_retries": 3,
            "retry_on_system_failure": True,
            "max_duration": 1.5,
            "preemptible": False,
        },
        integrations=[{"integration_type": "git_repo", "git_repo": "a/b", "pip_install": "-e ."}],
    )
    assert config.to_wire() == {
        "compute": {"gpuType": "t4", "nodeNames": ["n1"]},
        "scheduling": {
            "maxRetries": 3,
            "retryOnSystemFailure": True,
            "maxDuration": 1.5,
            "preemptible": False,
        },
        "integrations": [{"type": "git_repo", "params": {"gitRepo": "a/b", "pipInstall": "-e ."}}],
    }


def test_a_dependent_deployment_travels_in_camel_case_with_its_variables() -> None:
    config = RunConfig(
        dependent_deployment={"image": "i", "env_variables": {"A": "1"}, "model": {"max_len": 3}}
    )
    sent = config.to_wire()["dependentDeployment"]
    assert sent == {
        "image": "i",
        "envVariables": [{"envKey": "A", "envValue": "1"}],
        "model": {"maxLen": 3},
    }
    assert RunConfig.from_wire(config.to_wire()) == config


@pytest.mark.parametrize("integrations", [{"git_repo": "a/b"}, ["git_repo"], [{"git_repo": "a/b"}]])
def test_an_integration_that_does_not_say_its_type_is_refused(integrations: Any) -> None:
    with pytest.raises(MCLIRunConfigValidationError, match="integrations"):
        RunConfig(integrations=integrations).to_wire()


def test_an_entrypoint_is_run_by_the_launcher_with_the_parameters() -> None:
    wire = RunConfig(entrypoint="train.py").to_wire()
    assert wire == {"command": "composer train.py -f /mnt/config/parameters.yaml"}


def test_a_command_and_an_entrypoint_exclude_each_other() -> None:
    with pytest.raises(MCLIRunConfigValidationError, match="command and entrypoint are both given"):
        RunConfig(command="true", entrypoint="train.py").to_wire()


def test_what_is_sent_shares_nothing_with_the_configuration() -> None:
    config = RunConfig(parameters={"optimizers": {"sgd": {"lr": 0.1}}})
    before = copy.deepcopy(config)
    config.to_wire()["parameters"]["optimizers"]["sgd"]["lr"] = 5
    assert config == before


def test_parameters_may_hold_what_yaml_and_numerical_libraries_make() -> None:
    class Scalar:
        def tolist(self) -> float:
            return 0.5

    class Kind(Enum):
        A = "a"

    config = RunConfig(
        parameters={
            "day": date(2026, 1, 31),
            "x": Scalar(),
            "path": Path("/tmp/a"),
            "t": (1, None),
            "k": Kind.A,
        }
    )
    assert config.to_wire()["parameters"] == {
        "day": "2026-01-31",
        "x": 0.5,
        "path": "/tmp/a",
        "t": [1, None],
        "k": "a",
    }


def test_a_value_that_cannot_be_sent_is_named() -> None:
    with pytest.raises(
        MCLIRunConfigValidationError, match=r"parameters\.a\[1\]\.f: a function cannot be sent"
    ):
        RunConfig(parameters={"a": [0, {"f": lambda: 1}]}).to_wire()


def test_the_configuration_of_a_platform_is_read_back() -> None:
    config = RunConfig(
        name="a",
        image="bash",
        command="echo\necho 2",
        gpu_type="t4",
        gpu_num=2,
        compute={"nodes": 1, "node_names": ["n"]},
        scheduling={"priority": "low", "max_duration": 0.5},
        env_variables={"A": "1"},
        integrations=[{"integration_type": "pip_packages", "packages": ["x"]}],
        parameters={"a": {"b": None}, "camelCase": 1, "snake_case": 2},
        metadata={"k": "v"},
        parent_name="p",
    )
    assert RunConfig.from_wire(config.to_wire()) == config
    assert RunConfig.from_wire(config.to_wire()).parameters == config.parameters


def test_what_means_not_said_on_the_wire_is_not_said_here() -> None:
    wire: dict[str, Any] = {
        "runName": "a",
        "cpus": 0,
        "gpuNum": 0,
        "compute": {},
        "scheduling": None,
        "entrypoint": "",
    }
    assert RunConfig.from_wire({**wire, "run_id": "x", "optimizationLevel": 0}) == RunConfig(name="a")


@pytest.mark.skipif(not REAL_CONFIGS, reason="the published configurations are not here")
@pytest.mark.parametrize("file", REAL_CONFIGS, ids=lambda file: file.stem)
def test_a_published_configuration_is_read_sent_and_written_without_loss(file: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = RunConfig.from_file(file)
        assert config.name and config.image and config.command
        assert RunConfig.from_wire(config.to_wire()) == config
        copied = tmp_path / "copy.yaml"
        config.to_file(copied)
        assert RunConfig.from_file(copied) == config


def test_text_of_several_lines_is_written_as_a_block_and_empty_fields_not_at_all() -> None:
    config = RunConfig(
        name="a", command="echo 1\necho 2\n", compute={"gpus": 8}, parameters={"x": None, "ü": [1, 2]}
    )
    assert str(config) == (
        "name: a\ncompute:\n  gpus: 8\ncommand: |\n  echo 1\n  echo 2\n"
        "parameters:\n  x: null\n  ü:\n  - 1\n  - 2\n"
    )


@pytest.mark.parametrize(
    "text", ["a\n", "a \nb", "a\tb\nc", " x\ny", "trailing\n\n", "#no\ncomment", "\n", "é\r\nx"]
)
def test_any_text_survives_being_written(tmp_path: Path, text: str) -> None:
    config = RunConfig(name="a", parameters={"text": text})
    assert RunConfig.from_file(written(tmp_path, str(config))).parameters == {"text": text}


def test_a_number_that_yaml_reads_as_text_is_warned_about_with_its_place_and_the_fix(tmp_path: Path) -> None:
    file = written(
        tmp_path, "name: a\nparameters:\n  optimizer:\n    lrs:\n    - 1e-4\n    - '1e-5'\n    - 1.0e-3\n"
    )
    with pytest.warns(UserWarning) as caught:
        config = RunConfig.from_file(file)
    assert len(caught) == 1
    assert "line 5: parameters.optimizer.lrs[0]: 1e-4 is read as text" in str(caught[0].message)
    assert "write 1.0e-4" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert config.parameters["optimizer"]["lrs"] == ["1e-4", "1e-5", 0.001]


def test_an_unknown_field_is_warned_about_and_left_out(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"Unknown field 'comand' is ignored; did you mean 'command'\?"):
        config = RunConfig.from_file(written(tmp_path, "name: a\ncomand: true"))
    assert config == RunConfig(name="a")
    with pytest.warns(UserWarning, match=r"did you mean 'compute.gpus'\?"):
        RunConfig.from_dict({"gpus": 8})


def test_empty_blocks_are_not_said(tmp_path: Path) -> None:
    text = "name: a\ncompute:\nscheduling:\nparameters:\nintegrations:\nenv_variables:\ncommand:\ngpu_num:\n"
    assert RunConfig.from_file(written(tmp_path, text)) == RunConfig(name="a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("- a\n", "expected a mapping such as 'name: my-run', found a list"),
        ("name: a\ncommand: [\n", "line 3"),
        ("name: a\n\tb: c\n", "line 2"),
        ("name: a\n---\nname: b\n", "line 2"),
        ("name: a\nparameters: &all {x: *all}\n", "contains itself"),
        ("compute: 8\n", "compute: expected a mapping, got 8"),
        ("integrations: git\n", "integrations: expected a list, got 'git'"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name_and_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(MCLIException) as raised:
        RunConfig.from_file(written(tmp_path, text))
    assert message in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(MCLIException, match=r"nowhere\.yaml: no such file"):
        RunConfig.from_file(tmp_path / "nowhere.yaml")
    with pytest.raises(MCLIException, match="Is a directory"):
        RunConfig.from_file(tmp_path)
    (tmp_path / "binary").write_bytes(b"name: \xff")
    with pytest.raises(MCLIException, match="not a text file"):
        RunConfig.from_file(tmp_path / "binary")


def test_a_configuration_can_be_copied_and_pickled() -> None:
    config = RunConfig(name="a", parameters={"x": {"y": 1}})
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config
    clone = copy.deepcopy(config)
    clone.parameters["x"]["y"] = 2
    assert config.parameters == {"x": {"y": 1}}
    assert clone != config
