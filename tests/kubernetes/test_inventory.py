"""What nodes say of themselves, and what the platform makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from mapi.clusters.kubernetes.inventory import inventory, node_of, quantity
from mapi.clusters.kubernetes.settings import KubernetesSettings, Toleration

Json = dict[str, Any]

UP = {"type": "Ready", "status": "True"}
A100 = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}


def node(
    name: str = "n",
    *,
    labels: Json | None = None,
    room: Json | None = None,
    ready: Json = UP,
    **spec: Any,
) -> Json:
    room = {"cpu": "4", "memory": "16Gi"} | (room or {})
    status = {"allocatable": room, "conditions": [{"type": "MemoryPressure", "status": "False"}, ready]}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0), ("4", 4), ("1930m", 1.93), ("500000u", 0.5), ("2000000000n", 2),
        ("2k", 2e3), ("1M", 1e6), ("1.5G", 1.5e9), ("1T", 1e12), ("1P", 1e15), ("12E", 12e18),
        ("16393244Ki", 16393244 * 1024), ("1.5Gi", 1.5 * 2**30), ("1Ei", 2**60), ("1e3", 1e3), ("5E2", 500),
    ],
)  # fmt: skip
def test_quantities(text: str, amount: float) -> None:
    assert quantity(text) == pytest.approx(amount)


@pytest.mark.parametrize("text", ["", "many", "1 Gi", "1KiB", "Gi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)


def test_a_node_without_gpus() -> None:
    found = node_of(node(room={"cpu": "3920m", "memory": "16393244Ki", "nvidia.com/gpu": "0"}), ())
    assert (found.instance, found.gpu_type, found.gpus) == ("cpu", None, 0)
    assert (found.cpus, found.memory) == (3, 16393244 * 1024)
    assert found.alive and found.schedulable


@pytest.mark.parametrize(
    ("resource", "label", "product", "type_"),
    [
        ("nvidia.com/gpu", "nvidia.com/gpu.product", "NVIDIA-A100-SXM4-80GB", "a100_80gb"),
        ("nvidia.com/gpu", "nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3", "h100_80gb"),
        ("nvidia.com/gpu", "nvidia.com/gpu.product", "Tesla-V100-SXM2-16GB", "v100_16gb"),
        ("nvidia.com/gpu", "cloud.google.com/gke-accelerator", "nvidia-tesla-t4", "t4"),
        ("nvidia.com/gpu", "cloud.google.com/gke-accelerator", "nvidia-h100-80gb", "h100_80gb"),
        ("nvidia.com/gpu", "unknown", "", "gpu"),
        ("amd.com/gpu", "amd.com/gpu.product-name", "AMD_Instinct_MI300X_OAM", "mi300x"),
        ("amd.com/gpu", "beta.amd.com/gpu.product-name", "AMD_Instinct_MI250X", "mi250x"),
    ],
)
def test_gpus_are_called_by_their_product(resource: str, label: str, product: str, type_: str) -> None:
    found = node_of(node(labels={label: product}, room={resource: "8"}), ())
    assert (found.gpu_type, found.gpus, found.instance) == (type_, 8, f"{type_}.8")


def test_the_products_own_label_counts_more_than_the_clouds() -> None:
    labels = {**A100, "cloud.google.com/gke-accelerator": "nvidia-tesla-a100"}
    assert node_of(node(labels=labels, room={"nvidia.com/gpu": "1"}), ()).gpu_type == "a100_80gb"


OWN = {"key": "team", "value": "ml", "effect": "NoSchedule"}
GPU = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("taint", "toleration", "schedulable"),
    [
        (OWN, None, False),
        ({**OWN, "effect": "NoExecute"}, None, False),
        ({**OWN, "effect": "PreferNoSchedule"}, None, True),
        (OWN, Toleration(key="team", value="ml"), True),
        (OWN, Toleration(key="team", value="ml", effect="NoSchedule"), True),
        (OWN, Toleration(key="team", value="ml", effect="NoExecute"), False),
        (OWN, Toleration(key="team", value="other"), False),
        (OWN, Toleration(key="team", operator="Exists"), True),
        (OWN, Toleration(key="other", operator="Exists"), False),
        (OWN, Toleration(operator="Exists"), True),
        ({"key": "team", "effect": "NoSchedule"}, Toleration(key="team"), True),
        (GPU, None, False),
    ],
)
def test_taints_keep_runs_away_unless_they_are_tolerated(
    taint: Json, toleration: Toleration | None, schedulable: bool
) -> None:
    tolerations = [toleration] if toleration else []
    assert node_of(node(taints=[taint]), tolerations).schedulable is schedulable


def test_every_taint_has_to_be_tolerated() -> None:
    taints = [OWN, {"key": "other", "effect": "NoSchedule"}]
    assert not node_of(node(taints=taints), [Toleration(key="team", operator="Exists")]).schedulable


def test_the_taint_of_gpus_is_tolerated_where_they_are() -> None:
    assert node_of(node(labels=A100, room={"nvidia.com/gpu": "8"}, taints=[GPU]), ()).schedulable


def test_a_cordoned_node_is_alive_and_takes_nothing() -> None:
    found = node_of(node(unschedulable=True), [Toleration(operator="Exists")])
    assert (found.alive, found.schedulable) == (True, False)


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_is_not_ready_is_not_alive(status: str) -> None:
    assert not node_of(node(ready={"type": "Ready", "status": status}), ()).alive


def test_nor_is_one_that_has_never_said_so() -> None:
    found = node_of({"metadata": {"name": "new"}}, ())
    assert (found.alive, found.cpus, found.memory, found.gpus) == (False, 0, 0, 0)


def test_a_cluster_that_cannot_be_reached_has_no_node_that_is_alive() -> None:
    found = inventory([node("a"), node("b")], KubernetesSettings(), lost=True)
    assert [(each.name, each.alive) for each in found.nodes] == [("a", False), ("b", False)]


def test_the_inventory_has_all_nodes_by_name() -> None:
    nodes = [
        node("c", labels=A100, room={"nvidia.com/gpu": "8"}),
        node("a"),
        node("b", room={"amd.com/gpu": "4"}),
    ]
    settings = KubernetesSettings(ranks_share_nodes=True, shared_slots=3)
    found = inventory(nodes, settings)
    assert [each.name for each in found.nodes] == ["a", "b", "c"]
    assert (found.ranks_share_nodes, found.shared_slots) == (True, 3)
