"""Work that SIGTERM must not cut short.

A training job reports how it ended from the very process that the platform is ending. Protected work is
finished first; then SIGTERM does what it would have done.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from mcli.calls import Deadline, background

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

#: Seconds that protected work may hold up the end of the process: less than a platform waits before it kills.
_PATIENCE = 20.0

_pending: set[threading.Event] = set()
_before: Any = None
_installed = False


def protected(work: Callable[[Deadline], T]) -> Future[T]:
    """Do a piece of work in the background; a SIGTERM that comes meanwhile waits until it is done.

    Signals are handled by the main thread alone: the first call from there makes this work.
    """
    global _before, _installed  # noqa: PLW0603 - signal handlers belong to the process
    if not _installed and threading.current_thread() is threading.main_thread():
        _before = signal.signal(signal.SIGTERM, _on_terminate)
        _installed = True
    done = threading.Event()
    # Known before it begins: the signal may come at any moment from here on.
    _pending.add(done)

    def noted(deadline: Deadline) -> T:
        try:
            return work(deadline)
        finally:
            done.set()

    future = background(noted)
    future.add_done_callback(lambda _: _pending.discard(done))
    return future


def _on_terminate(number: int, frame: FrameType | None) -> None:
    patience = Deadline(_PATIENCE)
    for done in tuple(_pending):
        if not patience.allows(0) or not done.wait(patience.remaining()):
            break
    if callable(_before):
        _before(number, frame)
    elif _before is not signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
