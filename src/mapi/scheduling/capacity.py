"""What the scheduler sees: nodes, runs, and room counted in GPUs, CPUs and shared slots.

A cluster's own records of nodes have these attributes; scheduling knows nothing else about clusters.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from mapi.domain.run import Allocation


class NodeView(Protocol):
    """A machine. `memory` in bytes; `gpu_type` None where it has no GPUs."""

    @property
    def name(self) -> str:
        """What it is called in its cluster."""

    @property
    def instance(self) -> str:
        """Which kind of node it is."""

    @property
    def gpu_type(self) -> str | None:
        """What its GPUs are."""

    @property
    def gpus(self) -> int:
        """How many GPUs it has."""

    @property
    def cpus(self) -> int:
        """How many CPUs it has."""

    @property
    def memory(self) -> int:
        """Bytes of memory it has."""

    @property
    def alive(self) -> bool:
        """Whether it answers."""

    @property
    def schedulable(self) -> bool:
        """Whether new ranks may be placed on it."""


class InventoryView(Protocol):
    """What a cluster has."""

    @property
    def nodes(self) -> Sequence[NodeView]:
        """All its machines."""

    @property
    def ranks_share_nodes(self) -> bool:
        """Whether several ranks of one run may be placed on one node."""

    @property
    def shared_slots(self) -> int:
        """How many ranks that ask for no GPUs and no CPUs a node takes at once."""


class Waiting(msgspec.Struct, frozen=True):
    """A run in line. `queued_at` in ms since 1970; higher `priority` goes first."""

    key: str
    allocation: Allocation
    priority: int = 0
    preemptible: bool = False
    queued_at: int = 0
    max_duration_seconds: int | None = None


class Placed(msgspec.Struct, frozen=True):
    """A run that holds room. `placement`: the node of each rank. Times in ms since 1970.

    `ends_at`: when it ends at the latest, None if nothing limits it. `ending_for`: the waiting run it was
    asked to make room for.
    """

    key: str
    allocation: Allocation
    placement: tuple[str, ...]
    priority: int = 0
    preemptible: bool = False
    started_at: int = 0
    ends_at: int | None = None
    ending_for: str | None = None


class Room(NamedTuple):
    """An amount of what nodes have; below zero where more is promised than is free yet."""

    gpus: int
    cpus: int
    slots: int


NOTHING = Room(0, 0, 0)


def order(run: Waiting) -> tuple[int, int]:
    """The place in line: priority, then age."""
    return -run.priority, run.queued_at


def demand(allocation: Allocation) -> Room:
    """What one rank takes. One that asks for nothing shares a node with others of its kind."""
    gpus, cpus = allocation.gpus_per_node, allocation.cpus_per_node
    return Room(gpus, cpus, 0 if gpus or cpus else 1)


def plus(a: Room, b: Room, times: int = 1) -> Room:
    """`a` and `times` of `b`."""
    return Room(a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2])


def smaller(a: Room, b: Room) -> Room:
    """What both have."""
    return Room(min(a[0], b[0]), min(a[1], b[1]), min(a[2], b[2]))


def holds(room: Room, need: Room) -> bool:
    """Whether `need` is there. A resource that is not asked for does not matter, even if it is overdrawn."""
    return (
        (not need[0] or room[0] >= need[0])
        and (not need[1] or room[1] >= need[1])
        and (not need[2] or room[2] >= need[2])
    )


def ranks_that_fit(room: Room, need: Room) -> int:
    """How many ranks with this need a node with this room takes."""
    return max(min(has // wants for has, wants in zip(room, need, strict=True) if wants), 0)


def total(node: NodeView, inventory: InventoryView) -> Room:
    """What a node has when nothing runs."""
    return Room(node.gpus, node.cpus, inventory.shared_slots)


def candidates(allocation: Allocation, inventory: InventoryView) -> list[str]:
    """Names of the nodes a run may be placed on now, whether they have room or not."""
    return [
        node.name
        for node in inventory.nodes
        if node.alive
        and node.schedulable
        and node.instance == allocation.instance
        and (not allocation.node_names or node.name in allocation.node_names)
    ]


def free_room(inventory: InventoryView, running: Iterable[Placed]) -> dict[str, Room]:
    """What each node has left, by name, in the order of the inventory."""
    free = {node.name: total(node, inventory) for node in inventory.nodes}
    for node, taken in release(running).items():
        if node in free:
            free[node] = plus(free[node], taken, -1)
    return free


def release(runs: Iterable[Placed]) -> dict[str, Room]:
    """What each node gets back when these end."""
    given: dict[str, Room] = {}
    for run in runs:
        need = demand(run.allocation)
        for node in run.placement:
            given[node] = plus(given.get(node, NOTHING), need)
    return given


def fit(
    allocation: Allocation, nodes: Sequence[str], room: Mapping[str, Room], share: bool
) -> tuple[str, ...] | None:
    """Place all ranks of a run, or none.

    Nodes that are left with the fewest GPUs come first (best fit), then with the fewest CPUs and slots.
    Ranks go to distinct nodes as far as there are any, then evenly to those that take more.

    Args:
        allocation: what each rank needs, and on which nodes if that was said.
        nodes: the candidates, in the order that decides between equals.
        room: what each has.
        share: whether ranks of one run may share a node.

    Returns:
        The node of each rank; None if they do not all fit.
    """
    need, ranks = demand(allocation), allocation.nodes
    gpus, cpus, slots = need
    fitting = [  # `holds` and `plus`, written out: this is the loop that a large cluster spends its time in
        (has[0] - gpus, has[1] - cpus, has[2] - slots, place, node)
        for place, node in enumerate(nodes)
        if ((has := room[node])[0] >= gpus or not gpus)
        and (has[1] >= cpus or not cpus)
        and (has[2] >= slots or not slots)
    ]
    if allocation.node_names:
        return allocation.node_names if len(fitting) == ranks else None
    if len(fitting) >= ranks:
        best = heapq.nsmallest(ranks, fitting)
        return tuple(node for *_, node in sorted(best, key=lambda each: each[3]))
    if not (share and fitting):
        return None
    takes = {node: ranks_that_fit(room[node], need) for *_, node in fitting}
    if sum(takes.values()) < ranks:
        return None
    counts = dict.fromkeys(takes, 0)
    while (left_over := ranks - sum(counts.values())) > 0:
        for node in [node for node in takes if counts[node] < takes[node]][:left_over]:
            counts[node] += 1
    return tuple(node for node, count in counts.items() for _ in range(count))
