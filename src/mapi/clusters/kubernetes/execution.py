"""One execution: what was asked of the cluster for it, what its pods have said, and what is still to be told.

Everything that is asked goes through one lock, in the order it was asked, and is tried until the API server
has answered; so a stop that comes while the objects are being created is never overtaken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mapi.clusters.base import Launch, LaunchFailed, Notice, RankExited, RankStarted, Report
from mapi.clusters.kubernetes.client import (
    JOBS,
    PODS,
    SECRETS,
    SERVICES,
    Api,
    Json,
    KubernetesError,
    Refused,
    backoff,
)
from mapi.clusters.kubernetes.logs import LogCopy
from mapi.clusters.kubernetes.objects import Names, job, master_address, secrets, service
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.clusters.kubernetes.shell import PodShell
from mapi.clusters.kubernetes.status import Ended, PodState, pod_state, unasked, vanished
from mapi.domain.run import ExecutionId, now_ms
from mcli.models.mint_message import TerminalSize

log = logging.getLogger(__name__)

_STOPPED_EARLY = "stopped before its command began"
_NEVER_STARTED = "it was never started: there is nothing of it in the cluster"
_POD_GONE = "its pod is gone, and how it ended is not known"
_SIGTERM = 128 + 15


@dataclass(slots=True, eq=False)
class Rank:
    """A rank, as far as it is known. `told`: its exit was reported."""

    number: int
    pod: str | None = None
    state: PodState | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    ended: Ended | None = None
    started: bool = False
    told: bool = False


class Execution:
    """What the platform has asked a cluster to execute.

    `owned`: False where nobody waits for it; it is then ended, and removed, and nothing is reported.
    """

    def __init__(
        self,
        api: Api,
        identity: ExecutionId,
        ranks: int,
        job_name: str,
        *,
        report: Callable[[Report], None],
        log_file: Callable[[ExecutionId, int], Path],
        note_file: Callable[[ExecutionId, int], Path],
        node_lost: Callable[[str | None], bool],
        owned: bool = True,
    ) -> None:
        self.identity = identity
        self.job_name = job_name
        self.owned = owned
        self.ending = False
        self.ranks = {number: Rank(number) for number in range(ranks)}
        self._api = api
        self._report = report
        self._log_file = log_file
        self._note_file = note_file
        self._node_lost = node_lost
        self._failure: LaunchFailed | None = None
        self._noticed: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._copies: list[asyncio.Task[None]] = []
        self._order = asyncio.Lock()

    # What is asked of it

    def create(
        self, launch: Launch, called: Names, settings: KubernetesSettings, gpu_resources: dict[str, str]
    ) -> None:
        """Have its objects made, and let them start; those that are there already are left as they are."""

        async def make() -> None:
            made = await self._api.create(JOBS, job(launch, called, settings, gpu_resources))
            if not made["spec"].get("suspend") or self.ending:
                return
            door = await self._api.create(SERVICES, service(called, settings, made))
            for secret in secrets(launch, called, made, master_address(called, door)):
                await self._api.create(SECRETS, secret)
            if not settings.queue and not self.ending:
                await self._api.patch(JOBS, called.job, {"spec": {"suspend": False}})

        self._ask(make, self._refused, denied=self._refused)

    def end(self, *, force: bool, by_deletion: bool) -> None:
        """Have every rank end.

        Suspending the Job ends its pods in their grace period, and lets none come after; it also says, in the
        cluster itself, what was asked.

        Args:
            force: do not wait for the grace period.
            by_deletion: delete the Job instead, where suspending is somebody else's to do.
        """
        self.ending = True

        async def stop() -> None:
            if by_deletion:
                await self._api.delete(JOBS, self.job_name)
            else:
                await self._api.patch(JOBS, self.job_name, {"spec": {"suspend": True}})

        self._ask(stop, lambda _: self.job_seen(None))
        if force:
            for rank in self.ranks.values():
                self._do(self._kill(rank))

    def remove(self) -> None:
        """Delete everything it has in the cluster."""
        self._ask(lambda: self._api.delete(JOBS, self.job_name), _whatever)

    async def settled(self) -> None:
        """Wait until what was asked so far has been done."""
        async with self._order:
            return

    async def close(self) -> None:
        """Stop watching it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What the cluster says of it

    def pod_seen(self, pod: Json, gone: bool) -> None:
        """Take what a pod says."""
        state = pod_state(pod)
        rank = self.ranks.setdefault(state.rank, Rank(state.rank))
        if rank.pod not in (None, pod["metadata"]["name"]):
            return
        rank.pod, rank.state = pod["metadata"]["name"], state
        if state.no_image and not rank.started:
            self._fail(state.no_image, image=True)
        if state.trouble:
            self.notice(*state.trouble)
        if state.started is not None and not rank.started:
            rank.started = True
            self._tell(RankStarted(self.identity, rank.number, state.started, state.node))
            self._copies.append(self._do(self._follow(rank, rank.pod)))
        if state.ended is not None:
            self._over(rank, state.ended if self.ending else unasked(state, state.ended))
        elif gone:
            self._vanished(rank, state)
        elif state.leaving:
            self.look_at_nodes()
        if gone and self._failure is not None:
            self._tell_failure()

    def job_seen(self, item: Json | None) -> None:
        """Take what the Job says, None where there is none: ranks without a pod may get none any more."""
        status = (item or {}).get("status", {})
        done = {each["type"] for each in status.get("conditions", ()) if each["status"] == "True"}
        stopped = self.ending and "Suspended" in done and not status.get("active")
        if item is not None and not stopped and not done & {"Complete", "Failed"}:
            return
        if not self.is_over and any(rank.pod is None for rank in self.ranks.values()):
            self._ask(lambda: self._count_pods(item), _whatever)
        self._tell_failure()

    def look_at_nodes(self) -> None:
        """Give up ranks that are to leave nodes which do not answer: nobody there will say that they did."""
        for rank in list(self.ranks.values()):
            state = rank.state
            if state is not None and state.leaving and not rank.over.is_set() and self._node_lost(state.node):
                self._over(rank, vanished(state, node_lost=True))
                self._ask(partial(self._api.delete, PODS, rank.pod or "", 0), _whatever)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be told of it."""
        return self._failure is not None or all(rank.told for rank in self.ranks.values())

    def notice(self, kind: str, message: str) -> None:
        """Tell something that changes no status, once for as long as it stays the same."""
        if self._noticed.get(kind) != message:
            self._noticed[kind] = message
            self._tell(Notice(self.identity, now_ms(), kind, message))

    async def finished(self) -> None:
        """Wait until every rank that has a pod has ended, and what it printed is there."""
        for rank in list(self.ranks.values()):
            if rank.pod is not None:
                await rank.over.wait()
        await asyncio.gather(*self._copies, return_exceptions=True)

    # How ranks end

    async def _kill(self, rank: Rank) -> None:
        """Kill a rank from inside: a kubelet that has begun to wait for a grace period cannot be hurried."""
        for pause in backoff():
            if rank.over.is_set():
                return
            if rank.pod is not None and rank.started:
                with suppress(KubernetesError):
                    shell = await PodShell.open(self._api, rank.pod, "kill -KILL -1", TerminalSize())
                    await shell.exit_code()
                    shell.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(rank.over.wait(), pause)

    async def _count_pods(self, item: Json | None) -> None:
        """Learn which ranks have no pod; the watch of pods may be behind that of Jobs."""
        pods, _ = await self._api.list(PODS, labelSelector=f"batch.kubernetes.io/job-name={self.job_name}")
        for pod in pods:
            self.pod_seen(pod, gone=False)
        for rank in list(self.ranks.values()):
            if rank.pod is None:
                self._over(rank, self._without_pod(item))

    def _without_pod(self, item: Json | None) -> Ended:
        if self.ending:
            return Ended(now_ms(), _SIGTERM, _STOPPED_EARLY)
        return Ended(now_ms(), None, _NEVER_STARTED if item is None else _POD_GONE, system=True)

    def _vanished(self, rank: Rank, state: PodState) -> None:
        if self.ending and not rank.started:
            self._over(rank, self._without_pod(None))
        else:
            self._over(rank, vanished(state, self._node_lost(state.node)))

    def _over(self, rank: Rank, ended: Ended) -> None:
        if rank.over.is_set():
            return
        rank.ended = ended
        rank.over.set()
        if not rank.started:
            self._exited(rank)

    async def _follow(self, rank: Rank, pod: str) -> None:
        copy = LogCopy(
            self._api,
            self._log_file(self.identity, rank.number),
            self._note_file(self.identity, rank.number),
            lambda why: self.notice("LOG_INCOMPLETE", f"the log of rank {rank.number} is not whole: {why}"),
        )
        await copy.run(pod, rank.over)
        self._exited(rank)

    def _exited(self, rank: Rank) -> None:
        ended = rank.ended
        assert ended is not None
        rank.told = True
        self._tell(
            RankExited(self.identity, rank.number, ended.at, ended.code, ended.reason, system=ended.system)
        )

    def _fail(self, reason: str, *, image: bool = False, system: bool = False) -> None:
        """Take down what there is; that it failed is told when nothing of it is left."""
        if self._failure is None:
            self._failure = LaunchFailed(self.identity, now_ms(), reason, image=image, system=system)
            self.remove()

    def _tell_failure(self) -> None:
        if self._failure is not None and not any(
            rank.pod is not None and not rank.over.is_set() for rank in self.ranks.values()
        ):
            for rank in self.ranks.values():
                rank.told = True
            self._report(self._failure) if self.owned else None

    def _refused(self, error: Refused) -> None:
        self._fail(f"the cluster refused it: {error}", system=error.code in (401, 403))
        self._tell_failure()

    def _tell(self, report: Report) -> None:
        if self.owned and self._failure is None:
            self._report(report)

    # How it is asked

    def _ask(
        self,
        what: Callable[[], Awaitable[None]],
        refused: Callable[[Refused], None],
        denied: Callable[[Refused], None] | None = None,
    ) -> None:
        """Do something when all that was asked before is done; try until there is an answer.

        Args:
            what: is to be done.
            refused: called when it cannot be done.
            denied: called when it is not allowed; by default it is tried until it is.
        """

        async def insist() -> None:
            async with self._order:
                for pause in backoff():
                    try:
                        await what()
                        return
                    except Refused as error:
                        final = denied if error.is_denied else refused
                        if final is not None and not error.is_passing:
                            final(error)
                            return
                        log.warning("%s: %s", self.job_name, error)
                        if error.is_denied:
                            self.notice("CLUSTER_REFUSES", str(error))
                    except KubernetesError:
                        pass
                    await asyncio.sleep(pause)

        self._do(insist())

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _whatever(_: Refused) -> None:
    """What was to be done is done already, or cannot be."""
