"""What the API server can be told to do wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.kubernetes.emulation.resources import ApiError

_REASONS = {
    401: "Unauthorized",
    404: "NotFound",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
}


class StreamCut(Exception):
    """The connection of a watch or a log is to break, with no word of farewell."""


@dataclass
class Failure:
    """The next `times` requests that fit get an error."""

    verb: str
    resource: str
    code: int
    times: int
    message: str
    retry_after: int | None


@dataclass
class Faults:
    """`*` stands for every verb or resource; a subresource is `pods/log`.

    `logs_cleaned`: nodes throw the logs of containers away as soon as these have ended.
    """

    failures: list[Failure] = field(default_factory=list)
    denied: set[tuple[str, str]] = field(default_factory=set)
    delays: dict[tuple[str, str], float] = field(default_factory=dict)
    late: dict[tuple[str, str], float] = field(default_factory=dict)
    log_cuts: list[int] = field(default_factory=list)
    logs_cleaned: bool = False

    def fail(
        self,
        verb: str,
        resource: str,
        code: int,
        *,
        times: int = 1,
        message: str = "the emulation was told to fail",
        retry_after: int | None = None,
    ) -> None:
        """Answer the next requests with an error."""
        self.failures.append(Failure(verb, resource, code, times, message, retry_after))

    def deny(self, verb: str, resource: str) -> None:
        """Take a permission away."""
        self.denied.add((verb, resource))

    def allow(self, verb: str, resource: str) -> None:
        """Give a permission back."""
        self.denied.discard((verb, resource))

    def delay(self, verb: str, resource: str, seconds: float) -> None:
        """Do what is asked late."""
        self.delays[verb, resource] = seconds

    def answer_late(self, verb: str, resource: str, seconds: float) -> None:
        """Do what is asked at once, and say so late."""
        self.late[verb, resource] = seconds

    def cut_next_log(self, after: int) -> None:
        """Break the next log stream when it has delivered so many bytes."""
        self.log_cuts.append(after)

    def is_denied(self, verb: str, resource: str) -> bool:
        return any(pair in self.denied for pair in _fitting(verb, resource))

    async def meet(self, verb: str, resource: str) -> None:
        """Do to a request what is to be done to it.

        Raises:
            ApiError: it fails.
        """
        for pair in _fitting(verb, resource):
            await asyncio.sleep(self.delays.get(pair, 0))
        for failure in self.failures:
            if (failure.verb, failure.resource) in _fitting(verb, resource) and failure.times > 0:
                failure.times -= 1
                reason = _REASONS.get(failure.code, "InternalError")
                raise ApiError(failure.code, reason, failure.message, retry_after=failure.retry_after)

    async def linger(self, verb: str, resource: str) -> None:
        """Hold back the answer to a request, if that is to be done."""
        for pair in _fitting(verb, resource):
            await asyncio.sleep(self.late.get(pair, 0))


def _fitting(verb: str, resource: str) -> list[tuple[str, str]]:
    return [(verb, resource), (verb, "*"), ("*", resource), ("*", "*")]


async def until_cut(
    stream: AsyncIterator[bytes], cut: asyncio.Event, most: int | None
) -> AsyncIterator[bytes]:
    """Pass a stream on, until it is to break: now, or after `most` bytes."""
    cutting = asyncio.ensure_future(cut.wait())
    try:
        while True:
            fresh = asyncio.ensure_future(anext(stream, None))
            await asyncio.wait({fresh, cutting}, return_when=asyncio.FIRST_COMPLETED)
            if not fresh.done():
                fresh.cancel()
                raise StreamCut
            data = fresh.result()
            if data is None:
                return
            if most is not None and len(data) >= most:
                yield data[:most]
                raise StreamCut
            most = None if most is None else most - len(data)
            yield data
    finally:
        cutting.cancel()


async def until_silent(
    stream: AsyncIterator[bytes], silence: asyncio.Event, cut: asyncio.Event
) -> AsyncIterator[bytes]:
    """Pass a stream on, until nothing more is to come of it, as where packets are lost."""
    async for data in stream:
        if silence.is_set():
            await cut.wait()
            raise StreamCut
        yield data
