"""One thread writes, and writes that arrive together share one commit.

A write is enqueued on the event loop and resolves when it is on disk, in the order of enqueueing. If a shared
transaction fails, its writes are tried one by one, so that only the guilty one fails.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.sql.dml import Delete, Insert, Update

log = logging.getLogger(__name__)

#: How many writes may share a commit.
_BATCH = 512

Statement = Insert | Update | Delete


class Write(msgspec.Struct):
    """Statements with the rows they write; `done` resolves on the event loop after the commit."""

    statements: Sequence[tuple[Statement, dict[str, Any]]]
    done: asyncio.Future[None]


class Writer:
    """The writing thread. Made and used on one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def write(self, statements: Sequence[tuple[Statement, dict[str, Any]]]) -> asyncio.Future[None]:
        """Enqueue statements that belong together; the future resolves when they are on disk."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(Write(statements, done))
        return done

    async def close(self) -> None:
        """Write what is enqueued, then end the thread."""
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        with self._engine.connect() as connection:
            open_ = True
            while open_:
                batch: list[Write] = []
                item = self._queue.get()
                while True:
                    if item is None:
                        open_ = False
                        break
                    batch.append(item)
                    if len(batch) == _BATCH or self._queue.empty():
                        break
                    item = self._queue.get()
                if batch:
                    self._commit(connection, batch)

    def _commit(self, connection: Connection, batch: list[Write]) -> None:
        try:
            _apply(connection, batch)
        except Exception as error:
            connection.rollback()
            if len(batch) == 1:
                self._resolve(partial(_fail, batch[0].done, error))
                return
            for write in batch:
                self._commit(connection, [write])
        else:
            self._resolve(partial(_succeed, batch))

    def _resolve(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("a write finished after its loop was closed")


def _apply(connection: Connection, batch: list[Write]) -> None:
    """Run a batch as one transaction: the rows of one statement together, new rows before all others."""
    grouped: dict[Statement, list[dict[str, Any]]] = {}
    for write in batch:
        for statement, row in write.statements:
            grouped.setdefault(statement, []).append(row)
    for statement in sorted(grouped, key=lambda statement: not isinstance(statement, Insert)):
        connection.execute(statement, grouped[statement])
    connection.commit()


def _succeed(batch: list[Write]) -> None:
    for write in batch:
        if not write.done.done():
            write.done.set_result(None)


def _fail(done: asyncio.Future[None], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
