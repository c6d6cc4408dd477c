"""What every kind of cluster promises: a kind's own test module derives from `ClusterSuite`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mapi.clusters.base import Cluster, Launch, LaunchFailed, Notice, RankExited, RankStarted, Report
from mapi.domain.errors import Conflict
from mapi.domain.run import Allocation, ExecutionId
from mapi.logs.times import Record
from mcli.models.mint_message import TerminalSize

DEADLINE = 20.0

R = TypeVar("R", bound=Report)


class LogFiles:
    """The logs of a stage, and what was said of when they were written."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.times: dict[Path, list[Record]] = {}

    def path(self, execution: ExecutionId, rank: int) -> Path:
        return self._home / f"{execution.run_id}-{execution.resumption}-{rank}.log"

    def written(self, execution: ExecutionId, rank: int, records: Iterable[Record]) -> None:
        self.times.setdefault(self.path(execution, rank), []).extend(records)

    def read(self, execution: ExecutionId, rank: int) -> bytes:
        path = self.path(execution, rank)
        return path.read_bytes() if path.exists() else b""


@dataclass
class Stage:
    """A cluster under test, everything it has reported, and ways to wait for more.

    `deadline`: how many seconds one report may take. `image`: of the runs. `changes`: how often the inventory
    has changed.
    """

    make: Callable[[], Cluster]
    logs: LogFiles
    deadline: float = DEADLINE
    image: str = ""
    reports: list[Report] = field(default_factory=list)
    changes: int = 0

    def read_log(self, execution: ExecutionId, rank: int) -> bytes:
        return self.logs.read(execution, rank)

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self._reported = asyncio.Event()
        self.cluster = self.make()

    async def open(self) -> None:
        await self.cluster.open(self._report, self._changed)

    async def restart(self) -> None:
        """Another platform process takes over; what was reported to the first is forgotten."""
        await self.cluster.close()
        self.reports.clear()
        self.cluster = self.make()
        await self.open()

    def plan(self, command: str, *, nodes: int = 1, gpus: int = 0, cpus: int = 0, **fields: Any) -> Launch:
        node = self.cluster.inventory.nodes[0]
        return Launch(
            **{
                "execution": ExecutionId(f"run-{next(self._numbers)}", 0),
                "run_name": "hello-abc123",
                "command": command,
                "image": self.image,
                "env": {},
                "parameters": "lr: 0.1\n",
                "allocation": Allocation("here", node.instance, nodes, gpus, cpus, node.gpu_type),
                "placement": (node.name,) * nodes,
                "grace_seconds": 10.0,
                **fields,
            }
        )

    async def launch(self, command: str, **fields: Any) -> Launch:
        launch = self.plan(command, **fields)
        await self.cluster.launch(launch)
        return launch

    async def run(self, command: str, **fields: Any) -> tuple[RankExited, bytes]:
        """Launch one rank; return how it ended and its log."""
        launch = await self.launch(command, **fields)
        return await self.exited(launch), self.read_log(launch.execution, 0)

    async def started(self, launch: Launch, rank: int = 0) -> RankStarted:
        return await self._wait(RankStarted, launch, lambda report: report.rank == rank)

    async def exited(self, launch: Launch, rank: int = 0) -> RankExited:
        return await self._wait(RankExited, launch, lambda report: report.rank == rank)

    async def failed(self, launch: Launch) -> LaunchFailed:
        return await self._wait(LaunchFailed, launch, lambda _: True)

    async def noticed(self, launch: Launch, kind: str) -> Notice:
        return await self._wait(Notice, launch, lambda report: report.type == kind)

    async def logged(self, launch: Launch, text: bytes, rank: int = 0) -> None:
        """Wait until a rank has written `text`."""
        await until(lambda: text in self.read_log(launch.execution, rank), self.deadline)

    def of(self, kind: type[R], launch: Launch) -> list[R]:
        return [
            report
            for report in self.reports
            if isinstance(report, kind) and report.execution == launch.execution
        ]

    async def _wait(self, kind: type[R], launch: Launch, fits: Callable[[R], bool]) -> R:
        async with asyncio.timeout(self.deadline):
            while True:
                for report in self.of(kind, launch):
                    if fits(report):
                        return report
                self._reported.clear()
                await self._reported.wait()

    def _changed(self) -> None:
        self.changes += 1

    def _report(self, report: Report) -> None:
        self.reports.append(report)
        self._reported.set()


