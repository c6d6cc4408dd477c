"""The platform's end of a shell: the terminal it runs on, and the connection to who started it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import struct
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from mapi.clusters.local.shells import door
from mcli.models.mint_message import TerminalSize

#: Bytes read at once. More than the kernel keeps for a terminal, so that what is left after a shell's end
#: is read whole, and what its own children go on to print is not.
_CHUNK = 1 << 16
_LEFT_AT_MOST = 2 * _CHUNK

#: What `struct winsize` can say.
_LARGEST = 0xFFFF


class Terminal:
    """A shell of a rank, see `mapi.clusters.base.Shell`."""

    def __init__(self, terminal: int, connection: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._terminal = terminal
        self._connection = connection
        self._code: asyncio.Future[int | None] = self._loop.create_future()
        self._left = _LEFT_AT_MOST
        self._waits: set[asyncio.Future[None]] = set()
        self._loop.add_reader(connection, self._ended)

    @classmethod
    def open(cls, directory: Path, command: str | None, size: TerminalSize) -> Self:
        """Have a shell started.

        Args:
            directory: of the rank, whose supervisor is asked.
            command: what it is to run; None for an interactive one.
            size: how large its terminal is.

        Raises:
            OSError: nobody takes the request.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours, theirs = os.openpty()
        try:
            connection.setblocking(False)
            os.set_blocking(ours, False)
            _resize(ours, size)
            with door(str(directory)) as address:
                connection.connect(address)
            socket.send_fds(connection, [json.dumps({"command": command}).encode()], [theirs])
            return cls(ours, connection)
        except OSError:
            os.close(ours)
            connection.close()
            raise
        finally:
            os.close(theirs)

    async def read(self) -> bytes:
        """Return what was printed next; nothing when the shell has ended."""
        while True:
            try:
                data = os.read(self._terminal, _CHUNK)
            except BlockingIOError:
                if self._code.done():
                    return b""
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
                continue
            except OSError:  # EIO: nothing has the terminal open
                await self.exit_code()
                return b""
            if self._code.done():
                data = data[: self._left]
                self._left -= len(data)
            return data

    async def write(self, data: bytes) -> None:
        """Type."""
        while data:
            try:
                data = data[os.write(self._terminal, data) :]
            except BlockingIOError:
                if self._code.done():
                    return
                await self._ready(self._loop.add_writer, self._loop.remove_writer)
            except OSError:  # EIO: nobody will read it
                return

    def resize(self, size: TerminalSize) -> None:
        """Tell the shell how large the terminal is now."""
        _resize(self._terminal, size)

    async def exit_code(self) -> int | None:
        """Wait until the shell has ended; return its code, None where it is not known."""
        return await asyncio.shield(self._code)

    def close(self) -> None:
        """Hang up."""
        self._loop.remove_reader(self._connection)
        self._connection.close()
        os.close(self._terminal)
        if not self._code.done():
            self._code.set_result(None)

    def _ended(self) -> None:
        self._loop.remove_reader(self._connection)
        try:
            said = self._connection.recv(16)
        except OSError:
            said = b""
        if not self._code.done():
            self._code.set_result(int(said) if said else None)
        self._wake()

    def _wake(self) -> None:
        for wait in self._waits:
            if not wait.done():
                wait.set_result(None)

    async def _ready(self, add: Callable[..., Any], remove: Callable[..., Any]) -> None:
        """Wait until the terminal is ready, or the shell has ended."""
        wait: asyncio.Future[None] = self._loop.create_future()
        self._waits.add(wait)
        add(self._terminal, self._wake)
        try:
            await wait
        finally:
            self._waits.discard(wait)
            remove(self._terminal)


def _resize(terminal: int, size: TerminalSize) -> None:
    columns, rows = (min(max(number, 0), _LARGEST) for number in size)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
