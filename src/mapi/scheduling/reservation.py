"""The room kept for the first run that has to wait, so that smaller ones behind it do not delay it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mapi.domain.run import Allocation
from mapi.scheduling.capacity import Placed, Room, demand, fit, plus, ranks_that_fit


class Reservation(msgspec.Struct):
    """Where and when a waiting run will start at the latest.

    `at`: ms since 1970; None when that depends on runs nothing limits. `beyond`: what the nodes it will
    start on have left from then on, with it and all that still runs then.
    """

    at: int | None
    beyond: dict[str, Room]


def reserve(
    allocation: Allocation,
    nodes: Sequence[str],
    free: Mapping[str, Room],
    active: Iterable[Placed],
    *,
    now: int,
    share: bool,
) -> Reservation | None:
    """Find the earliest time at which enough is free, and the nodes.

    Runs end when their limit says. Those without one end after all others, the oldest first; what is free
    only then has no known time.

    Returns:
        The reservation; None if the run would not fit even if everything ended.
    """
    need, ranks = demand(allocation), allocation.nodes
    after = {node: free[node] for node in nodes}
    takes = {node: ranks_that_fit(room, need) for node, room in after.items()}
    distinct = sum(count > 0 for count in takes.values())
    packed = sum(takes.values())
    at: int | None = now
    fits = False
    for run in sorted(active, key=lambda run: _end(run, now)):
        unlimited, time = _end(run, now)
        if fits and (unlimited or time != at):
            break
        at = None if unlimited else time
        for node in run.placement:
            if node in after:
                after[node] = plus(after[node], demand(run.allocation))
                before, takes[node] = takes[node], ranks_that_fit(after[node], need)
                distinct += (takes[node] > 0) - (before > 0)
                packed += takes[node] - before
        fits = distinct >= ranks or (share and packed >= ranks)
        if fits and unlimited:
            break
    placement = fit(allocation, nodes, after, share) if fits else None
    if placement is None:
        return None
    beyond = {node: after[node] for node in placement}
    for node in placement:
        beyond[node] = plus(beyond[node], need, -1)
    return Reservation(at, beyond)


def _end(run: Placed, now: int) -> tuple[bool, int]:
    if run.ending_for is not None:
        return False, now
    if run.ends_at is None:
        return True, run.started_at
    return False, max(run.ends_at, now)
