"""A Kubernetes cluster: watches say what is there, and every execution is told what concerns it.

Objects are the truth about an execution. They stay until its end is recorded (`release`), so one that was
just launched and one found after a restart are the same: somebody watches its Job and its pods. Nothing here
waits for the API server but `open`, for a moment: a cluster that cannot be reached has no room, its runs keep
the status they have, and what is asked meanwhile is done when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mapi.clusters.base import Inventory, Launch, LaunchFailed, Report
from mapi.clusters.kubernetes.client import EVENTS, JOBS, NODES, PODS, Api, Json, KubernetesError
from mapi.clusters.kubernetes.execution import Execution
from mapi.clusters.kubernetes.inventory import inventory, is_ready
from mapi.clusters.kubernetes.objects import PLATFORM, execution_of, names
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.clusters.kubernetes.shell import PodShell
from mapi.clusters.kubernetes.watch import Watch
from mapi.domain.access import Endpoints
from mapi.domain.errors import Conflict
from mapi.domain.run import ExecutionId, now_ms
from mcli.models.mint_message import TerminalSize

log = logging.getLogger(__name__)

#: How long `open` waits until it is known what there is, in seconds.
_FIRST_LOOK = 5.0

#: How long it may take to reach the API server again before runs are told, in seconds.
_PATIENCE = 3.0

#: Events of a Job or a pod that tell why nothing comes of it, or what takes so long.
_TELLING = {
    "FailedCreate": "POD_REFUSED",
    "FailedMount": "CONTAINER_WAITS",
    "Pulling": "PULLING_IMAGE",
}


class KubernetesCluster:
    """Runs executions as Jobs of a namespace."""

    kind = "kubernetes"

    def __init__(
        self,
        name: str,
        home: Path,
        settings: KubernetesSettings,
        log_path: Callable[[ExecutionId, int], Path],
    ) -> None:
        self.name = name
        self._home = home
        self._settings = settings
        self._log_path = log_path
        self._api = Api.connect(settings)
        self._inventory, self._gpu_resources = inventory((), settings)
        self._executions: dict[ExecutionId, Execution] = {}
        self._silent: str | None = None
        self._troubles: dict[str, KubernetesError] = {}
        self._recounting = False
        self._running: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._platform = _identity(home)
        mine = {"labelSelector": f"{PLATFORM}={self._platform}"}
        selected = ",".join(f"{label}={value}" for label, value in settings.node_selector.items())
        self._nodes = Watch(self._api, NODES, self._node_changed, self._heard, labelSelector=selected or None)
        self._jobs = Watch(self._api, JOBS, self._job_changed, self._heard, **mine)
        self._pods = Watch(self._api, PODS, self._pod_changed, self._heard, **mine)
        self._events = Watch(self._api, EVENTS, self._event_seen, lambda _, __: None)

    @property
    def inventory(self) -> Inventory:
        """What there is now."""
        return self._inventory

    async def open(self, report: Callable[[Report], None], changed: Callable[[], None]) -> None:
        """Begin to watch, and wait a moment to know what there is."""
        self._report = report
        self._changed = changed
        self._opened = datetime.now(UTC).replace(microsecond=0)  # events are timed in seconds
        watches = (self._nodes, self._jobs, self._pods, self._events)
        self._running = [asyncio.create_task(watch.run()) for watch in watches]
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_LOOK):
                await self._synced()
                await self._nodes.synced.wait()
        self._recount()

    async def launch(self, launch: Launch) -> None:
        """Have the objects of an execution made."""
        if launch.execution in self._executions:
            return
        if not (launch.image or self._settings.default_image):
            reason = "image is a required field on Kubernetes: a run is a container"
            self._report(LaunchFailed(launch.execution, now_ms(), reason))
            return
        if launch.access and self._settings.endpoint:
            there = replace(launch.access, endpoints=Endpoints.at(self._settings.endpoint))
            launch = replace(launch, access=there)
        called = names(self._platform, launch)
        execution = self._watch(launch.execution, launch.allocation.nodes, called.job)
        execution.create(launch, called, self._settings, self._gpu_resources)
        await self._show(execution, created=True)

    async def adopt(self, launch: Launch) -> None:
        """Watch what is there of an execution."""
        if launch.execution in self._executions:
            return
        called = names(self._platform, launch)
        execution = self._watch(launch.execution, launch.allocation.nodes, called.job)
        await self._show(execution, created=False)

    async def end(self, execution: ExecutionId, *, force: bool = False) -> None:
        """Ask for it; a queue of the cluster's own suspends Jobs itself, so there they are deleted."""
        if execution in self._executions:
            self._executions[execution].end(force=force, by_deletion=bool(self._settings.queue))

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
        for identity, execution in self._executions.items():
            if identity not in kept:
                execution.owned = False
                execution.remove()
        swept = self._do(self._remove(lambda execution: execution not in kept))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(swept), _FIRST_LOOK)

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

    def _watch(self, identity: ExecutionId, ranks: int, job_name: str, *, owned: bool = True) -> Execution:
        execution = Execution(
            self._api,
            identity,
            ranks,
            job_name,
            report=self._report,
            log_file=self._log_path,
            note_file=self._note_path,
            node_lost=self._is_lost,
            owned=owned,
        )
        self._executions[identity] = execution
        if self._silent is not None:
            execution.notice(*self._unreachable())
        return execution

    async def _show(self, execution: Execution, *, created: bool) -> None:
        """Tell an execution what is there: now, or when that is known; it may have been created just now."""

        async def show() -> None:
            await self._synced()
            self._show_pods(execution)
            item = self._jobs.items.get(execution.job_name)
            if item is not None or not created:
                execution.job_seen(item)

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
        for rank in execution.ranks:
            self._note_path(execution.identity, rank).unlink(missing_ok=True)

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
        kind = _TELLING.get(event.get("reason", ""))
        if kind is None or gone or not self._is_recent(event):
            return
        # Its pod need not be known here yet; the name of one begins with that of its Job
        about = event["involvedObject"]
        name = about.get("name", "")
        job = name if about.get("kind") == "Job" else name.rpartition("-")[0].rpartition("-")[0]
        for execution in self._executions.values():
            if execution.job_name == job:
                execution.notice(kind, event.get("message", ""))

    def _is_recent(self, event: Json) -> bool:
        """Whether an event came while this process watched; the older ones have been told."""
        at = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
        return datetime.fromisoformat(at) >= self._opened

    def _node_changed(self, item: Json, gone: bool) -> None:
        if not self._recounting:
            self._recounting = True
            asyncio.get_running_loop().call_soon(self._recount)

    def _recount(self) -> None:
        """Learn the inventory anew: once for all nodes that have changed at the same time."""
        self._recounting = False
        now, self._gpu_resources = inventory(
            self._nodes.items.values(), self._settings, lost=self._silent is not None
        )
        if now != self._inventory:
            self._inventory = now
            self._changed()
        for execution in list(self._executions.values()):
            execution.look_at_nodes()

    def _is_lost(self, node: str | None) -> bool:
        """Whether a node is known not to answer."""
        if node is None or not self._nodes.synced.is_set():
            return False
        item = self._nodes.items.get(node)
        return item is None or not is_ready(item)

    # Whether it is there

    def _heard(self, watch: Watch, error: KubernetesError | None) -> None:
        if error is None:
            self._troubles.pop(watch.resource, None)
            if not self._troubles:
                self._say_back()
        else:
            before = self._troubles.get(watch.resource)
            self._troubles[watch.resource] = error
            if type(error) is not type(before):
                asyncio.get_running_loop().call_later(_PATIENCE, self._say_silent)

    def _say_silent(self) -> None:
        trouble = next(iter(self._troubles.values()), None)
        if trouble is None or str(trouble) == self._silent:
            return
        self._silent = str(trouble)
        log.warning("cluster %s: %s", self.name, self._silent)
        self._tell_all(*self._unreachable())

    def _unreachable(self) -> tuple[str, str]:
        return "CLUSTER_UNREACHABLE", f"{self._silent}; its status is the last that was known"

    def _say_back(self) -> None:
        if self._silent is None:
            return
        self._silent = None
        log.warning("cluster %s: it answers again", self.name)
        self._tell_all("CLUSTER_REACHED", f"cluster {self.name} answers again")

    def _tell_all(self, kind: str, message: str) -> None:
        for execution in list(self._executions.values()):
            execution.notice(kind, message)
        self._recount()

    # Odds and ends

    async def _synced(self) -> None:
        for watch in (self._jobs, self._pods):
            await watch.synced.wait()

    def _note_path(self, execution: ExecutionId, rank: int) -> Path:
        return self._home / "logs" / f"{execution.run_id}.{execution.resumption}.{rank}"

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _identity(home: Path) -> str:
    """The id of this platform, by which it knows its own objects; made when it is first asked for."""
    file = home / "id"
    (home / "logs").mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_text(secrets.token_hex(4))
    return file.read_text().strip()
