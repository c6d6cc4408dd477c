"""Which waiting runs start now and where, and which running ones have to make room for them.

The line is ordered by priority, then age. All ranks of a run start or none do. The first run that has to
wait gets a reservation (EASY backfill): those behind it may pass only if that does not delay it, because they
end before its time or leave alone what it needs. Where its time cannot be known, since it waits for runs
nothing limits, only the second will do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mapi.domain.run import Allocation
from mapi.scheduling.capacity import (
    InventoryView,
    Placed,
    Room,
    Waiting,
    candidates,
    demand,
    fit,
    free_room,
    order,
    plus,
    release,
    smaller,
)
from mapi.scheduling.preemption import Victims
from mapi.scheduling.reservation import Reservation, reserve


class Plan(msgspec.Struct, frozen=True):
    """What to do now.

    `starts`: key of a waiting run, and the node of each of its ranks. `preempts`: key of a running run, and
    of the waiting one it has to make room for.
    """

    starts: tuple[tuple[str, tuple[str, ...]], ...]
    preempts: tuple[tuple[str, str], ...]


def plan(queue: Sequence[Waiting], running: Sequence[Placed], inventory: InventoryView, now: int) -> Plan:
    """Decide what starts now on one cluster, and what is preempted.

    Args:
        queue: what waits, in any order.
        running: everything that holds room, including what is ending.
        inventory: what there is.
        now: ms since 1970.
    """
    planner = _Planner(running, inventory, now)
    for run in sorted(queue, key=order):
        planner.consider(run)
    return Plan(tuple(planner.starts), tuple(planner.preempts))


class _Planner:
    """The state of one pass down the line. Room only shrinks, so what did not fit once never will."""

    def __init__(self, running: Sequence[Placed], inventory: InventoryView, now: int) -> None:
        self.starts: list[tuple[str, tuple[str, ...]]] = []
        self.preempts: list[tuple[str, str]] = []
        self._now = now
        self._inventory = inventory
        self._free = free_room(inventory, running)
        self._active = {run.key: run for run in running}
        self._making_room: dict[str, list[Placed]] = defaultdict(list)
        for run in running:
            if run.ending_for is not None:
                self._making_room[run.ending_for].append(run)
        self._victims = Victims(running)
        self._candidates: dict[Allocation, list[str]] = {}
        self._too_big: set[tuple[Allocation, bool]] = set()
        self._no_victims: set[tuple[Allocation, int]] = set()
        self._never: set[Allocation] = set()
        self._reservation: Reservation | None = None

    def consider(self, run: Waiting) -> None:
        """Start it, make room for it, keep room for it, or let it wait."""
        shape = run.allocation
        outlasts = self._outlasts(run)
        promised = self._making_room.get(run.key)
        if (shape, outlasts) not in self._too_big or promised:
            nodes = self._nodes(shape)
            placement = fit(shape, nodes, self._room(outlasts), self._inventory.ranks_share_nodes)
            if placement:
                self.starts.append((run.key, placement))
                self._take(run, placement, outlasts)
                return
            self._too_big.add((shape, outlasts))
        if promised and self._hold(run, promised):
            return
        if self._preempt(run):
            return
        if self._reservation is None and shape not in self._never:
            self._reservation = reserve(
                shape,
                self._nodes(shape),
                self._free,
                self._active.values(),
                now=self._now,
                share=self._inventory.ranks_share_nodes,
            )
            if self._reservation is None:
                self._never.add(shape)

    def _nodes(self, shape: Allocation) -> list[str]:
        if shape not in self._candidates:
            self._candidates[shape] = candidates(shape, self._inventory)
        return self._candidates[shape]

    def _ends_at(self, run: Waiting) -> int | None:
        return None if run.max_duration_seconds is None else self._now + 1000 * run.max_duration_seconds

    def _outlasts(self, run: Waiting) -> bool:
        """Whether it might still run at the time of the reservation."""
        if self._reservation is None:
            return False
        ends_at = self._ends_at(run)
        return ends_at is None or self._reservation.at is None or ends_at > self._reservation.at

    def _room(self, outlasts: bool) -> Mapping[str, Room]:
        """What nodes have for a run: now, and if it stays that long, beside the reservation."""
        if not (outlasts and self._reservation):
            return self._free
        beyond = self._reservation.beyond
        return {**self._free, **{node: smaller(self._free[node], beyond[node]) for node in beyond}}

    def _take(self, run: Waiting, placement: Sequence[str], outlasts: bool) -> None:
        need = demand(run.allocation)
        for node in placement:
            self._free[node] = plus(self._free[node], need, -1)
            if self._reservation and outlasts and node in self._reservation.beyond:
                self._reservation.beyond[node] = plus(self._reservation.beyond[node], need, -1)
        self._active[run.key] = Placed(
            run.key, run.allocation, tuple(placement), run.priority, False, self._now, self._ends_at(run)
        )

    def _preempt(self, run: Waiting) -> bool:
        key = (run.allocation, run.priority)
        if key in self._no_victims or not self._victims.below(run.priority):
            return False
        making_room = self._making_room.get(run.key, [])
        victims = self._victims.take(
            run.allocation,
            run.priority,
            self._unreserved(run),
            _with(self._free, making_room),
            self._inventory.ranks_share_nodes,
        )
        if not victims:
            self._no_victims.add(key)
            return False
        for victim in victims:
            self.preempts.append((victim.key, run.key))
            self._active[victim.key] = msgspec.structs.replace(victim, ending_for=run.key)
        return self._hold(run, [*making_room, *victims])

    def _hold(self, run: Waiting, making_room: Iterable[Placed]) -> bool:
        """Promise the room of runs that are ending, so that nobody else takes it."""
        free = _with(self._free, making_room)
        share = self._inventory.ranks_share_nodes
        placement = fit(run.allocation, self._unreserved(run), free, share)
        if placement is None:
            return False
        self._take(run, placement, outlasts=False)
        return True

    def _unreserved(self, run: Waiting) -> list[str]:
        reserved = self._reservation.beyond if self._reservation else {}
        return [node for node in self._nodes(run.allocation) if node not in reserved]


def _with(free: dict[str, Room], ending: Iterable[Placed]) -> dict[str, Room]:
    after = dict(free)
    for node, given in release(ending).items():
        if node in after:
            after[node] = plus(after[node], given)
    return after
