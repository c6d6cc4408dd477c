"""Who has which GPUs and CPUs. Pure bookkeeping: nothing is looked up, nothing is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from mapi.domain.run import ExecutionId


class RankDevices(msgspec.Struct, frozen=True):
    """What one rank was handed: indices of GPUs and CPUs of `node`, and its execution's rendezvous port.

    No `cpus`: it may run on any.
    """

    node: str
    gpus: tuple[int, ...] = ()
    cpus: tuple[int, ...] = ()
    port: int = 0


class NodeDevices(msgspec.Struct, frozen=True):
    """What a node has to hand out. `cpus` None: it counts them, but binds nobody to any."""

    gpus: tuple[int, ...]
    cpus: tuple[int, ...] | None


class DevicesTaken(Exception):
    """A node has fewer free devices than were asked for."""


class Ledger:
    """The devices of a cluster's nodes, and the ranks that have them."""

    def __init__(self, nodes: Mapping[str, NodeDevices]) -> None:
        self._nodes = dict(nodes)
        self._held: dict[tuple[ExecutionId, int], RankDevices] = {}

    def __iter__(self) -> Iterator[tuple[ExecutionId, int]]:
        return iter(self._held)

    @property
    def ports(self) -> frozenset[int]:
        """The ports live ranks have."""
        return frozenset(devices.port for devices in self._held.values())

    def allocate(
        self, execution: ExecutionId, placement: Sequence[str], *, gpus: int, cpus: int, port: int
    ) -> tuple[RankDevices, ...]:
        """Hand every rank that has none yet its devices, or none any.

        Args:
            execution: what they are for.
            placement: the node of each rank, by rank.
            gpus: GPUs of each rank.
            cpus: CPUs of each rank; 0 for none of its own.
            port: the execution's rendezvous port.

        Raises:
            DevicesTaken: a node does not have them, or there is no such node.
        """
        fresh = [rank for rank in range(len(placement)) if (execution, rank) not in self._held]
        try:
            for rank in fresh:
                self.hold(execution, rank, self._pick(placement[rank], gpus, cpus, port))
        except DevicesTaken:
            for rank in fresh:
                self.release(execution, rank)
            raise
        return tuple(self._held[execution, rank] for rank in range(len(placement)))

    def held(self, execution: ExecutionId, rank: int) -> RankDevices | None:
        """What a rank has."""
        return self._held.get((execution, rank))

    def hold(self, execution: ExecutionId, rank: int, devices: RankDevices) -> None:
        """Note that a rank has these devices, whatever was known before."""
        self._held[execution, rank] = devices

    def release(self, execution: ExecutionId, rank: int) -> None:
        """Take back what a rank has, if anything."""
        self._held.pop((execution, rank), None)

    def _pick(self, name: str, gpus: int, cpus: int, port: int) -> RankDevices:
        node = self._nodes.get(name)
        if node is None:
            raise DevicesTaken(f"no node {name!r} here; there is {', '.join(sorted(self._nodes))}")
        if not gpus and not cpus:
            return RankDevices(name, port=port)
        held = [devices for devices in self._held.values() if devices.node == name]
        taken_gpus = {gpu for devices in held for gpu in devices.gpus}
        taken_cpus = {cpu for devices in held for cpu in devices.cpus}
        return RankDevices(
            node=name,
            gpus=_first(gpus, node.gpus, taken_gpus, f"GPUs of node {name}"),
            cpus=() if node.cpus is None else _first(cpus, node.cpus, taken_cpus, f"CPUs of node {name}"),
            port=port,
        )


def _first(count: int, all_of_them: Sequence[int], taken: set[int], what: str) -> tuple[int, ...]:
    free = [index for index in all_of_them if index not in taken]
    if len(free) < count:
        raise DevicesTaken(f"{count} {what} asked for, {len(free)} of {len(all_of_them)} free")
    return tuple(free[:count])
