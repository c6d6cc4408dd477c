"""Shells over a WebSocket: `<shell URL>/<run>/<rank>`, with the key in the `Authorization` header.

A close says how it ended, in codes that the clients know:

    1000  the shell has ended; the reason is its exit code
    1001  the platform goes down
    1002  there is no shell to be had, and the reason why; clients try again after any code they do not know

Nothing is piled up for a client that reads slowly: the shell waits, as for a slow terminal.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Message, Receive, Scope, Send

from mapi.clusters.base import Shell
from mapi.domain.errors import BadRequest, MAPIError
from mapi.platform import Platform
from mapi.web.framing import MOMENT, MOMENT_WITH_COMMAND, Framing, Mint, choose, read
from mapi.web.websocket import closing
from mcli.models.mint_message import TerminalSize, UserInput

log = logging.getLogger(__name__)

_ENDED, _GOING_AWAY, _REFUSED = 1000, 1001, 1002

#: The one container a run has.
_CONTAINER = "MAIN"

#: Seconds after which a terminal is full for good if it is, and drops what is typed until it is read from.
_TYPING_PATIENCE = 2.0

#: Seconds for open shells to be told that the platform goes down.
_GOODBYE = 1.0


class ShellOverWebSocket:
    """The ASGI application behind the URL of shells."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._leaving = asyncio.Event()
        self._sessions: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it closes."""
        await receive()
        await send({"type": "websocket.accept"})
        session = asyncio.create_task(self._serve(scope, receive, send))
        self._sessions.add(session)
        session.add_done_callback(self._sessions.discard)
        await session

    async def close(self) -> None:
        """End every shell: the platform goes down."""
        self._leaving.set()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=_GOODBYE)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            last = await self._converse(scope, receive, send)
        except (MAPIError, ValueError) as error:
            last = closing(_REFUSED, str(error))
        except OSError:  # the client is gone
            return
        except Exception:
            log.exception("a shell failed")
            last = closing(_REFUSED, "the platform has failed; its log says more")
        if last is not None:
            with suppress(OSError):
                await send(last)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> Message | None:
        """Connect client and shell until one of them ends; return what to close with, if anything.

        Raises:
            MAPIError: there is no shell to be had.
            ValueError: a frame cannot be understood.
        """
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        # Before anything is refused: a client that is closed while it sends its size does not see the reason
        first = await _first(receive, MOMENT_WITH_COMMAND if "commands" in headers else MOMENT)
        if first is not None and first["type"] == "websocket.disconnect":
            return None
        caller = self._platform.authenticate(headers.get("authorization", ""))
        command = _command(headers)
        said = read(first) if first else None
        shell = await self._platform.open_shell(
            caller,
            scope["path_params"]["run"],
            _rank(scope["path_params"]["rank"]),
            command=command,
            size=said if isinstance(said, TerminalSize) else TerminalSize(),
        )
        framing = choose(first) if command is None or first else Mint()
        printing = asyncio.create_task(_print(shell, framing, send))
        typing = asyncio.create_task(_type(shell, said, receive))
        leaving = asyncio.create_task(self._leaving.wait())
        tasks = (printing, typing, leaving)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if printing.done():
                return closing(_ENDED, printing.result())
            if typing.done():
                typing.result()
                return None
            return closing(_GOING_AWAY, "the platform goes down")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            shell.close()


async def _first(receive: Receive, seconds: float) -> Message | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await receive()
    return None


async def _print(shell: Shell, framing: Framing, send: Send) -> str:
    """Send what the shell prints until it ends; return how it did."""
    while data := await shell.read():
        frame = framing.frame(data)
        if frame is not None:
            await send(frame)
    code = await shell.exit_code()
    return "" if code is None else f"exit code {code}"


async def _type(shell: Shell, said: UserInput | TerminalSize | None, receive: Receive) -> None:
    """Obey what the client says, and has `said` already, until it leaves."""
    patience = _TYPING_PATIENCE
    while True:
        match said:
            case UserInput(text):
                try:
                    async with asyncio.timeout(patience):
                        await shell.write(text.encode())
                    patience = _TYPING_PATIENCE
                except TimeoutError:
                    patience = 0.0
            case TerminalSize():
                shell.resize(said)
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        said = read(message)


def _command(headers: Mapping[str, str]) -> str | None:
    """Return the command that the headers name; None for an interactive shell."""
    container = headers.get("container", _CONTAINER)
    if container.upper() != _CONTAINER:
        raise BadRequest(f"Container: runs have no container {container!r}; there is {_CONTAINER}")
    text = headers.get("commands")
    if text is None:
        return None
    try:
        commands = json.loads(text)
    except ValueError:
        commands = None
    match commands:
        case [str(command)]:
            return command
    raise BadRequest(f"Commands: {text!r} is not a JSON list of one string")


def _rank(text: str) -> int:
    if not text.isdecimal():
        raise BadRequest(f"node rank {text!r} is not a whole number")
    return int(text)
