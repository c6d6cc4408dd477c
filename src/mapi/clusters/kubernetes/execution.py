"""One execution: what was asked of the cluster for it, what its pods say, and what is still to be told."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from msgspec import UNSET, UnsetType

from mapi.clusters.base import Launch, LaunchFailed, Notice, RankExited, RankStarted, Report
from mapi.clusters.kubernetes.admission import Admission
from mapi.clusters.kubernetes.client import (
    JOBS,
    PODS,
    SECRETS,
    SERVICES,
    Json,
    KubernetesError,
    Refused,
    backoff,
)
from mapi.clusters.kubernetes.logs import LogCopy
from mapi.clusters.kubernetes.names import Names
from mapi.clusters.kubernetes.objects import is_let_go, job, let_go, master_address, secrets, service
from mapi.clusters.kubernetes.place import Place
from mapi.clusters.kubernetes.rank import Rank, Site
from mapi.clusters.kubernetes.requests import Requests
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.clusters.kubernetes.shell import kill_all
from mapi.clusters.kubernetes.status import Ended, PodState, pod_state, unasked, vanished
from mapi.domain.run import ExecutionId, now_ms
from mapi.logs.times import Record

_STOPPED_EARLY = "stopped before its command began"
_NEVER_STARTED = "it was never started: there is nothing of it in the cluster"
_POD_GONE = "its pod is gone, and how it ended is not known"
_SIGTERM = 128 + 15


class Execution:
    """What the platform has asked a cluster to execute.

    `owned`: False where nobody waits for it; it is then ended, and removed, and nothing is reported.
    """

    def __init__(
        self, site: Site, identity: ExecutionId, ranks: int, job_name: str, *, admitted: bool, owned: bool
    ) -> None:
        """Begin to know it.

        Args:
            site: the cluster.
            identity: which it is.
            ranks: how many it has.
            job_name: of its Job.
            admitted: whether it is known that the cluster's own queue has let it in.
            owned: whether somebody waits for it.
        """
        self.identity = identity
        self.job_name = job_name
        self.owned = owned
        self.ranks = {number: Rank(number) for number in range(ranks)}
        self._site = site
        self._requests = Requests(job_name, lambda why: self.hold_up("CLUSTER_REFUSES", why), site.heard)
        self._ending = False
        self._admission = Admission(site, identity, job_name, self._requests, self._tell, admitted=admitted)
        self._failure: LaunchFailed | None = None
        self._noticed: dict[str, str] = {}
        self._copies: list[asyncio.Task[None]] = []

    # What is asked of it

    def create(self, launch: Launch, called: Names, settings: KubernetesSettings, place: Place) -> None:
        """Have its objects made, and let them start; those that are there already are left as they are."""
        api = self._site.api

        async def make() -> None:
            made = await api.create(JOBS, job(launch, called, settings, place))
            if is_let_go(made) or self._ending:
                return
            door = await api.create(SERVICES, service(called, settings, made))
            for secret in secrets(launch, called, made, master_address(called, door)):
                await api.create(SECRETS, secret)
            if not self._ending:
                await api.patch(JOBS, called.job, let_go(settings))

        self._requests.ask(make, self._refused, denied=self._refused)

    def end(self, *, force: bool) -> None:
        """Have every rank end.

        Suspending the Job ends its pods in their grace period, and lets none come after; it also says, in the
        cluster itself, what was asked. Where suspending is the business of a queue, the Job is deleted.

        Args:
            force: do not wait for the grace period.
        """
        self._ending = True

        async def stop() -> None:
            if self._site.queue:
                await self._site.api.delete(JOBS, self.job_name)
            else:
                await self._site.api.patch(JOBS, self.job_name, {"spec": {"suspend": True}})

        self._requests.ask(stop, lambda _: self.job_seen(None))
        if force:
            for rank in self.ranks.values():
                self._requests.do(self._kill(rank))

    def remove(self) -> None:
        """Delete everything it has in the cluster."""
        self._requests.ask(lambda: self._site.api.delete(JOBS, self.job_name))

    async def settled(self) -> None:
        """Wait until what was asked so far has been done."""
        await self._requests.settled()

    async def close(self) -> None:
        """Stop watching it."""
        await self._requests.close()

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
            self.hold_up(*state.trouble)
        if state.started is not None and not rank.started:
            rank.started = True
            self._tell(RankStarted(self.identity, rank.number, state.started, state.node))
            self._copies.append(self._requests.do(self._follow(rank, rank.pod)))
        if state.ended is not None:
            self._over(rank, state.ended if self._ending else unasked(state, state.ended))
        elif gone:
            self._vanished(rank, state)
        elif state.leaving:
            self.look_at_nodes()
        if gone and self._failure is not None:
            self._tell_failure()

    def job_seen(self, item: Json | None) -> None:
        """Take what the Job says, None where there is none: ranks without a pod may get none any more."""
        if item is not None and self._site.queue:
            self._admission.seen(suspended=bool(item["spec"].get("suspend")), ending=self._ending)
        status = (item or {}).get("status", {})
        done = {each["type"] for each in status.get("conditions", ()) if each["status"] == "True"}
        stopped = self._ending and "Suspended" in done and not status.get("active")
        if item is not None and not stopped and not done & {"Complete", "Failed"}:
            return
        if not self.is_over and any(rank.pod is None for rank in self.ranks.values()):
            self._requests.ask(lambda: self._count_pods(item))
        self._tell_failure()

    def waits_for(self, reason: str) -> None:
        """Take why the cluster's own queue does not let it in."""
        self._admission.waits_for(reason)

    def look_at_nodes(self) -> None:
        """Give up ranks that are to leave nodes which do not answer: nobody there will say that they did."""
        for rank in list(self.ranks.values()):
            state = rank.state
            if (
                state is not None
                and state.leaving
                and not rank.over.is_set()
                and self._site.node_lost(state.node)
            ):
                self._over(rank, vanished(state, node_lost=True))
                self._requests.ask(partial(self._site.api.delete, PODS, rank.pod or "", 0))

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be told of it."""
        return self._failure is not None or all(rank.told for rank in self.ranks.values())

    def notice(self, kind: str, message: str, reason: str | UnsetType | None = UNSET) -> None:
        """Tell something that changes no status, once for as long as it stays the same."""
        if self._noticed.get(kind) != message:
            self._noticed[kind] = message
            self._tell(Notice(self.identity, now_ms(), kind, message, reason))

    def hold_up(self, kind: str, message: str) -> None:
        """Tell what keeps it from going on."""
        self.notice(kind, message, message)

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
                    await kill_all(self._site.api, rank.pod)
            with suppress(TimeoutError):
                await asyncio.wait_for(rank.over.wait(), pause)

    async def _count_pods(self, item: Json | None) -> None:
        """Learn which ranks have no pod; the watch of pods may be behind that of Jobs."""
        pods, _ = await self._site.api.list(
            PODS, labelSelector=f"batch.kubernetes.io/job-name={self.job_name}"
        )
        for pod in pods:
            self.pod_seen(pod, gone=False)
        for rank in list(self.ranks.values()):
            if rank.pod is None:
                self._over(rank, self._without_pod(item))

    def _without_pod(self, item: Json | None) -> Ended:
        if self._ending:
            return Ended(now_ms(), _SIGTERM, _STOPPED_EARLY)
        return Ended(now_ms(), None, _NEVER_STARTED if item is None else _POD_GONE, system=True)

    def _vanished(self, rank: Rank, state: PodState) -> None:
        if self._ending and not rank.started:
            self._over(rank, self._without_pod(None))
        else:
            self._over(rank, vanished(state, self._site.node_lost(state.node)))

    def _over(self, rank: Rank, ended: Ended) -> None:
        if rank.over.is_set():
            return
        rank.ended = ended
        rank.over.set()
        if not rank.started:
            self._tell_exit(rank)

    async def _follow(self, rank: Rank, pod: str) -> None:
        logs, identity, number = self._site.logs, self.identity, rank.number
        log, note = logs.path(identity, number), self._site.note_file(identity, number)

        def lost(why: str) -> None:
            self.notice("LOG_INCOMPLETE", f"the log of rank {number} is not whole: {why}")

        def written(records: list[Record]) -> None:
            logs.written(identity, number, records)

        await LogCopy(self._site.api, log, note, written, lost).run(pod, rank.over)
        self._tell_exit(rank)

    def _tell_exit(self, rank: Rank) -> None:
        """Tell how a rank ended; if it was taken away, first whether that was the queue's doing."""
        if rank.ended is not None and rank.ended.system and self._site.queue and not self._ending:

            async def look() -> None:
                with suppress(Refused):
                    self.job_seen(await self._site.api.get(JOBS, self.job_name))
                self._requests.ask(exited)

            async def exited() -> None:
                self._exited(rank)

            self._requests.ask(look)
        else:
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
            self._site.report(self._failure) if self.owned else None

    def _refused(self, error: Refused) -> None:
        self._fail(f"the cluster refused it: {error}", system=error.is_denied)
        self._tell_failure()

    def _tell(self, report: Report) -> None:
        if self.owned and self._failure is None:
            self._site.report(report)
