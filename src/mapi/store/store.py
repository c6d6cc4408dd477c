"""The run database, as the platform sees it.

Writes go through one thread (`writer.py`); reads run in a few others, each on a connection of its own. What a
write's future has resolved for is on disk, and seen by every read that begins later.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from mapi.domain.identity import first_id
from mapi.domain.query import RunFilter
from mapi.domain.run import Event, Run
from mapi.domain.user import Organization, User
from mapi.store.migrate import migrate
from mapi.store.rows import (
    SealedSecret,
    event_columns,
    event_of,
    run_columns,
    run_of,
    secret_columns,
    secret_of,
    spec_columns,
    state_columns,
)
from mapi.store.schema import api_keys, events, organizations, runs, secrets, users
from mapi.store.writer import Writer
from mcli.models.run_status import TERMINAL, RunStatus

T = TypeVar("T")

_READERS = 4
#: How many values one IN (…) is given; more are asked for in turns.
_IN = 500

_INSERT_RUN = insert(runs)
_INSERT_EVENT = insert(events)
_UPDATE_STATE = (
    update(runs)
    .where(runs.c.id == bindparam("run_id"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "status cluster gpu_type gpus updated_at ended_at is_deleted "
                "metadata resumptions failures event_count"
            ).split()
        }
    )
)
_INSERT_SECRET = insert(secrets)
_DELETE_SECRET = delete(secrets).where(secrets.c.id == bindparam("secret_id"))
_UPDATE_SPEC = update(runs).where(runs.c.id == bindparam("run_id")).values(spec=bindparam("spec"))


class RunExists(Exception):
    """A run with this name, or made with this idempotency key, is there already."""


class StoredPage(msgspec.Struct, frozen=True):
    """A page of runs, newest first. `cursor`: where the next one starts, None if there is none."""

    runs: list[Run]
    cursor: str | None


class Store:
    """The run database. Open it on the event loop it is used on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = Writer(engine)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")

    @classmethod
    async def open(cls, url: str) -> Store:
        """Connect to a database and bring it to the newest schema.

        Args:
            url: an SQLAlchemy URL: `sqlite:////path/to/file`, `postgresql+psycopg://user@host/name`.
        """
        engine = _engine(url)
        await asyncio.get_running_loop().run_in_executor(None, migrate, engine)
        return cls(engine)

    async def close(self) -> None:
        """Finish what is being written, and let go of the database."""
        await self._writer.close()
        self._readers.shutdown()
        self._engine.dispose()

    # -- writing ---------------------------------------------------------------------------------

    async def create(self, run: Run, created: Event, *, idempotency_key: str | None = None) -> None:
        """Write a new run.

        Raises:
            RunExists: if its name or its idempotency key is taken.
        """
        columns = {**run_columns(run), "idempotency_key": idempotency_key}
        try:
            await self._writer.write([(_INSERT_RUN, columns), (_INSERT_EVENT, event_columns(created))])
        except IntegrityError as error:
            raise RunExists(run.name) from error

    def save(self, run: Run, new: Sequence[Event] = (), *, spec: bool = False) -> asyncio.Future[None]:
        """Write what became of a run, with the events that say so; all of it or nothing.

        Args:
            run: the run as it is now.
            new: events to add.
            spec: True if its configuration has changed too.
        """
        statements: list[tuple[Any, dict[str, Any]]] = [
            (_UPDATE_STATE, {"run_id": run.id, **state_columns(run)})
        ]
        if spec:
            statements.append((_UPDATE_SPEC, {"run_id": run.id, **spec_columns(run)}))
        statements.extend((_INSERT_EVENT, event_columns(item)) for item in new)
        return self._writer.write(statements)

    async def add_account(self, organization: Organization, user: User, digest: bytes, at: int) -> None:
        """Write a user with a key (by its digest), and the organization if it is new."""
        known = await self.read(lambda c: c.execute(select(organizations.c.id)).scalars().all())
        statements: list[tuple[Any, dict[str, Any]]] = []
        if organization.id not in known:
            statements.append((insert(organizations), {"id": organization.id, "name": organization.name}))
        row = {
            "id": user.id,
            "organization_id": organization.id,
            "name": user.name,
            "email": user.email,
            "created_at": at,
        }
        statements.append((insert(users), row))
        statements.append((insert(api_keys), {"digest": digest, "user_id": user.id, "created_at": at}))
        await self._writer.write(statements)

    async def add_key(self, user_id: str, digest: bytes, at: int) -> None:
        """Write one more key of a user, by its digest."""
        row = {"digest": digest, "user_id": user_id, "created_at": at}
        await self._writer.write([(insert(api_keys), row)])

    async def add_secret(self, item: SealedSecret) -> None:
        """Write a secret."""
        await self._writer.write([(_INSERT_SECRET, secret_columns(item))])

    async def delete_secrets(self, ids: Iterable[str]) -> None:
        """Remove secrets, all of them or none."""
        await self._writer.write([(_DELETE_SECRET, {"secret_id": id_}) for id_ in ids])

    # -- reading ---------------------------------------------------------------------------------

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query in a reading thread."""

        def work() -> T:
            with self._engine.connect() as connection:
                return query(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def find(
        self,
        wanted: RunFilter,
        *,
        owner_ids: Sequence[str] | None,
        limit: int | None,
        cursor: str | None = None,
        include_deleted: bool = False,
    ) -> StoredPage:
        """Return the runs a filter means, newest first.

        Args:
            wanted: the filter.
            owner_ids: whose runs; None for everybody's.
            limit: how many at most; None for all.
            cursor: from the page before.
            include_deleted: True to see deleted runs too.
        """
        conditions = _conditions(wanted, owner_ids)
        if not include_deleted:
            conditions.append(runs.c.is_deleted.is_(False))
        if cursor:
            conditions.append(runs.c.id < cursor)
        query = select(runs).where(*conditions).order_by(runs.c.id.desc())
        if limit is not None:
            query = query.limit(limit + 1)

        def page(connection: Connection) -> StoredPage:
            found = [run_of(row) for row in connection.execute(query)]
            more = limit is not None and len(found) > limit
            found = found[:limit]
            return StoredPage(found, found[-1].id if more else None)

        return await self.read(page)

    async def by_key(self, idempotency_key: str) -> Run | None:
        """The run that was made with an idempotency key."""
        query = select(runs).where(runs.c.idempotency_key == idempotency_key)

        def one(connection: Connection) -> Run | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else run_of(row)

        return await self.read(one)

    async def created_without_key(self, since: int) -> list[Run]:
        """Runs made since a moment without an idempotency key, oldest first."""
        query = (
            select(runs)
            .where(runs.c.id >= first_id(since), runs.c.idempotency_key.is_(None))
            .order_by(runs.c.id)
        )
        return await self.read(lambda c: [run_of(row) for row in c.execute(query)])

    async def active(self) -> list[Run]:
        """Every run that has not ended, oldest first."""
        going = [status.value for status in RunStatus if status not in TERMINAL]
        query = select(runs).where(runs.c.status.in_(going)).order_by(runs.c.id)
        return await self.read(lambda c: [run_of(row) for row in c.execute(query)])

    async def history(self, run_ids: Iterable[str]) -> dict[str, list[Event]]:
        """The events of runs, in order, by run id."""
        ids = list(run_ids)
        found: dict[str, list[Event]] = {run_id: [] for run_id in ids}

        def rows(connection: Connection) -> None:
            for start in range(0, len(ids), _IN):
                query = (
                    select(events)
                    .where(events.c.run_id.in_(ids[start : start + _IN]))
                    .order_by(events.c.run_id, events.c.seq)
                )
                for row in connection.execute(query):
                    found[row.run_id].append(event_of(row))

        await self.read(rows)
        return found

    async def count_by_status(self) -> dict[RunStatus, int]:
        """How many runs, deleted ones included, are in each status."""
        query = select(runs.c.status, func.count()).group_by(runs.c.status)
        return await self.read(lambda c: {RunStatus(status): count for status, count in c.execute(query)})

    async def users(self) -> list[User]:
        """Every user."""
        query = select(users).order_by(users.c.created_at)
        return await self.read(
            lambda c: [User(row.id, row.name, row.email, row.organization_id) for row in c.execute(query)]
        )

    async def organizations(self) -> list[Organization]:
        """Every organization."""
        query = select(organizations).order_by(organizations.c.id)
        return await self.read(lambda c: [Organization(row.id, row.name) for row in c.execute(query)])

    async def secrets(self) -> list[SealedSecret]:
        """Every secret, oldest first."""
        query = select(secrets).order_by(secrets.c.id)
        return await self.read(lambda c: [secret_of(row) for row in c.execute(query)])

    def user_of(self, digest: bytes) -> User | None:
        """The user a key belongs to, by the key's digest. Blocks for a moment: callers keep the answer."""
        query = (
            select(users).join(api_keys, api_keys.c.user_id == users.c.id).where(api_keys.c.digest == digest)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else User(row.id, row.name, row.email, row.organization_id)


def _conditions(wanted: RunFilter, owner_ids: Sequence[str] | None) -> list[ColumnElement[bool]]:
    """A filter as SQL. Creation times become bounds on the id, which sorts by time."""
    statuses = None if wanted.statuses is None else [status.value for status in wanted.statuses]
    gpu_types = None if wanted.gpu_types is None else [name.lower() for name in wanted.gpu_types]
    choices = (
        (runs.c.owner_id, owner_ids),
        (runs.c.name, wanted.names),
        (runs.c.id, wanted.ids),
        (runs.c.status, statuses),
        (runs.c.cluster, wanted.clusters),
        (runs.c.gpu_type, gpu_types),
        (runs.c.gpus, wanted.gpu_nums),
        (runs.c.run_type, wanted.run_types),
    )
    conditions: list[ColumnElement[bool]] = [
        column.in_(values) for column, values in choices if values is not None
    ]
    if wanted.created_before is not None:
        conditions.append(runs.c.id < first_id(wanted.created_before))
    if wanted.created_after is not None:
        conditions.append(runs.c.id >= first_id(wanted.created_after))
    if wanted.ended_before is not None:
        conditions.append(runs.c.ended_at < wanted.ended_before)
    if wanted.ended_after is not None:
        conditions.append(runs.c.ended_at >= wanted.ended_after)
    return conditions


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_size=_READERS + 2, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, pool_size=_READERS + 2)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        # FULL: a commit that was reported survives a power cut. WAL: readers never wait for the writer.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
