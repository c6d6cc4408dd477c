"""A platform held in memory, and the real server in front of it.

Submissions are parsed, runs are made and steps are taken by the functions of the real platform; it has no
database, no scheduler and no cluster, so that a test says what happens and when.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from http.client import HTTPConnection
from typing import Any, Self

import uvicorn
from msgspec.structs import replace

from mapi.domain import lifecycle
from mapi.domain.errors import NotFound, Unauthorized
from mapi.domain.query import LogRequest, RunFilter, RunUpdate, Scope
from mapi.domain.run import Event, Json, Run
from mapi.domain.submission import parse_submission
from mapi.domain.user import Caller, Organization, User
from mapi.logs import Chunk
from mapi.metrics import Metrics
from mapi.platform import ClusterView, Platform, RunPage
from mapi.web.app import create_app
from mcli.models.run_status import RunStatus
from tests.web.samples import ADA, BEGIN, CPUS, ORGANIZATION, cluster

KEY = "the-key-of-ada"

#: How long anything may take before a test says that it never will.
DEADLINE = 10.0


class StandIn(Platform):
    """Answers from memory and remembers what it was asked."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        self.metrics = Metrics()
        self.runs: list[Run] = []
        self.events: dict[str, list[Event]] = {}
        self.statuses: list[RunStatus] = []
        self.chunks: list[Chunk] = []
        self.failure: Exception | None = None
        self.asked: list[tuple[Any, ...]] = []
        self.streams = 0
        self.told: list[str] = []
        self.is_ready = True
        self._keys: dict[str, Run] = {}

    def authenticate(self, authorization: str) -> Caller:
        if authorization.removeprefix("Bearer ") != KEY:
            raise Unauthorized(f"API key {authorization[:3]!r}… is not known")
        return Caller(ADA.id, ADA.name, ADA.email, ADA.organization_id)

    def answered(self, run_id: str) -> None:
        self.told.append(run_id)

    def ready(self) -> bool:
        return self.is_ready

    async def submit(
        self,
        caller: Caller,
        run_input: Mapping[str, Json],
        *,
        run_type: str = "TRAINING",
        idempotency_key: str | None = None,
    ) -> Run:
        if idempotency_key and idempotency_key in self._keys:
            return self._keys[idempotency_key]
        submission = parse_submission(run_input, run_type=run_type)
        number = len(self.runs)
        run, event = lifecycle.create(
            run_id=f"id-{number:04}",
            name=f"{submission.spec.name}-{number:06}",
            owner_id=caller.user_id,
            spec=submission.spec,
            submitted=dict(run_input),
            metadata=submission.metadata,
            allocation=CPUS,
            at=BEGIN + number,
        )
        self.runs.append(run)
        self.events[run.id] = [event]
        if idempotency_key:
            self._keys[idempotency_key] = run
        return run

    async def submit_interactive(
        self, caller: Caller, run_input: Mapping[str, Json], seconds: int | None
    ) -> Run:
        filled = {**run_input, "command": f"sleep {seconds or 'infinity'}"}
        return await self.submit(caller, filled, run_type="INTERACTIVE")

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
        if self.failure:
            raise self.failure
        self.asked.append(("find_runs", wanted, scope))
        found = [
            run
            for run in reversed(self.runs)
            if (wanted.names is None or run.name in wanted.names)
            and (include_deleted or not run.is_deleted)
            and (cursor is None or run.id < cursor)
        ]
        page = found[:limit]
        more = len(found) > len(page)
        return RunPage(page, page[-1].id if more else None, more)

    async def history(self, runs: Iterable[Run]) -> dict[str, list[Event]]:
        self.asked.append(("history",))
        return {run.id: self.events[run.id] for run in runs}

    def owners(self, runs: Iterable[Run]) -> dict[str, User]:
        return {run.owner_id: ADA for run in runs}

    def reasons(self, runs: Sequence[Run]) -> dict[str, str | None]:
        waiting = "waiting for 2 CPUs on lab; 0 free"
        return {run.id: waiting if run.status is RunStatus.PENDING else None for run in runs}

    def clusters(self, caller: Caller, names: Iterable[str] | None = None) -> list[ClusterView]:
        return [cluster()] if names is None or "lab" in names else []

    def users(
        self, caller: Caller, ids: Iterable[str] | None = None, emails: Iterable[str] | None = None
    ) -> list[User]:
        return [ADA] if emails is None or ADA.email in emails else []

    def organizations(self, caller: Caller) -> list[Organization]:
        return [ORGANIZATION]

    def _named(self, wanted: RunFilter) -> list[Run]:
        names = wanted.names or ()
        found = {run.name: run for run in self.runs}
        if missing := [name for name in names if name not in found]:
            raise NotFound(f"Run {', '.join(missing)} not found")
        return [found[name] for name in names]

    def _change(self, wanted: RunFilter, change: Callable[[Run], Run]) -> list[Run]:
        changed = [change(run) for run in self._named(wanted)]
        self.runs = [{run.id: run for run in changed}.get(run.id, run) for run in self.runs]
        return changed

    async def stop_runs(self, caller: Caller, wanted: RunFilter, *, reason: str | None = None) -> list[Run]:
        def stop(run: Run) -> Run:
            return lifecycle.advance(run, RunStatus.STOPPED, at=BEGIN + 10, reason=reason)[0]

        return self._change(wanted, stop)

    async def start_runs(self, caller: Caller, wanted: RunFilter) -> list[Run]:
        def start(run: Run) -> Run:
            return lifecycle.resume(run, at=BEGIN + 20, reason="started again", failed=False)[0]

        return self._change(wanted, start)

    async def delete_runs(self, caller: Caller, wanted: RunFilter) -> list[Run]:
        return self._change(wanted, lambda run: replace(run, is_deleted=True))

    async def update_runs(self, caller: Caller, wanted: RunFilter, changes: RunUpdate) -> list[Run]:
        self.asked.append(("update_runs", changes))
        return self._named(wanted)

    async def update_metadata(
        self, caller: Caller, wanted: RunFilter, metadata: Mapping[str, Json]
    ) -> list[Run]:
        return self._change(wanted, lambda run: replace(run, metadata={**run.metadata, **metadata}))

    async def create_event(
        self, caller: Caller, run_name: str, event_type: str, data: Mapping[str, Json]
    ) -> Event:
        (run,) = self._named(RunFilter(names=(run_name,)))
        return lifecycle.note(run, type=event_type, at=BEGIN, message=event_type, data=dict(data))[1]

    async def watch(self, caller: Caller, run_name: str) -> AsyncIterator[Run]:
        """A run in the statuses of the test; after one that is not the last of a run, nothing for ever."""
        (run,) = self._named(RunFilter(names=(run_name,)))
        async for status in self._stream(run_name, self.statuses):
            yield lifecycle.with_latest(run, status=status)
            if status.is_terminal():
                return

    async def read_logs(self, caller: Caller, request: LogRequest) -> AsyncIterator[Chunk]:
        self.asked.append(("read_logs", request))
        async for chunk in self._stream(request.run_name, self.chunks, endless=request.follow):
            yield chunk

    async def _stream(
        self, run_name: str, items: Sequence[Any], *, endless: bool = True
    ) -> AsyncIterator[Any]:
        self._named(RunFilter(names=(run_name,)))
        self.streams += 1
        try:
            for item in items:
                yield item
            if self.failure:
                raise self.failure
            if endless:
                await asyncio.Event().wait()
        finally:
            self.streams -= 1


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.001)


