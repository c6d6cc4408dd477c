"""Every permission that is asked for is used, and nothing that is done needs another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mapi.clusters.base import Evicted
from mapi.clusters.kubernetes.check import check
from mapi.clusters.kubernetes.permissions import needed
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.domain.errors import Conflict
from mcli.models.mint_message import TerminalSize
from tests.clusters.suite import Stage, play, until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.stage import stage_in


def test_what_is_asked_of_a_cluster_is_what_has_to_be_allowed(
    emulated: EmulatedCluster, kubeconfig: str, tmp_path: Path
) -> None:
    async def interrupted_launch(stage: Stage) -> None:
        emulated.faults.fail("patch", "jobs", 500, times=1000)
        launch = await stage.launch("trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done", nodes=2)
        await until(lambda: ("patch", "jobs") in emulated.requests)
        await stage.restart()
        emulated.faults.failures.clear()
        await stage.cluster.launch(launch)
        await stage.logged(launch, b"up", rank=1)
        shell = await stage.cluster.shell(launch.execution, 1, command="true", size=TerminalSize())
        assert await shell.exit_code() == 0
        shell.close()
        await stage.cluster.end(launch.execution)
        for rank in (0, 1):
            await stage.exited(launch, rank)
        await stage.cluster.release(launch.execution)

    async def lost_node(stage: Stage) -> None:
        launch = await stage.launch("sleep 1000")
        await stage.started(launch)
        await asyncio.to_thread(emulated.lose_node, "cpu-0")
        await until(lambda: not stage.cluster.inventory.nodes[0].alive)
        await stage.cluster.end(launch.execution)
        assert (await stage.exited(launch)).system
        await until(lambda: ("delete", "pods") in emulated.requests)

    async def scene(stage: Stage) -> None:
        await interrupted_launch(stage)
        await lost_node(stage)

    settings = KubernetesSettings(kubeconfig=kubeconfig)
    check(settings, tmp_path)
    play(lambda: stage_in(tmp_path / "home", settings), scene)
    allowed = {(each.resource, verb) for each in needed(queue=False) for verb in each.verbs}
    assert {(resource, verb) for verb, resource in emulated.requests} == allowed


def test_what_a_queue_asks_for_is_what_has_to_be_allowed_with_it(
    emulated: EmulatedCluster, kubeconfig: str, tmp_path: Path
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; sleep 1000", placement=("",), cpus=1)
        await stage.logged(launch, b"up")
        (job,) = (item["metadata"]["name"] for item in emulated.objects("Job"))
        emulated.evict_from_queue(job, "another needs it")
        await stage.exited(launch)
        assert stage.of(Evicted, launch)
        await stage.cluster.end(launch.execution)
        await stage.cluster.release(launch.execution)

    emulated.create("LocalQueue", {"metadata": {"name": "team"}})
    settings = KubernetesSettings(kubeconfig=kubeconfig, queue="team")
    check(settings, tmp_path)
    play(lambda: stage_in(tmp_path / "home", settings), scene)
    allowed = {(each.resource, verb) for each in needed(queue=True) for verb in each.verbs}
    asked = {(resource, verb) for verb, resource in emulated.requests}
    assert asked <= allowed
    queues = {(each.resource, verb) for each in needed(queue=True) if each.queue for verb in each.verbs}
    assert {each for each in asked if each[0] in ("workloads", "localqueues")} == queues


def test_a_shell_that_is_not_allowed_says_what_is_missing(
    emulated: EmulatedCluster, kubeconfig: str, tmp_path: Path
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("sleep 1000")
        await stage.started(launch)
        emulated.faults.deny("create", "pods/exec")
        with pytest.raises(Conflict, match="get and create of pods/exec are not both allowed"):
            await stage.cluster.shell(launch.execution, 0, command="true", size=TerminalSize())

    settings = KubernetesSettings(kubeconfig=kubeconfig)
    play(lambda: stage_in(tmp_path / "home", settings), scene)
