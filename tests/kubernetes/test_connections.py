"""Connections break, servers err and are away: nothing is lost, nothing happens twice, and runs are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from mapi.clusters.base import Launch, LaunchFailed, Notice, RankExited
from mapi.clusters.kubernetes import client, cluster, logs, reachability
from mapi.domain.errors import Conflict
from mapi.domain.run import Allocation, ExecutionId
from mcli.models.mint_message import TerminalSize
from tests.clusters.suite import Stage, play, until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.stage import settings_of, stage_in

WORK = "echo up; until [ -e end ]; do sleep 0.01; done; echo done"


@pytest.fixture
def new_stage(tmp_path: Path, emulated: EmulatedCluster) -> Callable[[], Stage]:
    return lambda: stage_in(tmp_path / "home", settings_of(emulated, tmp_path))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are told early, and waits are short."""
    monkeypatch.setattr(reachability, "_PATIENCE", 0.2)
    monkeypatch.setattr(cluster, "_FIRST_LOOK", 0.3)
    monkeypatch.setattr(client, "_LONGEST_PAUSE", 0.3)


@pytest.mark.parametrize("harm", ["drop_streams", "expire"])
def test_watches_go_on_where_they_were(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster, harm: str
) -> None:
    async def scene(stage: Stage) -> None:
        launches = []
        for number in range(4):
            launches.append(await stage.launch(f"echo {number}; exit {number}"))
            await asyncio.to_thread(getattr(emulated, harm))
        for number, launch in enumerate(launches):
            assert (await stage.exited(launch)).exit_code == number
            assert len(stage.of(RankExited, launch)) == 1
            assert stage.read_log(launch.execution, 0) == b"%d\n" % number

    play(new_stage, scene)


def test_what_vanished_while_nobody_watched_is_told(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(WORK)
        await stage.logged(launch, b"up")
        emulated.faults.deny("watch", "*")
        await asyncio.to_thread(emulated.drop_streams)
        await asyncio.to_thread(emulated.delete, "Job", emulated.objects("Job")[0]["metadata"]["name"])
        await until(lambda: not emulated.objects("Pod"))
        await asyncio.to_thread(emulated.expire)
        emulated.faults.allow("watch", "*")
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system) == (None, True)

    play(new_stage, scene)


