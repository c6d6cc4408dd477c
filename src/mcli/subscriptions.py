"""GraphQL over WebSocket: values as the platform sends them, over any number of lost connections.

The protocol is graphql-transport-ws. A connection carries one subscription at a time and is kept for the next
one when the platform has ended it; one whose subscription was abandoned is closed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from mcli.api.exceptions import MAPIException, from_answer, http_status
from mcli.calls import Backoff, Deadline
from mcli.config import Target, renewed, resolve_target
from mcli.operations import Operation
from mcli.transport import RETRYABLE, Pool, headers, result, unreachable

#: Seconds without any success after which a lost connection is given up.
_PATIENCE = 300.0

#: Seconds to establish a connection.
_ESTABLISH = 10.0


class _Dropped(Exception):
    """The connection was lost, or could not be made; the subscription can be asked for again."""


def subscribe(
    operation: Operation, variables: Callable[[], Mapping[str, Any]], deadline: Deadline
) -> Iterator[Any]:
    """Yield every value of a subscription until the platform ends it.

    Args:
        operation: what to subscribe to.
        variables: its variables, asked for again after each lost connection: this is where to say from where
            to go on.
        deadline: when to give up.

    Raises:
        MAPIException: the platform refused, or could not be reached for minutes.
        TimeoutError: the deadline is over.
    """
    backoff = Backoff(deadline, patience=_PATIENCE)
    target = resolve_target()
    while True:
        try:
            with closing(_once(target, operation, variables(), deadline)) as values:
                for value in values:
                    backoff.reset()
                    yield value
            return
        except MAPIException as error:
            if error.status not in RETRYABLE or not backoff.pause():
                raise
        except _Dropped as drop:
            if not backoff.pause():
                raise unreachable(target, drop) from drop
            target = renewed(target)


def _once(
    target: Target, operation: Operation, variables: Mapping[str, Any], deadline: Deadline
) -> Generator[Any]:
    connection = _connections.take(target) or _open(target, deadline)
    ended = False
    try:
        payload = {"query": operation.document, "variables": variables}
        connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        while True:
            message = _receive(connection, deadline)
            match message.get("type"):
                case "next":
                    yield result(message["payload"], operation)
                case "error":
                    ended = True
                    raise from_answer(message["payload"])
                case "complete":
                    ended = True
                    return
                case "ping":
                    connection.send(json.dumps({"type": "pong"}))
    except ConnectionClosed as error:
        raise _Dropped(str(error)) from error
    finally:
        if ended and _is_open(connection):
            _connections.give(target, connection)
        else:
            connection.close()


def _open(target: Target, deadline: Deadline) -> ClientConnection:
    parts = urlsplit(target.endpoint)
    url = parts._replace(scheme="wss" if parts.scheme == "https" else "ws").geturl()
    remaining = deadline.remaining()
    within = Deadline(_ESTABLISH) if remaining is None or remaining > _ESTABLISH else deadline
    try:
        # Entered, as the library wants it, and never left: the pool closes it.
        connection = ExitStack().enter_context(
            connect(
                url,
                subprotocols=[Subprotocol("graphql-transport-ws")],
                compression=None,
                open_timeout=within.remaining(),
                close_timeout=0.1,
                max_size=None,
                proxy=None,
            )
        )
    except InvalidStatus as error:
        code = error.response.status_code
        raise MAPIException(
            http_status(code), f"{url} refused a WebSocket with HTTP status {code}"
        ) from error
    except TimeoutError as error:
        raise _silence(within, deadline) from error
    except (OSError, InvalidHandshake) as error:
        raise _Dropped(str(error)) from error
    acknowledged = False
    try:
        connection.send(json.dumps({"type": "connection_init", "payload": headers(target)}))
        while _receive(connection, within).get("type") != "connection_ack":
            pass
        acknowledged = True
        return connection
    except TimeoutError as error:
        raise _silence(within, deadline) from error
    except ConnectionClosed as error:
        raise _Dropped(str(error)) from error
    finally:
        if not acknowledged:
            connection.close()


def _silence(within: Deadline, deadline: Deadline) -> Exception:
    """What it means that the platform took a connection and said nothing for too long."""
    return deadline.error() if within is deadline else _Dropped("the platform does not answer")


def _receive(connection: ClientConnection, deadline: Deadline) -> dict[str, Any]:
    try:
        message = connection.recv(timeout=deadline.remaining())
    except TimeoutError:
        raise deadline.error() from None
    try:
        content = json.loads(message)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise MAPIException(
            HTTPStatus.INTERNAL_SERVER_ERROR, "The platform sent a message that is not a JSON object"
        )
    return content


def _is_open(connection: ClientConnection) -> bool:
    return connection.state is State.OPEN


_connections: Pool[ClientConnection] = Pool(_is_open, ClientConnection.close, size=4)


def close_idle() -> None:
    """Close the connections that are kept for the next subscription."""
    _connections.close()
