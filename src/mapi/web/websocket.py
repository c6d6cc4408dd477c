"""GraphQL over a WebSocket: many operations at once on one connection, which outlives each of them.

A client is let in whoever it is: one that is turned away while it connects tries again for ever, in silence.
What it says in its first message is remembered, and a key that is wrong is an error of each operation.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from mapi.platform import Platform
from mapi.web.dialect import ALL_STATUSES, CLIENT_HEADER, dialect_of
from mapi.web.graphql.execute import envelope, error_entry, parse_request, subscribe
from mapi.web.graphql.resolvers import Context
from mapi.web.protocol import (
    DUPLICATE_ID,
    NOT_INITIALIZED,
    TOO_MANY_INITIALIZATIONS,
    UNKNOWN_SUBPROTOCOL,
    Cancel,
    Initialize,
    Ping,
    Protocol,
    ProtocolError,
    Subscribe,
    Terminate,
    choose,
)

#: What is allowed for the reason of a close, in bytes.
_MAX_REASON = 123


class GraphQLOverWebSocket:
    """The ASGI application behind a WebSocket on the GraphQL URL."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it closes."""
        await receive()
        protocol = choose(scope["subprotocols"])
        named = protocol is not None and protocol.name in scope["subprotocols"]
        await send({"type": "websocket.accept", "subprotocol": protocol.name if protocol and named else None})
        if protocol is None:
            await send(closing(UNKNOWN_SUBPROTOCOL, "offer graphql-transport-ws or graphql-ws"))
            return
        await _Connection(self._platform, protocol, receive, send).serve()


def closing(code: int, reason: str) -> Message:
    """Return the message that closes a connection, its reason cut to what a close can hold."""
    text = reason.encode("utf-8")[:_MAX_REASON].decode("utf-8", errors="ignore")
    return {"type": "websocket.close", "code": code, "reason": text}


class _Connection:
    """One client: who it is, and what it waits for."""

    def __init__(self, platform: Platform, protocol: Protocol, receive: Receive, send: Send) -> None:
        self._platform = platform
        self._protocol = protocol
        self._receive = receive
        self._asgi_send = send
        self._authorization: str | None = None
        self._dialect = ALL_STATUSES
        self._operations: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Read messages until the client leaves; then end all it waited for."""
        try:
            while (message := await self._receive())["type"] != "websocket.disconnect":
                meaning = self._protocol.read(message.get("text") or "")
                if isinstance(meaning, Terminate):
                    await self._send(closing(1000, ""))
                    return
                await self._obey(meaning)
        except ProtocolError as error:
            await self._send(closing(error.code, error.reason))
        finally:
            operations = list(self._operations.values())
            for operation in operations:
                operation.cancel()
            await asyncio.gather(*operations, return_exceptions=True)

    async def _obey(self, meaning: Any) -> None:
        match meaning:
            case Initialize(payload):
                if self._authorization is not None:
                    raise ProtocolError(TOO_MANY_INITIALIZATIONS, "the connection is initialized already")
                self._authorization = _text_of(payload, "authorization")
                self._dialect = dialect_of(_text_of(payload, CLIENT_HEADER))
                await self._say(self._protocol.acknowledge())
            case Subscribe(id, payload):
                self._begin(id, payload)
            case Cancel(id):
                operation = self._operations.pop(id, None)
                if operation is not None:
                    operation.cancel()
            case Ping(payload):
                await self._say(self._protocol.pong(payload))

    def _begin(self, id: str, payload: Any) -> None:
        if self._authorization is None:
            raise ProtocolError(NOT_INITIALIZED, "connection_init has to come first")
        if id in self._operations:
            raise ProtocolError(DUPLICATE_ID, f"an operation with the id {id} is under way")
        self._operations[id] = asyncio.create_task(self._perform(id, payload, self._authorization))

    async def _perform(self, id: str, payload: Any, authorization: str) -> None:
        try:
            caller = self._platform.authenticate(authorization)
            context = Context(self._platform, caller, dialect=self._dialect)
            async with aclosing(subscribe(parse_request(payload), context)) as answers:
                async for data in answers:
                    await self._say(self._protocol.next(id, envelope(data)))
            last = self._protocol.complete(id)
        except Exception as error:
            last = self._protocol.error(id, [error_entry(error)])
        self._operations.pop(id, None)
        await self._say(last)

    async def _say(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})

    async def _send(self, message: Message) -> None:
        with suppress(OSError):  # the client is gone: `serve` is told so next
            await self._asgi_send(message)


def _text_of(payload: dict[str, Any], field: str) -> str:
    value = next((value for name, value in payload.items() if name.lower() == field), "")
    return value if isinstance(value, str) else ""
