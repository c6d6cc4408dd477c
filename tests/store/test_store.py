"""What was told is on disk; what is asked is found, page by page."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mapi.domain import lifecycle
from mapi.domain.identity import first_id
from mapi.domain.query import RunFilter
from mapi.domain.run import Allocation, Run, RunSpec
from mapi.domain.user import Organization, User
from mapi.store import RunExists, Store
from mapi.store.migrations import HEAD
from mapi.store.schema import metadata
from mcli.models.run_status import RunStatus

IDS = itertools.count()
Scenario = Callable[[Store], Coroutine[Any, Any, None]]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url)
    try:
        yield store
    finally:
        await store.close()


def play(database: str, scenario: Scenario) -> None:
    async def run() -> None:
        async with opened(database) as store:
            await scenario(store)

    asyncio.run(run())


def new_id(at: int) -> str:
    return f"{first_id(at)[:-12]}{next(IDS):012}"


async def add(store: Store, name: str, *, at: int = 1_000_000, owner: str = "me", gpus: int = 0) -> Run:
    allocation = Allocation("local", "x", 1, gpus, 0, "A100" if gpus else None)
    run, created = lifecycle.create(
        run_id=new_id(at),
        name=name,
        owner_id=owner,
        spec=RunSpec(name, "bash", "true", parameters={"lr": 0.1}),
        submitted={"runName": name},
        metadata={"note": "é"},
        allocation=allocation,
        at=at,
    )
    await store.create(run, created)
    return run


async def names(store: Store, wanted: RunFilter = RunFilter(), owner: str | None = "me") -> list[str]:  # noqa: B008
    page = await store.find(wanted, owner_ids=None if owner is None else [owner], limit=None)
    return [run.name for run in page.runs]


def test_a_run_reads_back_as_it_was_written(database: str) -> None:
    async def scenario(store: Store) -> None:
        run = await add(store, "a", gpus=8)
        assert (await store.find(RunFilter(), owner_ids=["me"], limit=1)).runs == [run]

    play(database, scenario)


def test_a_step_and_its_event_are_there_after_a_restart(database: str) -> None:
    async def scenario(store: Store) -> None:
        run = await add(store, "a")
        run, event = lifecycle.advance(run, RunStatus.FAILED, at=2_000_000, reason="no")
        await store.save(run, [event])

    async def later(store: Store) -> None:
        (run,) = (await store.find(RunFilter(), owner_ids=None, limit=1)).runs
        assert (run.status, run.latest.reason) == (RunStatus.FAILED, "no")
        history = (await store.history([run.id]))[run.id]
        assert [event.type for event in history] == ["CREATED", "FAILED"]
        assert await store.active() == []

    play(database, scenario)
    play(database, later)


def test_a_name_and_an_idempotency_key_are_taken_once(database: str) -> None:
    async def scenario(store: Store) -> None:
        run = await add(store, "a")
        created = (await store.history([run.id]))[run.id][0]
        with pytest.raises(RunExists):
            await add(store, "a")
        other = replace(run, id=new_id(2_000_000), name="b")
        await store.create(other, replace(created, run_id=other.id), idempotency_key="k")
        third = replace(run, id=new_id(1), name="c")
        with pytest.raises(RunExists):
            await store.create(third, replace(created, run_id=third.id), idempotency_key="k")
        assert await store.by_key("k") == other
        assert await names(store) == ["b", "a"]

    play(database, scenario)


def test_one_bad_write_in_a_shared_commit_fails_alone(database: str) -> None:
    async def scenario(store: Store) -> None:
        await add(store, "taken")
        made = await asyncio.gather(
            *(add(store, name) for name in ("x", "taken", "y")), return_exceptions=True
        )
        assert [isinstance(item, RunExists) for item in made] == [False, True, False]
        assert sorted(await names(store)) == ["taken", "x", "y"]

    play(database, scenario)


def test_pages_follow_each_other_newest_first_without_gap_or_repeat(database: str) -> None:
    async def scenario(store: Store) -> None:
        made = [(await add(store, f"r{n}", at=1_000_000 + n)).name for n in range(7)]
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await store.find(RunFilter(), owner_ids=["me"], limit=3, cursor=cursor)
            seen += [run.name for run in page.runs]
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == made[::-1]

    play(database, scenario)


def test_every_filter_narrows(database: str) -> None:
    async def scenario(store: Store) -> None:
        await add(store, "old", at=1_000)
        await add(store, "gpu", at=5_000, gpus=8)
        await add(store, "theirs", at=6_000, owner="you")
        ended = await add(store, "ended", at=7_000)
        ended, event = lifecycle.advance(ended, RunStatus.FAILED, at=8_000)
        await store.save(ended, [event])

        assert await names(store) == ["ended", "gpu", "old"]
        assert await names(store, owner=None) == ["ended", "theirs", "gpu", "old"]
        assert await names(store, RunFilter(names=("gpu", "nobody"))) == ["gpu"]
        assert await names(store, RunFilter(names=())) == []
        assert await names(store, RunFilter(statuses=(RunStatus.FAILED,))) == ["ended"]
        assert await names(store, RunFilter(gpu_types=("a100",))) == ["gpu"]
        assert await names(store, RunFilter(gpu_nums=(8, 16))) == ["gpu"]
        assert await names(store, RunFilter(clusters=("elsewhere",))) == []
        assert await names(store, RunFilter(created_before=5_000)) == ["old"]
        assert await names(store, RunFilter(created_after=5_000)) == ["ended", "gpu"]
        assert await names(store, RunFilter(ended_after=8_000)) == ["ended"]
        assert await names(store, RunFilter(ended_before=8_000)) == []
        assert await store.count_by_status() == {RunStatus.PENDING: 3, RunStatus.FAILED: 1}

    play(database, scenario)


def test_deleted_runs_are_hidden_unless_asked_for(database: str) -> None:
    async def scenario(store: Store) -> None:
        run = await add(store, "a")
        await store.save(replace(run, is_deleted=True))
        assert await names(store) == []
        page = await store.find(RunFilter(), owner_ids=["me"], limit=None, include_deleted=True)
        assert [run.name for run in page.runs] == ["a"]

    play(database, scenario)


def test_a_key_is_known_by_its_digest_only(database: str) -> None:
    async def scenario(store: Store) -> None:
        user = User("u", "ada", "ada@example.org", "o")
        await store.add_account(Organization("o", "default"), user, b"d" * 32, 1)
        await store.add_key("u", b"e" * 32, 1)
        assert store.user_of(b"d" * 32) == store.user_of(b"e" * 32) == user
        assert store.user_of(b"x" * 32) is None

    play(database, scenario)


def test_migrations_make_the_tables_the_code_expects(database: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    async def scenario(store: Store) -> None:
        def differences(connection: Any) -> Any:
            return compare_metadata(MigrationContext.configure(connection), metadata)

        assert await store.read(differences) == []

    play(database, scenario)
    scripts = ScriptDirectory(str(Path(__file__).parents[2] / "src/mapi/store/migrations"))
    assert scripts.get_current_head() == HEAD


def test_a_database_from_a_newer_version_is_refused(database: str) -> None:
    from sqlalchemy import create_engine, text

    play(database, lambda store: asyncio.sleep(0))
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(RuntimeError, match="use a newer mcli-platform"):
        play(database, lambda store: asyncio.sleep(0))
