"""Which running runs have to make room for one that matters more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

import msgspec

from mapi.domain.run import Allocation
from mapi.scheduling.capacity import Placed, Room, demand, fit, holds, plus, release


class _Cost(msgspec.Struct, frozen=True):
    """Runs that have to end. `rank`: how many, then how old; less is better."""

    rank: tuple[int, tuple[int, ...]]
    victims: tuple[Placed, ...]


class Victims:
    """The runs that may be ended to make room, each at most once."""

    def __init__(self, running: Iterable[Placed]) -> None:
        youngest_first = sorted(running, key=lambda run: (-run.started_at, run.key))
        self._left = {run.key: run for run in youngest_first if run.preemptible and run.ending_for is None}
        self._gives = {key: release([run]) for key, run in self._left.items()}
        self._on_node: dict[str, list[Placed]] = defaultdict(list)
        for key, run in self._left.items():
            for node in self._gives[key]:
                self._on_node[node].append(run)
        self._known: dict[tuple[str, Room, int], tuple[Room, int, _Cost | None]] = {}
        self._lowest = min((run.priority for run in self._left.values()), default=None)

    def below(self, priority: int) -> bool:
        """Whether there may be any of lower priority."""
        return self._lowest is not None and self._lowest < priority

    def take(
        self,
        allocation: Allocation,
        priority: int,
        nodes: Sequence[str],
        free: Mapping[str, Room],
        share: bool,
    ) -> list[Placed]:
        """Choose the runs to end so that all ranks fit: as few as can be, the youngest of those.

        Ranks are placed one by one on the node where that costs least; a run on several nodes frees all of
        them at once. What turns out not to be needed in the end is spared.

        Args:
            allocation: the run that needs room.
            priority: its priority; only lower ones are ended.
            nodes: where it may be placed.
            free: what these have now.
            share: whether ranks of one run may share a node.

        Returns:
            The victims; none if ending all that may be ended does not help.
        """
        need = demand(allocation)
        share = share and not allocation.node_names
        room = dict(free)
        chosen: dict[str, Placed] = {}
        used: set[str] = set()
        touched: set[str] = set()
        for _ in range(allocation.nodes):
            costs = [
                (node in used, cost.rank, place, cost.victims)
                for place, node in enumerate(nodes)
                if (share or node not in used)
                and (cost := self._cost(node, room[node], need, priority, chosen, touched=node in touched))
                is not None
            ]
            if not costs:
                return []
            *_, place, victims = min(costs, key=lambda each: each[:3])
            for run in victims:
                chosen[run.key] = run
                for node, given in self._gives[run.key].items():
                    touched.add(node)
                    if node in room:
                        room[node] = plus(room[node], given)
            room[nodes[place]] = plus(room[nodes[place]], need, -1)
            touched.add(nodes[place])
            used.add(nodes[place])
        for run in sorted(chosen.values(), key=lambda run: run.started_at):
            others = {key: other for key, other in chosen.items() if other is not run}
            if fit(allocation, nodes, self._freed(free, others.values()), share):
                chosen = others
        for key, run in chosen.items():
            for node in self._gives[key]:
                self._on_node[node].remove(run)
        return list(chosen.values())

    def _freed(self, free: Mapping[str, Room], runs: Iterable[Placed]) -> dict[str, Room]:
        after = dict(free)
        for run in runs:
            for node, given in self._gives[run.key].items():
                if node in after:
                    after[node] = plus(after[node], given)
        return after

    def _cost(
        self, node: str, room: Room, need: Room, priority: int, chosen: Container[str], *, touched: bool
    ) -> _Cost | None:
        """What one more rank on the node costs; remembered until its room or its victims change."""
        on_node = self._on_node[node]
        key = (node, need, priority)
        known = None if touched else self._known.get(key)
        if known and known[0] == room and known[1] == len(on_node):
            return known[2]
        runs = [run for run in on_node if run.priority < priority and run.key not in chosen]
        cost = self._cheapest(node, room, need, runs)
        if not touched:
            self._known[key] = room, len(on_node), cost
        return cost

    def _cheapest(self, node: str, room: Room, need: Room, runs: Sequence[Placed]) -> _Cost | None:
        """The fewest of `runs` (given youngest first) that have to end for one more rank to fit the node."""
        if holds(room, need):
            return _Cost((0, ()), ())
        gives = {run.key: self._gives[run.key][node] for run in runs}
        by_size = sorted(runs, key=lambda run: gives[run.key], reverse=True)
        missing = _count(room, need, [gives[run.key] for run in by_size])
        chosen: list[Placed] = []
        for run in runs if missing > 0 else ():
            with_run = plus(room, gives[run.key])
            rest = [gives[each.key] for each in by_size if each is not run and each not in chosen]
            if _count(with_run, need, rest) == missing - 1:
                chosen.append(run)
                room, missing = with_run, missing - 1
                if not missing:
                    return _Cost((len(chosen), tuple(-run.started_at for run in chosen)), tuple(chosen))
        return None


def _count(room: Room, need: Room, gifts: Iterable[Room]) -> int:
    """How many of `gifts`, taken in order, are needed; -1 if all are not enough."""
    count = 0
    for gift in gifts:
        if holds(room, need):
            return count
        room = plus(room, gift)
        count += 1
    return count if holds(room, need) else -1
