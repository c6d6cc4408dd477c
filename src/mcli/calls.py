"""How `timeout` and `future` work, for every call.

    timeout   seconds the call may take, in the calling thread; MCLI_TIMEOUT replaces it
    future    return at once; the work goes on in the background, and the timeout is ignored

Short calls share a bounded pool of threads, whose work is finished before the interpreter ends. Long waits
get a thread of their own that holds up nothing: neither the short calls nor the end of the program.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")

#: Short calls in the background at once; more wait their turn.
_WORKERS = 16

#: Seconds after which a short call in the background gives up: it must not hold up the end of the program for
#: ever.
_BACKGROUND_LIMIT = 300.0

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


class Deadline:
    """The moment by which a call should be complete. `timeout` in seconds; None for no limit."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._at = None if timeout is None else time.monotonic() + timeout

    def remaining(self) -> float | None:
        """Return the seconds left, None without a limit.

        Raises:
            TimeoutError: there are none left.
        """
        if self._at is None:
            return None
        left = self._at - time.monotonic()
        if left <= 0:
            raise self.error()
        return left

    def error(self) -> TimeoutError:
        """Return the error to raise when there is no time left."""
        return TimeoutError(f"The call took longer than {self.timeout or 0:g} seconds")

    def allows(self, seconds: float) -> bool:
        """Return whether there is time for a pause of `seconds`."""
        return self._at is None or time.monotonic() + seconds < self._at


class Backoff:
    """Pauses between attempts: each about twice as long as the one before, never past the deadline.

    Args:
        deadline: when the call should be complete.
        attempts: how many pauses there may be; None for no limit.
        patience: seconds after which to give up, counted from the last `reset`; None for no limit.
    """

    _FIRST, _LONGEST = 0.05, 5.0

    def __init__(
        self, deadline: Deadline, *, attempts: int | None = None, patience: float | None = None
    ) -> None:
        self._deadline = deadline
        self._attempts = attempts
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """Begin again with short pauses: something worked."""
        self._made = 0
        self._give_up = Deadline(self._patience)

    def pause(self) -> bool:
        """Wait for a while; return False at once if there is no time, or no attempt, left."""
        from random import SystemRandom  # a training script's own seeded sequence is left alone

        seconds = min(self._LONGEST, self._FIRST * 2.0 ** min(self._made, 20))
        seconds *= SystemRandom().uniform(0.5, 1.0)
        self._made += 1
        exhausted = self._attempts is not None and self._made > self._attempts
        if exhausted or not (self._deadline.allows(seconds) and self._give_up.allows(seconds)):
            return False
        time.sleep(seconds)
        return True


def effective_timeout(timeout: float | None) -> float | None:
    """Return the seconds a call may take: MCLI_TIMEOUT where it is set, else `timeout`.

    Raises:
        MCLIConfigError: MCLI_TIMEOUT is not a number.
    """
    override = os.environ.get("MCLI_TIMEOUT")
    if not override:
        return timeout
    try:
        return float(override)
    except ValueError:
        from mcli.api.exceptions import MCLIConfigError

        raise MCLIConfigError(f"MCLI_TIMEOUT: {override!r} is not a number of seconds, such as 30") from None


def call(work: Callable[[Deadline], T], timeout: float | None, future: bool) -> T | Future[T]:
    """Do a short piece of work now, under a deadline, or in the background.

    Args:
        work: what to do; it is given its deadline.
        timeout: seconds it may take; ignored if `future`.
        future: return a future at once.
    """
    if future:
        return background(work)
    return work(Deadline(effective_timeout(timeout)))


def long_call(work: Callable[[Deadline], T], timeout: float | None, future: bool) -> T | Future[T]:
    """Do work that may take hours, such as a wait; as `call`, but in the background it holds up nothing."""
    if not future:
        return work(Deadline(effective_timeout(timeout)))
    from concurrent.futures import Future

    promise: Future[T] = Future()

    def run() -> None:
        if not promise.set_running_or_notify_cancel():
            return
        try:
            promise.set_result(work(Deadline(None)))
        except BaseException as error:  # whatever it is, the caller's `result()` raises it
            promise.set_exception(error)

    threading.Thread(target=run, name="mcli-wait", daemon=True).start()
    return promise


def background(work: Callable[[Deadline], T]) -> Future[T]:
    """Do a short piece of work in the shared pool, and return its future."""
    global _pool  # noqa: PLW0603 - one pool for the process, made when it is first needed
    with _lock:
        if _pool is None:
            from concurrent.futures import ThreadPoolExecutor

            _pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="mcli")
        return _pool.submit(lambda: work(Deadline(_BACKGROUND_LIMIT)))


def _forget_pool() -> None:
    global _pool, _lock  # a child process has none of its parent's threads
    _pool, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_pool)
