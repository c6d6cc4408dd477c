"""GraphQL over HTTP: one request, its answer, and what to do when the network gets in the way.

Connections are kept and used again. A request is repeated only when that cannot do a thing twice: nothing was
sent, the platform says nothing happened (429, 502, 503, 504), or the operation is one that may be asked for
again.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from mcli.api.exceptions import MAPIException, from_answer, http_status
from mcli.calls import Backoff, Deadline
from mcli.config import Target, renewed, resolve_target
from mcli.operations import Operation
from mcli.version import __version__

C = TypeVar("C")

#: Sent only when nothing happened.
RETRYABLE = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

_ATTEMPTS = 10


class Pool(Generic[C]):
    """Idle connections by platform, the last used first. `usable` says whether one can still be used."""

    def __init__(self, usable: Callable[[C], bool], close: Callable[[C], None], *, size: int = 16) -> None:
        self._usable = usable
        self._close = close
        self._size = size
        self._forget()
        # A child process must not speak on its parent's connections.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Target, list[C]] = {}

    def take(self, target: Target) -> C | None:
        """Return an idle connection that can be used, or None."""
        while True:
            with self._lock:
                idle = self._idle.get(target)
                if not idle:
                    return None
                connection = idle.pop()
            if self._usable(connection):
                return connection
            self._close(connection)

    def give(self, target: Target, connection: C) -> None:
        """Keep a connection that is not needed now."""
        with self._lock:
            idle = self._idle.setdefault(target, [])
            if len(idle) < self._size:
                idle.append(connection)
                return
        self._close(connection)

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                self._close(connection)


def headers(target: Target) -> dict[str, str]:
    """Return what every request says about who asks."""
    return {
        "Authorization": target.api_key,
        "Content-Type": "application/json",
        # The published clients say "mcli" here, and are shown fewer statuses
        "x-mosaicml-client": "mcli-platform",
        "x-mosaicml-client-version": __version__,
    }


def execute(operation: Operation, variables: Mapping[str, Any], deadline: Deadline) -> Any:
    """Perform a query or mutation.

    Args:
        operation: what to perform.
        variables: its variables, of what JSON can carry.
        deadline: when to give up.

    Returns:
        The value of the operation's field in the answer.

    Raises:
        MAPIException: the platform refused, or could not be reached.
        TimeoutError: there was no answer in time; a mutation may have taken effect.
    """
    body = json.dumps({"query": operation.document, "variables": variables}).encode()
    extra = {"Idempotency-Key": os.urandom(16).hex()} if operation.keyed else {}
    backoff = Backoff(deadline, attempts=_ATTEMPTS)
    target = resolve_target()
    while True:
        try:
            return result(_post(target, body, extra, deadline), operation)
        except MAPIException as error:
            if error.status not in RETRYABLE or not backoff.pause():
                raise
        except TimeoutError:
            raise TimeoutError(
                f"{operation.field} was not answered by {target.endpoint} "
                f"within {deadline.timeout or 0:g} seconds"
            ) from None
        except ConnectionRefusedError as error:
            if not backoff.pause():
                raise unreachable(target, error) from error
            target = renewed(target)
        except (ConnectionError, http.client.HTTPException) as error:
            if not operation.repeatable:
                raise MAPIException(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    f"The connection to {target.endpoint} was lost before {operation.field} was answered; "
                    "look whether it took effect before you try again",
                ) from error
            if not backoff.pause():
                raise unreachable(target, error) from error
        except OSError as error:
            raise unreachable(target, error) from error


def result(answer: Any, operation: Operation) -> Any:
    """Return the value of the operation's field in `answer`, or raise the errors it carries.

    Raises:
        MAPIException: the answer carries errors, or is not what it should be.
    """
    if isinstance(answer, Mapping):
        errors = answer.get("errors")
        if errors:
            raise from_answer(errors)
        data = answer.get("data")
        if isinstance(data, Mapping) and data.get(operation.field) is not None:
            return data[operation.field]
    raise MAPIException(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"The answer to {operation.field} holds neither a result nor an error",
    )


def unreachable(target: Target, error: Exception) -> MAPIException:
    """Return the exception for a platform that cannot be reached."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return MAPIException(
        HTTPStatus.SERVICE_UNAVAILABLE, f"Unable to connect to MAPI at {target.endpoint}: {why}"
    )


def _post(target: Target, body: bytes, extra: Mapping[str, str], deadline: Deadline) -> Any:
    parts = urlsplit(target.endpoint)
    connection = _connections.take(target) or _connect(target)
    kept = False
    try:
        _limit(connection, deadline)
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request("POST", path, body, {**headers(target), **extra})
        _limit(connection, deadline)
        with connection.getresponse() as response:
            received = bytearray()
            while chunk := response.read1(1 << 20):
                received += chunk
                _limit(connection, deadline)
            if response.length:
                raise http.client.IncompleteRead(bytes(received), response.length)
        kept = not response.will_close
    finally:
        if kept:
            _connections.give(target, connection)
        else:
            connection.close()
    try:
        return json.loads(received)
    except ValueError:
        # A success that is not JSON does not come from the platform; asking again would bring the same.
        status = (
            HTTPStatus.INTERNAL_SERVER_ERROR
            if response.status == HTTPStatus.OK
            else http_status(response.status)
        )
        raise MAPIException(
            status, f"{target.endpoint} answered {response.status} {response.reason}, and not with JSON"
        ) from None


def _connect(target: Target) -> http.client.HTTPConnection:
    parts = urlsplit(target.endpoint)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port)


def _limit(connection: http.client.HTTPConnection, deadline: Deadline) -> None:
    """Let the next wait on this connection end at the deadline."""
    connection.timeout = deadline.remaining()
    if connection.sock is not None:
        connection.sock.settimeout(connection.timeout)


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Return whether an idle connection is still open:

    One with something to read was closed by the other side.
    """
    if connection.sock is None:
        return False
    watch = select.poll()
    watch.register(connection.sock, select.POLLIN)
    return not watch.poll(0)


_connections: Pool[http.client.HTTPConnection] = Pool(_is_quiet, http.client.HTTPConnection.close)


def close_idle() -> None:
    """Close the connections that are kept for the next call."""
    _connections.close()
