"""What the ranks of a launch may count on, on the nodes where they may come to be."""

from __future__ import annotations

from typing import Any

import pytest

from mapi.clusters.base import Launch
from mapi.clusters.kubernetes.inventory import inventory
from mapi.clusters.kubernetes.place import Place, place_of
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.domain.run import Allocation, ExecutionId

Json = dict[str, Any]

GIB = 2**30
NVIDIA, AMD = "nvidia.com/gpu", "amd.com/gpu"


def node(name: str, memory: int, resource: str = "", gpus: int = 0, product: str = "") -> Json:
    has = {"cpu": "64", "memory": f"{memory}Gi", **({resource: str(gpus)} if resource else {})}
    labels = {"nvidia.com/gpu.product": product} if product else {}
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": has}}


NODES = {
    item["metadata"]["name"]: item
    for item in (
        node("cpu-0", 100),
        node("a-0", 1000, NVIDIA, 8, "NVIDIA-A100-SXM4-80GB"),
        node("a-1", 500, NVIDIA, 8, "NVIDIA-A100-SXM4-80GB"),
        node("h-0", 2000, NVIDIA, 8, "NVIDIA-H100-80GB-HBM3"),
        node("m-0", 800, AMD, 4),
    )
}


def place(placement: tuple[str, ...], gpus: int = 0, cpus: int = 0, share: float = 1.0, **of: Any) -> Place:
    allocation = Allocation("there", of.pop("instance", ""), len(placement), gpus, cpus, None, **of)
    launch = Launch(ExecutionId("run", 0), "run", "true", "sh", {}, "", allocation, placement)
    return place_of(launch, NODES, inventory(NODES.values(), KubernetesSettings()), share)


@pytest.mark.parametrize(
    ("placement", "gpus", "cpus", "share", "gib"),
    [
        (("cpu-0",), 0, 0, 1.0, 0),
        (("cpu-0",), 0, 16, 1.0, 25),
        (("a-0",), 8, 0, 1.0, 1000),
        (("a-0",), 2, 0, 1.0, 250),
        (("a-0",), 2, 64, 1.0, 250),
        (("a-0",), 2, 0, 0.5, 125),
        (("a-0",), 2, 0, 0.0, 0),
        (("a-0", "a-1"), 4, 0, 1.0, 250),
        (("unknown",), 4, 0, 1.0, 0),
    ],
)
def test_memory_goes_with_the_gpus_or_else_the_cpus(
    placement: tuple[str, ...], gpus: int, cpus: int, share: float, gib: int
) -> None:
    assert place(placement, gpus, cpus, share).memory == gib * GIB


def test_where_nodes_are_chosen_they_are_named_and_need_no_labels() -> None:
    found = place(("a-1", "a-0"), 8)
    assert (found.nodes, found.gpu_resources, found.gpu_labels) == (("a-1", "a-0"), (NVIDIA,), {})


def test_where_a_queue_chooses_the_gpus_are_named_by_their_label() -> None:
    found = place(("", ""), 8, instance="a100_80gb.8")
    assert found.nodes == ()
    assert found.gpu_labels == {"nvidia.com/gpu.product": ("NVIDIA-A100-SXM4-80GB",)}
    assert found.memory == 500 * GIB


def test_nodes_that_the_user_has_named_are_kept_to_by_a_queue_as_well() -> None:
    assert place(("",), 8, instance="a100_80gb.8", node_names=("a-1",)).nodes == ("a-1",)


def test_gpus_are_called_what_their_maker_calls_them() -> None:
    assert place(("m-0",), 4).gpu_resources == (AMD,)
    assert place(("cpu-0",)).gpu_resources == ()
