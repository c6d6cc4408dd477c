"""The two sub-protocols of GraphQL over WebSocket: what their messages are called and what they mean.

                      graphql-transport-ws     graphql-ws (Apollo, the first one)
    begin             subscribe                start
    give up           complete                 stop
    a piece           next                     data
    an error          error, a list            error, an object
    the end           complete                 complete

Pure: text in, meaning out. Sockets and tasks are elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Initialize(msgspec.Struct, frozen=True):
    """The client says who it is."""

    payload: dict[str, Any]


class Subscribe(msgspec.Struct, frozen=True):
    """The client asks for an operation, and names it for this connection."""

    id: str
    payload: Any


class Cancel(msgspec.Struct, frozen=True):
    """The client wants no more of an operation."""

    id: str


class Ping(msgspec.Struct, frozen=True):
    """The client wants to know whether anybody is there."""

    payload: Any


class Terminate(msgspec.Struct, frozen=True):
    """The client leaves."""


class Nothing(msgspec.Struct, frozen=True):
    """A message that needs no answer."""


Meaning = Initialize | Subscribe | Cancel | Ping | Terminate | Nothing


class ProtocolError(Exception):
    """A message that breaks the rules: the connection is closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


#: Close codes, as graphql-transport-ws numbers them.
INVALID_MESSAGE = 4400
NOT_INITIALIZED = 4401
UNKNOWN_SUBPROTOCOL = 4406
DUPLICATE_ID = 4409
TOO_MANY_INITIALIZATIONS = 4429


class Protocol(msgspec.Struct, frozen=True):
    """One sub-protocol: its name on the wire and the names of its messages."""

    name: str
    begin: str
    give_up: str
    piece: str
    errors_as_list: bool

    def read(self, text: str) -> Meaning:
        """Return what a message means.

        Raises:
            ProtocolError: if it is no message of this protocol.
        """
        try:
            message = msgspec.json.decode(text, type=_Message)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProtocolError(INVALID_MESSAGE, f"not a message: {error}") from None
        return self.meaning(message)

    def meaning(self, message: _Message) -> Meaning:
        """Return what a decoded message means."""
        kind = message.type
        if kind == "connection_init":
            return Initialize(message.payload if isinstance(message.payload, dict) else {})
        if kind in (self.begin, self.give_up):
            if not message.id:
                raise ProtocolError(INVALID_MESSAGE, f"{kind} needs an id")
            return Subscribe(message.id, message.payload) if kind == self.begin else Cancel(message.id)
        if kind == "ping":
            return Ping(message.payload)
        if kind == "pong":
            return Nothing()
        if kind == "connection_terminate":
            return Terminate()
        raise ProtocolError(INVALID_MESSAGE, f"unknown message type {kind!r}")

    def acknowledge(self) -> str:
        """The answer to the first message."""
        return _text({"type": "connection_ack"})

    def pong(self, payload: Any) -> str:
        """The answer to a ping."""
        return _text({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})

    def next(self, id: str, payload: dict[str, Any]) -> str:
        """One piece of an operation's answer."""
        return _text({"id": id, "type": self.piece, "payload": payload})

    def error(self, id: str, errors: Sequence[dict[str, Any]]) -> str:
        """The end of an operation that cannot go on."""
        payload = list(errors) if self.errors_as_list else errors[0]
        return _text({"id": id, "type": "error", "payload": payload})

    def complete(self, id: str) -> str:
        """The end of an operation that has said everything."""
        return _text({"id": id, "type": "complete"})


class _Message(msgspec.Struct, frozen=True):
    type: str
    id: str | None = None
    payload: Any = None


TRANSPORT = Protocol("graphql-transport-ws", "subscribe", "complete", "next", errors_as_list=True)
APOLLO = Protocol("graphql-ws", "start", "stop", "data", errors_as_list=False)


def choose(offered: Sequence[str]) -> Protocol | None:
    """Return the sub-protocol to speak; None if none of those offered is known.

    A client that offers none speaks the first one.
    """
    if not offered:
        return APOLLO
    return next((protocol for protocol in (TRANSPORT, APOLLO) if protocol.name in offered), None)


def _text(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode("utf-8")
