"""What an administrator may say about a local cluster."""

from __future__ import annotations

import msgspec


class PretendNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nodes this machine should claim to have, to try out scheduling: `count` alike, `memory` in bytes."""

    name: str
    gpu_type: str | None = None
    gpus: int = 0
    cpus: int = 1
    memory: int = 0
    count: int = 1


class LocalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a cluster of kind `local`.

    `shared_slots`: how many ranks that ask for no CPUs and no GPUs run at once; by default four a CPU, at
    least 8.
    `pretend`: where given, the nodes of the cluster instead of the real one. Their CPUs are not bound to any.
    """

    shared_slots: int | None = None
    pretend: tuple[PretendNode, ...] = ()
