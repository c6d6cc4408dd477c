"""A rank's output, copied into its log while its pod lives: every byte once, over broken connections.

Beside each copy is a note, `<time> <offset>`: the newest line that had come, and where it begins. What the
copy has from there on is passed over, so the note may be behind; where there is none, that is everything.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mapi.clusters.kubernetes.client import PODS, Api, KubernetesError, Refused, Unreachable, backoff
from mapi.clusters.kubernetes.stamps import Mark, Resumption
from mapi.clusters.kubernetes.status import CONTAINER
from mapi.logs.times import Record

#: How often a log that cannot be read any more is asked for, when its rank has ended.
_LAST_TRIES = 6

#: How long to wait for word of the end of a container whose log has ended, in seconds.
_END_IS_NEAR = 1.0

#: A log may be silent for hours: now and then it is asked for anew, lest its connection has died.
_SILENCE = 300.0
#: How long it may be silent when its container has ended; that of a lost node never ends. In seconds.
_FAREWELL = 2.0
#: And how long if it is asked for then: an API server gives up earlier on a node that does not answer.
_NO_MORE = 60.0

#: How wide the numbers of a note are, so that each note covers the one before.
_DIGITS = 20

_REMOVED = "its pod was removed before all of it was read"
_ROTATED = "its node had thrown away what came next before it could be read"


class LogCopy:
    """The log of one rank and the note beside it."""

    def __init__(
        self,
        api: Api,
        log: Path,
        note: Path,
        written: Callable[[list[Record]], None],
        lost: Callable[[str], None],
    ) -> None:
        """Prepare; `run` copies.

        Args:
            api: the cluster.
            log: the copy.
            note: the file beside it.
            written: called with the times of what was appended to the copy.
            lost: called with the reason why not all of the output is there.
        """
        self._api = api
        self._log = log
        self._note = note
        self._written = written
        self._lost = lost
        self._heard = 0

    async def run(self, pod: str, over: asyncio.Event) -> None:
        """Copy until everything is there.

        Args:
            pod: whose output it is.
            over: set when its container has ended.
        """
        pauses, tries, whole = backoff(), 0, False
        while True:
            last = over.is_set()
            try:
                news = await (self._read(pod, follow=False) if last else self._follow(pod, over))
                if last and not news:
                    return
                # It may only look like the end: somebody on the way has lost somebody further on
                pauses, tries, whole = backoff(), 0, True
                await _wait(over, 0 if last else _END_IS_NEAR)
                continue
            except (Refused, _Short) as error:
                gone = isinstance(error, Refused) and error.code == 404
                whole = whole and (gone or last)  # a node that has cleaned up already tells nothing
                tries += last
                if last and (gone or tries > _LAST_TRIES):
                    if not whole:
                        self._lost(_REMOVED if gone else str(error))
                    return
            except KubernetesError:
                whole = False
            except FileNotFoundError:  # the log's folder is gone: nobody wants it
                return
            except OSError as error:
                self._lost(f"it cannot be written: {error.strerror}")
            await (asyncio.sleep(next(pauses)) if last else _wait(over, next(pauses)))

    async def _follow(self, pod: str, over: asyncio.Event) -> bool:
        """Read until the container has ended; return whether something came."""
        reading = asyncio.ensure_future(self._read(pod, follow=True))
        ending = asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
            heard = -1
            while not reading.done() and self._heard != heard:  # there may be much left to read
                heard = self._heard
                await asyncio.wait((reading,), timeout=_FAREWELL)
            if not reading.done():
                raise Unreachable("the log does not end, although its container has")
            return reading.result()
        finally:
            reading.cancel()
            ending.cancel()
            await asyncio.gather(reading, ending, return_exceptions=True)

    async def _read(self, pod: str, *, follow: bool) -> bool:
        """Read to the end; return whether something came that was not there."""
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        note = os.open(self._note, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(log).st_size
            mark = _noted(note, size)
            told = Resumption(mark, size)
            async for data in self._api.stream(
                self._api.path(PODS, pod, "log"),
                _SILENCE if follow else _NO_MORE,
                container=CONTAINER,
                follow="true" if follow else None,
                timestamps="true",
                sinceTime=mark.since if mark else None,
            ):
                self._heard += 1
                had_gap = told.gap
                _append(log, told.feed(data))
                if told.written:
                    self._written(told.written)
                if told.mark != mark:
                    mark = told.mark
                    _write(note, mark)
                if told.gap and not had_gap:
                    self._lost(_ROTATED)
                await asyncio.sleep(0)  # a thousand lines may have come at once, each by itself
            if not told.caught_up:
                raise _Short(_ROTATED)
            return os.fstat(log).st_size > size
        finally:
            os.close(log)
            os.close(note)


class _Short(Exception):
    """What was read does not go as far as the copy."""


def _noted(note: int, size: int) -> Mark | None:
    """Where to go on from; None, from the beginning, also where the copy is shorter than was noted."""
    try:
        at, offset = map(int, os.read(note, 2 * _DIGITS).split())
    except ValueError:
        return None
    return Mark(at, offset) if offset <= size else None


def _write(note: int, mark: Mark | None) -> None:
    """Write at once what was written, so that it is never half of it."""
    text = f"{mark.at:{_DIGITS - 1}} {mark.offset:{_DIGITS}}" if mark else " " * 2 * _DIGITS
    os.pwrite(note, text.encode(), 0)


def _append(log: int, data: bytes) -> None:
    while data:
        data = data[os.write(log, data) :]


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
