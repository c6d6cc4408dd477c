"""Asking what would become of a run, before it is one."""

from __future__ import annotations

import pytest

from mcli import (
    InstanceTypeUnavailable,
    RunConfig,
    RunConfigException,
    create_run,
    get_runs,
    plan_run,
    stop_run,
    wait_for_run_status,
)
from tests.conftest import PlatformOfTests


def config(gpus: int, **fields: object) -> RunConfig:
    return RunConfig(
        name="planned",
        image="bash",
        command="sleep 60",
        compute={"gpus": gpus},
        **fields,  # type: ignore[arg-type]
    )


def test_a_plan_is_the_completed_configuration_and_where_it_would_run(lab: PlatformOfTests) -> None:
    before = len(get_runs())
    planned = plan_run(config(16))
    assert (planned.cluster, planned.instance, planned.nodes, planned.gpus_per_node) == (
        "lab",
        "a100_80gb.8",
        2,
        8,
    )
    assert planned.starts_now
    assert (planned.reason, planned.position) == (None, None)
    assert planned.config.compute["gpu_type"] == "a100_80gb"
    assert planned.config.scheduling["priority"] == "auto"
    assert len(get_runs()) == before


def test_a_plan_says_what_the_run_would_wait_for_and_its_place_in_line(lab: PlatformOfTests) -> None:
    running = create_run(config(16))
    wait_for_run_status(running, "RUNNING", timeout=30)
    create_run(config(8))
    planned = plan_run(config(8, scheduling={"priority": "low"}))
    assert not planned.starts_now
    assert planned.position == 2
    assert planned.reason is not None and "8 GPUs" in planned.reason and "1 run ahead" in planned.reason
    assert plan_run(config(8, scheduling={"priority": "high"})).position == 1
    stop_run(running)


def test_a_plan_knows_whom_the_run_would_push_back(lab: PlatformOfTests) -> None:
    running = create_run(config(16, scheduling={"preemptible": True, "priority": "low"}))
    wait_for_run_status(running, "RUNNING", timeout=30)
    planned = plan_run(config(16, scheduling={"priority": "high"}))
    assert planned.reason is not None and "1 run ending to make room" in planned.reason
    assert running.refresh().status.value == "RUNNING"


def test_what_submitting_would_refuse_a_plan_refuses(lab: PlatformOfTests) -> None:
    with pytest.raises(InstanceTypeUnavailable, match="24 GPUs"):
        plan_run(config(24))
    with pytest.raises(RunConfigException, match="image is a required field"):
        plan_run(RunConfig(name="planned", command="true"))
    with pytest.raises(RunConfigException, match=r"did you mean compute\.gpus"):
        plan_run(RunConfig.from_wire({"runName": "a", "image": "b", "command": "c", "compute": {"gpuz": 1}}))
