"""The web application: which URL is answered by what."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Lifespan

from mapi.platform import Platform
from mapi.web.http import GraphQLOverHTTP
from mapi.web.shell import ShellOverWebSocket
from mapi.web.websocket import GraphQLOverWebSocket
from mcli.version import __version__

#: Requests and subscriptions share it: a client derives one from the other.
GRAPHQL_PATH = "/graphql"

#: Below it, one URL for each rank of a run.
SHELL_PATH = "/v1/shell"


def create_app(platform: Platform, *, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """Return the ASGI application in front of a platform.

    Its `state.shells` is to be closed before its connections are, so that they are told why.

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

    shells = ShellOverWebSocket(platform)
    application = Starlette(
        routes=[
            Route(GRAPHQL_PATH, GraphQLOverHTTP(platform), methods=["POST"]),
            WebSocketRoute(GRAPHQL_PATH, GraphQLOverWebSocket(platform)),
            Route("/healthz", health),
            Route("/metrics", metrics),
            WebSocketRoute(SHELL_PATH + "/{run}/{rank}", shells),
        ],
        lifespan=lifespan,
    )
    application.state.shells = shells
    return application
