"""One cluster's runs: who starts when, what the cluster reports, and what follows from it.

Everything is an event: a run that is enqueued, a report from the cluster, a deadline. Each asks for one look
at the queue (`_replan`), made when the event loop comes round, so that a burst of events costs one look.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec import UNSET
from msgspec.structs import replace

from mapi.clusters.base import (
    Admitted,
    Cluster,
    Evicted,
    Launch,
    LaunchFailed,
    Notice,
    Queued,
    RankExited,
    RankStarted,
    Report,
)
from mapi.domain import lifecycle
from mapi.domain.access import Access
from mapi.domain.outcome import Outcome, failure, outcome
from mapi.domain.parameters import parameters_yaml
from mapi.domain.run import Ending, ExecutionId, RankState, Run, now_ms
from mapi.logs import LogStore
from mapi.metrics import Metrics
from mapi.platform.book import RunBook
from mapi.platform.line import Line, limit_of
from mapi.platform.vault import Vault
from mapi.scheduling import Wait
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
        self._line = Line(cluster, grace_seconds=grace_seconds)
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
        queued = [run for run in active if run.status in lifecycle.WAITING]
        handed = [run for run in queued if self._is_handed_over(run)]
        await self.cluster.sweep([run.execution for run in (*placed, *handed)])
        for run in placed:
            self._line.hold(run)
            if run.status is RunStatus.STARTING:
                await self._hand_over(run)
            else:
                self._logs.open(run.execution, run.latest.allocation.nodes)
                self._launched.add(run.execution)
                await self.cluster.adopt(self._launch_of(run))
                await self._end_there(run)
            self._arm(run)
        for run in queued:
            self.enqueue(run)
        for run in handed:
            await self._hand_over(run)

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
        self._line.join(run)
        self._queue_length.set(len(self._line))
        self.replan()

    def waits(self) -> dict[str, Wait]:
        """Why each waiting run waits, as things stand, by run id in the order of the line."""
        return self._line.waits()

    def forecast(self, run: Run) -> Wait | None:
        """Why a run that is not in line would wait there; None if it would start at once."""
        return self._line.forecast(run)

    def stop(self, run: Run, reason: str | None, ending: Ending = "stop") -> asyncio.Future[Run]:
        """End a run, wherever it is; returns the future of its first step, on disk.

        A waiting run is STOPPED at once. One that holds a place is STOPPING, and STOPPED when its ranks
        have ended.
        """
        if run.status in lifecycle.WAITING:
            self._leave(run)
            _, told = self._book.advance(run, RunStatus.STOPPED, reason=reason)
            if run.execution in self._launched:
                self._launched.discard(run.execution)
                told.add_done_callback(lambda _: self._spawn(self.cluster.release(run.execution)))
            self.replan()
            return told
        if run.status is RunStatus.STOPPING:
            return self._book.put(run)
        return self._end(run, RunStatus.STOPPING, ending, reason)

    def update(self, run: Run) -> None:
        """Take over a run's changed priority, preemptible and maximum duration."""
        if run.id in self._line.waiting:
            self._line.join(run)
        if self._line.holds(run.id):
            self._line.hold(run)
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
        if self._closing or not self._line.waiting:
            return
        decided = self._line.plan()
        for run_id, placement in decided.starts:
            run = self._book.get(run_id)
            self._start(run, placement) if run else self._line.leave(run_id)
        for victim_id, for_id in decided.preempts:
            self._preempt(victim_id, for_id)
        self._queue_length.set(len(self._line))
        found = [self._book.get(run_id) for run_id in self._line.waiting]
        new = [run for run in found if run and run.status is not RunStatus.QUEUED]
        waits = self.waits() if new else {}
        for run in new:
            self._queue(run, waits[run.id].reason)

    def _queue(self, run: Run, reason: str) -> None:
        """Have a run wait, in the cluster's own queue where it has one."""
        if run.status is RunStatus.PENDING:
            run, _ = self._book.advance(run, RunStatus.SCHEDULED)
        run, told = self._book.advance(run, RunStatus.QUEUED, reason=reason)
        if self._is_handed_over(run):
            told.add_done_callback(lambda _: self._spawn(self._launch(run)))

    def _is_handed_over(self, run: Run) -> bool:
        """Whether a waiting run is, or is about to be, in the cluster's own queue."""
        return bool(self.cluster.inventory.queue) and run.status is RunStatus.QUEUED

    def _start(self, run: Run, placement: tuple[str, ...]) -> None:
        """Give a run its place, and have it launched there unless it waited in the cluster's own queue."""
        ranks = [RankState(rank, node) for rank, node in enumerate(placement)]
        handed_over = run.execution in self._launched
        run, told = self._book.advance(run, RunStatus.STARTING, ranks=ranks)
        self._line.hold(run)
        if not handed_over:
            told.add_done_callback(lambda _: self._spawn(self._launch(run)))

    async def _launch(self, run: Run) -> None:
        """Start what has been decided and is on disk, unless a stop came between."""
        current = self._book.get(run.id)
        if current is None or current.execution != run.execution or current.status in TERMINAL:
            return
        if current.status is not run.status:
            self._finish(current, outcome(current.latest, run.spec.scheduling, run.failures))
            return
        if run.spec.integrations:
            kinds = ", ".join(dict.fromkeys(item["type"] for item in run.spec.integrations))
            reason = f"integrations ({kinds}) cannot be set up on cluster {self.cluster.name!r} yet"
            self._report(LaunchFailed(run.execution, now_ms(), reason))
            return
        await self._hand_over(run)

    async def _hand_over(self, run: Run) -> None:
        self._logs.open(run.execution, run.latest.allocation.nodes)
        self._launched.add(run.execution)
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
            return
        await self._end_there(run)

    async def _end_there(self, run: Run) -> None:
        """Pass on an end that was asked for before the cluster knew the execution."""
        current = self._book.get(run.id)
        if current is None or run.execution not in self._launched:
            await self.cluster.release(run.execution)
        elif current.latest.ending is not None:
            await self.cluster.end(run.execution)

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
            placement=tuple(rank.node for rank in latest.ranks) or ("",) * latest.allocation.nodes,
            owner=run.owner_id,
            grace_seconds=self._grace_seconds,
        )

    # -- ending ----------------------------------------------------------------------------------

    def _preempt(self, victim_id: str, for_id: str) -> None:
        victim, preemptor = self._book.get(victim_id), self._book.get(for_id)
        if victim is None or preemptor is None or victim.latest.ending is not None:
            return
        self._line.make_room(victim_id, for_id)
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
        limit = limit_of(run)
        if self._line.holds(run.id) and limit is not None:
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
            case Queued():
                self._line.say(run.id, report.reason)
            case Admitted():
                self._admitted(run)
            case Evicted():
                self._evicted(run, report)
            case Notice():
                self._noticed(run, report)

    def _noticed(self, run: Run, report: Notice) -> None:
        run, event = lifecycle.note(run, type=report.type, at=report.at, message=report.message)
        if report.reason is not UNSET and run.latest.ending is None:
            run = lifecycle.with_latest(run, reason=report.reason)
        self._book.put(run, [event])

    def _admitted(self, run: Run) -> None:
        if run.status in lifecycle.WAITING:
            self._start(run, ("",) * run.latest.allocation.nodes)
            self._queue_length.set(len(self._line))

    def _evicted(self, run: Run, report: Evicted) -> None:
        if run.latest.ending is None:
            if report.comes_back:
                self._end(run, RunStatus.TERMINATING, "preemption", report.reason)
            else:
                self._end(run, RunStatus.STOPPING, "limit", report.reason)

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
        self._line.hold(run)
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
        self._leave(run)
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

    def _leave(self, run: Run) -> None:
        self._line.leave(run.id)
        self._queue_length.set(len(self._line))

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


def _with_rank(run: Run, state: RankState) -> tuple[RankState, ...]:
    return tuple(state if rank.rank == state.rank else rank for rank in run.latest.ranks)
