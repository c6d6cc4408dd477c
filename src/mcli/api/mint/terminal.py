"""The terminal in front of the person: every key goes to the shell, and so does every change of its size."""

from __future__ import annotations

import codecs
import os
import select
import signal
import termios
import threading
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from mcli.models.mint_message import TerminalSize, UserInput, encode

_CHUNK = 4096
_RESIZED, _LEFT = b"r", b"q"


class LocalTerminal:
    """A terminal that is in raw mode while this is entered, and as it was afterwards.

    Keys are read in a thread; a pipe tells it what else there is to do.

    Args:
        descriptor: the terminal.
        send: takes each message for the shell, in that thread.
    """

    def __init__(self, descriptor: int, send: Callable[[bytes], None]) -> None:
        self._terminal = descriptor
        self._send = send
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._terminal)
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        self._reader = threading.Thread(target=self._read, name="mcli-terminal", daemon=True)
        self._handler = self._watch_size()
        tty.setraw(self._terminal, termios.TCSADRAIN)  # what was typed already counts
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
        if self._handler is not None:
            signal.signal(signal.SIGWINCH, self._handler)
        os.write(self._tell, _LEFT)
        self._reader.join()
        os.close(self._tell)
        os.close(self._told)

    def _watch_size(self) -> Any:
        """Have changes of the size told, where that is possible; return what was done with them before."""
        if threading.current_thread() is not threading.main_thread():
            return None
        return signal.signal(signal.SIGWINCH, lambda *_: os.write(self._tell, _RESIZED))

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._terminal, self._told], [], [])
            if self._told in ready:
                told = os.read(self._told, _CHUNK)
                if _LEFT in told:
                    return
                self._send(encode(TerminalSize(*os.get_terminal_size(self._terminal))))
            if self._terminal in ready:
                try:
                    data = os.read(self._terminal, _CHUNK)
                except OSError:  # EIO: the window is closed
                    data = b""
                if not data:
                    return
                text = self._decoder.decode(data)
                if text:
                    self._send(encode(UserInput(text)))
