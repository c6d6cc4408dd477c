"""Work that SIGTERM must not cut short.

A training job reports how it ended from the very process that the platform is ending. Protected work is finished first;
then SIGTERM does what it would have done.
"""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future, wait
from types import FrameType
from typing import Any

#: Seconds that protected work may hold up the end of the process: less than a platform waits before it kills.
_PATIENCE = 20.0

_pending: set[Future[Any]] = set()
_before: Any = None
_installed = False


def protect(work: Future[Any]) -> None:
    """Let SIGTERM wait until `work` is done. Has no effect outside the main thread, which alone handles signals."""
    global _before, _installed  # noqa: PLW0603 - signal handlers belong to the process
    _pending.add(work)
    work.add_done_callback(_pending.discard)
    if not _installed and threading.current_thread() is threading.main_thread():
        _before = signal.signal(signal.SIGTERM, _on_terminate)
        _installed = True


def _on_terminate(number: int, frame: FrameType | None) -> None:
    wait(tuple(_pending), timeout=_PATIENCE)
    if callable(_before):
        _before(number, frame)
    elif _before is not signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
