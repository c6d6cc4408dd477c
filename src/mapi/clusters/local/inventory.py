"""What this machine has: nodes for the platform, and the devices behind them."""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from mapi.clusters.base import Inventory, Node
from mapi.clusters.gpus import gpu_type_of
from mapi.clusters.local.devices import NodeDevices
from mapi.clusters.local.settings import LocalSettings, PretendNode


class Machine(NamedTuple):
    """An inventory, and by node name what there is to hand out."""

    inventory: Inventory
    devices: dict[str, NodeDevices]


def discover(settings: LocalSettings) -> Machine:
    """Look at this machine, or take the settings' word for it."""
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    if settings.pretend:
        nodes = [node for pretend in settings.pretend for node in _pretend(pretend)]
        devices = {node.name: NodeDevices(tuple(range(node.gpus)), None) for node in nodes}
    else:
        gpu_type, gpus = find_gpus()
        nodes = [_node(socket.gethostname(), gpu_type, len(gpus), len(cpus), _memory())]
        devices = {nodes[0].name: NodeDevices(gpus, cpus)}
    slots = max(8, 4 * len(cpus)) if settings.shared_slots is None else settings.shared_slots
    return Machine(Inventory(tuple(nodes), ranks_share_nodes=True, shared_slots=slots), devices)


def find_gpus() -> tuple[str | None, tuple[int, ...]]:
    """The type of this machine's GPUs and their indices: of its most common type, should there be several."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no library, no driver, no permission: all mean that there is nothing to hand out
        return None, ()
    try:
        names = [
            gpu_type_of(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index)))
            for index in range(pynvml.nvmlDeviceGetCount())
        ]
    finally:
        pynvml.nvmlShutdown()
    if not names:
        return None, ()
    common, _ = Counter(names).most_common(1)[0]
    return common, tuple(index for index, name in enumerate(names) if name == common)


def _pretend(pretend: PretendNode) -> list[Node]:
    names = [pretend.name] if pretend.count == 1 else [f"{pretend.name}-{n}" for n in range(pretend.count)]
    return [_node(name, pretend.gpu_type, pretend.gpus, pretend.cpus, pretend.memory) for name in names]


def _node(name: str, gpu_type: str | None, gpus: int, cpus: int, memory: int) -> Node:
    instance = f"{gpu_type}.{gpus}" if gpus else "cpu"
    return Node(name, instance, gpu_type if gpus else None, gpus, cpus, memory)


def _memory() -> int:
    """Bytes of memory this machine has."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
