"""A terminal with a program at it: what is typed, what is seen, and how large it is."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

PATIENCE = 30.0


class Screen:
    """A program that has a terminal of its own, as in a window of a desktop."""

    def __init__(self, command: list[str], environment: Mapping[str, str], size: tuple[int, int]) -> None:
        self._terminal, slave = os.openpty()
        self._slave = slave
        self.resize(*size)
        self.settings = termios.tcgetattr(slave)
        self.seen = ""
        self._bytes = b""
        self._process = os.posix_spawn(
            command[0],
            command,
            {**environment, "TERM": "xterm"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ],
            setsid=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._terminal)
        os.close(self._slave)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def until(self, text: str) -> None:
        """Wait until a text is seen."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r}, but {self.seen!r}"
            self._look()

    def ended(self) -> int:
        """Wait for the end of the program; return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while True:
            process, status = os.waitpid(self._process, os.WNOHANG)
            self._look()
            if process:
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, f"it goes on: {self.seen!r}"

    def is_as_before(self) -> bool:
        """Whether the terminal behaves as it did before the program."""
        return termios.tcgetattr(self._slave) == self.settings

    def _look(self) -> None:
        while select.select([self._terminal], [], [], 0.05)[0]:
            self._bytes += os.read(self._terminal, 65536)
            self.seen = self._bytes.decode(errors="replace")
