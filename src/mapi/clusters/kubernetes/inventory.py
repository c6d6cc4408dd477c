"""From a node of Kubernetes to a node of the platform. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mapi.clusters.base import Inventory, Node
from mapi.clusters.gpus import gpu_type_of
from mapi.clusters.kubernetes.settings import KubernetesSettings, Toleration

Json = dict[str, Any]

#: The resources that are GPUs, each with the labels that name its product, the most telling first.
GPU_RESOURCES = {
    "nvidia.com/gpu": ("nvidia.com/gpu.product", "cloud.google.com/gke-accelerator"),
    "amd.com/gpu": ("amd.com/gpu.product-name", "beta.amd.com/gpu.product-name"),
}

_SUFFIXES = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)")

#: Taints that keep new pods away; the third effect, PreferNoSchedule, does not.
_REPELLING = ("NoSchedule", "NoExecute")


def inventory(nodes: Iterable[Json], settings: KubernetesSettings, lost: bool = False) -> Inventory:
    """Return what there is.

    Args:
        nodes: as the API has them.
        settings: what is tolerated.
        lost: whether the cluster cannot be reached, so that nothing can be placed.
    """
    ordered = sorted(nodes, key=lambda item: str(item["metadata"]["name"]))
    return Inventory(
        tuple(node_of(item, settings.tolerations, lost=lost) for item in ordered),
        ranks_share_nodes=settings.ranks_share_nodes,
        shared_slots=settings.shared_slots,
        queue=settings.queue,
    )


def node_of(item: Json, tolerations: Iterable[Toleration], *, lost: bool = False) -> Node:
    """Return a node.

    Args:
        item: as the API has it.
        tolerations: of the settings.
        lost: whether the cluster cannot be reached.
    """
    metadata, spec = item["metadata"], item.get("spec", {})
    has = item.get("status", {}).get("allocatable", {})
    resource = gpu_resource(item)
    gpus = int(quantity(has[resource])) if resource else 0
    gpu_type = gpu_type_of(gpu_product(item)[1].replace("_", " ")) if resource else None
    return Node(
        name=metadata["name"],
        instance=f"{gpu_type}.{gpus}" if gpus else "cpu",
        gpu_type=gpu_type,
        gpus=gpus,
        cpus=int(quantity(has.get("cpu", "0"))),
        memory=int(quantity(has.get("memory", "0"))),
        alive=not lost and is_ready(item),
        schedulable=not spec.get("unschedulable", False) and not repelling(item, tolerations),
    )


def repelling(item: Json, tolerations: Iterable[Toleration]) -> list[str]:
    """Return the taints of a node that keep runs away, as kubectl writes them.

    Args:
        item: as the API has it.
        tolerations: of the settings.
    """
    resource = gpu_resource(item)
    # A run that asks for GPUs puts up with the taint that keeps others away from them
    accepted = [*tolerations, *(gpu_tolerations(resource) if resource else ())]
    return [
        f"{taint['key']}{'=' if taint.get('value') else ''}{taint.get('value', '')}:{taint['effect']}"
        for taint in item.get("spec", {}).get("taints", ())
        if taint["effect"] in _REPELLING and not any(_tolerates(each, taint) for each in accepted)
    ]


def is_ready(item: Json) -> bool:
    """Whether a node answers."""
    conditions = item.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def gpu_tolerations(resource: str) -> tuple[Toleration, ...]:
    """What a pod with GPUs puts up with: the taint of the same name, which is customary."""
    return (Toleration(key=resource, operator="Exists"),)


def quantity(text: str) -> float:
    """Read a quantity.

    >>> quantity("1930m"), quantity("2Ki")
    (1.93, 2048.0)
    """
    found = _QUANTITY.fullmatch(text)
    if found is None or found[2] not in _SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    return float(found[1]) * _SUFFIXES[found[2]]


def gpu_resource(item: Json) -> str | None:
    """Which resource the GPUs of a node are, if it has any."""
    has = item.get("status", {}).get("allocatable", {})
    return next((name for name in GPU_RESOURCES if int(quantity(has.get(name, "0")))), None)


def gpu_product(item: Json) -> tuple[str, str]:
    """The label that names the product of a node's GPUs, and what it says; nothing where there is none."""
    labels = item["metadata"].get("labels", {})
    known = GPU_RESOURCES[gpu_resource(item) or next(iter(GPU_RESOURCES))]
    return next(((label, labels[label]) for label in known if label in labels), ("", ""))


def _tolerates(toleration: Toleration, taint: Json) -> bool:
    if toleration.effect and toleration.effect != taint["effect"]:
        return False
    if not toleration.key:
        return toleration.operator == "Exists"
    if toleration.key != taint["key"]:
        return False
    return toleration.operator == "Exists" or toleration.value == taint.get("value", "")
