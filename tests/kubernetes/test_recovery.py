"""A platform that was away finds everything as it is, starts nothing twice, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mapi.clusters.base import LaunchFailed, RankExited
from mapi.clusters.kubernetes.client import JOBS, PODS, SECRETS, SERVICES, Api
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.clusters.kubernetes.shell import PodShell
from mcli.models.mint_message import TerminalSize
from tests.clusters.suite import Stage, play, until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.real import namespace_of_tests, needs_cluster
from tests.kubernetes.stage import settings_of, stage_in

WORK = "echo up; until [ -e end ]; do sleep 0.01; done; seq 1000; exit $S"
KINDS = ("Job", "Service", "Secret", "Pod")
NUMBERS = b"".join(b"%d\n" % number for number in range(1, 1001))


@pytest.fixture(params=["emulated", pytest.param("real", marks=[needs_cluster, pytest.mark.timeout(300)])])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KubernetesSettings]:
    if request.param == "emulated":
        yield settings_of(request.getfixturevalue("emulated"), tmp_path)
        return
    with namespace_of_tests() as settings:
        yield settings


@pytest.fixture
def new_stage(tmp_path: Path, settings: KubernetesSettings) -> Callable[[], Stage]:
    return lambda: stage_in(tmp_path / "home", settings, deadline=60)


def test_what_ended_meanwhile_is_known_with_its_whole_log(
    new_stage: Callable[[], Stage], settings: KubernetesSettings
) -> None:
    async def scene(stage: Stage) -> None:
        ended = await stage.launch(f"echo $NODE_RANK; {WORK}", nodes=2)
        failed = await stage.launch(WORK, nodes=2, env={"S": "3"})
        deleted = await stage.launch(WORK)
        for launch, rank in ((ended, 0), (ended, 1), (failed, 0), (failed, 1), (deleted, 0)):
            await stage.logged(launch, b"up", rank)
        other = stage.make()
        await stage.cluster.close()
        stage.cluster = other
        api = Api.connect(settings)
        jobs = {item["metadata"]["labels"]["mapi/run"]: item for item in (await api.list(JOBS))[0]}
        await api.delete(JOBS, jobs[deleted.execution.run_id]["metadata"]["name"])
        for pod in (await api.list(PODS))[0]:
            if pod["metadata"]["labels"]["mapi/run"] != deleted.execution.run_id:
                await _touch(api, pod["metadata"]["name"], "end")
        await _ended(api)
        await api.close()
        stage.reports.clear()
        await stage.open()
        for launch in (ended, failed, deleted):
            await stage.cluster.adopt(launch)
        for rank in (0, 1):
            assert (await stage.exited(ended, rank)).exit_code == 0
            assert stage.read_log(ended.execution, rank) == b"%d\nup\n" % rank + NUMBERS
        for rank in (0, 1):
            assert (await stage.exited(failed, rank)).exit_code == 3
            assert stage.read_log(failed.execution, rank) == b"up\n" + NUMBERS
        exited = await stage.exited(deleted)
        assert exited.system and exited.exit_code in (None, 143)  # its pod may still be there to say so
        assert len([each for each in stage.reports if isinstance(each, RankExited)]) == 5

    play(new_stage, scene)


def test_lines_have_the_times_at_which_they_were_printed(
    new_stage: Callable[[], Stage], settings: KubernetesSettings
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; for n in 1 2 3; do date +%s; sleep 1; done; echo done")
        await stage.logged(launch, b"up")
        await stage.cluster.close()
        api = Api.connect(settings)
        await _ended(api)
        await api.close()
        stage.cluster = stage.make()
        await stage.open()
        await stage.cluster.adopt(launch)
        await stage.exited(launch)
        log = stage.read_log(launch.execution, 0)
        times = stage.logs.times[stage.logs.path(launch.execution, 0)]
        offset = 0
        for line in log.splitlines(keepends=True):
            written = next(record for record in times if record.size > offset)
            if line.strip().isdigit():
                assert abs(written.at / 10**6 - int(line)) < 1.5
            offset += len(line)
        assert times[-1].size == len(log)

    play(new_stage, scene)


def test_nothing_is_left_of_what_has_ended(
    new_stage: Callable[[], Stage], settings: KubernetesSettings, tmp_path: Path
) -> None:
    async def scene(stage: Stage) -> None:
        api = Api.connect(settings)
        released, orphan, forgotten = [
            await stage.launch("echo hello; sleep $S", env={"S": s}) for s in "099"
        ]
        failed = await stage.launch("true", image="missing/image:1")
        assert isinstance(await stage.failed(failed), LaunchFailed)
        assert (await stage.exited(released)).exit_code == 0
        for launch in (orphan, forgotten):
            await stage.logged(launch, b"hello")
        for launch in (released, failed):
            await stage.cluster.release(launch.execution)
        await _until(api, lambda left: len(left) == 2)
        await stage.cluster.sweep([forgotten.execution])
        await _until(api, lambda left: len(left) == 1)
        await stage.restart()
        await stage.cluster.sweep([forgotten.execution])
        await stage.cluster.forget(forgotten.execution.run_id)
        await _until(api, lambda left: not left)
        await api.close()
        await until(lambda: not list((tmp_path / "home" / "logs").iterdir()))

    play(new_stage, scene)


def test_two_platforms_in_one_namespace_leave_each_other_alone(
    tmp_path: Path, settings: KubernetesSettings
) -> None:
    async def scene(stage: Stage) -> None:
        other = stage_in(tmp_path / "other", settings, deadline=60)
        await other.open()
        mine, theirs = [await each.launch(WORK, env={"S": "3"}) for each in (stage, other)]
        assert mine.execution == theirs.execution
        await stage.logged(mine, b"up")
        await other.logged(theirs, b"up")
        await other.cluster.sweep([])
        await other.cluster.forget(theirs.execution.run_id)
        api = Api.connect(settings)
        await _until(api, lambda left: len(left) == 1)
        (pod,) = (await api.list(PODS))[0]
        await _touch(api, pod["metadata"]["name"], "end")
        assert (await stage.exited(mine)).exit_code == 3
        assert not [each for each in other.reports if isinstance(each, RankExited)]
        await api.close()
        await other.cluster.close()

    play(lambda: stage_in(tmp_path / "home", settings, deadline=60), scene)


@pytest.mark.parametrize(
    ("verb", "resource", "there"),
    [
        ("create", SERVICES, {"Job"}),
        ("create", SECRETS, {"Job", "Service"}),
        ("patch", JOBS, {"Job", "Service", "Secret"}),
    ],
)
def test_a_launch_that_died_half_way_is_completed(
    tmp_path: Path, emulated: EmulatedCluster, verb: str, resource: str, there: set[str]
) -> None:
    async def scene(stage: Stage) -> None:
        emulated.faults.fail(verb, resource, 503, times=10**6)
        launch = await stage.launch("cat $PARAMETERS")
        await until(lambda: {each for each in KINDS if emulated.objects(each)} == there)
        await stage.cluster.close()
        emulated.faults.failures.clear()
        stage.cluster = stage.make()
        await stage.open()
        await stage.cluster.launch(launch)
        assert (await stage.exited(launch)).exit_code == 0
        assert stage.read_log(launch.execution, 0) == b"lr: 0.1\n"

    play(lambda: stage_in(tmp_path / "home", settings_of(emulated, tmp_path)), scene)


async def _left(api: Api) -> set[str]:
    """The runs of which something is in the namespace."""
    found = [item for resource in (JOBS, PODS, SERVICES, SECRETS) for item in (await api.list(resource))[0]]
    return {
        f"{labels['mapi/platform']}/{labels['mapi/run']}"
        for item in found
        if "mapi/run" in (labels := item["metadata"].get("labels", {}))
    }


async def _until(api: Api, fits: Callable[[set[str]], bool]) -> None:
    async with asyncio.timeout(60):
        while not fits(await _left(api)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _touch(api: Api, pod: str, name: str) -> None:
    shell = await PodShell.open(api, pod, f"touch {name}", TerminalSize())
    await shell.exit_code()
    shell.close()


async def _ended(api: Api) -> None:
    """Wait until no pod runs."""
    async with asyncio.timeout(60):
        while any(pod["status"]["phase"] == "Running" for pod in (await api.list(PODS))[0]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
