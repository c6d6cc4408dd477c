"""Creating a run, as the public page describes it."""

import copy
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from mcli.api.exceptions import InstanceTypeUnavailable, MAPIException, RunConfigException
from mcli.api.kube import runs as kube_runs
from mcli.api.runs import Run, RunConfig, RunStatus, create_run, get_run_logs, get_runs, wait_for_run_status
from tests.conftest import PlatformOfTests

HELLO = """\
name: hello-world
image: bash
command: echo "Hello World!"
gpu_type: none
"""


def test_a_run_is_created_from_a_file(
    machine: PlatformOfTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hello_world.yaml").write_text(HELLO)

    run_config = RunConfig.from_file("hello_world.yaml")
    created_run = create_run(run_config)

    wait_for_run_status(created_run, "COMPLETED", timeout=20)
    assert get_run_logs(created_run) == "Hello World!\n"


def test_a_run_is_created_from_python(machine: PlatformOfTests) -> None:
    cluster = "local"
    run_config = RunConfig(
        name="hello-world",
        image="bash",
        command='echo "Hello World!" && sleep 60',
        gpu_type="none",
        cluster=cluster,
    )
    created_run = create_run(run_config)

    wait_for_run_status(created_run, RunStatus.RUNNING, timeout=20)
    for line in kube_runs.follow_run_logs(created_run):
        assert line == "Hello World!"
        break
    kube_runs.stop_run(created_run)


def test_a_loaded_configuration_is_modified_before_it_is_run(
    lab: PlatformOfTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base_config.yaml").write_text("name: special\nimage: bash\ncommand: 'true'\n")

    special_config = RunConfig.from_file("base_config.yaml")
    special_config.gpus = 8
    created_run = create_run(special_config)

    assert wait_for_run_status(created_run, "COMPLETED", timeout=20).gpus == 8


def test_a_parameter_sweep_creates_different_runs(
    machine: PlatformOfTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base_config.yaml").write_text(
        "name: sweep\nimage: bash\ncommand: cat $PARAMETERS\ngpu_type: none\n"
    )
    config = RunConfig.from_file("base_config.yaml")
    created = []

    params = {"optimizers": {"sgd": {"lr": 1.0}}}
    for lr in (0.1, 0.01, 0.001):
        new_params = copy.deepcopy(params)
        new_params["optimizers"]["sgd"]["lr"] = lr
        config.parameters = new_params
        created_run = create_run(config)
        created.append(created_run)

    assert len({run.name for run in created}) == 3
    for run, lr in zip(created, (0.1, 0.01, 0.001), strict=True):
        wait_for_run_status(run, "COMPLETED", timeout=20)
        assert get_run_logs(run) == f"optimizers:\n  sgd:\n    lr: {lr}\n"
        assert run.config.parameters["optimizers"]["sgd"]["lr"] == lr
    assert params["optimizers"]["sgd"]["lr"] == 1.0


def test_a_created_run_has_the_data_of_its_launch_and_its_configuration(machine: PlatformOfTests) -> None:
    before = time.time()
    variables = [{"key": "A", "value": "1"}]
    run = create_run(RunConfig(name="data", image="bash", command="true", env_variables=variables))
    assert isinstance(run, Run)
    assert isinstance(run.run_uid, str)
    assert run.name.startswith("data-")
    assert isinstance(run.status, RunStatus)
    assert before - 1 < run.created_at.timestamp() < time.time() + 1
    assert run.updated_at >= run.created_at
    assert (run.config.name, run.config.image, run.config.command) == ("data", "bash", "true")
    assert run.submitted_config is not None
    ended = wait_for_run_status(run, "COMPLETED", timeout=20)
    assert ended.started_at is not None
    assert ended.completed_at is not None
    assert ended.started_at <= ended.completed_at


def test_the_run_is_persisted_before_the_call_returns(machine: PlatformOfTests) -> None:
    run = create_run(RunConfig(name="persisted", image="bash", command="sleep 60"))
    machine.kill()
    assert [found.name for found in get_runs([run.name])] == [run.name]
    kube_runs.stop_run(run)


def test_deprecated_arguments_are_accepted(machine: PlatformOfTests) -> None:
    config = RunConfig(name="old", image="bash", command="true")
    run = kube_runs.create_run(config, 10, False, "low", kube_runs.MCLIJobType.RUN)
    assert run.name.startswith("old-")
    assert run.priority.lower() == "low"


def test_a_future_is_returned_at_once(machine: PlatformOfTests) -> None:
    future = create_run(RunConfig(name="later", image="bash", command="true"), future=True)
    assert isinstance(future, Future)
    assert future.result(timeout=20).name.startswith("later-")


def test_an_impossible_instance_is_refused_with_what_there_is(lab: PlatformOfTests) -> None:
    config = RunConfig(name="big", image="bash", command="true", gpu_type="h100_80gb", gpu_num=8)
    with pytest.raises(InstanceTypeUnavailable, match="a100_80gb"):
        create_run(config)
    config = RunConfig(name="big", image="bash", command="true", gpu_type="a100_80gb", gpu_num=800)
    with pytest.raises(InstanceTypeUnavailable, match="800"):
        create_run(config)


def test_a_run_without_enough_details_is_refused_by_the_names_of_what_is_missing(
    machine: PlatformOfTests,
) -> None:
    with pytest.raises(RunConfigException, match="name") as caught:
        create_run(RunConfig(command="true"))
    assert "image" in str(caught.value)
    assert isinstance(caught.value, MAPIException)
    assert not [run for run in get_runs() if run.config.command == "true" and not run.config.image]


def test_the_configuration_takes_every_field_in_the_order_of_the_page() -> None:
    names = (
        "run_name name gpu_type gpu_num cpus platform cluster image partitions optimization_level "
        "integrations env_variables scheduling command parameters entrypoint"
    ).split()
    values: list[Any] = [*"rn n t 1 2 c c i".split(), ["p"], 1, [], [], {}, "c", {"p": 1}, ""]
    config = RunConfig(*values)
    for name, value in zip(names, values, strict=True):
        assert getattr(config, name) == ("n" if name == "run_name" else value), name


def test_older_spellings_are_accepted(machine: PlatformOfTests) -> None:
    config = RunConfig(
        run_name="spelled",
        platform="local",
        image="bash",
        command="true",
        partitions=["x"],
        optimization_level=1,
    )
    run = create_run(config)
    assert run.name.startswith("spelled-")
    assert run.cluster == "local"