class Server:
    """The application on a port of this machine, with the server that production has."""

    def __init__(self, platform: Platform, key: str) -> None:
        self.key = key
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.address = f"ws://127.0.0.1:{self.port}/graphql"
        config = uvicorn.Config(create_app(platform), log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    def http(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def post(self, body: bytes, **headers: str) -> dict[str, Any]:
        status, answer = self.http("POST", "/graphql", body, **{"Authorization": self.key, **headers})
        assert status == 200
        decoded: dict[str, Any] = json.loads(answer)
        return decoded

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        return self.post(json.dumps({"query": query, "variables": variables}).encode())

    def data(self, query: str, **variables: Any) -> Any:
        """What the only root field of a query answers."""
        answer = self.ask(query, **variables)
        assert set(answer) == {"data"}, answer
        (value,) = answer["data"].values()
        return value

    def error(self, query: str, **variables: Any) -> tuple[int, str, str]:
        """Code, kind and message of the error that a query is answered with."""
        answer = self.ask(query, **variables)
        assert set(answer) == {"data", "errors"} and answer["data"] is None, answer
        (error,) = answer["errors"]
        assert set(error) == {"message", "extensions"} and set(error["extensions"]) == {"code", "kind"}
        return error["extensions"]["code"], error["extensions"]["kind"], error["message"]