def test_bookmarks_keep_a_quiet_watch_from_growing_too_old(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(3):  # of what no watch of this cluster sees
            await asyncio.to_thread(emulated.create, "ConfigMap", {"metadata": {"generateName": "x"}})
        await asyncio.sleep(0.5)  # two bookmarks: nothing else shows that they came
        lists = emulated.requests.count(("list", "jobs"))
        await asyncio.to_thread(emulated.expire)
        launch = await stage.launch("true")
        await stage.exited(launch)
        assert emulated.requests.count(("list", "jobs")) == lists

    play(new_stage, scene)


def test_a_connection_that_falls_silent_is_given_up(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_WATCH_SILENCE", 0.5)
    monkeypatch.setattr(logs, "_FAREWELL", 0.5)

    async def scene(stage: Stage) -> None:
        launch = await stage.launch(WORK)
        await stage.logged(launch, b"up")
        await asyncio.to_thread(emulated.silence_streams)
        await _finish(stage, launch)
        assert (await stage.exited(launch)).exit_code == 0
        assert stage.read_log(launch.execution, 0) == b"up\ndone\n"

    play(new_stage, scene)


@pytest.mark.parametrize("code", [429, 500, 503])
@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
def test_what_is_asked_is_asked_until_it_is_answered(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster, verb: str, code: int
) -> None:
    async def scene(stage: Stage) -> None:
        emulated.faults.fail(verb, "*", code, times=2, retry_after=1)
        launch = await stage.launch("echo once")
        assert (await stage.exited(launch)).exit_code == 0
        await stage.cluster.release(launch.execution)
        await until(lambda: not _everything(emulated))
        assert stage.read_log(launch.execution, 0) == b"once\n"
        assert not [each for each in stage.reports if isinstance(each, LaunchFailed)]

    play(new_stage, scene)


def test_an_answer_that_comes_too_late_is_asked_for_again(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_PATIENCE", 0.3)

    async def scene(stage: Stage) -> None:
        emulated.faults.answer_late("create", "*", 0.5)
        launch = await stage.launch("echo once")
        await until(lambda: len(emulated.objects("Job")) == 1)
        await asyncio.sleep(0.5)  # while it is asked again and again
        emulated.faults.late.clear()
        assert (await stage.exited(launch)).exit_code == 0
        assert stage.read_log(launch.execution, 0) == b"once\n"
        assert len(emulated.objects("Job")) == 1

    play(new_stage, scene)


def test_requests_that_get_no_answer_are_told_although_the_watches_know_nothing_of_it(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(stage: Stage) -> None:
        emulated.faults.delay("create", "jobs", 1)
        launch = await stage.launch("echo at last")
        assert "does not answer" in (await stage.noticed(launch, "CLUSTER_UNREACHABLE")).message
        assert not any(node.alive for node in stage.cluster.inventory.nodes)
        emulated.faults.delays.clear()
        await stage.noticed(launch, "CLUSTER_REACHED")
        assert (await stage.exited(launch)).exit_code == 0
        assert all(node.alive for node in stage.cluster.inventory.nodes)

    monkeypatch.setattr(client, "_PATIENCE", 0.3)
    play(new_stage, scene)


def test_a_cluster_that_is_away_degrades_and_comes_back(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        runs, stopped = [await stage.launch(WORK) for _ in range(2)]
        for launch in (runs, stopped):
            await stage.logged(launch, b"up")
        await asyncio.to_thread(emulated.down)
        async with asyncio.timeout(2):  # nothing hangs
            late = await stage.launch("echo late")
            await stage.cluster.end(stopped.execution)
            with pytest.raises(Conflict, match="takes no shells"):
                await stage.cluster.shell(runs.execution, 0, command=None, size=TerminalSize())
            await stage.cluster.end(runs.execution)
            await stage.cluster.forget("nobody")
        notice = await stage.noticed(runs, "CLUSTER_UNREACHABLE")
        assert "its status is the last that was known" in notice.message
        await until(lambda: not any(node.alive for node in stage.cluster.inventory.nodes))
        assert not [each for each in stage.reports if isinstance(each, RankExited | LaunchFailed)]
        await asyncio.to_thread(emulated.up)
        await stage.noticed(runs, "CLUSTER_REACHED")
        await until(lambda: all(node.alive for node in stage.cluster.inventory.nodes))
        assert (await stage.exited(late)).exit_code == 0
        for launch in (runs, stopped):
            assert (await stage.exited(launch)).exit_code == 143
            assert stage.read_log(launch.execution, 0) == b"up\n"
        assert len([each for each in stage.reports if isinstance(each, RankExited)]) == 3

    play(new_stage, scene)


def test_it_opens_although_the_cluster_is_away(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(WORK)
        await stage.logged(launch, b"up")
        await asyncio.to_thread(emulated.down)
        async with asyncio.timeout(3):
            await stage.restart()
            await stage.cluster.sweep([launch.execution])
            await stage.cluster.adopt(launch)
        there = stage.cluster.inventory.nodes
        assert [(node.name, node.alive) for node in there] == [("cpu-0", False), ("gpu-0", False)]
        await stage.noticed(launch, "CLUSTER_UNREACHABLE")
        await asyncio.to_thread(emulated.up)
        await stage.started(launch)
        await _finish(stage, launch)
        assert (await stage.exited(launch)).exit_code == 0
        assert stage.read_log(launch.execution, 0) == b"up\ndone\n"

    play(new_stage, scene)


@pytest.mark.parametrize("code", [401, 403])
def test_credentials_that_are_refused_from_the_start_are_said(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster, code: int
) -> None:
    emulated.faults.fail("*", "*", code, times=10**6, message="you are not you")

    async def scene(stage: Stage) -> None:
        launch = Launch(
            ExecutionId("run-0", 0),
            "early",
            "true",
            "",
            {},
            "",
            Allocation("there", "cpu", 1, 0, 0, None),
            ("",),
        )
        await stage.cluster.adopt(launch)
        assert "you are not you" in (await stage.noticed(launch, "CLUSTER_UNREACHABLE")).message
        assert len(emulated.requests) < 60
        assert not stage.of(RankExited, launch)
        emulated.faults.failures.clear()
        await stage.noticed(launch, "CLUSTER_REACHED")
        await stage.exited(launch)

    play(new_stage, scene)


@pytest.mark.parametrize(("verb", "code"), [("watch", 401), ("list", 403)])
def test_refused_credentials_are_said_and_not_hammered_at(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster, verb: str, code: int
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(WORK)
        await stage.logged(launch, b"up")
        emulated.faults.fail(verb, "*", code, times=10**6, message="you are not you")
        await asyncio.to_thread(emulated.expire)
        notice = await stage.noticed(launch, "CLUSTER_UNREACHABLE")
        assert "you are not you" in notice.message
        asked = len(emulated.requests)
        await asyncio.sleep(0.5)  # in which a loop without pauses would ask hundreds of times
        assert len(emulated.requests) - asked < 30
        emulated.faults.failures.clear()
        await stage.noticed(launch, "CLUSTER_REACHED")

    play(new_stage, scene)


def test_why_it_does_not_answer_is_said_anew_when_it_is_another_reason(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(WORK)
        await stage.logged(launch, b"up")
        await asyncio.to_thread(emulated.down)
        await stage.noticed(launch, "CLUSTER_UNREACHABLE")
        emulated.faults.fail("*", "*", 401, times=10**6, message="you are not you")
        await asyncio.to_thread(emulated.up)
        await until(lambda: any("you are not you" in each.message for each in stage.of(Notice, launch)))
        emulated.faults.failures.clear()

    play(new_stage, scene)


def test_a_stop_that_is_forbidden_is_said_and_done_when_it_is_allowed(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(WORK)
        await stage.logged(launch, b"up")
        emulated.faults.deny("patch", "jobs")
        await stage.cluster.end(launch.execution)
        assert "cannot patch resource" in (await stage.noticed(launch, "CLUSTER_REFUSES")).message
        emulated.faults.allow("patch", "jobs")
        assert (await stage.exited(launch)).exit_code == 143

    play(new_stage, scene)


@pytest.mark.parametrize("after", [0, 5, 31, 35, 36, 700, 16_500, 40_000])
def test_a_log_is_whole_wherever_its_stream_is_cut(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster, after: int
) -> None:
    async def scene(stage: Stage) -> None:
        emulated.faults.cut_next_log(after)
        emulated.faults.cut_next_log(max(after // 2, 1))
        command = (
            r"seq 100; head -c 40000 /dev/zero | tr '\0' x; printf '\r1\r2\r3\n\377\000'; "
            "seq 3; echo $(date -u +%FT%T.000000001Z) mine; printf end"
        )
        launch = await stage.launch(command)
        await stage.exited(launch)
        log = stage.read_log(launch.execution, 0)
        begin = b"".join(b"%d\n" % number for number in range(1, 101))
        assert log.startswith(begin + b"x" * 40_000 + b"\r1\r2\r3\n\xff\x00" + b"1\n2\n3\n2")
        assert log.endswith(b" mine\nend")
        assert len(log) == len(begin) + 40_000 + 9 + 6 + 30 + 6 + 3

    play(new_stage, scene)


@pytest.mark.parametrize("note", ["kept", "missing", "stale", "garbled"])
def test_a_log_is_whole_over_restarts(new_stage: Callable[[], Stage], tmp_path: Path, note: str) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(
            "echo begin; until [ -e go ]; do sleep 0.01; done; seq 3000; echo middle; "
            "until [ -e end ]; do sleep 0.01; done; seq 3; printf end"
        )
        await stage.logged(launch, b"begin")
        (noted,) = (tmp_path / "home" / "logs").iterdir()
        await until(lambda: bool(noted.read_text()))
        early = noted.read_text()
        await _touch(stage, launch, "go")
        await stage.logged(launch, b"middle")
        await stage.cluster.close()
        match note:
            case "missing":
                noted.unlink()
            case "stale":
                noted.write_text(early)
            case "garbled":
                noted.write_text("x")
        stage.cluster = stage.make()
        await stage.open()
        await stage.cluster.adopt(launch)
        await stage.started(launch)
        await _finish(stage, launch)
        await stage.exited(launch)
        numbers = b"".join(b"%d\n" % number for number in range(1, 3001))
        assert stage.read_log(launch.execution, 0) == b"begin\n" + numbers + b"middle\n1\n2\n3\nend"

    play(new_stage, scene)


def test_a_log_that_was_told_to_its_end_is_whole_though_its_node_has_cleaned_up(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        emulated.faults.logs_cleaned = True
        launch = await stage.launch("echo up; until [ -e end ]; do sleep 0.01; done; echo all of it")
        await stage.logged(launch, b"up")
        await stage.started(launch)
        await _finish(stage, launch)
        await stage.exited(launch)
        assert stage.read_log(launch.execution, 0) == b"up\nall of it\n"
        assert "LOG_INCOMPLETE" not in [each.type for each in stage.of(Notice, launch)]

    play(new_stage, scene)


def test_what_a_node_has_thrown_away_is_said_to_be_missing(
    new_stage: Callable[[], Stage], emulated: EmulatedCluster
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(
            "echo one; until [ -e go ]; do sleep 0.01; done; echo two; "
            "until [ -e on ]; do sleep 0.01; done; echo three"
        )
        await stage.logged(launch, b"one")
        emulated.faults.deny("get", "pods/log")
        await asyncio.to_thread(emulated.drop_streams)
        await _touch(stage, launch, "go")
        (pod,) = emulated.objects("Pod")
        await asyncio.to_thread(emulated.rotate_log, pod["metadata"]["name"], b"two\n")
        emulated.faults.allow("get", "pods/log")
        await _touch(stage, launch, "on")
        assert (await stage.exited(launch)).exit_code == 0
        assert stage.read_log(launch.execution, 0) == b"one\nthree\n"
        assert "not whole" in (await stage.noticed(launch, "LOG_INCOMPLETE")).message

    play(new_stage, scene)


def _everything(emulated: EmulatedCluster) -> list[str]:
    kinds = ("Job", "Pod", "Service", "Secret")
    return [item["metadata"]["name"] for kind in kinds for item in emulated.objects(kind)]


async def _finish(stage: Stage, launch: Launch) -> None:
    """Let what is to go on until there is `end`."""
    await _touch(stage, launch, "end")


async def _touch(stage: Stage, launch: Launch, name: str) -> None:
    shell = await stage.cluster.shell(launch.execution, 0, command=f"touch {name}", size=TerminalSize())
    await shell.exit_code()
    shell.close()
