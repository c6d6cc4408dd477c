"""An HTTP server whose every answer is a step of a script, down to hanging up in the middle of one."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Step = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: RawServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        script = self.script
        with script.lock:
            script.requests.append((dict(self.headers.items()), json.loads(body)))
            script.connections.add(self.client_address[1])
            step = script.steps.pop(0) if len(script.steps) > 1 else script.steps[0]
        step(self)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def answer(content: Any, status: int = 200) -> Step:
    """Answer with JSON, or with text as it is."""
    body = content.encode() if isinstance(content, str) else json.dumps(content).encode()

    def step(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return step


def refuse(code: int, message: str, kind: str | None = None) -> Step:
    """Answer with an error."""
    extensions = {"code": code} if kind is None else {"code": code, "kind": kind}
    return answer({"data": None, "errors": [{"message": message, "extensions": extensions}]})


def answer_and_hang_up(content: Any) -> Step:
    """Answer, promise to keep the connection, and close it all the same."""

    def step(handler: Handler) -> None:
        answer(content)(handler)
        handler.close_connection = True

    return step


def hang_up(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def half_an_answer(handler: Handler) -> None:
    """Promise more than comes."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data":')
    handler.close_connection = True


def silence(until: threading.Event) -> Step:
    """Say nothing until the event."""

    def step(handler: Handler) -> None:
        until.wait(10)
        handler.close_connection = True

    return step


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    closed = 0

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed += 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the script."""


class RawServer:
    """The server; `steps` is its script, whose last step repeats."""

    def __init__(self) -> None:
        self.steps: list[Step] = [answer({"data": {}})]
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.connections: set[int] = set()
        self.lock = threading.Lock()
        handler = type("ScriptedHandler", (Handler,), {"script": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/graphql"

    @property
    def closed(self) -> int:
        """How many connections the server has closed."""
        return self._server.closed

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def unused_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
