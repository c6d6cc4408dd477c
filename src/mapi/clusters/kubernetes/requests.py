"""What is asked of the API server for one execution: in that order, and each until there is an answer.

So a stop that comes while the objects are being created never overtakes that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mapi.clusters.kubernetes.client import KubernetesError, Refused, backoff

log = logging.getLogger(__name__)


def pass_over(_: Refused) -> None:
    """Take a refusal for an answer: what was to be done is done already, or cannot be."""


class Requests:
    """The requests of one execution, and whatever else is done for it meanwhile."""

    def __init__(
        self,
        name: str,
        held_up: Callable[[str], None],
        heard: Callable[[str, KubernetesError | None], None],
    ) -> None:
        """Begin with none.

        Args:
            name: of the execution, for the log.
            held_up: called with the reason why something is not allowed that is tried until it is.
            heard: called with the name when there is no answer, and (None) when there was one.
        """
        self._name = name
        self._held_up = held_up
        self._heard = heard
        self._order = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(
        self,
        what: Callable[[], Awaitable[None]],
        refused: Callable[[Refused], None] = pass_over,
        denied: Callable[[Refused], None] | None = None,
    ) -> None:
        """Do something when all that was asked before is done; try until there is an answer.

        Args:
            what: does it.
            refused: called where the answer is that it will never be done.
            denied: called when it is not allowed; by default it is tried until it is.
        """
        self.do(self._insist(what, refused, denied))

    def do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside the requests."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def settled(self) -> None:
        """Wait until what was asked so far has been done."""
        async with self._order:
            return

    async def close(self) -> None:
        """Drop what is not done yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _insist(
        self,
        what: Callable[[], Awaitable[None]],
        refused: Callable[[Refused], None],
        denied: Callable[[Refused], None] | None,
    ) -> None:
        async with self._order:
            await self._try(what, refused, denied)
            self._heard(self._name, None)

    async def _try(
        self,
        what: Callable[[], Awaitable[None]],
        refused: Callable[[Refused], None],
        denied: Callable[[Refused], None] | None,
    ) -> None:
        for pause in backoff():
            try:
                await what()
                return
            except Refused as error:
                final = denied if error.is_denied else refused
                if final is not None and not error.is_passing:
                    final(error)
                    return
                log.warning("%s: %s", self._name, error)
                if error.is_denied:
                    self._held_up(str(error))
            except KubernetesError as error:
                self._heard(self._name, error)
            except Exception as error:  # a mistake of ours must not leave it waiting for ever
                log.exception("%s", self._name)
                refused(Refused(0, f"{type(error).__name__}: {error}"))
                return
            await asyncio.sleep(pause)
