"""GraphQL over HTTP: one POST, one JSON object back.

The status of the response is 200 wherever the request could be read, errors included: clients read the body.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from mapi.domain.errors import BadRequest
from mapi.platform import Platform
from mapi.web.dialect import CLIENT_HEADER, dialect_of
from mapi.web.graphql.execute import envelope, error_envelope, execute, parse_request
from mapi.web.graphql.resolvers import Context

#: Bytes of a request. Room for the largest metadata a run may have, 200 values of 0.1 MB.
MAX_BODY = 32 * 1024 * 1024

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class GraphQLOverHTTP:
    """The ASGI application behind POST on the GraphQL URL."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            data = decode_json(await _read_body(receive))
        except BadRequest as error:
            await _respond(send, 400, _encode(error_envelope(error)))
            return
        accepted: list[str] = []
        try:
            headers = _headers(scope, "authorization", "idempotency-key", CLIENT_HEADER)
            context = Context(
                self._platform,
                self._platform.authenticate(headers.get("authorization", "")),
                headers.get("idempotency-key"),
                dialect_of(headers.get(CLIENT_HEADER)),
                accepted,
            )
            answer = _encode(envelope(await execute(parse_request(data), context)))
        except Exception as error:
            answer = _encode(error_envelope(error))
        for run_id in accepted:
            # Before the answer: a client that is woken by it can be the end of this process
            self._platform.answered(run_id)
        await _respond(send, 200, answer)


async def _respond(send: Send, status: int, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode("ascii")),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


def decode_json(body: bytes | str) -> Any:
    """Decode JSON as clients write it: Python's `NaN` and `Infinity` included.

    Raises:
        BadRequest: if it is not JSON.
    """
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError:
        raise BadRequest("the request is nested too deeply") from None
    try:
        data = json.loads(body)
        json.dumps(data, ensure_ascii=False).encode()  # half a character is no text, and cannot be sent back
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the request is not JSON: {error}") from None
    return data


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the request ended before its body did")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise BadRequest(f"the request is longer than {MAX_BODY} bytes")
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def _headers(scope: Scope, *names: str) -> dict[str, str]:
    given = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return {name: value for name, value in given if name in names}
