"""Showing the same thing again as it changes: in place on a terminal, one below the other elsewhere."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

#: Seconds between two looks.
INTERVAL = 2.0

# What a terminal is told: another screen, no cursor; back; to the top; clear the rest of line and screen.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def add_watch_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--watch`."""
    parser.add_argument(
        "-w", "--watch", action="store_true", help="show it again as it changes, until Ctrl-C"
    )


def watch(show: Callable[[], object]) -> None:
    """Call `show`, which prints something, again and again until Ctrl-C.

    On a terminal it is drawn in place, and anew when the window changes its size; what does not fit is cut.
    """
    if not sys.stdout.isatty():
        _repeat(show)
        return
    frame = ""
    with contextlib.suppress(KeyboardInterrupt), _other_screen() as changed:
        while True:
            frame = _captured(show)
            sys.stdout.write(_HOME + _fitted(frame) + _REST_OF_SCREEN)
            sys.stdout.flush()
            changed.wait(INTERVAL)
            changed.clear()
    print(frame, end="")


def _repeat(show: Callable[[], object]) -> None:
    pause = threading.Event()
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            show()
            print(flush=True)
            pause.wait(INTERVAL)


@contextlib.contextmanager
def _other_screen() -> Iterator[threading.Event]:
    """Use the terminal's other screen; the event is set when the window changes its size."""
    changed = threading.Event()
    before = signal.signal(signal.SIGWINCH, lambda *_: changed.set())
    sys.stdout.write(_ENTER)
    try:
        yield changed
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        signal.signal(signal.SIGWINCH, before)


class _Frame(io.StringIO):
    """What is printed for a terminal, before it gets there."""

    def isatty(self) -> bool:
        return True


def _captured(show: Callable[[], object]) -> str:
    frame = _Frame()
    with contextlib.redirect_stdout(frame):
        show()
    return frame.getvalue()


def _fitted(frame: str) -> str:
    """Return as many lines as the window has, each clearing what was there before."""
    height = os.get_terminal_size(sys.stdout.fileno()).lines
    lines = frame.splitlines()
    if len(lines) > height:
        lines = [*lines[: height - 1], f"… and {len(lines) - height + 1} more lines"]
    return "\r\n".join(line + _REST_OF_LINE for line in lines)
