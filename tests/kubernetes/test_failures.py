"""What can go wrong with a run in Kubernetes, and what the platform is told of it: emulated, and real."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mapi.clusters.base import Launch, Notice, RankExited, RankStarted
from mapi.domain.run import Allocation
from mapi.domain.secrets import OpenSecret, Secret
from mcli.models.mint_message import TerminalSize
from mcli.models.secret import SecretType
from tests.clusters.suite import Stage, until
from tests.kubernetes.api import PODS, Api, Json
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.place import NODES, Place, node_of

pytestmark = pytest.mark.timeout(150)

SIZE = TerminalSize()

#: Ends with 5 when it is asked to, and says so.
PATIENT = "trap 'echo saved; exit 5' TERM; echo up; while :; do sleep 0.05; done"
#: Is ended by whoever ends it, and has no say in the matter.
PLAIN = "trap 'exit 143' TERM; echo up; while :; do sleep 0.05; done"


@pytest.fixture
def place(any_api: Api, tmp_path: Path) -> Iterator[Place]:
    place = Place(any_api, tmp_path, 10.0 if any_api.image == "sh:1" else 60.0)
    yield place
    any_api.request("DELETE", f"{NODES}/{place.own}")


@pytest.fixture
def emulated_place(api: Api, tmp_path: Path) -> Place:
    return Place(api, tmp_path, 10.0)


# Before the command begins


@pytest.mark.parametrize(
    ("image", "words"), [("localhost:1/missing/image:1", "failed to"), ("UPPER CASE", "invalid reference")]
)
def test_an_image_that_cannot_be_had_is_the_end_of_it(place: Place, image: str, words: str) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo no", image=image, nodes=2)
        failed = await stage.failed(launch)
        assert (failed.image, failed.system) == (True, False)
        assert words in failed.reason
        assert image in failed.reason
        assert (await place.call(place.api.get, PODS))["items"] == []
        await stage.cluster.release(launch.execution)
        await place.empty()
        assert not stage.of(RankStarted, launch) + stage.of(RankExited, launch)

    place.play(scene)


def test_what_takes_so_long_is_told(emulated: EmulatedCluster, emulated_place: Place) -> None:
    async def scene(stage: Stage) -> None:
        emulated.pull_slowly(0.3)
        launch = await stage.launch("true")
        assert (await stage.noticed(launch, "PULLING_IMAGE")).message == 'Pulling image "sh:1"'
        assert not stage.of(RankStarted, launch)
        assert (await stage.exited(launch)).exit_code == 0

    emulated_place.play(scene)


def test_one_that_no_node_has_room_for_waits_and_says_why(place: Place) -> None:
    async def scene(stage: Stage) -> None:
        cpus = stage.cluster.inventory.nodes[0].cpus
        first = await stage.launch(PATIENT, cpus=cpus)
        await stage.started(first)
        second = await stage.launch("echo at last", cpus=cpus)
        waits = await stage.noticed(second, "UNSCHEDULABLE")
        assert "nodes are available" in waits.message
        assert "1 Insufficient cpu" in waits.message
        await stage.cluster.end(first.execution)
        assert (await stage.exited(second)).exit_code == 0
        assert stage.read_log(second.execution, 0) == b"at last\n"

    place.play(scene)


def test_one_that_waits_for_room_can_be_stopped(place: Place) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("true", cpus=1000)
        await stage.noticed(launch, "UNSCHEDULABLE")
        await stage.cluster.end(launch.execution)
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system) == (143, False)
        await stage.cluster.release(launch.execution)
        await place.empty()

    place.play(scene)


def test_a_command_that_cannot_be_started_says_why(place: Place) -> None:
    in_the_way = Secret("1", "me", "mine", SecretType.MOUNTED, {"mountPath": "/bin"}, 0)

    async def scene(stage: Stage) -> None:
        exited, _ = await stage.run("true", secrets=(OpenSecret(in_the_way, "hidden"),))
        assert (exited.exit_code, exited.system) == (128, False)
        assert "its command could not be started" in (exited.reason or "")
        assert '"/bin/sh"' in (exited.reason or "")

    place.play(scene)


def test_what_the_cluster_refuses_fails_in_its_words(place: Place) -> None:
    twice = Secret("1", "me", "mine", SecretType.MOUNTED, {"mountPath": "/dev/shm"}, 0)

    async def scene(stage: Stage) -> None:
        launch = await stage.launch("true", secrets=(OpenSecret(twice, "hidden"),))
        failed = await stage.failed(launch)
        assert (failed.image, failed.system) == (False, False)
        assert "must be unique" in failed.reason
        await place.empty()

    place.play(scene)


# While it runs


def test_one_that_takes_too_much_memory_is_said_to(place: Place) -> None:
    limits = {"limits": [{"type": "Container", "default": {"memory": "64Mi"}}]}

    async def scene(stage: Stage) -> None:
        rule = {"metadata": {"name": "small"}, "spec": limits}
        await place.call(place.api.create, "limitranges", rule)
        exited, log = await stage.run("echo before; dd if=/dev/zero of=/dev/null bs=200M count=20")
        assert (exited.exit_code, exited.system) == (137, False)
        assert "out of memory" in (exited.reason or "")
        assert b"before\n" in log

    place.play(scene)


def test_one_rank_that_fails_leaves_the_other_to_the_platform(place: Place) -> None:
    async def scene(stage: Stage) -> None:
        fails = "if [ $NODE_RANK = 1 ]; then echo broken; exit 7; fi; " + PATIENT
        launch = await stage.launch(fails, nodes=2)
        failed = await stage.exited(launch, 1)
        assert (failed.exit_code, failed.system) == (7, False)
        await stage.logged(launch, b"up")
        await place.job_of(launch, lambda job: job["status"].get("failedIndexes") == "1")
        assert [report.rank for report in stage.of(RankExited, launch)] == [1]
        await stage.cluster.end(launch.execution)
        ended = await stage.exited(launch, 0)
        assert (ended.exit_code, ended.system) == (5, False)
        assert stage.read_log(launch.execution, 0) == b"up\nsaved\n"
        assert stage.read_log(launch.execution, 1) == b"broken\n"

    place.play(scene)


def test_the_other_may_end_by_itself(place: Place) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("[ $NODE_RANK = 0 ] && exit 7; sleep 2; echo done", nodes=2)
        assert (await stage.exited(launch, 0)).exit_code == 7
        assert (await stage.exited(launch, 1)).exit_code == 0
        assert stage.read_log(launch.execution, 1) == b"done\n"

    place.play(scene)


async def evict(place: Place, pod: Json) -> None:
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    await place.call(place.api.create, f"{PODS}/{name}/eviction", eviction)


async def delete_pod(place: Place, pod: Json) -> None:
    await place.call(place.api.delete, f"{PODS}/{pod['metadata']['name']}")


async def delete_job(place: Place, pod: Json) -> None:
    (owner,) = pod["metadata"]["ownerReferences"]
    await place.call(place.api.delete, f"jobs/{owner['name']}", propagationPolicy="Background")


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (evict, "evicted: Eviction API: evicting"),
        (delete_pod, "its pod was deleted"),
        (delete_job, "its pod was deleted"),
    ],
)
def test_a_pod_that_others_take_away_is_a_failure_of_the_system(
    place: Place, happens: Any, words: str
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(PLAIN)
        await stage.logged(launch, b"up")
        pod = await place.pod_of(launch)
        await happens(place, pod)
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system, exited.reason) == (143, True, words)
        assert stage.read_log(launch.execution, 0) == b"up\n"
        if happens is not delete_job:
            job = await place.job_of(launch, is_over)
            assert job["status"]["failed"] == 1
        await place.until(PODS, lambda pods: not pods["items"])
        await stage.cluster.release(launch.execution)
        await place.empty()

    place.play(scene)


async def give_up_node(place: Place, _: Json) -> None:
    await place.taint_node("broken", "NoExecute")


def is_over(job: Json) -> bool:
    return any(each["type"] in ("Failed", "Complete") for each in job["status"].get("conditions", ()))


def test_only_the_rank_whose_pod_was_taken_away_has_ended(place: Place) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(PATIENT, nodes=2)
        for rank in (0, 1):
            await stage.logged(launch, b"up", rank)
        await delete_pod(place, await place.pod_of(launch, 1))
        exited = await stage.exited(launch, 1)
        assert (exited.exit_code, exited.system, exited.reason) == (5, True, "its pod was deleted")
        await place.job_of(launch, lambda job: job["status"].get("failedIndexes") == "1")
        assert len(stage.of(RankExited, launch)) == 1
        await stage.cluster.end(launch.execution)
        assert (await stage.exited(launch, 0)).exit_code == 5

    place.play(scene)


def test_a_pod_taken_away_before_it_ran_is_one_too(place: Place) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("true", cpus=1000)
        await stage.noticed(launch, "UNSCHEDULABLE")
        await delete_pod(place, await place.pod_of(launch))
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system) == (None, True)
        assert "its pod was deleted" in (exited.reason or "")

    place.play(scene)


# Nodes


def test_a_lost_node_is_known_at_once_and_its_ranks_when_they_are_given_up(
    emulated: EmulatedCluster, emulated_place: Place
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(PLAIN)
        await stage.logged(launch, b"up")
        emulated.lose_node("cpu-0")
        await until(lambda: not alive(stage, "cpu-0"), 5)
        assert not stage.of(RankExited, launch)
        emulated.evict_lost("cpu-0")
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system) == (None, True)
        assert exited.reason == "node cpu-0 was lost, and the rank with it"
        assert stage.read_log(launch.execution, 0) == b"up\n"
        assert stage.of(Notice, launch)[-1].type == "LOG_INCOMPLETE"
        await stage.cluster.release(launch.execution)
        await emulated_place.empty()

    emulated_place.play(scene)


def test_a_node_that_comes_back_has_lost_nothing(emulated: EmulatedCluster, emulated_place: Place) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; until [ -e end ]; do sleep 0.02; done; echo down; exit 3")
        await stage.logged(launch, b"up")
        emulated.lose_node("cpu-0", dead=False)
        await until(lambda: not alive(stage, "cpu-0"), 5)
        emulated.restore_node("cpu-0")
        await until(lambda: alive(stage, "cpu-0"), 5)
        shell = await stage.cluster.shell(launch.execution, 0, command="touch end", size=SIZE)
        await shell.exit_code()
        shell.close()
        assert (await stage.exited(launch)).exit_code == 3
        assert stage.read_log(launch.execution, 0) == b"up\ndown\n"

    emulated_place.play(scene)


def test_a_node_that_is_removed_takes_its_ranks_with_it(
    emulated: EmulatedCluster, emulated_place: Place
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(PLAIN)
        await stage.logged(launch, b"up")
        emulated.remove_node("cpu-0")
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system) == (None, True)
        assert "its node is gone" in (exited.reason or "")
        assert node_of(stage, "cpu-0") is None

    emulated_place.play(scene)


def test_a_node_short_of_memory_says_so(emulated: EmulatedCluster, emulated_place: Place) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(PLAIN)
        await stage.logged(launch, b"up")
        pod = await emulated_place.pod_of(launch)
        emulated.evict(pod["metadata"]["name"])
        exited = await stage.exited(launch)
        assert exited.system
        assert "evicted from its node: The node was low on resource: memory." in (exited.reason or "")

    emulated_place.play(scene)


def alive(stage: Stage, name: str) -> bool:
    node = node_of(stage, name)
    return node is not None and node.alive


def test_nodes_come_change_and_go(place: Place) -> None:
    name = place.own

    async def scene(stage: Stage) -> None:
        async def becomes(condition: Any) -> None:
            before = stage.changes
            await until(lambda: stage.changes > before and condition(node_of(stage, name)), stage.deadline)

        async def after(change: Any, condition: Any) -> None:
            waiting = asyncio.create_task(becomes(condition))
            await asyncio.sleep(0)
            await change
            await waiting

        gpu = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}
        labels = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
        await after(
            place.add_node(gpu, labels=labels, room={"nvidia.com/gpu": "8"}),
            lambda node: node and node.schedulable and node.alive,
        )
        node = node_of(stage, name)
        assert node is not None
        assert (node.instance, node.gpus, node.cpus) == ("h100_80gb.8", 8, 64)
        await after(place.change_node({"unschedulable": True}), lambda node: not node.schedulable)
        await after(place.change_node({"unschedulable": None}), lambda node: node.schedulable)
        await after(place.taint_node("broken", "NoSchedule"), lambda node: not node.schedulable)
        await after(place.silence_node(), lambda node: not node.alive)
        await after(place.remove_node(), lambda node: node is None)

    place.play(scene)


@pytest.mark.parametrize("gpus", [0, 8])
def test_a_run_beside_tainted_gpus_is_let_in(place: Place, gpus: int) -> None:
    async def scene(stage: Stage) -> None:
        taint = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}
        await place.add_node(taint, room={"nvidia.com/gpu": "8"})
        await until(lambda: is_free(stage, place.own), stage.deadline)
        launch = await launch_on(stage, place.own, gpus)
        await place.until(PODS, lambda pods: pods["items"] and pods["items"][0]["spec"].get("nodeName"))
        (pod,) = (await place.call(place.api.get, PODS))["items"]
        assert pod["spec"]["nodeName"] == place.own
        await place.remove_node()
        await stage.cluster.end(launch.execution)
        await stage.exited(launch)

    place.play(scene)


@pytest.mark.parametrize("happens", [delete_pod, give_up_node])
def test_a_rank_that_is_to_leave_a_lost_node_is_given_up(place: Place, happens: Any) -> None:
    async def scene(stage: Stage) -> None:
        await place.add_node()
        await until(lambda: is_free(stage, place.own), stage.deadline)
        launch = await launch_on(stage, place.own)
        await place.until(PODS, lambda pods: pods["items"] and pods["items"][0]["spec"].get("nodeName"))
        await place.run_on(await place.pod_of(launch))
        assert (await stage.started(launch)).node == place.own
        await place.silence_node()
        await until(lambda: not alive(stage, place.own), stage.deadline)
        assert not stage.of(RankExited, launch)
        await happens(place, await place.pod_of(launch))
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system) == (None, True)
        assert exited.reason == f"node {place.own} was lost, and the rank with it"
        await place.until(PODS, lambda pods: not pods["items"])

    place.play(scene)


def test_a_rank_has_to_leave_a_node_that_takes_it_no_more(place: Place) -> None:
    async def scene(stage: Stage) -> None:
        await place.add_node()
        await until(lambda: is_free(stage, place.own), stage.deadline)
        launch = await launch_on(stage, place.own)
        await place.until(PODS, lambda pods: pods["items"] and pods["items"][0]["spec"].get("nodeName"))
        await place.run_on(await place.pod_of(launch))
        await stage.started(launch)
        await place.taint_node("broken", "NoExecute")
        await place.end_on(await place.pod_of(launch), 143)
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system) == (143, True)
        assert "its node was lost, or is to be left: Taint manager: deleting" in (exited.reason or "")
        await place.remove_node()

    place.play(scene)


def is_free(stage: Stage, name: str) -> bool:
    node = node_of(stage, name)
    return node is not None and node.alive and node.schedulable


async def launch_on(stage: Stage, name: str, gpus: int = 0) -> Launch:
    allocation = Allocation("there", "any", 1, gpus, 0, None)
    return await stage.launch("true", placement=(name,), allocation=allocation)


# Logs


def test_a_log_that_was_not_read_to_the_end_is_said_to_be_incomplete(
    emulated: EmulatedCluster, emulated_place: Place
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo first; until [ -e end ]; do sleep 0.02; done; echo last; exit 3")
        await stage.logged(launch, b"first")
        shell = await stage.cluster.shell(launch.execution, 0, command="sleep 0.3; touch end", size=SIZE)
        emulated.faults.fail("get", "pods/log", 500, times=1000)
        emulated.drop_streams()
        shell.close()
        pod = await emulated_place.pod_of(launch)
        await emulated_place.call(
            emulated_place.api.delete, f"{PODS}/{pod['metadata']['name']}", gracePeriodSeconds=0
        )
        await emulated_place.until(PODS, lambda pods: not pods["items"])
        emulated.faults.failures.clear()
        assert (await stage.exited(launch)).system
        (notice,) = [each for each in stage.of(Notice, launch) if each.type == "LOG_INCOMPLETE"]
        assert "its pod was removed before all of it was read" in notice.message
        assert stage.read_log(launch.execution, 0) == b"first\n"

    emulated_place.play(scene)


def test_a_log_that_has_ended_is_whole_though_its_pod_is_gone(
    emulated: EmulatedCluster, emulated_place: Place
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(PATIENT)
        await stage.logged(launch, b"up")
        emulated.faults.delay("get", "pods/log", 0.5)
        await delete_job(emulated_place, await emulated_place.pod_of(launch))
        assert (await stage.exited(launch)).exit_code == 5
        assert (await emulated_place.call(emulated_place.api.get, PODS))["items"] == []
        assert stage.read_log(launch.execution, 0) == b"up\nsaved\n"
        assert not [each for each in stage.of(Notice, launch) if each.type == "LOG_INCOMPLETE"]

    emulated_place.play(scene)
