"""Which running runs have to make room for one that matters more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mapi.domain.run import Allocation
from mapi.scheduling.capacity import Placed, Room, demand, fit, holds, plus, release


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
        on_node = {
            node: [run for run in self._on_node.get(node, ()) if run.priority < priority] for node in nodes
        }
        everyone = {run.key: run for runs in on_node.values() for run in runs}
        if fit(allocation, nodes, self._freed(free, everyone.values()), share) is None:
            return []
        need = demand(allocation)
        room = self._freed(free, ())
        chosen: list[Placed] = []
        used: set[str] = set()
        for _ in range(allocation.nodes):
            costs = [
                (node in used, len(cost), [-run.started_at for run in cost], place, cost)
                for place, node in enumerate(nodes)
                if (share or node not in used)
                and (cost := self._cheapest(node, room[node], need, on_node[node])) is not None
            ]
            if not costs:
                return []
            *_, place, cost = min(costs, key=lambda each: each[:4])
            chosen += cost
            for run in cost:
                for node, given in self._gives[run.key].items():
                    if node in on_node:
                        on_node[node].remove(run)
                        room[node] = plus(room[node], given)
            room[nodes[place]] = plus(room[nodes[place]], need, -1)
            used.add(nodes[place])
        for run in sorted(chosen, key=lambda run: run.started_at):
            others = [other for other in chosen if other is not run]
            if fit(allocation, nodes, self._freed(free, others), share):
                chosen = others
        for run in chosen:
            for node in self._gives[run.key]:
                self._on_node[node].remove(run)
        return chosen

    def _freed(self, free: Mapping[str, Room], runs: Iterable[Placed]) -> dict[str, Room]:
        after = dict(free)
        for run in runs:
            for node, given in self._gives[run.key].items():
                if node in after:
                    after[node] = plus(after[node], given)
        return after

    def _cheapest(self, node: str, room: Room, need: Room, runs: Sequence[Placed]) -> list[Placed] | None:
        """The fewest of `runs` (given youngest first) that have to end for one more rank to fit the node."""
        if holds(room, need):
            return []
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
                    break
        return chosen or None


def _count(room: Room, need: Room, gifts: Iterable[Room]) -> int:
    """How many of `gifts`, taken in order, are needed; -1 if all are not enough."""
    count = 0
    for gift in gifts:
        if holds(room, need):
            return count
        room = plus(room, gift)
        count += 1
    return count if holds(room, need) else -1
