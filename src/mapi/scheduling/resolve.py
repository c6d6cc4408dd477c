"""What a run asked for, matched with what there is: all of it, free or not.

A request may leave out what follows from the rest. What can never be had, or can be understood in two ways,
is refused here, before the run is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import msgspec

from mapi.domain.errors import BadRunRequest, InstanceTypeUnavailable
from mapi.domain.run import Allocation, Compute
from mapi.scheduling.capacity import InventoryView, NodeView, demand, ranks_that_fit, total

#: What users write for a run without GPUs.
NO_GPUS = frozenset({"none", "cpu", ""})


class _Instance(msgspec.Struct, frozen=True):
    """A kind of node, and the nodes of it that may be used."""

    name: str
    gpu_type: str | None
    gpus: int
    nodes: tuple[NodeView, ...]


def resolve(compute: Compute, inventories: Mapping[str, InventoryView]) -> Allocation:
    """Match a request with a cluster and a kind of node.

    - No cluster: the first that can ever hold the run.
    - GPUs without nodes: as few nodes as hold them, the same number on each.
    - Nodes without GPUs: all GPUs of each node if a GPU type or an instance with GPUs was named, else none.
    - A GPU type without GPUs or nodes: one node with all its GPUs.
    - `cpus` is per node; 0, which clients send for "not said", means the same as none.
    - `node_names` gives the ranks their nodes, in order.

    Args:
        compute: what was asked for.
        inventories: what each cluster has, by its name, in order of preference.

    Raises:
        BadRunRequest: the request contradicts itself or has two meanings.
        InstanceTypeUnavailable: no cluster can ever hold it.
    """
    problems = _contradictions(compute)
    if problems:
        raise BadRunRequest(problems)
    if compute.cluster is not None and compute.cluster not in inventories:
        raise _unknown("cluster", compute.cluster, inventories)
    _check_names(compute, inventories if compute.cluster is None else [compute.cluster], inventories)
    reasons = []
    for cluster, inventory in inventories.items():
        if compute.cluster in (None, cluster):
            found = _resolve_on(cluster, inventory, compute)
            if isinstance(found, Allocation):
                return found
            reasons.append(found)
    raise InstanceTypeUnavailable(
        f"compute: {_asked(compute)} cannot be had: {'; '.join(reasons) or 'there is no cluster'}. "
        f"What there is: {_all_there_is(inventories)}"
    )


def _contradictions(compute: Compute) -> list[str]:
    """Everything wrong with the request whatever the clusters are."""
    problems = [
        f"compute.{field}: {value} must be {least} or more"
        for field, value, least in (
            ("nodes", compute.nodes, 1),
            ("gpus", compute.gpus, 0),
            ("cpus", compute.cpus, 0),
        )
        if value is not None and value < least
    ]
    names = compute.node_names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        problems.append(f"compute.node_names: {', '.join(repeated)} must be named only once")
    if names and compute.nodes is not None and compute.nodes != len(names):
        problems.append(f"compute.nodes: {compute.nodes} must be {len(names)}, as many as compute.node_names")
    if problems:
        return problems
    if compute.gpus and _no_gpus(compute):
        problems.append(
            f'compute.gpus: {compute.gpus} must be 0 or left out with compute.gpu_type "{compute.gpu_type}"'
        )
    if compute.gpus == 0 and compute.gpu_type is not None and not _no_gpus(compute):
        problems.append(
            f'compute.gpus: 0 must be 1 or more with compute.gpu_type "{compute.gpu_type}"; '
            'for a run without GPUs, compute.gpu_type is "none"'
        )
    nodes = compute.nodes or len(names)
    if compute.gpus and nodes and compute.gpus % nodes:
        problems.append(
            f"compute.gpus: {compute.gpus} must be a multiple of compute.nodes ({nodes}), "
            f"for example {_multiple_near(compute.gpus, nodes)}"
        )
    return problems


def _check_names(compute: Compute, clusters: Iterable[str], inventories: Mapping[str, InventoryView]) -> None:
    """Raise if a name is used that none of the clusters knows."""
    nodes = [node for cluster in clusters for node in inventories[cluster].nodes]
    types = sorted({node.gpu_type for node in nodes if node.gpu_type})
    if compute.gpu_type is not None and not _no_gpus(compute):
        wanted = compute.gpu_type.strip().lower()
        if wanted not in {known.lower() for known in types}:
            raise _unknown("gpu_type", compute.gpu_type, [*types, "none"])
    if compute.instance is not None:
        instances = dict.fromkeys(node.instance for node in nodes)
        if compute.instance not in instances:
            raise _unknown("instance", compute.instance, instances)
    known_nodes = dict.fromkeys(node.name for node in nodes)
    for name in compute.node_names:
        if name not in known_nodes:
            raise _unknown("node_names", name, known_nodes)


def _resolve_on(cluster: str, inventory: InventoryView, compute: Compute) -> Allocation | str:
    """Return the best match on one cluster, or why there is none."""
    instances = _matching(inventory, compute)
    if not instances:
        return f"{cluster} has no node that is all of that"
    if compute.node_names and len(instances) > 1:
        kinds = ", ".join(f"{node.name} is {each.name}" for each in instances for node in each.nodes)
        raise BadRunRequest([f"compute.node_names: must all be of one instance; {kinds}"])
    fitting: list[tuple[Allocation, _Instance]] = []
    reasons = []
    for instance in instances:
        found = _shape(cluster, instance, compute)
        if isinstance(found, Allocation):
            shortage = _shortage(cluster, instance, found, inventory)
            if shortage is None:
                fitting.append((found, instance))
            else:
                reasons.append(shortage)
        else:
            reasons.append(found)
    if not fitting:
        return "; ".join(reasons)
    types = list(dict.fromkeys(each.gpu_type for each, _ in fitting))
    if len(types) > 1:
        raise BadRunRequest(
            [f"compute.gpu_type: must be said; {cluster} has several that fit: {', '.join(map(str, types))}"]
        )
    return min(fitting, key=lambda each: (each[0].nodes, each[1].gpus - each[0].gpus_per_node))[0]


def _matching(inventory: InventoryView, compute: Compute) -> list[_Instance]:
    """The kinds of nodes that agree with every name in the request."""
    kinds: dict[str, list[NodeView]] = {}
    for node in inventory.nodes:
        if not compute.node_names or node.name in compute.node_names:
            kinds.setdefault(node.instance, []).append(node)
    if sum(map(len, kinds.values())) < len(compute.node_names):
        return []
    instances = [
        _Instance(name, nodes[0].gpu_type, max(node.gpus for node in nodes), tuple(nodes))
        for name, nodes in kinds.items()
        if compute.instance in (None, name)
    ]
    if compute.gpu_type is None or _no_gpus(compute):
        return instances
    wanted = compute.gpu_type.strip().lower()
    return [each for each in instances if each.gpu_type and each.gpu_type.lower() == wanted]


def _shape(cluster: str, instance: _Instance, compute: Compute) -> Allocation | str:
    """What the request means on one kind of node, or why it means nothing there."""
    nodes = compute.nodes or len(compute.node_names)
    per_node = 0
    if compute.gpus:
        if not instance.gpus:
            return f"{instance.name} on {cluster} has no GPUs"
        nodes = nodes or -(-compute.gpus // instance.gpus)
        if compute.gpus % nodes:
            return (
                f"{compute.gpus} GPUs do not divide evenly over the {nodes} nodes of {instance.name} on "
                f"{cluster} that hold them; {_multiple_near(compute.gpus, nodes)} would"
            )
        per_node = compute.gpus // nodes
    elif compute.gpus is None and not _no_gpus(compute) and (compute.gpu_type or compute.instance):
        per_node = instance.gpus
    return Allocation(
        cluster=cluster,
        instance=instance.name,
        nodes=nodes or 1,
        gpus_per_node=per_node,
        cpus_per_node=compute.cpus or 0,
        gpu_type=instance.gpu_type if per_node else None,
        node_names=compute.node_names,
    )


def _shortage(
    cluster: str, instance: _Instance, allocation: Allocation, inventory: InventoryView
) -> str | None:
    """Why the nodes of a kind cannot hold the ranks even when nothing else runs; None if they can."""
    takes = [ranks_that_fit(total(node, inventory), demand(allocation)) for node in instance.nodes]
    suitable = sum(count > 0 for count in takes)
    if suitable >= allocation.nodes:
        return None
    if inventory.ranks_share_nodes and not allocation.node_names and sum(takes) >= allocation.nodes:
        return None
    need = " and ".join(
        f"{count} {word}"
        for count, word in ((allocation.gpus_per_node, "GPUs"), (allocation.cpus_per_node, "CPUs"))
        if count
    )
    ranks = f"{allocation.nodes} nodes" if allocation.nodes > 1 else "a node"
    return f"{cluster} has {suitable} of {ranks} of {instance.name}" + (f" with {need}" if need else "")


def _no_gpus(compute: Compute) -> bool:
    return compute.gpu_type is not None and compute.gpu_type.strip().lower() in NO_GPUS


def _multiple_near(number: int, of: int) -> str:
    below = number // of * of
    return f"{below} or {below + of}" if below else str(of)


def _unknown(field: str, value: str, known: Iterable[str]) -> InstanceTypeUnavailable:
    names = list(known)
    lowered = {name.lower(): name for name in names}
    close = get_close_matches(value.strip().lower(), lowered, n=1)
    hint = f'; did you mean "{lowered[close[0]]}"?' if close else ""
    accepted = f"must be one of {', '.join(names)}" if names else "there is none"
    return InstanceTypeUnavailable(f'compute.{field}: "{value}" is not known: {accepted}{hint}')


def _asked(compute: Compute) -> str:
    """The request in words."""
    said = [
        (compute.nodes, f"{compute.nodes} nodes"),
        (compute.gpus, f"{compute.gpus} GPUs"),
        (compute.gpu_type, f"GPU type {compute.gpu_type}"),
        (compute.cpus, f"{compute.cpus} CPUs"),
        (compute.instance, f"instance {compute.instance}"),
        (compute.node_names, f"nodes {', '.join(compute.node_names)}"),
    ]
    return ", ".join(words for value, words in said if value) or "any node"


def _all_there_is(inventories: Mapping[str, InventoryView]) -> str:
    return (
        "; ".join(f"{name}: {_what_there_is(each.nodes)}" for name, each in inventories.items()) or "nothing"
    )


def _what_there_is(nodes: Sequence[NodeView]) -> str:
    """The kinds of nodes of a cluster in words."""
    counts: dict[tuple[str, int, str | None, int], int] = {}
    for node in nodes:
        kind = (node.instance, node.gpus, node.gpu_type, node.cpus)
        counts[kind] = counts.get(kind, 0) + 1
    words = [
        f"{count} × {instance} ({f'{gpus} GPUs of type {gpu_type}, ' if gpus else ''}{cpus} CPUs)"
        for (instance, gpus, gpu_type, cpus), count in counts.items()
    ]
    return ", ".join(words) or "no nodes"
