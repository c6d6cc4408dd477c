"""Which bytes of which log a caller means, and when there are more to wait for."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec.structs import replace

from mapi.domain.errors import BadRequest, NotFound
from mapi.domain.outcome import first_failed
from mapi.domain.query import LogRequest
from mapi.domain.run import ExecutionId, Resumption, Run
from mapi.logs import Chunk, LogStore
from mapi.platform.book import RunBook
from mcli.models.run_status import TERMINAL


class LogReader:
    """Reads the logs of runs."""

    def __init__(self, book: RunBook, logs: LogStore) -> None:
        self._book = book
        self._logs = logs

    async def read(self, run: Run, request: LogRequest) -> AsyncIterator[Chunk]:
        """Yield what is asked for of a run's logs.

        Raises:
            NotFound: if there is no traceback, where only that is asked for.
            BadRequest: if the resumption has not started (without `follow`), or has no such rank.
        """
        resumption = _resumption(run, request.resumption)
        if resumption.started_at is None and not resumption.ranks:
            if not request.follow:
                what = "has not started" if resumption.status not in TERMINAL else "never started"
                raise BadRequest(f"run {run.name} {what}: it is {resumption.status}, and has no logs")
            started = await self._started(run, resumption)
            if started is None:
                return
            resumption = started
        rank = _rank(run, resumption, request)
        execution = replace(run.execution, resumption=resumption.index)
        if not self._logs.exists(execution, rank):
            if not request.follow:
                return
            self._logs.open(execution, resumption.allocation.nodes)
        if request.exception_only:
            yield await self._exception(run, execution, rank)
            return
        offset = request.offset or self._begin(execution, rank, request)
        if request.follow and resumption.ended_at is None:
            async for chunk in self._logs.follow(execution, rank, offset, timestamps=request.timestamps):
                yield chunk
        else:
            for chunk in self._logs.read(execution, rank, offset, timestamps=request.timestamps):
                yield chunk

    async def _exception(self, run: Run, execution: ExecutionId, rank: int) -> Chunk:
        found = await self._logs.first_traceback(execution, rank)
        if found is None:
            raise NotFound(
                f"the log of rank {rank} of run {run.name} holds no traceback of Python; read all of it"
            )
        return found

    def _begin(self, execution: ExecutionId, rank: int, request: LogRequest) -> int:
        """The byte to begin at: the last of those asked for."""
        logs = self._logs
        ways = (
            (logs.tail_offset, request.tail),
            (logs.lines_offset, request.tail_lines),
            (logs.since_offset, request.since),
        )
        return max((find(execution, rank, value) for find, value in ways if value is not None), default=0)

    async def _started(self, run: Run, resumption: Resumption) -> Resumption | None:
        """Wait until a resumption has a place; None if it ended without one."""
        with self._book.watch(run.id) as queue:
            current = self._book.told(run.name) or run
            while True:
                there = current.resumptions[resumption.index]
                if there.ranks:
                    return there
                if there.status in TERMINAL:
                    return None
                current = await queue.get()


def _resumption(run: Run, index: int | None) -> Resumption:
    if index is None:
        return run.latest
    if not 0 <= index < len(run.resumptions):
        raise BadRequest(f"run {run.name} has no resumption {index}; it has 0 to {len(run.resumptions) - 1}")
    return run.resumptions[index]


def _rank(run: Run, resumption: Resumption, request: LogRequest) -> int:
    """The rank whose log is meant: the one named, the first that failed, or the lowest."""
    if request.failed:
        failed = first_failed(resumption.ranks)
        if failed is None:
            raise BadRequest(f"no rank of run {run.name} has failed")
        return failed.rank
    return checked_rank(run, resumption, request.rank or 0)


def checked_rank(run: Run, resumption: Resumption, rank: int) -> int:
    """Return a rank that a resumption has.

    Raises:
        BadRequest: if it has not.
    """
    nodes = resumption.allocation.nodes
    if not 0 <= rank < nodes:
        raise BadRequest(f"run {run.name} has no node of rank {rank}; it has 0 to {nodes - 1}")
    return rank
