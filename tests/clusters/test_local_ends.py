from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.clusters.local_stage import (
    DAEMON,
    processes_of,
)
from tests.clusters.suite import Stage, play, until


@pytest.mark.parametrize("then", ["until grep -q daemon ../../../../../*.log; do :; done", "sleep 1000"])
def test_a_daemon_is_gone_when_its_command_has_ended_or_was_stopped(
    new_stage: Callable[[], Stage], then: str
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch(DAEMON + then, grace_seconds=0.2)
        await stage.logged(launch, b"daemon")
        if "sleep" in then:
            await stage.cluster.end(launch.execution)
        exited = await stage.exited(launch)
        assert exited.exit_code == (143 if "sleep" in then else 0)
        assert processes_of(launch.execution) == []

    play(new_stage, scene)


def test_what_a_command_leaves_gets_the_gentle_signal_first(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        helper = "(trap 'echo tidy; exit' TERM; echo up; while :; do sleep 0.01; done) & "
        exited, log = await stage.run(helper + "until grep -q up ../../../../../*.log; do :; done")
        assert exited.exit_code == 0
        assert b"tidy" in log

    play(new_stage, scene)


def test_a_stopped_program_keeps_its_whole_grace_though_its_shell_is_gone(
    new_stage: Callable[[], Stage],
) -> None:
    async def scene(stage: Stage) -> None:
        save = (
            "import signal, time; signal.signal(15, lambda *_: (time.sleep(2.3), print('saved'), exit(0)));"
        )
        program = f"{sys.executable} -u -c \"{save} print('up'); time.sleep(1000)\"; echo not reached"
        launch = await stage.launch(program)
        await stage.logged(launch, b"up")
        await stage.cluster.end(launch.execution)
        assert (await stage.exited(launch)).exit_code == 143
        assert stage.read_log(launch.execution, 0) == b"up\nsaved\n"

    play(new_stage, scene)


def test_a_stop_is_kept_to_the_end_by_the_supervisor_alone(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("trap '' TERM; echo up; while :; do sleep 1; done", grace_seconds=0.2)
        await stage.logged(launch, b"up")
        await stage.cluster.end(launch.execution)
        await stage.cluster.close()
        await until(lambda: processes_of(launch.execution) == [])
        stage.cluster = stage.make()
        await stage.open()
        await stage.cluster.adopt(launch)
        assert (await stage.exited(launch)).exit_code == 137

    play(new_stage, scene)
