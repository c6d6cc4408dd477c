"""`exec`: a command beside a container's, its streams over one WebSocket (v4 and v5.channel.k8s.io)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import struct
import termios
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.kubernetes.emulation import processes
from tests.kubernetes.emulation.resources import Object, is_true
from tests.kubernetes.emulation.running_pod import RunningPod

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK = 1 << 15


async def serve_exec(websocket: WebSocket, running: RunningPod, container: str, cut: asyncio.Event) -> None:
    """Run what a client asks for, and tell how it ended."""
    offered = websocket.scope.get("subprotocols", [])
    protocol = next((each for each in _PROTOCOLS if each in offered), None)
    if protocol is None:
        await websocket.close(1002)
        return
    await websocket.accept(subprotocol=protocol)
    query = websocket.query_params
    wanted = {name: is_true(query.get(name)) for name in ("stdin", "stdout", "stderr", "tty")}
    spec = {
        **running.specs[container],
        "process": running.processes[container].pid,
        "command": query.getlist("command"),
        "terminal": wanted["tty"],
    }
    directory = Path(spec["scratch"]).parent
    streams = _Terminal() if wanted["tty"] else _Pipes(wanted["stdin"])
    try:
        process = await processes.join(spec, directory, **streams.given)
    except processes.StartError as error:
        streams.close()
        await _tell(websocket, _failure(f"error executing command in container: {error}: unknown"))
        return
    streams.started(process)
    typing = asyncio.create_task(_typed(websocket, streams, protocol))
    reading = asyncio.create_task(_printed(websocket, streams))
    cutting = asyncio.create_task(cut.wait())
    ending = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({ending, typing, cutting}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            await asyncio.wait({reading}, timeout=1)
            await _tell(websocket, _outcome(ending.result()))
    finally:
        for task in (typing, reading, cutting):
            task.cancel()
        await asyncio.gather(typing, reading, cutting, return_exceptions=True)
        streams.close()
        process.kill()
        await ending


class _Terminal:
    """Streams that are one terminal."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        os.set_blocking(self._ours, False)
        self.given: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), self._theirs)

    def started(self, process: processes.Process) -> None:
        os.close(self._theirs)

    async def write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._ours, data) :]
            except BlockingIOError:
                await _ready(self._ours, writing=True)

    async def read(self) -> tuple[int, bytes]:
        while True:
            try:
                return _STDOUT, os.read(self._ours, _CHUNK)
            except BlockingIOError:
                await _ready(self._ours, writing=False)
            except OSError:  # EIO: nothing has it open any more
                return _STDOUT, b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end_of_input(self) -> None:
        """A terminal stays open."""

    def close(self) -> None:
        os.close(self._ours)


class _Pipes:
    """A pipe for each stream."""

    def __init__(self, stdin: bool) -> None:
        pipe = asyncio.subprocess.PIPE
        self.given: dict[str, Any] = {
            "stdin": pipe if stdin else asyncio.subprocess.DEVNULL,
            "stdout": pipe,
            "stderr": pipe,
        }
        self._printed: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    def started(self, process: processes.Process) -> None:
        supervisor = process.supervisor
        self._stdin = supervisor.stdin
        assert supervisor.stdout is not None and supervisor.stderr is not None
        self._open = 2
        self._tasks = [
            asyncio.create_task(self._collect(_STDOUT, supervisor.stdout)),
            asyncio.create_task(self._collect(_STDERR, supervisor.stderr)),
        ]

    async def _collect(self, channel: int, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(_CHUNK):
            self._printed.put_nowait((channel, data))
        self._open -= 1
        if not self._open:
            self._printed.put_nowait((channel, b""))

    async def write(self, data: bytes) -> None:
        if self._stdin is not None:
            self._stdin.write(data)
            await self._stdin.drain()

    async def read(self) -> tuple[int, bytes]:
        return await self._printed.get()

    def resize(self, columns: int, rows: int) -> None:
        """Pipes have no size."""

    def end_of_input(self) -> None:
        if self._stdin is not None:
            self._stdin.close()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()


async def _typed(websocket: WebSocket, streams: _Terminal | _Pipes, protocol: str) -> None:
    """Pass on what the client sends, until it hangs up."""
    with contextlib.suppress(WebSocketDisconnect, OSError):
        while True:
            data = await websocket.receive_bytes()
            match data[0]:
                case 0:
                    await streams.write(data[1:])
                case 4:
                    size = json.loads(data[1:])
                    streams.resize(size["Width"], size["Height"])
                case 255 if protocol.startswith("v5"):
                    streams.end_of_input()


async def _printed(websocket: WebSocket, streams: _Terminal | _Pipes) -> None:
    while True:
        channel, data = await streams.read()
        if not data:
            return
        await websocket.send_bytes(bytes([channel]) + data)


async def _tell(websocket: WebSocket, status: Object) -> None:
    await websocket.send_bytes(bytes([_ERROR]) + json.dumps(status).encode())
    await websocket.close(1000)


def _outcome(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _failure(message: str) -> Object:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


async def _ready(descriptor: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)

    def ready() -> None:
        if not future.done():
            future.set_result(None)

    add(descriptor, ready)
    try:
        await future
    finally:
        remove(descriptor)
