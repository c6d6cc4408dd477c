"""What a look at a cluster brings to light: the same for every kind."""

from __future__ import annotations

import msgspec

from mapi.clusters.base import Node


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    `works`: None where it is neither good nor bad. `needed`: without it runs cannot be executed.
    """

    what: str
    works: bool | None
    detail: str
    needed: bool = True

    @property
    def is_fatal(self) -> bool:
        """Whether runs cannot be executed because of it."""
        return self.works is False and self.needed


def what_it_has(node: Node) -> str:
    """Say what a node has."""
    gpus = f"{node.gpus} of type {node.gpu_type}" if node.gpus else "none"
    memory = f", {node.memory / 2**30:.0f} GiB of memory" if node.memory else ""
    return f"{node.cpus} CPUs{memory}, GPUs: {gpus}"
