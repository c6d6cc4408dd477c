"""Calls back when a file grows: at once through inotify, or soon by polling where that cannot be had."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from mapi.logs.inotify import Inotify, network_file_system

#: How often a file is looked at where the kernel does not say that it grew.
POLL_SECONDS = 0.05
#: After a batch of events the next is left to gather this long, so that a process that never stops
#: writing costs a bounded part of a core and a bounded number of index records.
GATHER_SECONDS = 0.002

Changed = Callable[[], object]


class Watcher:
    """Watches files from the running event loop.

    Args:
        folder: an existing folder all the files lie under; it says which kind of file system they are on.
    """

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._inotify = None if network_file_system(folder) else _inotify()
        self._numbers: dict[Path, int] = {}
        self._watched: dict[int, Changed] = {}
        self._polled: dict[Path, Changed] = {}
        self._poll_timer: asyncio.TimerHandle | None = None
        self._gather_timer: asyncio.TimerHandle | None = None
        if self._inotify:
            self._loop.add_reader(self._inotify.fileno(), self._readable)

    def watch(self, path: Path, changed: Changed) -> None:
        """Call `changed` from now on whenever the file at `path` may have grown."""
        if self._inotify:
            try:
                number = self._inotify.watch(path)
            except OSError:
                pass  # the kernel's limit of watches: this one is polled
            else:
                self._numbers[path] = number
                self._watched[number] = changed
                return
        self._polled[path] = changed
        if self._poll_timer is None:
            self._poll_timer = self._loop.call_later(POLL_SECONDS, self._poll)

    def unwatch(self, path: Path) -> None:
        """Stop watching; a file that is not watched is no error."""
        self._polled.pop(path, None)
        number = self._numbers.pop(path, None)
        if number is not None and self._inotify:
            self._watched.pop(number, None)
            self._inotify.unwatch(number)

    def close(self) -> None:
        """Stop watching everything."""
        for timer in (self._poll_timer, self._gather_timer):
            if timer:
                timer.cancel()
        if self._inotify:
            self._loop.remove_reader(self._inotify.fileno())
            self._inotify.close()
        self._inotify = None
        self._numbers.clear()
        self._watched.clear()
        self._polled.clear()

    def _readable(self) -> None:
        assert self._inotify
        numbers = set(self._inotify.read())
        self._loop.remove_reader(self._inotify.fileno())
        self._gather_timer = self._loop.call_later(GATHER_SECONDS, self._listen)
        for number in list(self._watched) if None in numbers else numbers:
            if number is not None and (changed := self._watched.get(number)):
                changed()

    def _listen(self) -> None:
        if self._inotify:
            self._loop.add_reader(self._inotify.fileno(), self._readable)

    def _poll(self) -> None:
        for changed in list(self._polled.values()):
            changed()
        again = bool(self._polled)
        self._poll_timer = self._loop.call_later(POLL_SECONDS, self._poll) if again else None


def _inotify() -> Inotify | None:
    try:
        return Inotify()
    except (OSError, AttributeError):  # the user's limit of instances; a system without inotify
        return None
