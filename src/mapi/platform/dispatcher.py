"""One cluster's runs: who starts when, what the cluster reports, and what follows from it.

Everything is an event: a run that is enqueued, a report from the cluster, a deadline. Each asks for one look
at the queue (`_replan`), made when the event loop comes round, so that a burst of events costs one look.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from mapi.clusters.base import Cluster, Launch, LaunchFailed, Notice, RankExited, RankStarted, Report
from mapi.domain import lifecycle
from mapi.domain.access import Access
from mapi.domain.outcome import Outcome, failure, outcome
from mapi.domain.parameters import parameters_yaml
from mapi.domain.run import Ending, ExecutionId, RankState, Run, now_ms
from mapi.logs import LogStore
from mapi.metrics import Metrics
from mapi.platform.book import RunBook
from mapi.platform.vault import Vault
from mapi.scheduling import PRIORITIES, Placed, Wait, Waiting, explain_all, forecast, plan
from mcli.models.run_status import TERMINAL, RunStatus

log = logging.getLogger(__name__)


class Dispatcher:
    """The runs of one cluster that wait or hold a place there."""

    def __init__(
        self,
        cluster: Cluster,
        book: RunBook,
        logs: LogStore,
        metrics: Metrics,
        *,
        vault: Vault,
        access: Callable[[ExecutionId], Access],
        grace_seconds: float,
    ) -> None:
        self.cluster = cluster
        self._book = book
        self._logs = logs
        self._metrics = metrics
        self._vault = vault
        self._access = access
        self._queue_length = metrics.queue_length.labels(cluster.name)
        self._grace_seconds = grace_seconds
        self._waiting: dict[str, Waiting] = {}
        self._placed: dict[str, Placed] = {}
        self._launched: set[ExecutionId] = set()
        self._deadlines: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._planned = False
        self._closing = False

    async def open(self, active: list[Run]) -> None:
        """Take over the cluster's runs that had not ended when the platform stopped.

        Args:
            active: every run of this cluster that has not ended, oldest first.
        """
        await self.cluster.open(self._report, self.replan)
        placed = [run for run in active if run.status in lifecycle.PLACED]
        await self.cluster.sweep([run.execution for run in placed])
        for run in placed:
            self._hold(run)
            self._logs.open(run.execution, run.latest.allocation.nodes)
            self._launched.add(run.execution)
            if run.status is RunStatus.STARTING:
                await self._hand_over(run)
            else:
                await self.cluster.adopt(self._launch_of(run))
            if run.latest.ending is not None:
                await self.cluster.end(run.execution)
            self._arm(run)
        for run in active:
            if run.status in lifecycle.WAITING:
                self.enqueue(run)

    async def close(self) -> None:
        """Stop: nothing more is started or ended; what runs goes on."""
        self._closing = True
        for handle in self._deadlines.values():
            handle.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.cluster.close()

    # -- what the platform asks ------------------------------------------------------------------

    def enqueue(self, run: Run) -> None:
        """Put a run in line."""
        self._waiting[run.id] = _waiting(run)
        self._queue_length.set(len(self._waiting))
        self.replan()

    def waits(self) -> dict[str, Wait]:
        """Why each waiting run waits, as things stand, by run id in the order of the line."""
        return explain_all(
            list(self._waiting.values()),
            list(self._placed.values()),
            self.cluster.inventory,
            self.cluster.name,
        )

    def forecast(self, run: Run) -> Wait | None:
        """Why a run that is not in line would wait there; None if it would start at once."""
        return forecast(
            _waiting(run),
            list(self._waiting.values()),
            list(self._placed.values()),
            self.cluster.inventory,
            self.cluster.name,
            now=now_ms(),
        )

    def stop(self, run: Run, reason: str | None, ending: Ending = "stop") -> asyncio.Future[Run]:
        """End a run, wherever it is; returns the future of its first step, on disk.

        A waiting run is STOPPED at once. One that holds a place is STOPPING, and STOPPED when its ranks
        have ended.
        """
        if run.status in lifecycle.WAITING:
            self._waiting.pop(run.id, None)
            self._queue_length.set(len(self._waiting))
            _, told = self._book.advance(run, RunStatus.STOPPED, reason=reason)
            self.replan()
            return told
        if run.status is RunStatus.STOPPING:
            return self._book.put(run)
        return self._end(run, RunStatus.STOPPING, ending, reason)

    def update(self, run: Run) -> None:
        """Take over a run's changed priority, preemptible and maximum duration."""
        if run.id in self._waiting:
            self._waiting[run.id] = _waiting(run)
        if run.id in self._placed:
            self._hold(run)
            self._arm(run)
        self.replan()

    # -- starting --------------------------------------------------------------------------------

    def replan(self) -> None:
        """Look at the queue when the event loop comes round."""
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._replan)

    def _replan(self) -> None:
        self._planned = False
        if self._closing or not self._waiting:
            return
        decided = plan(
            list(self._waiting.values()), list(self._placed.values()), self.cluster.inventory, now_ms()
        )
        for run_id, placement in decided.starts:
            self._start(run_id, placement)
        for victim_id, for_id in decided.preempts:
            self._preempt(victim_id, for_id)
        self._queue_length.set(len(self._waiting))
        new = [
            run for key in self._waiting if (run := self._book.get(key)) and run.status is RunStatus.PENDING
        ]
        if new:
            waits = self.waits()
            for run in new:
                scheduled, _ = self._book.advance(run, RunStatus.SCHEDULED)
                self._book.advance(scheduled, RunStatus.QUEUED, reason=waits[run.id].reason)

    def _start(self, run_id: str, placement: tuple[str, ...]) -> None:
        run = self._book.get(run_id)
        del self._waiting[run_id]
        if run is None:
            return
        ranks = [RankState(rank, node) for rank, node in enumerate(placement)]
        run, told = self._book.advance(run, RunStatus.STARTING, ranks=ranks)
        self._hold(run)
        told.add_done_callback(lambda _: self._spawn(self._launch(run)))

    async def _launch(self, run: Run) -> None:
        """Start what has been decided and is on disk, unless a stop came between."""
        current = self._book.get(run.id)
        if current is None or current.execution != run.execution:
            return
        if current.status is not RunStatus.STARTING:
            self._finish(current, outcome(current.latest, run.spec.scheduling, run.failures))
            return
        if run.spec.integrations:
            kinds = ", ".join(dict.fromkeys(item["type"] for item in run.spec.integrations))
            reason = f"integrations ({kinds}) cannot be set up on cluster {self.cluster.name!r} yet"
            self._report(LaunchFailed(run.execution, now_ms(), reason))
            return
        self._logs.open(run.execution, run.latest.allocation.nodes)
        self._launched.add(run.execution)
        await self._hand_over(run)

    async def _hand_over(self, run: Run) -> None:
        try:
            launch = replace(
                self._launch_of(run),
                secrets=await self._vault.unseal(run.owner_id),
                access=self._access(run.execution),
            )
            await self.cluster.launch(launch)
        except Exception as error:
            log.exception("cannot launch %s", run.name)
            self._report(LaunchFailed(run.execution, now_ms(), f"cannot be launched: {error}", system=True))

    def _launch_of(self, run: Run) -> Launch:
        latest = run.latest
        return Launch(
            execution=run.execution,
            run_name=run.name,
            command=run.spec.command,
            image=run.spec.image,
            env=run.spec.env,
            parameters=parameters_yaml(run.spec.parameters),
            allocation=latest.allocation,
            placement=tuple(rank.node for rank in latest.ranks),
            owner=run.owner_id,
            grace_seconds=self._grace_seconds,
        )

    # -- ending ----------------------------------------------------------------------------------

    def _preempt(self, victim_id: str, for_id: str) -> None:
        victim, preemptor = self._book.get(victim_id), self._book.get(for_id)
        if victim is None or preemptor is None or victim.latest.ending is not None:
            return
        self._placed[victim_id] = replace(self._placed[victim_id], ending_for=for_id)
        reason = f"preempted by {preemptor.name} (priority {preemptor.spec.scheduling.priority})"
        self._end(victim, RunStatus.TERMINATING, "preemption", reason)

    def _end(self, run: Run, status: RunStatus, ending: Ending, reason: str | None) -> asyncio.Future[Run]:
        run = lifecycle.with_latest(run, ending=ending)
        run, told = self._book.advance(run, status, reason=reason)
        if run.execution in self._launched:
            told.add_done_callback(lambda _: self._spawn(self.cluster.end(run.execution)))
        return told

    def _arm(self, run: Run) -> None:
        """Set the alarm of a run's maximum duration."""
        handle = self._deadlines.pop(run.id, None)
        if handle is not None:
            handle.cancel()
        limit = _limit(run)
        if run.id in self._placed and limit is not None:
            loop = asyncio.get_running_loop()
            delay = max(0, limit - now_ms()) / 1000
            self._deadlines[run.id] = loop.call_later(delay, self._expire, run.execution)

    def _expire(self, execution: ExecutionId) -> None:
        run = self._book.get(execution.run_id)
        if run is None or run.execution != execution or run.latest.ending is not None:
            return
        limit = run.spec.scheduling.max_duration_seconds or 0
        self.stop(run, f"reached its max_duration of {limit / 3600:g} hours", "limit")

    # -- what the cluster reports ----------------------------------------------------------------

    def _report(self, report: Report) -> None:
        run = self._book.get(report.execution.run_id)
        if run is None or run.execution != report.execution or run.status in TERMINAL:
            return
        match report:
            case RankStarted():
                self._rank_started(run, report)
            case RankExited():
                self._rank_exited(run, report)
            case LaunchFailed():
                self._launch_failed(run, report)
            case Notice():
                noted, event = lifecycle.note(run, type=report.type, at=report.at, message=report.message)
                self._book.put(noted, [event])

    def _rank_started(self, run: Run, report: RankStarted) -> None:
        state = run.latest.ranks[report.rank]
        if state.status is not RunStatus.PENDING:
            return
        ranks = _with_rank(run, replace(state, status=RunStatus.RUNNING, node=report.node or state.node))
        if run.status is RunStatus.STARTING and all(rank.status is not RunStatus.PENDING for rank in ranks):
            self._running(run, ranks)
        else:
            self._book.put(lifecycle.with_latest(run, ranks=ranks))

    def _running(self, run: Run, ranks: tuple[RankState, ...]) -> Run:
        run, _ = self._book.advance(run, RunStatus.RUNNING, ranks=ranks)
        if run.latest.index == 0:
            self._metrics.submit_to_start.observe((now_ms() - run.created_at) / 1000)
        self._hold(run)
        self._arm(run)
        return run

    def _rank_exited(self, run: Run, report: RankExited) -> None:
        state = run.latest.ranks[report.rank]
        if state.ended_at is not None:
            return
        if report.exit_code == 0:
            status = RunStatus.COMPLETED
        else:
            status = RunStatus.FAILED if run.latest.ending is None else RunStatus.STOPPED
        ended = replace(
            state,
            status=status,
            exit_code=report.exit_code,
            reason=report.reason,
            ended_at=report.at,
            system=report.system,
        )
        ranks = _with_rank(run, ended)
        if run.status is RunStatus.STARTING and report.exit_code is not None and len(ranks) == 1:
            run = self._running(run, ranks)
        run = lifecycle.with_latest(run, ranks=ranks)
        if all(rank.ended_at is not None for rank in ranks):
            self._finish(run, outcome(run.latest, run.spec.scheduling, run.failures))
        elif status is RunStatus.FAILED:
            reason = f"rank {report.rank} ended ({report.reason or report.exit_code}); ending the others"
            self._end(run, RunStatus.TERMINATING, "failure", reason)
        else:
            self._book.put(run)

    def _launch_failed(self, run: Run, report: LaunchFailed) -> None:
        if run.latest.ending is not None:
            self._finish(run, outcome(run.latest, run.spec.scheduling, run.failures))
        elif report.image:
            self._finish(run, Outcome(RunStatus.FAILED_PULL, report.reason))
        else:
            scheduling = run.spec.scheduling
            self._finish(run, failure(report.reason, scheduling, run.failures, system=report.system))

    def _finish(self, run: Run, decided: Outcome) -> None:
        """The last step of a resumption and, where it runs again, the first of the next: in one write."""
        execution = run.execution
        self._logs.finish(execution)
        self._launched.discard(execution)
        self._placed.pop(run.id, None)
        self._arm(run)
        run, ended = lifecycle.advance(run, decided.status, at=now_ms(), reason=decided.reason)
        if decided.resume is None or run.is_deleted:
            told = self._book.put(run, [ended])
            if run.is_deleted:
                told.add_done_callback(lambda _: self._spawn(self.forget(run)))
        else:
            run, queued = lifecycle.resume(run, at=now_ms(), reason=decided.resume, failed=decided.failed)
            told = self._book.put(run, [ended, queued])
            self.enqueue(run)
        told.add_done_callback(lambda _: self._spawn(self.cluster.release(execution)))
        self.replan()

    async def forget(self, run: Run) -> None:
        """Drop what a deleted run left: its logs, and what the cluster keeps."""
        self._logs.forget(run.id)
        await self.cluster.forget(run.id)

    # -- bookkeeping -----------------------------------------------------------------------------

    def _hold(self, run: Run) -> None:
        """Note the place a run holds."""
        latest, scheduling = run.latest, run.spec.scheduling
        known = self._placed.get(run.id)
        limit = _limit(run)
        self._placed[run.id] = Placed(
            key=run.id,
            allocation=latest.allocation,
            placement=tuple(rank.node for rank in latest.ranks),
            priority=PRIORITIES[scheduling.priority],
            preemptible=scheduling.preemptible,
            started_at=_started_at(run),
            ends_at=None if limit is None else limit + int(self._grace_seconds * 1000),
            ending_for=known.ending_for if known else None,
        )

    def _spawn(self, work: object) -> None:
        """Run a coroutine to its end, and say so if it fails."""
        assert asyncio.iscoroutine(work)
        if self._closing:
            work.close()
            return
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("on cluster %s", self.cluster.name, exc_info=task.exception())


def _started_at(run: Run) -> int:
    """When a run began to run; for one that is starting, when it got its place."""
    return run.latest.started_at or run.updated_at


def _limit(run: Run) -> int | None:
    """When a run's maximum duration is over, in milliseconds; None if it has none."""
    duration = run.spec.scheduling.max_duration_seconds
    return None if duration is None else _started_at(run) + duration * 1000


def _waiting(run: Run) -> Waiting:
    scheduling = run.spec.scheduling
    return Waiting(
        key=run.id,
        allocation=run.latest.allocation,
        priority=PRIORITIES[scheduling.priority],
        preemptible=scheduling.preemptible,
        queued_at=run.latest.created_at,
        max_duration_seconds=scheduling.max_duration_seconds,
    )


def _with_rank(run: Run, state: RankState) -> tuple[RankState, ...]:
    return tuple(state if rank.rank == state.rank else rank for rank in run.latest.ranks)
