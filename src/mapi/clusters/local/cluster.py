"""This machine as a cluster.

A rank's directory is the truth about it; pipes and pidfds only say when to look at it again. So a rank that
was just launched, one found after a restart, and one whose launcher or supervisor was killed all go through
`_look`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapi.clusters.base import (
    Inventory,
    Launch,
    LaunchFailed,
    Logs,
    Notice,
    RankExited,
    RankStarted,
    Report,
)
from mapi.clusters.local.devices import DevicesTaken, Ledger, RankDevices
from mapi.clusters.local.environment import inherited
from mapi.clusters.local.inventory import discover
from mapi.clusters.local.launcher import FORCE, STOP
from mapi.clusters.local.ports import Ports
from mapi.clusters.local.rank import RankFiles, RankState, read_held, run_directory
from mapi.clusters.local.settings import LocalSettings
from mapi.clusters.local.specification import specify
from mapi.clusters.local.starter import Starter
from mapi.clusters.local.terminal import Terminal
from mapi.domain.errors import Conflict
from mapi.domain.run import ExecutionId, now_ms
from mapi.domain.runtime import PARAMETERS_MOUNT
from mcli.models.mint_message import TerminalSize

#: How often a rank is handed to a launcher before it is given up.
_ATTEMPTS = 5

#: Seconds until a rank's directory that could not be read is looked at again.
_PATIENCE = 0.2

_STOPPED_EARLY = "stopped before its command began"
_NEVER_STARTED = "it was never started: the platform ended before it could be"
_GIVEN_UP = f"it could not be started: {_ATTEMPTS} supervisors died or could not be forked"
_LOST = "the rank's supervisor was killed, so that its exit code is unknown; what it left has been killed too"


@dataclass(slots=True, eq=False)
class _Rank:
    """A rank that has not been seen to end.

    `specification`: what to send a launcher; None for one that is only to be watched. `watch`: the pipe or
    pidfd that says when to look again. `ending`: the signal it was asked to end with. `owned`: False where
    nobody waits for it.
    """

    execution: ExecutionId
    rank: int
    files: RankFiles
    specification: bytes | None = None
    attempts: int = 0
    watch: int | None = None
    started: bool = False
    ending: int | None = None
    owned: bool = True


class LocalCluster:
    """Runs executions as processes of this machine."""

    kind = "local"

    def __init__(self, name: str, home: Path, settings: LocalSettings, logs: Logs) -> None:
        self.name = name
        self._home = home
        self._log_path = logs.path
        self._machine = discover(settings)
        self._ledger = Ledger(self._machine.devices)
        self._environment = inherited(os.environ)
        self._executions: dict[ExecutionId, dict[int, _Rank]] = {}
        self._cleanups: set[asyncio.Task[None]] = set()
        self._ports = Ports()

    @property
    def inventory(self) -> Inventory:
        """What there is: it does not change while the platform runs."""
        return self._machine.inventory

    async def open(self, report: Callable[[Report], None], changed: Callable[[], None]) -> None:
        """Start a launcher."""
        self._report = report
        self._loop = asyncio.get_running_loop()
        for execution, rank, devices in read_held(self._home):
            self._ledger.hold(execution, rank, devices)
        self._starter = Starter()

    async def launch(self, launch: Launch) -> None:
        """Hand every rank to the launcher."""
        if launch.execution in self._executions:
            return
        numbers = range(len(launch.placement))
        fresh = [number for number in numbers if self._ledger.held(launch.execution, number) is None]
        try:
            handed = self._ledger.allocate(
                launch.execution,
                launch.placement,
                gpus=launch.allocation.gpus_per_node,
                cpus=launch.allocation.cpus_per_node,
                port=self._ports.pick(self._ledger.ports),
            )
            ranks = [self._prepare(launch, number, handed[number]) for number in numbers]
        except (DevicesTaken, OSError) as error:
            for number in fresh:
                self._release(self._found(launch.execution, number))
            self._report(LaunchFailed(launch.execution, now_ms(), str(error), system=True))
            return
        self._executions[launch.execution] = {rank.rank: rank for rank in ranks}
        for rank in ranks:
            self._submit(rank)
        if launch.image:
            self._notice(
                launch.execution,
                "IMAGE_IGNORED",
                f"image {launch.image} is not used: commands run as plain processes of this machine",
            )

    async def adopt(self, launch: Launch) -> None:
        """Watch the ranks of an earlier platform process."""
        if launch.execution in self._executions:
            return
        ranks = [self._found(launch.execution, rank) for rank in range(len(launch.placement))]
        self._executions[launch.execution] = {rank.rank: rank for rank in ranks}
        for rank in ranks:
            self._look(rank)

    async def end(self, execution: ExecutionId, *, force: bool = False) -> None:
        """Signal every rank's supervisor, which keeps the grace period itself."""
        for rank in self._executions.get(execution, {}).values():
            if rank.ending != FORCE:
                rank.ending = FORCE if force else STOP
            rank.files.signal(rank.ending)

    async def shell(
        self, execution: ExecutionId, rank: int, *, command: str | None, size: TerminalSize
    ) -> Terminal:
        """Have the rank's supervisor start it."""
        running = self._executions.get(execution, {}).get(rank)
        if running is None or not running.started:
            raise Conflict(f"rank {rank} does not run: it has ended, or has not started yet")
        try:
            return Terminal.open(running.files.directory, command, size)
        except OSError as error:
            raise Conflict(f"rank {rank} takes no shells: {error.strerror}") from None

    async def sweep(self, keep: Collection[ExecutionId]) -> None:
        """End what runs and is not in `keep`, and remove its directory then.

        What had ended before is left to `forget`: its work directory may hold what somebody wants.
        """
        orphans = [held for held in self._ledger if held[0] not in keep]
        found = []
        for execution, number in orphans:
            ranks = self._executions.setdefault(execution, {})
            if number not in ranks:
                ranks[number] = self._found(execution, number)
                found.append(ranks[number])
            ranks[number].owned = False
        for rank in found:
            self._look(rank)
        for execution in {execution for execution, _ in orphans}:
            await self.end(execution)

    async def release(self, execution: ExecutionId) -> None:
        """Keep everything: a work directory may hold what somebody wants, until the run is deleted."""

    async def forget(self, run_id: str) -> None:
        """Remove a run's directory, with what its commands left in their work directories."""
        await asyncio.to_thread(shutil.rmtree, run_directory(self._home, run_id), ignore_errors=True)

    async def close(self) -> None:
        """Stop watching; only the launcher ends."""
        for ranks in self._executions.values():
            for rank in ranks.values():
                self._unwatch(rank)
        self._executions.clear()
        while self._cleanups:
            await asyncio.gather(*self._cleanups)
        await self._starter.close()

    # Starting

    def _prepare(self, launch: Launch, number: int, devices: RankDevices) -> _Rank:
        files = RankFiles(self._home, launch.execution, number)
        files.create(devices)
        specification = specify(
            launch,
            number,
            files,
            devices,
            log=self._log_path(launch.execution, number),
            base=self._environment,
        )
        return _Rank(launch.execution, number, files, specification=specification)

    def _submit(self, rank: _Rank) -> None:
        """Hand a rank to the launcher, unless the cluster has been closed meanwhile."""
        if rank.execution not in self._executions or rank.specification is None:
            return
        rank.attempts += 1
        try:
            rank.watch = self._starter.submit(rank.specification)
        except OSError as error:
            self._give_up(rank, RankState(ended=now_ms(), error=f"it could not be started: {error}"))
        else:
            self._loop.add_reader(rank.watch, self._nudged, rank, rank.watch)

    # Watching

    def _found(self, execution: ExecutionId, number: int) -> _Rank:
        return _Rank(execution, number, RankFiles(self._home, execution, number))

    def _nudged(self, rank: _Rank, pipe: int) -> None:
        if os.read(pipe, 1):
            self._tell_started(rank, rank.files.read_state())
        else:
            self._unwatch(rank)
            self._look(rank)

    def _gone(self, rank: _Rank) -> None:
        self._unwatch(rank)
        self._look(rank)

    def _unwatch(self, rank: _Rank) -> None:
        if rank.watch is not None:
            self._loop.remove_reader(rank.watch)
            os.close(rank.watch)
            rank.watch = None

    def _look(self, rank: _Rank) -> None:
        """Learn from its directory what became of a rank that nothing watches, and do what follows."""
        if rank.execution not in self._executions:
            return
        try:
            supervisor, state = rank.files.inspect()
        except OSError:  # no descriptor is free, or the disk is away: not for long
            self._loop.call_later(_PATIENCE, self._look, rank)
            return
        self._tell_started(rank, state)
        if state.ended is not None:
            if supervisor is not None:
                os.close(supervisor)
            self._finish(rank, state)
        elif supervisor is not None:
            rank.watch = supervisor
            self._loop.add_reader(supervisor, self._gone, rank)
        elif state.started is not None:
            self._clean_up(self._bury(rank))
        elif rank.ending is not None:
            self._give_up(rank, RankState(ended=now_ms(), code=128 + STOP, error=_STOPPED_EARLY))
        elif rank.specification is None:
            self._give_up(rank, RankState(ended=now_ms(), error=_NEVER_STARTED))
        elif rank.attempts == _ATTEMPTS:
            self._give_up(rank, RankState(ended=now_ms(), error=_GIVEN_UP))
        else:
            self._loop.call_later(0.05 * (rank.attempts - 1), self._submit, rank)

    def _tell_started(self, rank: _Rank, state: RankState) -> None:
        if rank.started or state.started is None:
            return
        rank.started = True
        if rank.ending is not None:
            rank.files.signal(rank.ending)
        if not rank.owned:
            return
        self._report(RankStarted(rank.execution, rank.rank, state.started))
        if state.note and rank.rank == 0:
            self._notice(
                rank.execution,
                "PARAMETERS_NOT_MOUNTED",
                f"the parameters are at $PARAMETERS only, not in {PARAMETERS_MOUNT}: {state.note}",
            )

    # Ending

    def _give_up(self, rank: _Rank, state: RankState) -> None:
        """Let a rank that was never started never be, unless a supervisor has come to it just now."""
        rank.files.abandon(state)
        rank.watch = rank.files.supervisor()
        if rank.watch is not None:
            self._loop.add_reader(rank.watch, self._gone, rank)
        else:
            self._finish(rank, state)

    async def _bury(self, rank: _Rank) -> None:
        """End what a killed supervisor left."""
        reason = _LOST
        try:
            await asyncio.to_thread(rank.files.kill_remains)
        except OSError as error:
            reason = f"the rank's supervisor was killed; {error}"
        self._finish(rank, RankState(ended=now_ms(), error=reason))

    def _finish(self, rank: _Rank, state: RankState) -> None:
        """Take back what the rank has, and tell."""
        self._release(rank)
        ranks = self._executions.get(rank.execution, {})
        ranks.pop(rank.rank, None)
        if not ranks:
            self._executions.pop(rank.execution, None)
        if rank.owned:
            at = state.ended or now_ms()
            self._report(
                RankExited(rank.execution, rank.rank, at, state.code, state.reason, system=state.code is None)
            )
        elif not ranks:
            directory = rank.files.directory.parent
            self._clean_up(asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True))

    def _release(self, rank: _Rank) -> None:
        self._ledger.release(rank.execution, rank.rank)
        rank.files.release()

    def _clean_up(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    def _notice(self, execution: ExecutionId, kind: str, message: str) -> None:
        self._report(Notice(execution, now_ms(), kind, message))
