"""The platform: everything a caller can ask, whichever way it asks.

Here the run database, the scheduler, the clusters and the logs meet; none of them knows of the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from msgspec.structs import replace

from mapi.clusters.base import Cluster, Shell
from mapi.domain import lifecycle
from mapi.domain.access import Access, Endpoints
from mapi.domain.errors import BadRequest, Conflict, NotFound, Unauthorized
from mapi.domain.identity import IdSource, unique_name
from mapi.domain.metadata import check_metadata
from mapi.domain.query import LogRequest, RunFilter, RunUpdate, Scope
from mapi.domain.run import Allocation, Event, ExecutionId, Json, Run, now_ms
from mapi.domain.secret_input import parse_secret
from mapi.domain.secrets import Secret
from mapi.domain.submission import Submission, parse_submission
from mapi.domain.user import Caller, Organization, User
from mapi.logs import Chunk, LogStore
from mapi.metrics import Metrics
from mapi.platform.accounts import Accounts
from mapi.platform.answers import ADOPTION_MS, Answers
from mapi.platform.book import RunBook
from mapi.platform.dispatcher import Dispatcher
from mapi.platform.keyring import Keyring
from mapi.platform.log_reader import LogReader, checked_rank
from mapi.platform.run_tokens import RunTokens
from mapi.platform.vault import Vault
from mapi.platform.views import ClusterView, Occupancy, RunPage, RunPlan
from mapi.scheduling import parse_priority, resolve
from mapi.store import RunExists, Store
from mcli.models.mint_message import TerminalSize
from mcli.models.run_status import TERMINAL, RunStatus
from mcli.models.secret import SecretType

log = logging.getLogger(__name__)

_NAME_TRIES = 5


class Platform:
    """A platform with its clusters. Open it before anything else is called."""

    def __init__(
        self,
        store: Store,
        clusters: Sequence[Cluster],
        logs: LogStore,
        metrics: Metrics,
        answers: Answers,
        *,
        keyring: Keyring,
        endpoints: Endpoints,
        grace_seconds: float,
    ) -> None:
        self.metrics = metrics
        self.accounts = Accounts(store)
        self._store = store
        self._logs = logs
        self._answers = answers
        self._book = RunBook(store, metrics)
        self._reader = LogReader(self._book, logs)
        self._vault = Vault(store, keyring)
        self._tokens = RunTokens(keyring)

        def access(execution: ExecutionId) -> Access:
            return Access(endpoints, self._tokens.issue(execution))

        self._dispatchers = {
            cluster.name: Dispatcher(
                cluster,
                self._book,
                logs,
                metrics,
                vault=self._vault,
                access=access,
                grace_seconds=grace_seconds,
            )
            for cluster in clusters
        }
        self._ids = IdSource()
        self._ready = False

    async def open(self) -> None:
        """Take over where the last server left off."""
        await self.accounts.open()
        await self._vault.open()
        self._answers.open(await self._store.created_without_key(now_ms() - ADOPTION_MS))
        active = await self._book.open()
        await asyncio.gather(  # each may have to wait for a cluster that is away
            *(
                dispatcher.open([run for run in active if run.latest.allocation.cluster == name])
                for name, dispatcher in self._dispatchers.items()
            )
        )
        orphans = [run.name for run in active if run.latest.allocation.cluster not in self._dispatchers]
        if orphans:
            log.warning("these runs wait for clusters that are not configured: %s", ", ".join(orphans))
        self._ready = True

    async def close(self) -> None:
        """Stop serving; what runs goes on."""
        self._ready = False
        for dispatcher in self._dispatchers.values():
            await dispatcher.close()
        self._logs.close()
        self._answers.close()
        await self._store.close()

    def ready(self) -> bool:
        """True while calls are answered."""
        return self._ready

    def authenticate(self, authorization: str) -> Caller:
        """Return whom an `Authorization` header stands for: a user, by a key or by the token of a run.

        Raises:
            Unauthorized: it stands for nobody, or for a run that is over.
        """
        execution = self._tokens.execution(authorization.removeprefix("Bearer ").strip())
        if execution is None:
            return self.accounts.caller(authorization)
        run = self._book.get(execution.run_id)
        if run is None or run.execution != execution or run.status in TERMINAL:
            raise Unauthorized("the access token belongs to a run that is over")
        return self.accounts.owner(run.owner_id)

    # -- submitting ------------------------------------------------------------------------------

    async def submit(
        self,
        caller: Caller,
        run_input: Mapping[str, Json],
        *,
        run_type: str = "TRAINING",
        idempotency_key: str | None = None,
    ) -> Run:
        """Accept a run: check it, find a cluster that can run it, write it, and put it in line.

        Args:
            caller: who submits.
            run_input: the configuration, as the protocol spells it.
            run_type: TRAINING or INTERACTIVE.
            idempotency_key: a second call with the same key returns the first call's run.

        Raises:
            BadRunRequest: if the configuration is incomplete or wrong.
            InstanceTypeUnavailable: if no cluster can ever run it.
        """
        key = None if idempotency_key is None else f"{caller.user_id}:{idempotency_key}"[:100]
        submission, allocation = self._accepted(run_input, run_type)
        if key is None and (told_nobody := self._answers.adopt(caller.user_id, run_type, run_input)):
            return self._book.told(told_nobody.name) or told_nobody
        spec = submission.spec
        for _ in range(_NAME_TRIES):
            run_id, at = self._ids.next(now_ms())
            run, created = lifecycle.create(
                run_id=run_id,
                name=unique_name(spec.name),
                owner_id=caller.user_id,
                spec=spec,
                submitted=dict(run_input),
                metadata=submission.metadata,
                allocation=allocation,
                at=at,
            )
            try:
                await self._book.add(run, created, idempotency_key=key)
            except RunExists:
                earlier = await self._store.by_key(key) if key else None
                if earlier is not None:
                    return earlier
                continue
            self._dispatchers[allocation.cluster].enqueue(run)
            return run
        raise Conflict(f"no free name could be found for {spec.name!r}")

    def answered(self, run_id: str) -> None:
        """Note that the answer to a submission without an idempotency key is on its way to the client."""
        self._answers.note(run_id)

    async def plan_run(self, caller: Caller, run_input: Mapping[str, Json]) -> RunPlan:
        """Say what `submit` would make of a configuration now; nothing is written.

        Raises:
            BadRunRequest: if the configuration is incomplete or wrong.
            InstanceTypeUnavailable: if no cluster can ever run it.
        """
        submission, allocation = self._accepted(run_input, "TRAINING")
        run_id, at = self._ids.next(now_ms())
        run, _ = lifecycle.create(
            run_id=run_id,
            name=submission.spec.name,
            owner_id=caller.user_id,
            spec=submission.spec,
            submitted=dict(run_input),
            metadata=submission.metadata,
            allocation=allocation,
            at=at,
        )
        return RunPlan(run, self._dispatchers[allocation.cluster].forecast(run))

    def _accepted(self, run_input: Mapping[str, Json], run_type: str) -> tuple[Submission, Allocation]:
        """Check a configuration as a whole, and find where it can run."""
        submission = parse_submission(run_input, run_type=run_type)
        check_metadata(submission.metadata)
        spec = submission.spec
        priority = parse_priority(spec.scheduling.priority)
        spec = replace(spec, scheduling=replace(spec.scheduling, priority=priority))
        inventories = {name: item.cluster.inventory for name, item in self._dispatchers.items()}
        return replace(submission, spec=spec), resolve(spec.compute, inventories)

    async def submit_interactive(
        self, caller: Caller, run_input: Mapping[str, Json], seconds: int | None
    ) -> Run:
        """Accept a run that only holds its place, for a person to connect to."""
        length = "infinity" if seconds is None else str(seconds)
        filled = {
            **run_input,
            "runName": run_input.get("runName") or "interactive",
            "image": run_input.get("image") or "mosaicml/pytorch",
            "command": f"sleep {length}",
        }
        return await self.submit(caller, filled, run_type="INTERACTIVE")

    # -- asking ----------------------------------------------------------------------------------

    async def find_runs(
        self,
        caller: Caller,
        wanted: RunFilter,
        *,
        scope: Scope | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        include_deleted: bool = False,
    ) -> RunPage:
        """Return a page of the runs a filter means, newest first."""
        owners = self.accounts.owner_ids(caller, scope)
        page = await self._store.find(
            wanted, owner_ids=owners, limit=limit, cursor=cursor, include_deleted=include_deleted
        )
        return RunPage(page.runs, page.cursor, page.cursor is not None)

    async def history(self, runs: Iterable[Run]) -> dict[str, list[Event]]:
        """The events of runs, by run id."""
        return await self._book.history(runs)

    def owners(self, runs: Iterable[Run]) -> dict[str, User]:
        """Who owns runs, by user id."""
        return {run.owner_id: self.accounts.user(run.owner_id) for run in runs}

    def reasons(self, runs: Sequence[Run]) -> dict[str, str | None]:
        """Why runs are in their statuses, by run id; for those in a queue, as things stand now."""
        found = {run.id: run.latest.reason for run in runs}
        queued = {run.latest.allocation.cluster for run in runs if run.status is RunStatus.QUEUED}
        for name in queued & self._dispatchers.keys():
            for run_id, wait in self._dispatchers[name].waits().items():
                if run_id in found:
                    found[run_id] = wait.reason
        return found

    def clusters(self, caller: Caller, names: Iterable[str] | None = None) -> list[ClusterView]:
        """The clusters there are, with the runs of the caller's organization on them."""
        wanted = None if names is None else set(names)
        return [
            self._view(name, dispatcher, caller)
            for name, dispatcher in self._dispatchers.items()
            if wanted is None or name in wanted
        ]

    def _view(self, name: str, dispatcher: Dispatcher, caller: Caller) -> ClusterView:
        runs = [run for run in self._book.active() if run.latest.allocation.cluster == name]
        seen = {run.id: run for run in runs if self.accounts.may_see(caller, run.owner_id)}
        waits = dispatcher.waits()
        return ClusterView(
            name=name,
            kind=dispatcher.cluster.kind,
            inventory=dispatcher.cluster.inventory,
            active=[
                Occupancy(run, self.accounts.user(run.owner_id))
                for run in seen.values()
                if run.status in lifecycle.PLACED
            ],
            queued=[
                Occupancy(seen[key], self.accounts.user(seen[key].owner_id), wait.reason, wait.position)
                for key, wait in waits.items()
                if key in seen
            ],
        )

    def users(
        self, caller: Caller, ids: Iterable[str] | None = None, emails: Iterable[str] | None = None
    ) -> list[User]:
        """The users of the caller's organization."""
        return self.accounts.find(caller, ids, emails)

    def organizations(self, caller: Caller) -> list[Organization]:
        """The organization the caller belongs to."""
        return [self.accounts.organization(caller)]

    # -- changing --------------------------------------------------------------------------------

    async def stop_runs(self, caller: Caller, wanted: RunFilter, *, reason: str | None = None) -> list[Run]:
        """Stop runs; those that have ended stay as they are."""
        stopped = []
        for run in await self._mine(caller, wanted):
            current = self._book.get(run.id)
            if current is None or current.status in TERMINAL:
                stopped.append(run)
            else:
                told = self._dispatcher(run).stop(current, reason or f"stopped by {caller.email}")
                stopped.append(await told)
        return stopped

    async def start_runs(self, caller: Caller, wanted: RunFilter) -> list[Run]:
        """Run ended runs again, each as its next resumption.

        Raises:
            Conflict: if one of them has not ended; then none is started.
        """
        runs = await self._mine(caller, wanted)
        going = [run for run in runs if run.status not in TERMINAL]
        if going:
            names = ", ".join(f"{run.name} ({run.status})" for run in going)
            raise Conflict(f"only runs that have ended can be started again: {names}")
        started = []
        for run in runs:
            again, event = lifecycle.resume(
                run, at=now_ms(), reason=f"started again by {caller.email}", failed=False
            )
            again = await self._book.put(again, [event])
            self._dispatcher(again).enqueue(again)
            started.append(again)
        return started

    async def delete_runs(self, caller: Caller, wanted: RunFilter) -> list[Run]:
        """Hide runs and drop their logs; those that are active are stopped first."""
        deleted = []
        for run in await self._mine(caller, wanted):
            current = replace(self._book.get(run.id) or run, is_deleted=True)
            current, event = lifecycle.note(current, type="DELETED", at=now_ms(), message="Run deleted")
            told = self._book.put(current, [event])
            dispatcher = self._dispatcher(run)
            if current.status not in TERMINAL:
                reason = f"deleted by {caller.email}"
                told = dispatcher.stop(current, reason)
            deleted.append(await told)
            if deleted[-1].status in TERMINAL:
                await dispatcher.forget(current)
        return deleted

    async def update_runs(self, caller: Caller, wanted: RunFilter, changes: RunUpdate) -> list[Run]:
        """Change how runs queue and what happens when they fail."""
        given = {
            name: value for name in changes.__struct_fields__ if (value := getattr(changes, name)) is not None
        }
        if not given:
            raise BadRequest(f"nothing to update: give one of {', '.join(changes.__struct_fields__)}")
        if "priority" in given:
            given["priority"] = parse_priority(given["priority"])
        runs = await self._mine(caller, wanted)
        ended = [run.name for run in runs if run.status in TERMINAL]
        if ended:
            raise Conflict(f"only runs that have not ended can be updated: {', '.join(ended)} have")
        updated = []
        for run in runs:
            current = self._book.get(run.id) or run
            spec = replace(current.spec, scheduling=replace(current.spec.scheduling, **given))
            what = ", ".join(f"{name}={value}" for name, value in given.items())
            current, event = lifecycle.note(
                replace(current, spec=spec), type="UPDATED", at=now_ms(), message=f"Run updated: {what}"
            )
            told = self._book.put(current, [event], spec=True)
            if current.status not in TERMINAL:
                self._dispatcher(current).update(current)
            updated.append(await told)
        return updated

    async def update_metadata(
        self, caller: Caller, wanted: RunFilter, metadata: Mapping[str, Json]
    ) -> list[Run]:
        """Merge values into the metadata of runs; keys that are not given stay."""
        updated = []
        for run in await self._mine(caller, wanted):
            current = self._book.get(run.id) or run
            merged = {**current.metadata, **metadata}
            check_metadata(merged)
            updated.append(await self._book.put(replace(current, metadata=merged, updated_at=now_ms())))
        return updated

    async def create_event(
        self, caller: Caller, run_name: str, event_type: str, data: Mapping[str, Json]
    ) -> Event:
        """Add an event of the run's own to its history."""
        (run,) = await self._mine(caller, RunFilter(names=(run_name,)))
        current = self._book.get(run.id) or run
        message = str(data.get("message") or event_type)
        current, event = lifecycle.note(
            current, type=event_type, at=now_ms(), message=message, data=dict(data)
        )
        await self._book.put(current, [event])
        return event

    # -- secrets ---------------------------------------------------------------------------------

    async def create_secret(self, caller: Caller, data: Json) -> Secret:
        """Keep a secret, for all later runs of the caller.

        Raises:
            BadRequest: naming what is missing or wrong.
            Conflict: if there is such a secret already.
        """
        return await self._vault.add(caller.user_id, parse_secret(data))

    def secrets(
        self,
        caller: Caller,
        names: Sequence[str] | None = None,
        types: Sequence[SecretType] | None = None,
    ) -> list[Secret]:
        """The caller's secrets, without their values."""
        return self._vault.find(caller.user_id, names, types)

    async def delete_secrets(
        self, caller: Caller, names: Sequence[str] | None, types: Sequence[SecretType] | None
    ) -> list[Secret]:
        """Forget secrets of the caller; runs that go on keep what they were given."""
        return await self._vault.delete(caller.user_id, names, types)

    # -- following -------------------------------------------------------------------------------

    async def watch(self, caller: Caller, run_name: str) -> AsyncIterator[Run]:
        """Yield a run now, then in each status it enters, and end after one that is final."""
        run = await self._visible(caller, run_name)
        with self._book.watch(run.id) as queue:
            run = await self._visible(caller, run_name)
            yield run
            last = run
            while last.status not in TERMINAL:
                run = await queue.get()
                if run.event_count <= last.event_count:
                    continue  # told before it was read above, or no step of its lifecycle
                if (run.status, run.latest.index) != (last.status, last.latest.index):
                    yield run
                last = run

    async def read_logs(self, caller: Caller, request: LogRequest) -> AsyncIterator[Chunk]:
        """Yield the bytes of a rank's log: what there is, or with `follow` until the resumption has ended.

        Raises:
            NotFound: if there is no such run, or no traceback where only that is asked for.
            BadRequest: if the resumption has not started (without `follow`), or has no such rank.
        """
        run = await self._visible(caller, request.run_name)
        async for chunk in self._reader.read(run, request):
            yield chunk

    async def open_shell(
        self, caller: Caller, run_name: str, rank: int, *, command: str | None, size: TerminalSize
    ) -> Shell:
        """Start a shell in a rank of one of the caller's runs.

        Raises:
            NotFound: if the caller has no such run.
            BadRequest: if the run has no such rank.
            Conflict: if the run, or the rank, does not run now.
        """
        (run,) = await self._mine(caller, RunFilter(names=(run_name,)))
        run = self._book.get(run.id) or run
        rank = checked_rank(run, run.latest, rank)
        if run.status is not RunStatus.RUNNING:
            raise Conflict(f"run {run.name} is {run.status}: only one that is RUNNING takes shells")
        return await self._dispatcher(run).cluster.shell(run.execution, rank, command=command, size=size)

    # -- finding ---------------------------------------------------------------------------------

    def _dispatcher(self, run: Run) -> Dispatcher:
        name = run.latest.allocation.cluster
        if name not in self._dispatchers:
            raise Conflict(
                f"run {run.name} belongs to cluster {name!r}, which is not configured here any more"
            )
        return self._dispatchers[name]

    async def _mine(self, caller: Caller, wanted: RunFilter) -> list[Run]:
        """The caller's runs that a change is meant for, every named one of them.

        Raises:
            BadRequest: if the filter is empty, which would mean every run.
            NotFound: naming those that are not there.
        """
        if wanted == RunFilter():
            raise BadRequest("no run was named: a change needs names or a filter")
        if wanted.names is not None and wanted == RunFilter(names=wanted.names):
            told = [self._book.told(name) for name in wanted.names]
            active = [run for run in told if run and run.owner_id == caller.user_id and not run.is_deleted]
            if len(active) == len(wanted.names):
                return active
        page = await self._store.find(wanted, owner_ids=[caller.user_id], limit=None)
        if wanted.names is not None:
            found = {run.name: run for run in page.runs}
            missing = [name for name in wanted.names if name not in found]
            if missing and wanted == RunFilter(names=wanted.names):
                raise NotFound(f"Run {', '.join(missing)} not found")
            return [found[name] for name in dict.fromkeys(wanted.names) if name in found]
        return page.runs

    async def _visible(self, caller: Caller, name: str) -> Run:
        """A run of the caller's organization by name, deleted ones excepted, or `NotFound`."""
        run = self._book.told(name) or await self._stored(name)
        if run is None or run.is_deleted or not self.accounts.may_see(caller, run.owner_id):
            raise NotFound(f"Run {name} not found")
        return run

    async def _stored(self, name: str) -> Run | None:
        page = await self._store.find(RunFilter(names=(name,)), owner_ids=None, limit=1, include_deleted=True)
        return page.runs[0] if page.runs else None
