"""Secrets in either database: sealed, of one owner, unique, gone when they are deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from mapi.domain.errors import Conflict
from mapi.domain.secret_input import parse_secret
from mapi.platform.keyring import Keyring, KeyringError, new_key_text
from mapi.platform.vault import Vault
from mapi.store import Store

OLD, NEW = new_key_text(), new_key_text()
HIDDEN = "hunter2-hunter2"
TOKEN = parse_secret({"envVarSecret": {"name": "token", "metadata": {"key": "TOKEN"}, "value": HIDDEN}})

Scene = Callable[[Store], Coroutine[Any, Any, None]]


def play(database: str, scene: Scene) -> None:
    async def run() -> None:
        store = await Store.open(database)
        try:
            await scene(store)
        finally:
            await store.close()

    asyncio.run(run())


async def vault(store: Store, *keys: str) -> Vault:
    opened = Vault(store, Keyring.parse(" ".join(keys), "here"))
    await opened.open()
    return opened


async def values(of: Vault, owner: str) -> list[object]:
    return [item.value for item in await of.unseal(owner)]


def test_a_value_is_in_no_row_and_opens_after_a_restart(database: str) -> None:
    async def scene(store: Store) -> None:
        await (await vault(store, OLD)).add("me", TOKEN)
        rows = await store.read(lambda c: c.execute(text("SELECT * FROM secrets")).all())
        assert len(rows) == 1
        assert not any(HIDDEN.encode() in bytes(str(value), "utf-8") for value in rows[0])
        assert HIDDEN.encode() not in bytes(rows[0].sealed)
        assert await values(await vault(store, OLD), "me") == [HIDDEN]

    play(database, scene)


def test_an_owner_has_what_is_theirs_only(database: str) -> None:
    async def scene(store: Store) -> None:
        kept = await vault(store, OLD)
        await kept.add("me", TOKEN)
        assert await values(kept, "you") == []
        await kept.add("you", TOKEN)
        await kept.delete("you", ["token"], None)
        assert await values(kept, "me") == [HIDDEN]
        assert await values(await vault(store, OLD), "you") == []

    play(database, scene)


def test_of_two_at_once_with_one_name_one_is_kept(database: str) -> None:
    async def scene(store: Store) -> None:
        kept, other = await vault(store, OLD), await vault(store, OLD)
        results = await asyncio.gather(*(kept.add("me", TOKEN) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results[1:]] == [Conflict, Conflict]
        with pytest.raises(IntegrityError) as caught:  # of another process: the database has the last word
            await other.add("me", TOKEN)
        assert HIDDEN not in str(caught.value)

    play(database, scene)


def test_a_key_is_replaced_without_losing_what_it_sealed(database: str) -> None:
    async def scene(store: Store) -> None:
        await (await vault(store, OLD)).add("me", TOKEN)
        assert await values(await vault(store, NEW, OLD), "me") == [HIDDEN]
        with pytest.raises(KeyringError, match="secret 'token' cannot be opened: it was sealed with the key"):
            await values(await vault(store, NEW), "me")

    play(database, scene)


def test_a_row_that_was_given_to_somebody_else_is_not_opened(database: str) -> None:
    async def scene(store: Store) -> None:
        await (await vault(store, OLD)).add("me", TOKEN)

        def steal(connection: Any) -> None:
            connection.execute(text("UPDATE secrets SET owner_id = 'you'"))
            connection.commit()

        await store.read(steal)
        with pytest.raises(KeyringError, match="the database was changed"):
            await values(await vault(store, OLD), "you")

    play(database, scene)
