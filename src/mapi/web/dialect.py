"""Which statuses a client knows, and how it is shown those it does not.

The published clients from 0.4 on know nine statuses and take any other for UNKNOWN, which none of their loops
expect: they are shown the nearest one. They say in every request that they are `mcli`. The first clients say
nothing, and know all twelve; so does this project's own client, which has a name of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from mapi.domain.query import RunFilter
from mapi.domain.run import Event, Resumption, Run
from mcli.models.run_status import RunStatus

#: The header of a request, and the field of a WebSocket's first message, in which a client names itself.
CLIENT_HEADER = "x-mosaicml-client"

#: What the published clients that name themselves are called.
_PUBLISHED = "mcli"

#: What those clients know an image by that could not be had.
_PULL_REASON = "FailedImagePull"


class Dialect(msgspec.Struct, frozen=True):
    """What a client understands. `nearest`: the known status for each that it does not know."""

    nearest: Mapping[RunStatus, RunStatus] = {}

    def status(self, status: RunStatus) -> RunStatus:
        """Return a status as the client knows it."""
        return self.nearest.get(status, status)

    def run(self, run: Run) -> Run:
        """Return a run as the client knows it."""
        if all(resumption.status not in self.nearest for resumption in run.resumptions):
            return run
        return replace(run, resumptions=tuple(map(self._resumption, run.resumptions)))

    def history(self, events: Sequence[Event]) -> list[Event]:
        """Return events as the client knows them. Of two steps that look the same, the later one counts."""
        shown = [event if event.status is None else self._event(event) for event in events]
        steps = [event for event in shown if event.status is not None]
        same = {
            first.seq
            for first, second in pairwise(steps)
            if (first.status, first.resumption) == (second.status, second.resumption)
        }
        return [replace(event, status=None) if event.seq in same else event for event in shown]

    def filter(self, wanted: RunFilter) -> RunFilter:
        """Return a filter for all that the client sees as what it asks for."""
        if not wanted.statuses:
            return wanted
        hidden = [status for status, shown in self.nearest.items() if shown in wanted.statuses]
        return replace(wanted, statuses=(*wanted.statuses, *hidden))

    def _resumption(self, resumption: Resumption) -> Resumption:
        reason = self._reason(resumption.status, resumption.reason)
        return replace(resumption, status=self.status(resumption.status), reason=reason)

    def _event(self, event: Event) -> Event:
        assert event.status is not None
        data = event.data
        if data and event.status in self.nearest:
            data = {**data, "reason": self._reason(event.status, data.get("reason"))}
        return replace(event, status=self.status(event.status), data=data)

    def _reason(self, status: RunStatus, reason: str | None) -> str | None:
        pulled = status is RunStatus.FAILED_PULL and status in self.nearest
        return _PULL_REASON if pulled else reason


ALL_STATUSES = Dialect()
NINE_STATUSES = Dialect(
    {
        RunStatus.SCHEDULED: RunStatus.QUEUED,
        RunStatus.STOPPING: RunStatus.TERMINATING,
        RunStatus.FAILED_PULL: RunStatus.FAILED,
    }
)


def dialect_of(client: object) -> Dialect:
    """Return what a client understands that calls itself `client`; None if it does not say."""
    return NINE_STATUSES if client == _PUBLISHED else ALL_STATUSES
