from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from mapi.clusters.base import Launch, RankExited
from mapi.clusters.local.launcher import STATE_FILE
from mapi.clusters.local.rank import RankFiles
from tests.clusters.local_stage import (
    DAEMON,
    is_alive,
    launcher_of_this_process,
    processes_of,
    stage_in,
)
from tests.clusters.suite import Stage, play, until


def test_a_killed_launcher_is_replaced_and_what_it_started_goes_on(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        running = await stage.launch("echo up; sleep 1000")
        await stage.logged(running, b"up")
        launcher = await launcher_of_this_process()
        burst = [await stage.launch(f"exit {number}") for number in range(20)]
        os.kill(launcher, signal.SIGKILL)
        burst += [await stage.launch(f"exit {number}") for number in range(20, 40)]
        assert [(await stage.exited(launch)).exit_code for launch in burst] == list(range(40))
        await stage.cluster.end(running.execution)
        assert (await stage.exited(running)).exit_code == 143

    play(new_stage, scene)


def test_a_killed_supervisor_means_lost_and_nothing_left(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(DAEMON + "echo $PPID; sleep 1000")
        await stage.logged(launch, b"daemon")
        await until(lambda: len(stage.read_log(launch.execution, 0).splitlines()) == 2)
        supervisor = next(int(line) for line in stage.read_log(launch.execution, 0).split() if line.isdigit())
        os.kill(supervisor, signal.SIGKILL)
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system) == (None, True)
        assert "supervisor was killed" in (exited.reason or "")
        assert processes_of(launch.execution) == []

    play(new_stage, scene)


def test_a_supervisor_killed_while_the_platform_was_away_means_the_same(
    new_stage: Callable[[], Stage],
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo $PPID; sleep 1000")
        await stage.logged(launch, b"\n")
        await stage.cluster.close()
        os.kill(int(stage.read_log(launch.execution, 0)), signal.SIGKILL)
        stage.cluster = stage.make()
        await stage.open()
        await stage.cluster.adopt(launch)
        assert (await stage.exited(launch)).system
        assert processes_of(launch.execution) == []

    play(new_stage, scene)


def test_what_ended_while_the_platform_was_away_has_its_code(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; read -t 0.05 < <(sleep 1); exit 9")
        await stage.logged(launch, b"up")
        await stage.cluster.close()
        await until(lambda: processes_of(launch.execution) == [])
        stage.cluster = stage.make()
        await stage.open()
        await stage.cluster.adopt(launch)
        exited = await stage.exited(launch)
        assert (exited.exit_code, exited.system) == (9, False)

    play(new_stage, scene)


PLATFORM = """
import asyncio, sys
from pathlib import Path
import msgspec
from mapi.clusters.base import Launch
from tests.clusters.local_stage import stage_in

async def main():
    stage = stage_in(Path(sys.argv[1]))
    await stage.open()
    launch = stage.plan("trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done", nodes=2)
    await stage.cluster.launch(launch)
    print(msgspec.json.encode(launch).decode(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_runs_outlive_a_platform_that_is_killed_outright(tmp_path: Path) -> None:

    with subprocess.Popen(
        [sys.executable, "-c", PLATFORM, str(tmp_path)], stdout=subprocess.PIPE
    ) as platform:
        assert platform.stdout is not None
        launch = msgspec.json.decode(platform.stdout.readline(), type=Launch)
        platform.kill()

    async def scene(stage: Stage) -> None:
        await stage.cluster.launch(launch)
        for rank in (0, 1):
            await stage.logged(launch, b"up", rank)
        await stage.cluster.end(launch.execution)
        assert [(await stage.exited(launch, rank)).exit_code for rank in (0, 1)] == [7, 7]
        assert [stage.read_log(launch.execution, rank).count(b"up") for rank in (0, 1)] == [1, 1]

    play(lambda: stage_in(tmp_path), scene)


def test_an_abandoned_rank_is_not_started_by_a_late_request(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        launch = stage.plan("echo no")
        launcher = await launcher_of_this_process()
        os.kill(launcher, signal.SIGSTOP)
        await stage.cluster.launch(launch)
        late = stage.cluster
        stage.cluster = stage.make()
        await stage.open()
        await stage.cluster.adopt(launch)
        assert (await stage.exited(launch)).system
        os.kill(launcher, signal.SIGCONT)
        await late.close()
        assert stage.read_log(launch.execution, 0) == b""

    play(new_stage, scene)


def test_a_state_file_keeps_its_size_so_that_a_full_disk_loses_no_exit_code(
    tmp_path: Path, new_stage: Callable[[], Stage]
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; sleep 1000")
        await stage.logged(launch, b"up")
        state = RankFiles(tmp_path, launch.execution, 0).directory / STATE_FILE
        size = state.stat().st_size
        await stage.cluster.end(launch.execution)
        await stage.exited(launch)
        assert state.stat().st_size == size
        assert json.loads(state.read_bytes())["code"] == 143

    play(new_stage, scene)


@pytest.mark.parametrize("again", ["launch", "adopt"])
def test_a_restart_between_the_ends_of_two_ranks_loses_neither(
    new_stage: Callable[[], Stage], again: str
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; [ $NODE_RANK = 0 ] || sleep 1000", nodes=2)
        await stage.exited(launch, 0)
        await stage.logged(launch, b"up", 1)
        await stage.restart()
        await getattr(stage.cluster, again)(launch)
        assert (await stage.exited(launch, 0)).exit_code == 0
        assert not [report for report in stage.of(RankExited, launch) if report.rank == 1]
        await stage.cluster.end(launch.execution)
        assert (await stage.exited(launch, 1)).exit_code == 143
        assert stage.read_log(launch.execution, 1).count(b"up") == 1

    play(new_stage, scene)


def test_a_sweep_ends_every_rank_of_an_orphan_and_removes_its_directory(
    tmp_path: Path, new_stage: Callable[[], Stage]
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; sleep 1000", nodes=3)
        for rank in range(3):
            await stage.logged(launch, b"up", rank)
        await stage.restart()
        await stage.cluster.sweep([])
        await until(lambda: not (tmp_path / "runs" / launch.execution.run_id / "0").exists())
        assert processes_of(launch.execution) == []
        assert list((tmp_path / "held").iterdir()) == []
        assert stage.of(RankExited, launch) == []

    play(new_stage, scene)


def test_a_moment_without_descriptors_loses_no_exit(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(
            "trap '' TERM; echo $PPID; while :; do sleep 0.1; done", grace_seconds=0.1
        )
        await stage.started(launch)
        await stage.logged(launch, b"\n")
        supervisor = int(stage.read_log(launch.execution, 0))
        await stage.cluster.end(launch.execution)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            await until(lambda: not is_alive(supervisor))
            for _ in range(3):  # turns of the loop, for it to see that too
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await stage.exited(launch)).exit_code == 137

    play(new_stage, scene)
