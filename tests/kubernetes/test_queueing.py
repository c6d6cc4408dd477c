"""A queue of the cluster's own: runs are handed over as they come, and what it decides is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mapi.clusters.base import Admitted, Evicted, Launch, Queued, RankExited, RankStarted
from mapi.clusters.kubernetes.names import names
from tests.clusters.suite import Stage, play, until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.stage import settings_of, stage_in

NOWHERE = {"placement": ("",), "cpus": 1}


@pytest.fixture
def queueing(emulated: EmulatedCluster, tmp_path: Path) -> Callable[[], Stage]:
    """A stage whose cluster has a queue `team` of two CPUs."""
    emulated.queue_quota(2)
    emulated.create("LocalQueue", {"metadata": {"name": "team"}})
    settings = settings_of(emulated, tmp_path, queue="team")
    return lambda: stage_in(tmp_path / "home", settings)


def job_name(emulated: EmulatedCluster, launch: Launch) -> str:
    return next(
        str(job["metadata"]["name"])
        for job in emulated.objects("Job")
        if job["metadata"]["labels"]["mapi/run"] == launch.execution.run_id
    )


async def queued(stage: Stage, launch: Launch, words: str) -> None:
    await until(lambda: any(words in each.reason for each in stage.of(Queued, launch)))


def test_what_the_queue_lets_in_starts_and_the_rest_waits_with_its_words(
    queueing: Callable[[], Stage],
) -> None:
    async def scene(stage: Stage) -> None:
        assert stage.cluster.inventory.queue == "team"
        waits = "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done"
        first = await stage.launch(waits, placement=("", ""), nodes=2, cpus=1)
        await stage.logged(first, b"up", 1)
        second = await stage.launch("echo later", **NOWHERE)
        await queued(stage, second, "waiting in queue team of there: couldn't assign flavors to pod set main")
        assert not stage.of(Admitted, second)
        await stage.cluster.end(first.execution)
        for rank in (0, 1):
            await stage.exited(first, rank)
        assert (await stage.exited(second)).exit_code == 0
        for launch in (first, second):
            kinds = [type(each) for each in stage.reports if each.execution == launch.execution]
            assert kinds.count(Admitted) == 1
            assert kinds.index(Admitted) < kinds.index(RankStarted)

    play(queueing, scene)


def test_a_place_that_is_taken_away_is_told_before_its_ranks_have_gone(
    queueing: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; sleep 1000", **NOWHERE)
        await stage.logged(launch, b"up")
        emulated.evict_from_queue(job_name(emulated, launch), "Preempted to accommodate a workload")
        exited = await stage.exited(launch)
        (evicted,) = stage.of(Evicted, launch)
        assert evicted.reason == "queue team took its place: Preempted to accommodate a workload"
        assert stage.reports.index(evicted) < stage.reports.index(exited)
        await stage.cluster.end(launch.execution)
        await stage.cluster.release(launch.execution)
        await until(lambda: not emulated.objects("Job") and not emulated.objects("Pod"))

    play(queueing, scene)


def test_what_waits_in_the_queue_leaves_nothing_when_it_is_given_up(
    queueing: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo never", placement=("",), cpus=4)
        await queued(stage, launch, "2 more needed")
        await stage.cluster.release(launch.execution)
        await until(lambda: not any(map(emulated.objects, ("Job", "Workload", "Secret", "Service"))))
        assert not stage.of(RankExited, launch)

    play(queueing, scene)


def test_what_waits_is_known_again_after_a_restart_and_waits_once(
    queueing: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo once", placement=("",), cpus=3)
        await queued(stage, launch, "1 more needed")
        await stage.restart()
        await stage.cluster.sweep([launch.execution])
        await stage.cluster.launch(launch)
        await queued(stage, launch, "1 more needed")
        emulated.queue_quota(3)
        assert (await stage.exited(launch)).exit_code == 0
        assert stage.read_log(launch.execution, 0) == b"once\n"
        assert [job["metadata"]["name"] for job in emulated.objects("Job")] == [names_of(emulated, launch)]

    def names_of(emulated: EmulatedCluster, launch: Launch) -> str:
        (job,) = emulated.objects("Job")
        return names(job["metadata"]["labels"]["mapi/platform"], launch).job

    play(queueing, scene)


def test_a_place_that_was_taken_while_the_platform_was_down_is_told_when_it_is_back(
    queueing: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; sleep 1000", **NOWHERE)
        await stage.logged(launch, b"up")
        await stage.cluster.close()
        emulated.queue_quota(0)
        emulated.evict_from_queue(job_name(emulated, launch), "the queue was stopped")
        await until(lambda: not emulated.objects("Pod"))
        stage.reports.clear()
        stage.cluster = stage.make()
        await stage.open()
        await stage.cluster.adopt(launch)
        await until(lambda: bool(stage.of(Evicted, launch)))
        await stage.cluster.end(launch.execution)
        await stage.exited(launch)

    play(queueing, scene)


def test_a_queue_that_cannot_be_seen_is_the_reason(
    queueing: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        emulated.faults.deny("watch", "workloads")
        emulated.drop_streams()
        launch = await stage.launch("echo never", placement=("",), cpus=4)
        await queued(stage, launch, "queue team of there cannot be seen")

    play(queueing, scene)
