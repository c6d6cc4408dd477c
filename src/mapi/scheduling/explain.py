"""Why a run waits, and its place in line, in words a person can act on."""

from __future__ import annotations

from collections.abc import Sequence

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
    total,
)


class Wait(msgspec.Struct, frozen=True):
    """Why a run waits. `position` in its cluster's line, from 1.

    `code`: NODE_DOWN, NODES_DOWN, PREEMPTING (others are ending for it), GPUS, CPUS, SLOTS (not enough is
    free), or TURN (enough is free, but kept for a run ahead).
    """

    reason: str
    position: int
    code: str


def explain(
    key: str,
    queue: Sequence[Waiting],
    running: Sequence[Placed],
    inventory: InventoryView,
    cluster: str,
) -> Wait:
    """Say why one run waits. Arguments as for `explain_all`.

    Raises:
        KeyError: it does not wait.
    """
    return explain_all(queue, running, inventory, cluster)[key]


def explain_all(
    queue: Sequence[Waiting],
    running: Sequence[Placed],
    inventory: InventoryView,
    cluster: str,
) -> dict[str, Wait]:
    """Say why each run waits.

    Args:
        queue: what waits, after a plan was carried out.
        running: what holds room, with what that plan started.
        inventory: what there is.
        cluster: what users call it.

    Returns:
        The answer for each run, by key, in the order of the line.
    """
    free = free_room(inventory, running)
    ending: dict[str, int] = {}
    for victim in running:
        if victim.ending_for is not None:
            ending[victim.ending_for] = ending.get(victim.ending_for, 0) + 1
    known: dict[Allocation, tuple[str, str]] = {}
    waits: dict[str, Wait] = {}
    for position, run in enumerate(sorted(queue, key=order), start=1):
        shape = run.allocation
        if shape not in known:
            known[shape] = _cause(shape, inventory, free, cluster)
        code, cause = known[shape]
        if run.key in ending:
            code = "PREEMPTING"
            cause += f", {_count(ending[run.key], 'run')} ending to make room"
        waits[run.key] = Wait(f"{cause}, {_ahead(position)}", position, code)
    return waits


def _cause(
    shape: Allocation, inventory: InventoryView, free: dict[str, Room], cluster: str
) -> tuple[str, str]:
    """The code and the words of what is missing."""
    up = candidates(shape, inventory)
    down = [name for name in shape.node_names if name not in up]
    if down:
        return "NODE_DOWN", f"waiting for node {' and '.join(down)} of {cluster} which is down"
    need = demand(shape)
    sizes = {node.name: total(node, inventory) for node in inventory.nodes if node.name in up}
    share = inventory.ranks_share_nodes
    if fit(shape, up, sizes, share) is None:
        wanted = _count(
            shape.nodes, f"node of instance {shape.instance}", f"nodes of instance {shape.instance}"
        )
        return "NODES_DOWN", f"waiting for {wanted} on {cluster}; {len(up)} up"
    fits = fit(shape, up, free, share) is not None
    if need.slots:
        slots = sum(size.slots for size in sizes.values())
        wanted = "one" if shape.nodes == 1 else str(shape.nodes)
        used = slots - sum(free[node].slots for node in up)
        code, words = "SLOTS", f"waiting for {wanted} of {slots} shared slots on {cluster}; {used} in use"
    else:
        short_of_cpus = not need.gpus or any(
            free[node].gpus >= need.gpus and free[node].cpus < need.cpus for node in up
        )
        if short_of_cpus:
            code, wanted, total_wanted = "CPUS", _count(shape.cpus, "CPU"), shape.cpus
            available = sum(max(free[node].cpus, 0) for node in up)
        else:
            code, total_wanted = "GPUS", shape.gpus
            wanted = f"{_count(shape.gpus, 'GPU')} of type {shape.gpu_type}"
            available = sum(max(free[node].gpus, 0) for node in up)
        scattered = available >= total_wanted and not fits
        where = f" on {_count(shape.nodes, 'node')}" if scattered else ""
        words = f"waiting for {wanted}{where} on {cluster}; {available} free"
    return ("TURN", f"{words}, kept for a run ahead") if fits else (code, words)


def _ahead(position: int) -> str:
    return "next in line" if position == 1 else f"{_count(position - 1, 'run')} ahead"


def _count(number: int, word: str, plural: str | None = None) -> str:
    return f"{number} {word if number == 1 else plural or word + 's'}"