async def until(condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(deadline):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class ClusterSuite:
    """The promises of `mapi.clusters.base`. The fixture `new_stage` makes a stage of the kind under test."""

    def test_a_command_that_succeeds_is_reported_started_and_then_exited_with_0(
        self, new_stage: Callable[[], Stage]
    ) -> None:
        async def scene(stage: Stage) -> None:
            launch = await stage.launch("echo hello")
            exited = await stage.exited(launch)
            assert (exited.exit_code, exited.reason, exited.system) == (0, None, False)
            assert [type(report) for report in stage.reports if not isinstance(report, Notice)] == [
                RankStarted,
                RankExited,
            ]
            assert stage.read_log(launch.execution, 0) == b"hello\n"

        play(new_stage, scene)

    @pytest.mark.parametrize(
        ("command", "code", "words"),
        [
            ("exit 3", 3, "exit code 3"),
            ("kill -SEGV $$", 139, "killed by SIGSEGV (signal 11)"),
            ("kill -KILL $$", 137, "killed (signal 9)"),
            ("no-such-program", 127, "exit code 127"),
        ],
    )
    def test_a_failure_carries_its_exit_code_and_a_reason(
        self, new_stage: Callable[[], Stage], command: str, code: int, words: str
    ) -> None:
        async def scene(stage: Stage) -> None:
            exited, _ = await stage.run(command)
            assert exited.exit_code == code
            assert not exited.system
            assert words in (exited.reason or "")

        play(new_stage, scene)

    def test_launching_twice_starts_once(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            launch = stage.plan("echo once")
            await asyncio.gather(stage.cluster.launch(launch), stage.cluster.launch(launch))
            await stage.exited(launch)
            await stage.cluster.launch(launch)
            await stage.restart()
            await stage.cluster.launch(launch)
            await stage.exited(launch)
            assert stage.read_log(launch.execution, 0) == b"once\n"

        play(new_stage, scene)

    def test_every_rank_gets_the_environment_of_its_place(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            launch = await stage.launch(
                "echo $NODE_RANK $NUM_NODES $WORLD_SIZE $LOCAL_WORLD_SIZE "
                "$MASTER_ADDR:$MASTER_PORT $RUN_NAME",
                nodes=2,
            )
            for rank in (0, 1):
                await stage.exited(launch, rank)
            first, second = (stage.read_log(launch.execution, rank).split() for rank in (0, 1))
            assert first[:4] == [b"0", b"2", b"2", b"1"]
            assert second[:4] == [b"1", b"2", b"2", b"1"]
            assert first[4:] == second[4:]
            assert first[5] == b"hello-abc123"

        play(new_stage, scene)

    def test_the_users_variables_have_the_last_word(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            env = {"GREETING": 'a "b" $HOME `id`\nü', "RUN_NAME": "mine", "PARAMETERS": "/mine"}
            _, log = await stage.run('printf "%s|" "$GREETING" "$RUN_NAME" "$PARAMETERS"', env=env)
            assert log.decode() == 'a "b" $HOME `id`\nü|mine|/mine|'

        play(new_stage, scene)

    @pytest.mark.parametrize(
        "command",
        [
            "echo 'single' \"double\" \\\\ ü 漢 🚀",
            "echo a\necho 'b\nc'",
            "echo '$(echo no)'; echo \"$((1+1))\"\n",
        ],
    )
    def test_a_command_reaches_the_shell_as_it_was_written(
        self, new_stage: Callable[[], Stage], command: str
    ) -> None:
        async def scene(stage: Stage) -> None:
            plain = await asyncio.create_subprocess_exec(
                "bash", "-c", command, stdout=asyncio.subprocess.PIPE
            )
            expected, _ = await plain.communicate()
            _, log = await stage.run(command)
            assert log == expected

        play(new_stage, scene)

    def test_the_parameters_file_is_where_the_variable_says(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            _, log = await stage.run('cat "$PARAMETERS"', parameters="name: ü\nlist: [1, 2]\n")
            assert log.decode() == "name: ü\nlist: [1, 2]\n"

        play(new_stage, scene)

    def test_log_bytes_are_whole_when_the_exit_is_reported(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            _, log = await stage.run(r"printf '\377\000\r'; head -c 3000000 /dev/zero; echo err >&2")
            assert log == b"\xff\x00\r" + bytes(3_000_000) + b"err\n"

        play(new_stage, scene)

    def test_an_ended_rank_gets_the_gentle_signal_first(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            launch = await stage.launch(
                "trap 'echo saved; exit 5' TERM; echo ready; while :; do sleep 0.01; done"
            )
            await stage.logged(launch, b"ready")
            await stage.cluster.end(launch.execution)
            assert (await stage.exited(launch)).exit_code == 5
            assert b"saved" in stage.read_log(launch.execution, 0)

        play(new_stage, scene)

    @pytest.mark.parametrize("force", [False, True])
    def test_one_that_ignores_it_is_killed_after_its_grace_or_at_once(
        self, new_stage: Callable[[], Stage], force: bool
    ) -> None:
        async def scene(stage: Stage) -> None:
            launch = await stage.launch(
                "trap '' TERM; echo ready; while :; do sleep 1; done", grace_seconds=1000.0 if force else 0.1
            )
            await stage.logged(launch, b"ready")
            await stage.cluster.end(launch.execution, force=force)
            assert (await stage.exited(launch)).exit_code == 137

        play(new_stage, scene)

    def test_force_overtakes_a_long_grace(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            launch = await stage.launch(
                "trap '' TERM; echo ready; while :; do sleep 1; done", grace_seconds=1000.0
            )
            await stage.logged(launch, b"ready")
            await stage.cluster.end(launch.execution)
            await stage.cluster.end(launch.execution, force=True)
            assert (await stage.exited(launch)).exit_code == 137

        play(new_stage, scene)

    def test_a_stop_right_after_the_launch_is_not_lost(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            launches = [await stage.launch("sleep 1000") for _ in range(10)]
            for launch in launches:
                await stage.cluster.end(launch.execution)
            for launch in launches:
                assert (await stage.exited(launch)).exit_code == 143

        play(new_stage, scene)

    def test_ending_what_is_unknown_is_no_error(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            await stage.cluster.end(ExecutionId("nobody", 0))
            await stage.cluster.forget("nobody")

        play(new_stage, scene)

    def test_what_runs_survives_a_restart_and_its_exit_is_known(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            command = "trap 'exit $((7 + NODE_RANK))' TERM; echo ready; while :; do sleep 0.01; done"
            launch = await stage.launch(command, nodes=2)
            for rank in (0, 1):
                await stage.logged(launch, b"ready", rank)
            await stage.restart()
            await stage.cluster.adopt(launch)
            for rank in (0, 1):
                await stage.started(launch, rank)
            assert not stage.of(RankExited, launch)
            await stage.cluster.end(launch.execution)
            assert [(await stage.exited(launch, rank)).exit_code for rank in (0, 1)] == [7, 8]

        play(new_stage, scene)

    def test_what_ended_before_a_restart_is_reported_again(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            launch = await stage.launch("exit 9")
            before = await stage.exited(launch)
            await stage.restart()
            await stage.cluster.adopt(launch)
            assert await stage.exited(launch) == before
            assert before.exit_code == 9

        play(new_stage, scene)

    def test_adopting_what_was_never_started_starts_nothing_and_says_so(
        self, new_stage: Callable[[], Stage]
    ) -> None:
        async def scene(stage: Stage) -> None:
            launch = stage.plan("echo no")
            await stage.cluster.adopt(launch)
            exited = await stage.exited(launch)
            assert (exited.exit_code, exited.system) == (None, True)
            assert "never started" in (exited.reason or "")

        play(new_stage, scene)

    def test_a_shell_is_where_the_command_is(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            command = "pwd > place; echo up; until [ -e end ]; do sleep 0.01; done"
            launch = await stage.launch(command, nodes=2, env={"WHO": "me"})
            await stage.logged(launch, b"up", rank=1)
            await stage.started(launch, 1)
            look = "echo $WHO $NODE_RANK; cat $PARAMETERS; [ $(pwd) = $(cat place) ] && exit 3"
            shell = await stage.cluster.shell(launch.execution, 1, command=look, size=TerminalSize())
            printed = b""
            while data := await shell.read():
                printed += data
            assert printed == b"me 1\r\nlr: 0.1\r\n"
            assert await shell.exit_code() == 3
            shell.close()
            last = await stage.cluster.shell(launch.execution, 1, command="touch end", size=TerminalSize())
            assert (await stage.exited(launch, 1)).exit_code == 0
            last.close()
            with pytest.raises(Conflict, match="rank 1 does not run"):
                await stage.cluster.shell(launch.execution, 1, command=None, size=TerminalSize())
            await stage.cluster.end(launch.execution, force=True)
            await stage.exited(launch, 0)

        play(new_stage, scene)

    def test_a_shell_can_be_opened_after_a_restart(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            launch = await stage.launch("echo up; sleep 1000")
            await stage.started(launch)
            await stage.restart()
            await stage.cluster.adopt(launch)
            shell = await stage.cluster.shell(launch.execution, 0, command=None, size=TerminalSize(40, 10))
            await shell.write(b"stty size; exit\n")
            printed = b""
            while data := await shell.read():
                printed += data
            assert b"10 40\r\n" in printed
            shell.close()
            await stage.cluster.end(launch.execution, force=True)
            await stage.exited(launch)

        play(new_stage, scene)

    def test_a_sweep_ends_what_nobody_owns_and_nothing_else(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            # It takes its time, in which a cluster that has just found it begins to listen
            command = "trap 'sleep 0.3; echo ended; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
            kept, orphan = [await stage.launch(command) for _ in range(2)]
            for launch in (kept, orphan):
                await stage.logged(launch, b"ready")
            await stage.restart()
            await stage.cluster.sweep([kept.execution])
            await stage.cluster.adopt(kept)
            await stage.logged(orphan, b"ended")
            assert b"ended" not in stage.read_log(kept.execution, 0)
            await stage.cluster.end(kept.execution)
            assert (await stage.exited(kept)).exit_code == 0
            assert not stage.of(RankExited, orphan)

        play(new_stage, scene)

    def test_many_at_once_all_end_as_they_should(self, new_stage: Callable[[], Stage]) -> None:
        async def scene(stage: Stage) -> None:
            launches = [await stage.launch(f"exit {number}") for number in range(60)]
            assert [(await stage.exited(launch)).exit_code for launch in launches] == list(range(60))

        play(new_stage, scene)


def play(new_stage: Callable[[], Stage], scene: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    """Open a stage, play a scene on it, and leave nothing running."""

    async def main() -> None:
        async with _opened(new_stage()) as stage:
            await scene(stage)

    asyncio.run(main())


@asynccontextmanager
async def _opened(stage: Stage) -> AsyncIterator[Stage]:
    await stage.open()
    try:
        yield stage
    finally:
        await stage.cluster.sweep([])
        await stage.cluster.close()
