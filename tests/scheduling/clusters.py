"""Small clusters to schedule on."""

from mapi.clusters.base import Inventory, Node
from mapi.domain.run import Allocation
from mapi.scheduling import Placed, Waiting

GIB = 1024**3


def node(
    name: str, gpus: int = 8, gpu_type: str = "h100_80gb", cpus: int = 64, instance: str = "", **state: bool
) -> Node:
    kind = gpu_type if gpus else None
    return Node(name, instance or (f"{kind}.{gpus}" if gpus else "cpu"), kind, gpus, cpus, 64 * GIB, **state)


def gpu_cluster(nodes: int, gpus: int = 8, share: bool = False) -> Inventory:
    return Inventory(tuple(node(f"n{number}", gpus) for number in range(nodes)), share, 4)


def gpus(per_node: int, nodes: int = 1, of: int = 8, names: tuple[str, ...] = ()) -> Allocation:
    return Allocation("lab", f"h100_80gb.{of}", nodes, per_node, 0, "h100_80gb", names)


def cpus(per_node: int, nodes: int = 1, instance: str = "cpu") -> Allocation:
    return Allocation("lab", instance, nodes, 0, per_node)


def waiting(
    key: str, allocation: Allocation, at: int = 0, priority: int = 0, seconds: int | None = None
) -> Waiting:
    return Waiting(key, allocation, priority, False, at, seconds)


def placed(
    key: str,
    allocation: Allocation,
    *nodes: str,
    priority: int = 0,
    preemptible: bool = False,
    started_at: int = 0,
    ends_at: int | None = None,
    ending_for: str | None = None,
) -> Placed:
    return Placed(key, allocation, nodes, priority, preemptible, started_at, ends_at, ending_for)
