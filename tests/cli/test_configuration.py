"""What is submitted: files laid over each other, flags, single values; and every mistake said at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from tests.cli.conftest import Mcli

BASE = """\
name: base
image: bash
command: sleep 60
gpu_type: none
parameters:
  optimizer: {lr: 0.1, betas: [0.9, 0.99]}
  epochs: 3
"""


def write(mcli: Mcli, text: str, name: str = "base.yaml") -> str:
    (mcli.directory / name).write_text(text)
    return name


def planned(mcli: Mcli, *arguments: str) -> dict[str, object]:
    found = yaml.safe_load(mcli("run", "--dry-run", *arguments).stdout)
    return dict(found)


def test_a_dry_run_prints_the_final_configuration_and_where_it_would_run(mcli: Mcli) -> None:
    before = mcli("get", "runs", "-o", "name").stdout
    said = mcli("run", "-f", write(mcli, BASE), "--dry-run").stdout
    assert said.splitlines()[0].startswith("# on local: 1 node of ")
    assert said.splitlines()[1] == "# would start at once"
    found = yaml.safe_load(said)
    assert (found["compute"]["cluster"], found["scheduling"]["priority"]) == ("local", "auto")
    assert found["parameters"] == yaml.safe_load(BASE)["parameters"]
    assert mcli("get", "runs", "-o", "name").stdout == before


def test_what_is_printed_can_be_submitted(mcli: Mcli) -> None:
    said = mcli("run", "-f", write(mcli, BASE), "--dry-run").stdout
    assert mcli("run", "-f", "-", stdin=said).stdout.startswith("base-")


def test_compute_that_cannot_be_had_is_no_plan(mcli: Mcli) -> None:
    said = mcli("run", "-f", write(mcli, BASE), "--dry-run", "--nodes", "4000", code=1).stderr
    assert "cannot be had" in said


def test_any_value_can_be_set_as_yaml_by_its_path(mcli: Mcli) -> None:
    settings = (
        "parameters.optimizer.lr=0.01",
        "parameters.optimizer.betas[1]=0.95",
        "parameters.optimizer.betas.2=0.5",
        "parameters.tags=[a, b]",
        "parameters.new.deep=yes",
        "compute.cpus=1",
        "name=said",
    )
    found = planned(mcli, "-f", write(mcli, BASE), *(f"--set={setting}" for setting in settings))
    assert found["parameters"] == {
        "optimizer": {"lr": 0.01, "betas": [0.9, 0.95, 0.5]},
        "epochs": 3,
        "tags": ["a", "b"],
        "new": {"deep": True},
    }
    assert found["name"] == "said"


def test_files_are_merged_in_order_and_flags_come_last(mcli: Mcli) -> None:
    more = write(
        mcli, "name: more\ncompute: {gpu_type: none, nodes: 2}\nparameters: {epochs: 4}\n", "more.yaml"
    )
    found = planned(mcli, "-f", write(mcli, BASE), "-f", more, "--name", "flag", "--set", "name=set")
    assert found["name"] == "flag"
    assert found["parameters"] == {"optimizer": {"lr": 0.1, "betas": [0.9, 0.99]}, "epochs": 4}
    assert found["compute"]["nodes"] == 2  # type: ignore[index]


def test_a_later_answer_in_another_spelling_replaces_the_first(mcli: Mcli) -> None:
    old = write(mcli, "run_name: old\nplatform: nowhere\nentrypoint: train.py\ncpus: 4000\n", "old.yaml")
    found = planned(mcli, "-f", old, "-f", write(mcli, BASE), "--set", "compute.cluster=local", "--cpus", "1")
    assert (found["name"], found["command"], found["cpus"]) == ("base", "sleep 60", 1)


def test_a_clone_can_be_changed_anywhere(mcli: Mcli) -> None:
    original = mcli.submit("true", "original", parameters={"lr": 0.1, "epochs": 3})
    assert planned(mcli, "--clone", original, "--set", "parameters.lr=0.2")["parameters"] == {
        "lr": 0.2,
        "epochs": 3,
    }


def test_every_mistake_is_said_at_once_with_line_and_column(mcli: Mcli) -> None:
    text = """\
