"""The book of runs: those that have not ended or ended lately, and the one way to change a run.

A change is decided in memory, written, and only then told: schedulers see it at once, callers when it is on
disk. If it cannot be written (a full disk, a database that is away) it is tried again until it can, and
nobody is told before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from mapi.domain import lifecycle
from mapi.domain.run import Event, RankState, Run, now_ms
from mapi.metrics import Metrics
from mapi.store import Store
from mcli.models.run_status import TERMINAL, RunStatus

log = logging.getLogger(__name__)

#: Seconds between two tries of a write that failed.
_RETRY = 0.5

#: How many runs that have ended are remembered: who waited for one asks for it next.
_REMEMBERED = 1000


class RunBook:
    """Runs by id and by name with their events, and those who watch them.

    `_runs` is what has been decided and may not be on disk yet; `_told` is what is.
    """

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._gauges = {status: metrics.runs.labels(status.value) for status in RunStatus}
        self._runs: dict[str, Run] = {}
        self._told: dict[str, Run] = {}
        self._events: dict[str, list[Event]] = {}
        self._ended: deque[str] = deque()
        self._ids: dict[str, str] = {}
        self._watchers: dict[str, set[asyncio.Queue[Run]]] = {}
        self._counts: Counter[RunStatus] = Counter()

    async def open(self) -> list[Run]:
        """Read the active runs from the database and return them, oldest first."""
        self._counts.update(await self._store.count_by_status())
        active = await self._store.active()
        self._events.update(await self._store.history(run.id for run in active))
        for run in active:
            self._keep(run)
            self._told[run.id] = run
        for status, gauge in self._gauges.items():
            gauge.set(self._counts[status])
        return active

    async def add(self, run: Run, created: Event, *, idempotency_key: str | None = None) -> None:
        """Write a new run and keep it.

        Raises:
            RunExists: as `Store.create`.
        """
        await self._store.create(run, created, idempotency_key=idempotency_key)
        self._keep(run)
        self._events[run.id] = [created]
        self._told[run.id] = run
        self._count(None, run.status)

    def get(self, run_id: str) -> Run | None:
        """An active run as it has been decided."""
        return self._runs.get(run_id)

    def told(self, name: str) -> Run | None:
        """A run as it is on disk, by name, if it is remembered: what a caller may be shown."""
        return self._told.get(self._ids.get(name, ""))

    def active(self) -> list[Run]:
        """Every run that has not ended, as it is on disk."""
        return [run for run in self._told.values() if run.status not in TERMINAL]

    async def history(self, runs: Iterable[Run]) -> dict[str, list[Event]]:
        """The events of runs up to the version each is in, by run id: from memory, or from the database."""
        found: dict[str, list[Event]] = {}
        missing = []
        for run in runs:
            if run.id in self._events:
                found[run.id] = self._events[run.id][: run.event_count]
            else:
                missing.append(run.id)
        return found | await self._store.history(missing) if missing else found

    def advance(
        self,
        run: Run,
        status: RunStatus,
        *,
        reason: str | None = None,
        ranks: Iterable[RankState] | None = None,
    ) -> tuple[Run, asyncio.Future[Run]]:
        """Take one step of a run's lifecycle; return the run, and a future of its being on disk."""
        run, event = lifecycle.advance(run, status, at=now_ms(), reason=reason, ranks=ranks)
        return run, self.put(run, [event])

    def put(self, run: Run, events: Sequence[Event] = (), *, spec: bool = False) -> asyncio.Future[Run]:
        """Make `run` what counts: decide it now, write it with its new events, then tell the watchers.

        Args:
            run: the run as it is to be, made by a function of `lifecycle` from what `get` returned.
            events: the events that were made with it.
            spec: True if its configuration has changed.

        Returns:
            A future that resolves to the run when it is on disk and has been told.
        """
        self._count(self._status_before(run), run.status)
        self._keep(run)
        if run.id in self._events:
            self._events[run.id] += events
        told: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._write(run, tuple(events), spec, told)
        return told

    @contextmanager
    def watch(self, run_id: str) -> Iterator[asyncio.Queue[Run]]:
        """A queue of every version of a run that is told from now on."""
        queue: asyncio.Queue[Run] = asyncio.Queue()
        watchers = self._watchers.setdefault(run_id, set())
        watchers.add(queue)
        try:
            yield queue
        finally:
            watchers.discard(queue)
            if not watchers:
                self._watchers.pop(run_id, None)

    def _keep(self, run: Run) -> None:
        self._runs[run.id] = run
        self._ids[run.name] = run.id

    def _write(self, run: Run, events: tuple[Event, ...], spec: bool, told: asyncio.Future[Run]) -> None:
        def written(future: asyncio.Future[None]) -> None:
            error = None if future.cancelled() else future.exception()
            if error is not None:
                log.error("cannot write run %s, trying again: %s", run.name, error)
                # What has been decided since goes with the events that are still missing
                latest = self._runs[run.id]
                asyncio.get_running_loop().call_later(_RETRY, self._write, latest, events, spec, told)
                return
            self._tell(run)
            if not told.done():
                told.set_result(run)

        self._store.save(run, events, spec=spec).add_done_callback(written)

    def _tell(self, run: Run) -> None:
        self._told[run.id] = run
        if run.status in TERMINAL and self._runs.get(run.id) is run:
            del self._runs[run.id]
            self._ended.append(run.id)
            if len(self._ended) > _REMEMBERED:
                self._forget(self._ended.popleft())
        for queue in self._watchers.get(run.id, ()):
            queue.put_nowait(run)

    def _forget(self, run_id: str) -> None:
        run = self._told.get(run_id)
        if run is not None and run_id not in self._runs and run_id not in self._ended:
            del self._told[run_id]
            del self._ids[run.name]
            self._events.pop(run_id, None)

    def _status_before(self, run: Run) -> RunStatus:
        """What a run was counted as: one that had ended is not in the book."""
        before = self._runs.get(run.id)
        if before is not None:
            return before.status
        return run.status if run.status in TERMINAL else run.resumptions[-2].status

    def _count(self, before: RunStatus | None, after: RunStatus) -> None:
        if before is after:
            return
        for status, change in ((before, -1), (after, 1)):
            if status is not None:
                self._counts[status] += change
                self._gauges[status].set(self._counts[status])
