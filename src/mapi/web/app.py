"""The web application: which URL is answered by what."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Lifespan
from starlette.websockets import WebSocket

from mapi.platform import Platform
from mapi.web.http import GraphQLOverHTTP
from mapi.web.websocket import GraphQLOverWebSocket
from mcli.version import __version__

#: Requests and subscriptions share it: a client derives one from the other.
GRAPHQL_PATH = "/graphql"

#: The close code a client shows the reason of, and does not try again after.
_SHELL_REFUSED = 1002


def create_app(platform: Platform, *, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """Return the ASGI application in front of a platform.

    Args:
        platform: the platform, opened by whoever opens the application.
        lifespan: opens and closes what the application needs.
    """

    async def health(_: Request) -> Response:
        ready = platform.ready()
        return JSONResponse(
            {"status": "ready" if ready else "unavailable", "version": __version__},
            status_code=200 if ready else 503,
        )

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(platform.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route(GRAPHQL_PATH, GraphQLOverHTTP(platform), methods=["POST"]),
            WebSocketRoute(GRAPHQL_PATH, GraphQLOverWebSocket(platform)),
            Route("/healthz", health),
            Route("/metrics", metrics),
            WebSocketRoute("/v1/shell/{run}/{rank}", _shell),
        ],
        lifespan=lifespan,
    )


async def _shell(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close(_SHELL_REFUSED, "shells are not available on this platform")
