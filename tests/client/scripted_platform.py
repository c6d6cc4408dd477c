"""A server with a platform's protocol, HTTP and WebSocket on one URL, that says what a test tells it to."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import uvicorn

#: In a script of a subscription: lose the connection here.
DROP = object()

Answer = Callable[[dict[str, Any]], Any]
Stream = Callable[[dict[str, Any]], Iterable[Any]]


class Refused(Exception):
    """In a script: answer with this error."""

    def __init__(self, code: int, message: str, kind: str = "BadRequest") -> None:
        super().__init__(message)
        self.error = {"message": message, "extensions": {"code": code, "kind": kind}}


class ScriptedPlatform:
    """`answers` and `streams`: by field of the operation, what to say, given its variables."""

    def __init__(self) -> None:
        config = uvicorn.Config(
            self._app,
            host="127.0.0.1",
            port=0,
            ws="websockets-sansio",
            log_config=None,
            lifespan="off",
            interface="asgi3",
        )
        self._server = uvicorn.Server(config)
        self.reset()

    def reset(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.streams: dict[str, Stream] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.inits: list[dict[str, Any]] = []
        self.open_sockets = 0

    def serve(self) -> None:
        self._server.run()

    def stop(self) -> None:
        self._server.should_exit = True

    def wait_until_ready(self) -> None:
        until(lambda: self._server.started)

    @property
    def endpoint(self) -> str:
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/graphql"

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await (self._http if scope["type"] == "http" else self._websocket)(receive, send)

    async def _http(self, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        field, variables = self._note(json.loads(body))
        try:
            answer: dict[str, Any] = {"data": {field: self.answers[field](variables)}}
        except Refused as refused:
            answer = {"data": None, "errors": [refused.error]}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async def _websocket(self, receive: Any, send: Any) -> None:
        async def say(message: dict[str, Any]) -> None:
            await send({"type": "websocket.send", "text": json.dumps(message)})

        await receive()
        await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
        self.open_sockets += 1
        try:
            while (event := await receive())["type"] == "websocket.receive":
                message = json.loads(event["text"])
                if message["type"] == "connection_init":
                    self.inits.append(message["payload"])
                    await say({"type": "connection_ack"})
                elif message["type"] == "subscribe":
                    field, variables = self._note(message["payload"])
                    try:
                        for value in self.streams[field](variables):
                            if value is DROP:
                                await send({"type": "websocket.close", "code": 1012})
                                return
                            await say(
                                {"id": message["id"], "type": "next", "payload": {"data": {field: value}}}
                            )
                        await say({"id": message["id"], "type": "complete"})
                    except Refused as refused:
                        await say({"id": message["id"], "type": "error", "payload": [refused.error]})
        finally:
            self.open_sockets -= 1

    def _note(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        field = re.search(r"\{\s*(\w+)", request["query"])
        assert field is not None
        self.requests.append((field[1], request["variables"]))
        return field[1], request["variables"]


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def run_answer(name: str = "hello-abc123", status: str = "RUNNING", **changes: Any) -> dict[str, Any]:
    """Return a run as the platform sends it."""
    return {
        "id": "0198-id",
        "name": name,
        "status": status,
        "createdAt": "2026-11-24T13:00:00.000Z",
        "updatedAt": "2026-11-24T13:00:05.000Z",
        "reason": None,
        "createdByEmail": "me@example.org",
        "priority": "auto",
        "maxRetries": 0,
        "preemptible": False,
        "retryOnSystemFailure": False,
        "isDeleted": False,
        "runType": "TRAINING",
        "maxDurationSeconds": 5400,
        "resumptions": [
            {
                "clusterName": "lab",
                "cpus": 0,
                "gpuType": "a100_80gb",
                "gpus": 16,
                "nodes": 2,
                "executionIndex": 0,
                "startTime": "2026-11-24T13:00:02.000Z",
                "endTime": None,
                "status": status,
                "estimatedEndTime": None,
                "reason": None,
            }
        ],
        "runInput": {"runName": name, "image": "bash", "command": "true", "cpus": 0, "compute": {"gpus": 16}},
        "details": {
            "image": "bash",
            "originalRunInput": {"runName": "hello", "image": "bash", "command": "true", "gpuNum": 16},
            "metadata": {"a": 1},
            "lastExecutionId": "0198-id/0",
            "lifecycle": [
                lifecycle("PENDING", 0, 1),
                lifecycle("STARTING", 1, 2),
                lifecycle(status, 2, None),
            ],
            "nodes": [{"rank": 0, "name": "n0", "status": "RUNNING", "reason": None}],
            "formattedRunEvents": [
                {
                    "resumptionIndex": 0,
                    "eventType": "CREATED",
                    "eventTime": "2026-11-24T13:00:00.000Z",
                    "eventMessage": "Run created",
                }
            ],
        },
        **changes,
    }


def lifecycle(status: str, start: int, end: int | None, index: int = 0) -> dict[str, Any]:
    """Return a step of a lifecycle, `start` and `end` in seconds after the run was created."""
    return {
        "executionIndex": index,
        "status": status,
        "startTime": f"2026-11-24T13:00:{start:02}.000Z",
        "endTime": None if end is None else f"2026-11-24T13:00:{end:02}.000Z",
        "reason": None,
    }


def page(*runs: dict[str, Any], cursor: str | None = None) -> dict[str, Any]:
    """Return a page of runs as the platform sends it."""
    return {"cursor": cursor, "hasNextPage": cursor is not None, "runs": list(runs)}
