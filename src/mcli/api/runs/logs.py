"""Reading logs: what there is, and what comes.

A log is addressed by absolute byte offset, so that a lost connection costs nothing: reading goes on at the
exact byte.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, overload

from mcli import calls, operations
from mcli.api.exceptions import InvalidArgument, KubernetesException
from mcli.api.runs.arguments import Moment, moment_of, name_of
from mcli.api.runs.fetch import fetch_run
from mcli.api.runs.log_text import lines_of, text_of_bytes
from mcli.calls import Deadline

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mcli.models.run import Run

#: Ways to say where in a log to begin.
_BEGINNINGS = ("tail", "tailLines", "since")


@overload
def get_run_logs(
    run: str | Run,
    rank: int | None = None,
    timestamps: bool = False,
    timeout: float | None = 10,
    future: Literal[False] = False,
    failed: bool = False,
    *,
    node_rank: int | None = None,
    resumption: int | None = None,
    tail: int | None = None,
    tail_lines: int | None = None,
    since: Moment | None = None,
    first_exception: bool = False,
) -> str: ...
@overload
def get_run_logs(
    run: str | Run,
    rank: int | None = None,
    timestamps: bool = False,
    timeout: float | None = 10,
    *,
    future: Literal[True],
    failed: bool = False,
    node_rank: int | None = None,
    resumption: int | None = None,
    tail: int | None = None,
    tail_lines: int | None = None,
    since: Moment | None = None,
    first_exception: bool = False,
) -> Future[str]: ...
def get_run_logs(  # noqa: PLR0917 - the order its users know
    run: str | Run,
    rank: int | None = None,
    timestamps: bool = False,
    timeout: float | None = 10,
    future: bool = False,
    failed: bool = False,
    *,
    node_rank: int | None = None,
    resumption: int | None = None,
    tail: int | None = None,
    tail_lines: int | None = None,
    since: Moment | None = None,
    first_exception: bool = False,
) -> str | Future[str]:
    """Get the logs of a run, as far as they are written now.

    Args:
        run: the run, or its name.
        rank: node whose log to get; by default the lowest there is.
        timestamps: begin each line with the time it was written; `LogLine.from_line` takes that apart.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the text at once.
        failed: the log of the first node that failed.
        node_rank: the same as `rank`.
        resumption: attempt whose log to get, from 0; by default the latest.
        tail: only so many bytes from the end.
        tail_lines: only so many lines from the end.
        since: only what was written at this moment or later; naive means local time, text is ISO 8601.
        first_exception: only the first exception in it.

    Returns:
        The text. Bytes that are not UTF-8 appear as the replacement character.

    Raises:
        InvalidArgument: two arguments contradict each other.
        KubernetesException: 404, there is no such run; 400, it is not running yet, or has no such node.
        TimeoutError: the call took too long.
    """
    request = _request(
        run,
        _one_rank(rank, node_rank),
        timestamps=timestamps,
        resumption=resumption,
        tail=tail,
        tail_lines=tail_lines,
        since=since,
        failed=failed,
        first_exception=first_exception,
    )

    def work(deadline: Deadline) -> str:
        return b"".join(_chunks({**request, "follow": False}, deadline)).decode(errors="replace")

    return calls.long_call(work, timeout, future)


@overload
def follow_run_logs(
    run: str | Run,
    rank: int | None = None,
    timestamps: bool = False,
    timeout: float | None = 10,
    future: Literal[False] = False,
    *,
    node_rank: int | None = None,
    resumption: int | None = None,
    tail: int | None = None,
    tail_lines: int | None = None,
    since: Moment | None = None,
    whole_lines: bool = True,
) -> Generator[str]: ...
@overload
def follow_run_logs(
    run: str | Run,
    rank: int | None = None,
    timestamps: bool = False,
    timeout: float | None = 10,
    *,
    future: Literal[True],
    node_rank: int | None = None,
    resumption: int | None = None,
    tail: int | None = None,
    tail_lines: int | None = None,
    since: Moment | None = None,
    whole_lines: bool = True,
) -> Future[Generator[str]]: ...
def follow_run_logs(
    run: str | Run,
    rank: int | None = None,
    timestamps: bool = False,
    timeout: float | None = 10,
    future: bool = False,
    *,
    node_rank: int | None = None,
    resumption: int | None = None,
    tail: int | None = None,
    tail_lines: int | None = None,
    since: Moment | None = None,
    whole_lines: bool = True,
) -> Generator[str] | Future[Generator[str]]:
    """Follow the logs of a run, line by line, until it ends.

    Waits for a run that has not started yet. A lost connection or a restart of the platform is bridged: no
    line is lost or repeated.

    Args:
        run: the run, or its name.
        rank: node whose log to follow; by default the lowest there is.
        timestamps: begin each line with the time it was written; `LogLine.from_line` takes that apart.
        timeout: seconds until following is established; the lines may come for as long as the run takes.
            Ignored if `future`.
        future: return a future of the generator at once.
        node_rank: the same as `rank`.
        resumption: attempt whose log to follow, from 0; by default the latest.
        tail: begin so many bytes before the end.
        tail_lines: begin so many lines before the end.
        since: begin with what was written at this moment or later.
        whole_lines: wait for the end of each line; if False, text is yielded as it comes.

    Returns:
        A generator of lines, without the newline at the end. A progress bar drawn with carriage returns is
        one line. Without `whole_lines`: of pieces of text, newlines included.

    Raises:
        InvalidArgument: two arguments contradict each other.
        KubernetesException: 404, there is no such run; 400, it has no such node or attempt.
        TimeoutError: following could not be established in time.
    """
    chosen = _one_rank(rank, node_rank)
    request = _request(
        run,
        chosen,
        timestamps=timestamps,
        resumption=resumption,
        tail=tail,
        tail_lines=tail_lines,
        since=since,
    )

    def work(deadline: Deadline) -> Generator[str]:
        # Errors are due at the call, not at the first line; and the attempt is fixed, lest a lost connection
        # go on in the log of another one.
        known = fetch_run(request["name"], deadline, include_details=False)
        latest = known.resumption_count - 1
        if resumption is not None and not 0 <= resumption <= latest:
            raise KubernetesException(
                HTTPStatus.BAD_REQUEST,
                f"Run {known.name} has no resumption {resumption}; the latest is {latest}",
            )
        if chosen is not None and known.node_count and not 0 <= chosen < known.node_count:
            raise KubernetesException(
                HTTPStatus.BAD_REQUEST,
                f"Run {known.name} has no node of rank {chosen}; its ranks are 0 to {known.node_count - 1}",
            )
        request["attemptIndex"] = latest if resumption is None else resumption
        chunks = _chunks({**request, "follow": True}, Deadline(None))
        return lines_of(chunks) if whole_lines else text_of_bytes(chunks)

    return calls.call(work, timeout, future)


def _one_rank(rank: int | None, node_rank: int | None) -> int | None:
    if rank is not None and node_rank is not None:
        raise InvalidArgument(f"rank and node_rank mean the same; got {rank} and {node_rank}")
    return node_rank if rank is None else rank


def _request(
    run: str | Run,
    rank: int | None,
    *,
    timestamps: bool,
    resumption: int | None,
    tail: int | None,
    tail_lines: int | None,
    since: Moment | None,
    failed: bool = False,
    first_exception: bool = False,
) -> dict[str, Any]:
    """Return the input of a log subscription: only what is asked for."""
    if failed and rank is not None:
        raise InvalidArgument(f"failed chooses the node by itself; rank {rank} cannot be given too")
    for name, number in (("tail", tail), ("tail_lines", tail_lines)):
        if number is not None and number < 0:
            raise InvalidArgument(f"{name}: expected a number from 0 up, got {number}")
    given = {
        "nodeRank": rank,
        "attemptIndex": resumption,
        "tail": tail,
        "tailLines": tail_lines,
        "since": None if since is None else moment_of(since, "since"),
        "timestamps": timestamps or None,
        "failed": failed or None,
        "exceptionOnly": first_exception or None,
    }
    return {"name": name_of(run), **{key: value for key, value in given.items() if value is not None}}


def _chunks(request: dict[str, Any], deadline: Deadline) -> Iterator[bytes]:
    """Yield a log as the platform sends it, over any number of lost connections."""
    from mcli.subscriptions import subscribe

    offset = 0

    def variables() -> dict[str, Any]:
        # Once something has come, where to begin is known exactly.
        begin = {key: value for key, value in request.items() if key not in _BEGINNINGS or not offset}
        return {"getRunLogsInput": {**begin, "offset": offset}}

    for message in subscribe(operations.RUN_LOGS, variables, deadline):
        offset = message["endOffset"]
        yield base64.b64decode(message["chunk"])
