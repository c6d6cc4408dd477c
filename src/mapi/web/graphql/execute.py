"""From a request to its answer.

    text ─→ document (cached) ─→ roots ─→ resolver ─→ projection ─→ {"data": …}
                                             └─→ MAPIError ─→ {"data": null, "errors": […]}

An answer has either data or errors, and never a key with null in its place: a client takes `errors: null`
for a list.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import msgspec
from graphql import OperationDefinitionNode, OperationType

from mapi.domain.errors import BadRequest, MAPIError
from mapi.web.graphql.documents import Document, Root, asks_about_schema, document
from mapi.web.graphql.projection import TYPENAME
from mapi.web.graphql.resolvers import RESOLVERS, SOURCES, Context

_log = logging.getLogger(__name__)


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What a client sends, over HTTP or a WebSocket."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


def parse_request(data: Any) -> Request:
    """Return the request in a decoded JSON body.

    Raises:
        BadRequest: if it is none.
    """
    try:
        return msgspec.convert(data, Request)
    except msgspec.ValidationError as error:
        raise BadRequest(f"a request is an object with query and variables: {error}") from None


async def execute(request: Request, context: Context) -> dict[str, Any]:
    """Perform a query or a mutation, its root fields one after the other, and return the data.

    Raises:
        MAPIError: if any part of it cannot be answered.
    """
    document_, operation, roots = _prepared(request)
    if operation.operation is OperationType.SUBSCRIPTION:
        raise BadRequest("a subscription needs a WebSocket; this is a single request")
    if asks_about_schema(roots):
        return document_.introspect(operation, request.variables or {})
    return {root.field.key: await _resolve(root, context, operation.operation) for root in roots}


async def subscribe(request: Request, context: Context) -> AsyncGenerator[dict[str, Any], None]:
    """Perform any operation and yield each piece of data; a query or a mutation yields one.

    Raises:
        MAPIError: if it cannot be answered, or no further.
    """
    _, operation, roots = _prepared(request)
    if operation.operation is not OperationType.SUBSCRIPTION:
        yield await execute(request, context)
        return
    (root,) = roots  # validation: a subscription has one root field
    async with aclosing(SOURCES[root.field.name](context, root.arguments, root.field.selection)) as values:
        async for value in values:
            yield {root.field.key: root.field.project(value)}


def envelope(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer that carries data."""
    return {"data": data}


def error_envelope(error: Exception) -> dict[str, Any]:
    """Return the answer that carries an error."""
    return {"data": None, "errors": [error_entry(error)]}


def error_entry(error: Exception) -> dict[str, Any]:
    """Return an error as clients read it. What is no `MAPIError` is logged, and its details stay here."""
    if isinstance(error, MAPIError):
        return _entry(error.message, error.code, error.kind)
    _log.error("an operation failed", exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _entry(status.phrase, status, MAPIError.__name__)


def _entry(message: str, code: int, kind: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": int(code), "kind": kind}}


def _prepared(request: Request) -> tuple[Document, OperationDefinitionNode, list[Root]]:
    checked = document(request.query)
    operation = checked.operation(request.operation_name)
    return checked, operation, checked.roots(operation, request.variables or {})


async def _resolve(root: Root, context: Context, kind: OperationType) -> Any:
    name = root.field.name
    if name == TYPENAME:
        return kind.value.capitalize()
    with context.platform.metrics.api_seconds.labels(name).time():
        value = await RESOLVERS[name](context, root.arguments, root.field.selection)
        return root.field.project(value)
