"""A Kubernetes cluster: watches say what is there, and every execution is told what concerns it.

Objects are the truth about an execution. They stay until its end is recorded (`release`), so one that was
just launched and one found after a restart are the same: somebody watches its Job and its pods. Nothing here
waits for the API server but `open`, for a moment: a cluster that cannot be reached has no room, its runs keep
the status they have, and what is asked meanwhile is done when it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mapi.clusters.base import Inventory, Launch, Logs, Report
from mapi.clusters.kubernetes.check import warn
from mapi.clusters.kubernetes.client import (
    EVENTS,
    JOBS,
    PODS,
    WORKLOADS,
    Api,
    Json,
    KubernetesError,
)
from mapi.clusters.kubernetes.events import about_job, telling
from mapi.clusters.kubernetes.execution import Execution
from mapi.clusters.kubernetes.home import Home
from mapi.clusters.kubernetes.names import PLATFORM, execution_of, names
from mapi.clusters.kubernetes.nodes import Nodes
from mapi.clusters.kubernetes.queue import job_of, waiting_for
from mapi.clusters.kubernetes.rank import Site
from mapi.clusters.kubernetes.reachability import Reachability
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.clusters.kubernetes.shell import PodShell
from mapi.clusters.kubernetes.watch import Watch
from mapi.domain.access import Endpoints
from mapi.domain.errors import Conflict
from mapi.domain.run import ExecutionId
from mcli.models.mint_message import TerminalSize

#: How long `open` waits until it is known what there is, in seconds.
_FIRST_LOOK = 5.0


class KubernetesCluster:
    """Runs executions as Jobs of a namespace."""

    kind = "kubernetes"

    def __init__(
        self,
        name: str,
        home: Path,
        settings: KubernetesSettings,
        logs: Logs,
    ) -> None:
        self.name = name
        self._home = Home(home)
        self._settings = settings
        self._logs = logs
        self._api = Api.connect(settings)
        self._executions: dict[ExecutionId, Execution] = {}
        self._by_job: dict[str, Execution] = {}
        self._reachability = Reachability(name, self._reached)
        self._running: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._platform = self._home.identity()
        mine = {"labelSelector": f"{PLATFORM}={self._platform}"}
        heard = self._reachability.heard
        self._nodes = Nodes(self._api, settings, self._home, self._recount, heard)
        self._jobs = Watch(self._api, JOBS, self._job_changed, heard, **mine)
        self._pods = Watch(self._api, PODS, self._pod_changed, heard, **mine)
        self._events = Watch(self._api, EVENTS, self._event_seen)
        self._workloads = Watch(self._api, WORKLOADS, self._workload_changed, self._queue_heard)

    @property
    def inventory(self) -> Inventory:
        """What there is now."""
        return self._nodes.inventory

    async def open(self, report: Callable[[Report], None], changed: Callable[[], None]) -> None:
        """Begin to watch, and wait a moment to know what there is."""
        self._report = report
        self._changed = changed
        self._opened = datetime.now(UTC).replace(microsecond=0)  # events have whole seconds
        self._site = Site(
            api=self._api,
            queue=self._settings.queue,
            report=report,
            logs=self._logs,
            note_file=self._home.note,
            node_lost=self._nodes.is_lost,
            heard=self._reachability.heard,
        )
        watches = [self._nodes.watch, self._jobs, self._pods, self._events]
        if self._settings.queue:
            watches.append(self._workloads)
        self._running = [asyncio.create_task(watch.run()) for watch in watches]
        self._do(warn(self._api, self.name, queue=bool(self._settings.queue)))
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_LOOK):
                await self._synced()
                await self._nodes.watch.synced.wait()
        self._recount()

    async def launch(self, launch: Launch) -> None:
        """Have the objects of an execution made."""
        if launch.execution in self._executions:
            return
        if launch.access and self._settings.endpoint:
            there = replace(launch.access, endpoints=Endpoints.at(self._settings.endpoint))
            launch = replace(launch, access=there)
        called = names(self._platform, launch)
        execution = self._watch(launch.execution, launch.allocation.nodes, called.job)
        execution.create(launch, called, self._settings, self._nodes.place(launch))
        await self._show(execution, created=True)

    async def adopt(self, launch: Launch) -> None:
        """Watch what is there of an execution."""
        if launch.execution in self._executions:
            return
        called = names(self._platform, launch)
        execution = self._watch(launch.execution, launch.allocation.nodes, called.job, admitted=True)
        await self._show(execution, created=False)

    async def end(self, execution: ExecutionId, *, force: bool = False) -> None:
        """Ask for it."""
        if execution in self._executions:
            self._executions[execution].end(force=force)

    async def shell(
        self, execution: ExecutionId, rank: int, *, command: str | None, size: TerminalSize
    ) -> PodShell:
        """Start one in the rank's container."""
        known = self._executions.get(execution)
        running = known.ranks.get(rank) if known else None
        if running is None or not running.started or running.pod is None or running.over.is_set():
            raise Conflict(f"rank {rank} does not run: it has ended, or has not started yet")
        try:
            return await PodShell.open(self._api, running.pod, command, size)
        except KubernetesError as error:
            raise Conflict(f"rank {rank} takes no shells: {error}") from None

    async def sweep(self, keep: Collection[ExecutionId]) -> None:
        """Delete what is of this platform and not in `keep`, now or when it is known what there is."""
        kept = set(keep)
        self._home.sweep(kept | self._executions.keys())
        for identity, execution in self._executions.items():
            if identity not in kept:
                execution.owned = False
                execution.remove()
        swept = self._do(self._remove(lambda execution: execution not in kept))
        if self._jobs.synced.is_set():  # otherwise `open` has waited already, in vain
            await asyncio.wait((swept,), timeout=_FIRST_LOOK)

    async def release(self, execution: ExecutionId) -> None:
        """Delete the objects of an execution: its history has all that they say."""
        known = self._executions.get(execution)
        if known is not None:
            known.owned = False
            known.remove()
            self._do(self._let_go(known))

    async def forget(self, run_id: str) -> None:
        """Delete what is left of a run."""
        self._do(self._remove(lambda execution: execution.run_id == run_id))

    async def close(self) -> None:
        """Stop watching."""
        tasks = [*self._running, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for execution in self._executions.values():
            await execution.close()
        self._executions.clear()
        await self._api.close()

    # Executions

    def _watch(
        self,
        identity: ExecutionId,
        ranks: int,
        job_name: str,
        *,
        admitted: bool = False,
        owned: bool = True,
    ) -> Execution:
        execution = Execution(self._site, identity, ranks, job_name, admitted=admitted, owned=owned)
        self._executions[identity] = self._by_job[job_name] = execution
        if self._reachability.silent is not None:
            self._say_silent(execution, self._reachability.silent)
        return execution

    async def _show(self, execution: Execution, *, created: bool) -> None:
        """Tell an execution what is there: now, or when that is known; it may have been created just now."""

        async def show() -> None:
            await self._synced()
            self._show_pods(execution)
            item = self._jobs.items.get(execution.job_name)
            if item is not None or not created:
                execution.job_seen(item)
            for workload in self._workloads.items.values():
                if job_of(workload) == execution.job_name:
                    self._workload_changed(workload, False)

        if self._jobs.synced.is_set() and self._pods.synced.is_set():
            await show()
        else:
            self._do(show())

    def _show_pods(self, execution: Execution) -> None:
        for pod in list(self._pods.items.values()):
            if execution_of(pod) == execution.identity:
                execution.pod_seen(pod, gone=False)

    async def _remove(self, unwanted: Callable[[ExecutionId], bool]) -> None:
        """Delete the Jobs of executions that nobody waits for, and keep what they still print."""
        await self._synced()
        for name, item in list(self._jobs.items.items()):
            identity = execution_of(item)
            if unwanted(identity) and identity not in self._executions:
                execution = self._watch(identity, 0, name, owned=False)
                self._show_pods(execution)
                execution.remove()
        orphans = [each for each in self._executions.values() if not each.owned and unwanted(each.identity)]
        for execution in orphans:
            await execution.settled()
            self._do(self._let_go(execution))

    async def _let_go(self, execution: Execution) -> None:
        """Forget an execution that is to leave nothing, when it is over."""
        await execution.settled()
        await execution.finished()
        self._executions.pop(execution.identity, None)
        self._by_job.pop(execution.job_name, None)
        for rank in execution.ranks:
            self._home.note(execution.identity, rank).unlink(missing_ok=True)

    # What the cluster says

    def _job_changed(self, item: Json, gone: bool) -> None:
        execution = self._executions.get(execution_of(item))
        if execution is not None:
            execution.job_seen(None if gone else item)

    def _pod_changed(self, pod: Json, gone: bool) -> None:
        execution = self._executions.get(execution_of(pod))
        if execution is not None:
            execution.pod_seen(pod, gone)

    def _event_seen(self, event: Json, gone: bool) -> None:
        told = None if gone else telling(event, self._opened)
        execution = self._by_job.get(about_job(event))
        if told is not None and execution is not None:
            execution.hold_up(*told)

    def _workload_changed(self, workload: Json, gone: bool) -> None:
        execution = self._by_job.get(job_of(workload) or "")
        reason = None if gone else waiting_for(workload)
        if execution is not None and reason is not None:
            execution.waits_for(f"waiting in queue {self._settings.queue} of {self.name}: {reason}")

    def _queue_heard(self, _: str, error: KubernetesError | None) -> None:
        if error is not None:
            for execution in self._executions.values():
                execution.waits_for(f"queue {self._settings.queue} of {self.name} cannot be seen: {error}")

    def _recount(self) -> None:
        """Learn what there is now, and give up what was on nodes that do not answer."""
        if self._nodes.recount(lost=self._reachability.silent is not None):
            self._changed()
        for execution in list(self._executions.values()):
            execution.look_at_nodes()

    # Whether it is there

    def _reached(self) -> None:
        """Tell every run that the cluster does not answer, or does again."""
        silent = self._reachability.silent
        for execution in list(self._executions.values()):
            if silent is None:
                execution.notice("CLUSTER_REACHED", f"cluster {self.name} answers again", None)
            else:
                self._say_silent(execution, silent)
        self._recount()

    def _say_silent(self, execution: Execution, silent: str) -> None:
        execution.hold_up("CLUSTER_UNREACHABLE", f"{silent}; its status is the last that was known")

    # Odds and ends

    async def _synced(self) -> None:
        for watch in (self._jobs, self._pods):
            await watch.synced.wait()

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
