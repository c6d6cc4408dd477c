"""A shell in a container of a rank: what `kubectl exec -it` does, in the form the platform wants."""

from __future__ import annotations

import asyncio
from typing import Self

import msgspec
from httpx2.websockets import AsyncWebSocketSession, HTTPXWSException, WebSocketDisconnect
from wsproto.events import BytesMessage, TextMessage

from mapi.clusters.kubernetes.client import NO_ANSWER, Api, Json, explain
from mapi.clusters.kubernetes.status import CONTAINER
from mcli.models.mint_message import TerminalSize

_STDIN, _STDOUT, _STDERR, _STATUS, _RESIZE = range(5)

#: Images need not have bash.
_INTERACTIVE = "if command -v bash >/dev/null; then exec bash; else exec sh; fi"
_COMMAND = 'if command -v bash >/dev/null; then exec bash -c "$1"; else exec sh -c "$1"; fi'


class PodShell:
    """A shell of a rank, see `mapi.clusters.base.Shell`.

    A task of its own holds the connection, since that has to be closed by whoever opened it. What was not
    read stays there, and behind it in the container.
    """

    def __init__(self, api: Api, pod: str, command: list[str]) -> None:
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[AsyncWebSocketSession] = loop.create_future()
        self._code: asyncio.Future[int | None] = loop.create_future()
        self._printed: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._sizes: set[asyncio.Task[None]] = set()
        self._task = loop.create_task(self._hold(api, pod, command))

    @classmethod
    async def open(cls, api: Api, pod: str, command: str | None, size: TerminalSize) -> Self:
        """Start one.

        Args:
            api: the cluster.
            pod: of the rank.
            command: what it is to run; None for an interactive one.
            size: how large its terminal is.

        Raises:
            KubernetesError: it cannot be started.
        """
        start = (
            ["/bin/sh", "-c", _INTERACTIVE] if command is None else ["/bin/sh", "-c", _COMMAND, "sh", command]
        )
        shell = cls(api, pod, start)
        try:
            await asyncio.shield(shell._opened)
        except asyncio.CancelledError:
            shell.close()
            raise
        await shell._resize(size)
        return shell

    async def read(self) -> bytes:
        """Return what was printed next; nothing when the shell has ended."""
        if self._code.done() and self._printed.empty():
            return b""
        return await self._printed.get()

    async def write(self, data: bytes) -> None:
        """Type."""
        await self._send(_STDIN, data)

    def resize(self, size: TerminalSize) -> None:
        """Tell the shell how large the terminal is now."""
        task = asyncio.create_task(self._resize(size))
        self._sizes.add(task)
        task.add_done_callback(self._sizes.discard)

    async def exit_code(self) -> int | None:
        """Wait until the shell has ended; return its code, None where it is not known."""
        return await asyncio.shield(self._code)

    def close(self) -> None:
        """Hang up."""
        self._task.cancel()
        self._end(None)
        if self._printed.empty():
            self._printed.put_nowait(b"")

    async def _hold(self, api: Api, pod: str, command: list[str]) -> None:
        code = None
        try:
            async with api.terminal(pod, CONTAINER, command) as connection:
                self._opened.set_result(connection)
                code = await self._listen(connection)
        except (*NO_ANSWER, ExceptionGroup) as error:
            if not self._opened.done():
                self._opened.set_exception(explain(error))
        self._end(code)
        await self._printed.put(b"")

    async def _listen(self, connection: AsyncWebSocketSession) -> int | None:
        """Pass on what is printed until the shell has ended; return its code."""
        code = None
        while True:
            try:
                message = await connection.receive()
            except (WebSocketDisconnect, HTTPXWSException):
                return code
            if not isinstance(message, BytesMessage | TextMessage) or not message.data:
                continue
            data = message.data.encode() if isinstance(message.data, str) else bytes(message.data)
            if data[0] in (_STDOUT, _STDERR) and data[1:]:
                await self._printed.put(data[1:])
            elif data[0] == _STATUS:
                return exit_code(msgspec.json.decode(data[1:]))

    async def _resize(self, size: TerminalSize) -> None:
        await self._send(_RESIZE, msgspec.json.encode({"Width": size.columns, "Height": size.rows}))

    async def _send(self, channel: int, data: bytes) -> None:
        try:
            await self._opened.result().send_bytes(bytes([channel]) + data)
        except NO_ANSWER:  # it has ended; who reads is told
            return

    def _end(self, code: int | None) -> None:
        if not self._code.done():
            self._code.set_result(code)


async def kill_all(api: Api, pod: str) -> None:
    """Kill everything that runs in a pod of a rank; returns when it was asked.

    Raises:
        KubernetesError: it could not be.
    """
    shell = await PodShell.open(api, pod, "kill -KILL -1", TerminalSize())
    await shell.exit_code()
    shell.close()


def exit_code(status: Json) -> int | None:
    """Read how a command of `exec` ended.

    >>> exit_code({"status": "Success"})
    0
    """
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    return next((int(each["message"]) for each in causes if each.get("reason") == "ExitCode"), None)
