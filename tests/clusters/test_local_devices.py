from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mapi.clusters.base import RankExited
from mapi.clusters.local.settings import LocalSettings, PretendNode
from tests.clusters.local_stage import (
    stage_in,
)
from tests.clusters.suite import Stage, play

PRETEND = LocalSettings(pretend=(PretendNode("box", gpu_type="h100_80gb", gpus=4, cpus=16),))


@pytest.fixture
def pretending(tmp_path: Path) -> Callable[[], Stage]:
    return lambda: stage_in(tmp_path, PRETEND)


def test_gpus_are_exclusive_and_come_back(pretending: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        show = "echo $CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES $WORLD_SIZE; sleep 1000"
        pair = await stage.launch(show, nodes=2, gpus=1)
        more = await stage.launch(show, gpus=2)
        none = await stage.launch('echo "[$CUDA_VISIBLE_DEVICES]" $NVIDIA_VISIBLE_DEVICES; sleep 1000')
        for launch, rank, expected in [
            (pair, 0, b"0 0 2\n"),
            (pair, 1, b"1 1 2\n"),
            (more, 0, b"2,3 2,3 2\n"),
            (none, 0, b"[] void\n"),
        ]:
            await stage.logged(launch, b"\n", rank)
            assert stage.read_log(launch.execution, rank) == expected
        refused = await stage.failed(await stage.launch(show, gpus=1))
        assert refused.system
        assert refused.reason == "1 GPUs of node box asked for, 0 of 4 free"
        await stage.restart()
        await stage.failed(await stage.launch(show, gpus=1))
        await stage.cluster.adopt(more)
        await stage.cluster.end(more.execution)
        await stage.exited(more)
        again = await stage.launch(show, gpus=1)
        await stage.logged(again, b"2 2 1\n")

    play(pretending, scene)


def test_a_user_cannot_reach_for_anothers_gpus(pretending: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        env = {"CUDA_VISIBLE_DEVICES": "0,1,2,3", "NVIDIA_VISIBLE_DEVICES": "all"}
        _, log = await stage.run("echo $CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES", env=env, gpus=1)
        assert log == b"0 0\n"

    play(pretending, scene)


def test_a_rank_that_asks_for_cpus_is_bound_to_its_own(new_stage: Callable[[], Stage]) -> None:
    mine = sorted(os.sched_getaffinity(0))

    async def scene(stage: Stage) -> None:
        show = "grep Cpus_allowed_list /proc/self/status; sleep 1000"
        launches = [await stage.launch(show, cpus=1) for _ in mine]
        for launch, cpu in zip(launches, mine, strict=True):
            await stage.logged(launch, b"\n")
            assert int(stage.read_log(launch.execution, 0).split()[-1]) == cpu
        assert "0 of" in (await stage.failed(await stage.launch(show, cpus=1))).reason
        exited, _ = await stage.run("true")
        assert exited.exit_code == 0

    play(new_stage, scene)


def test_live_executions_never_share_a_port(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        launches = [await stage.launch("echo $MASTER_PORT; sleep 1000") for _ in range(5)]
        for launch in launches:
            await stage.logged(launch, b"\n")
        ports = {int(stage.read_log(launch.execution, 0)) for launch in launches}
        assert len(ports) == 5
        assert all(20_000 <= port < 32_000 for port in ports)

    play(new_stage, scene)


def test_a_placement_on_a_node_that_is_not_here_is_a_failed_launch(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("true", placement=("elsewhere",))
        assert "no node 'elsewhere' here" in (await stage.failed(launch)).reason
        assert not stage.of(RankExited, launch)

    play(new_stage, scene)