name: wrong
comand: echo
gpus: 8
compute:
  gpuz: 1
  nodes: two
scheduling: {priority: urgent, max_duration: -1, preemptible: perhaps}
env_variables: [{key: A, value: [1]}]
integrations:
- integration_type: git_rebo
- integration_type: git_repo
  git_brnch: main
"""
    said = mcli("run", "-f", write(mcli, text, "wrong.yaml"), "--dry-run", code=1).stderr
    assert said == (
        "mcli: 13 mistakes in the run configuration:\n"
        "  wrong.yaml:2:1: comand: unknown field; did you mean 'command'?\n"
        "  wrong.yaml:3:1: gpus: unknown field; did you mean 'compute.gpus'?\n"
        "  wrong.yaml:5:3: compute.gpuz: unknown field; did you mean 'compute.gpus'?\n"
        "  wrong.yaml:6:3: compute.nodes: expected a whole number, got 'two'\n"
        "  wrong.yaml:7:14: scheduling.priority: 'urgent' is not one of "
        "highest, high, medium, standard, default, auto, low, lowest\n"
        "  wrong.yaml:7:32: scheduling.max_duration: expected more than 0, got -1\n"
        "  wrong.yaml:7:50: scheduling.preemptible: expected true or false, got 'perhaps'\n"
        "  wrong.yaml:8:26: env_variables[0].value: expected text or a number or true or false, got [1]\n"
        "  wrong.yaml:10:3: integrations[0].integration_type: 'git_rebo' is not one of "
        "git_repo, pip_packages, apt_packages, wandb, comet_ml, mlflow; did you mean 'git_repo'?\n"
        "  wrong.yaml:11:3: integrations[1].git_repo: required\n"
        "  wrong.yaml:12:3: integrations[1].git_brnch: unknown field; "
        "did you mean 'integrations[1].git_branch'?\n"
        "  wrong.yaml: image: required\n"
        "  wrong.yaml: command: required (or entrypoint)\n"
    )
    assert "wrong-" not in mcli("get", "runs", "-o", "name").stdout


def test_a_mistake_is_blamed_on_who_made_it(mcli: Mcli) -> None:
    write(mcli, "compute: {nodes: x}\n", "second.yaml")
    said = mcli(
        "run", "-f", write(mcli, BASE), "-f", "second.yaml", "--set", "scheduling.priority=lo", code=1
    ).stderr
    assert "second.yaml:1:11: compute.nodes: expected a whole number" in said
    assert "--set scheduling.priority: scheduling.priority: 'lo' is not one of" in said


def test_what_is_no_field_of_ours_is_left_out_with_a_warning(mcli: Mcli) -> None:
    ended = mcli("run", "-f", write(mcli, BASE + "x-defaults: {a: 1}\n"), "--dry-run")
    assert ended.stderr == "mcli: warning: base.yaml:8:1: x-defaults: unknown field, ignored\n"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("parameters", "expected PATH=VALUE"),
        ("=1", "expected PATH=VALUE"),
        ("parameters[x]=1", "expected PATH=VALUE"),
        ("parameters.epochs.x=1", "there is no 'x' in 3"),
        ("parameters.optimizer.betas[7]=1", "7 is no place in a list of 2"),
        ("parameters.x={", "--set parameters.x, line 2"),
    ],
)
def test_a_setting_that_makes_no_sense_is_explained(mcli: Mcli, setting: str, message: str) -> None:
    assert message in mcli("run", "-f", write(mcli, BASE), "--set", setting, code=1).stderr


def test_a_number_that_yaml_takes_for_text_is_warned_about(mcli: Mcli) -> None:
    ended = mcli("run", "-f", write(mcli, BASE), "--dry-run", "--set", "parameters.lr=1e-4")
    assert "1e-4 is read as text, not as a number; write 1.0e-4" in ended.stderr


def test_a_restart_has_nothing_to_show(mcli: Mcli) -> None:
    assert "--dry-run" in mcli("run", "--restart", "any", "--dry-run", code=1).stderr


def test_the_schema_is_one_an_editor_can_use(offline: Mcli) -> None:
    found = json.loads(offline("schema").stdout)
    assert found["required"] == ["name", "image"]
    assert all(field["description"] for field in found["properties"].values())
