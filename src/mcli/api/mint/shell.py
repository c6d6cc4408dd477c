"""Shells into runs: this terminal, or a command and what it prints."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from mcli.api.exceptions import MintException
from mcli.api.runs.arguments import name_of
from mcli.models.mint_message import TerminalSize, encode

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from mcli.models.run import Run

_ENDED, _GOING_AWAY = 1000, 1001

#: Seconds to establish a connection.
_ESTABLISH = 10.0

_STDIN, _STDOUT = 0, 1


class MintShell:
    """A way into a run that is running.

    Args:
        run: the run, or its name.
        rank: which of its nodes.
        api_key: the key to use, where it is not the one of all other calls.
        endpoint: URL of the platform's shells, where it is not the one of the platform.
    """

    def __init__(
        self, run: str | Run, *, rank: int = 0, api_key: str | None = None, endpoint: str | None = None
    ) -> None:
        self.run_name = name_of(run)
        self.rank = rank
        if api_key is None or endpoint is None:
            from mcli.config import resolve_target

            target = resolve_target()
            api_key = target.api_key if api_key is None else api_key
            endpoint = target.mint_endpoint if endpoint is None else endpoint
        self._api_key = api_key
        self._endpoint = endpoint

    def connect(self, command: str | None = None, container: str | None = None) -> int | None:
        """Connect this terminal with a shell, until that ends.

        Without a terminal, what the shell prints goes to the standard output, and nothing is typed.

        Args:
            command: what the shell is to run; an interactive one if None.
            container: which container of the node; `MAIN` is the only one.

        Returns:
            The exit code of the shell; None where the platform went down before it had ended.

        Raises:
            MintException: there is no shell to be had, or the connection was lost.
        """
        from mcli.api.mint.terminal import LocalTerminal

        sys.stdout.flush()
        with ExitStack() as stack:
            connection = stack.enter_context(self._connect(command, container, _size()))
            if os.isatty(_STDIN):
                stack.enter_context(LocalTerminal(_STDIN, lambda message: _send(connection, message)))
            return self._receive(connection, _write)

    def execute(self, command: str) -> str:
        """Run a command and return what it printed, as on a terminal: with `\\r\\n` at the end of lines.

        Raises:
            MintException: the command could not be run, or not to its end.
        """
        printed = bytearray()
        with self._connect(command, None, TerminalSize()) as connection:
            if self._receive(connection, printed.extend) is None:
                raise self._failure("the platform went down before the command had ended")
        return printed.decode(errors="replace")

    @contextmanager
    def _connect(
        self, command: str | None, container: str | None, size: TerminalSize
    ) -> Iterator[ClientConnection]:
        from urllib.parse import quote

        from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
        from websockets.sync.client import connect

        headers = {"Authorization": self._api_key}
        if command is not None:
            headers["Commands"] = json.dumps([command])
        if container is not None:
            headers["Container"] = container
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(
                    connect(
                        f"{self._endpoint}/{quote(self.run_name, safe='')}/{self.rank}",
                        additional_headers=headers,
                        compression=None,
                        open_timeout=_ESTABLISH,
                        close_timeout=1,
                        max_size=None,
                        proxy=None,
                    )
                )
            except InvalidStatus as error:
                code = error.response.status_code
                raise self._failure(
                    f"{self._endpoint} refused a WebSocket with HTTP status {code}"
                ) from error
            except (OSError, InvalidHandshake, InvalidURI) as error:
                raise self._failure(f"{self._endpoint}: {error}") from error
            _send(connection, encode(size))
            yield connection

    def _receive(self, connection: ClientConnection, take: Callable[[bytes], object]) -> int | None:
        """Hand over what comes until the platform closes; return the exit code."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                data = connection.recv()
                take(data.encode() if isinstance(data, str) else data)
        except ConnectionClosed as error:
            close = error.rcvd
        if close is None:
            raise self._failure("the connection was lost") from None
        if close.code == _ENDED:
            code = re.fullmatch(r"exit code (\d+)", close.reason)
            return int(code[1]) if code else 0
        if close.code == _GOING_AWAY:
            return None
        raise self._failure(close.reason or f"the connection was closed with code {close.code}")

    def _failure(self, why: str) -> MintException:
        return MintException(f"Unable to connect to run {self.run_name}: {why}")


def _size() -> TerminalSize:
    with suppress(OSError):
        return TerminalSize(*os.get_terminal_size(_STDOUT))
    return TerminalSize()


def _send(connection: ClientConnection, message: bytes) -> None:
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):  # who receives is told why
        connection.send(message)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(_STDOUT, data) :]
