"""What the ranks of a launch may count on, wherever they come to be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mapi.clusters.base import Inventory, Launch, Node
from mapi.clusters.kubernetes.inventory import gpu_product, gpu_resource

Json = dict[str, Any]


class Place(msgspec.Struct, frozen=True):
    """What the ranks of a launch may count on, wherever they come to be among the nodes that fit.

    `nodes`: their names, where they are chosen. `gpu_resources`: what GPUs are called there, asked for or
    not. `gpu_labels`: label and values of the GPUs, where a queue of the cluster chooses the nodes.
    `memory`: bytes for each rank; 0 where it is not limited.
    """

    nodes: tuple[str, ...] = ()
    gpu_resources: tuple[str, ...] = ()
    gpu_labels: Mapping[str, tuple[str, ...]] = {}
    memory: int = 0


def place_of(launch: Launch, items: Mapping[str, Json], inventory: Inventory, memory_share: float) -> Place:
    """Return what the ranks of a launch may count on.

    Args:
        launch: what is to be started.
        items: the nodes as the API has them, by name.
        inventory: the same, as the platform sees them.
        memory_share: how much of a node's memory runs get.
    """
    allocation = launch.allocation
    chosen = tuple(dict.fromkeys(filter(None, launch.placement))) or allocation.node_names
    fitting = [
        node
        for node in inventory.nodes
        if (node.name in chosen if chosen else node.instance == allocation.instance)
    ]
    resources = {node.name: gpu_resource(items[node.name]) for node in fitting if node.name in items}
    labels: dict[str, tuple[str, ...]] = {}
    if not chosen and allocation.gpus_per_node:
        for name in resources:
            label, product = gpu_product(items[name])
            if product:
                labels[label] = tuple(dict.fromkeys((*labels.get(label, ()), product)))
    return Place(
        chosen,
        tuple(dict.fromkeys(filter(None, resources.values()))),
        labels,
        int(min((_share(launch, node) for node in fitting), default=0) * memory_share),
    )


def _share(launch: Launch, node: Node) -> float:
    """The memory that goes with the GPUs, or else the CPUs, that a rank asks for: its part of the node's."""
    wants, has = next(
        (
            (wants, has)
            for wants, has in (
                (launch.allocation.gpus_per_node, node.gpus),
                (launch.allocation.cpus_per_node, node.cpus),
            )
            if wants and has
        ),
        (0, 1),
    )
    return node.memory * min(wants / has, 1.0)
