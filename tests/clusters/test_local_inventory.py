import os
import socket

import pytest

from mapi.clusters.gpus import gpu_type_of
from mapi.clusters.local.inventory import discover
from mapi.clusters.local.settings import LocalSettings, PretendNode


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100_80gb"),
        ("NVIDIA A100-PCIE-40GB", "a100_40gb"),
        ("NVIDIA A100 80GB PCIe", "a100_80gb"),
        ("NVIDIA H100 80GB HBM3", "h100_80gb"),
        ("NVIDIA H100 PCIe", "h100"),
        ("Tesla V100-SXM2-16GB", "v100_16gb"),
        ("NVIDIA GeForce RTX 3090", "3090"),
        ("NVIDIA GeForce RTX 3080 Ti", "3080_ti"),
        ("NVIDIA RTX 6000 Ada Generation", "6000_ada"),
        ("Tesla T4", "t4"),
        ("Tesla K80", "k80"),
        ("NVIDIA L40S", "l40s"),
        ("", "gpu"),
    ],
)
def test_a_gpu_is_named_as_run_configurations_name_it(product: str, name: str) -> None:
    assert gpu_type_of(product) == name


def test_this_machine_is_one_node_with_the_cpus_it_may_use() -> None:
    inventory = discover(LocalSettings()).inventory
    (node,) = inventory.nodes
    assert node.name == socket.gethostname()
    assert node.cpus == len(os.sched_getaffinity(0))
    assert node.memory > 2**28
    assert node.instance == ("cpu" if not node.gpus else f"{node.gpu_type}.{node.gpus}")
    assert inventory.ranks_share_nodes
    assert inventory.shared_slots >= 8


def test_a_machine_can_pretend_to_be_a_cluster() -> None:
    pretend = (
        PretendNode("gpu", gpu_type="a100_80gb", gpus=8, cpus=96, memory=1 << 40, count=2),
        PretendNode("plain", cpus=4),
    )
    inventory = discover(LocalSettings(pretend=pretend, shared_slots=3)).inventory
    assert [(node.name, node.instance, node.gpus, node.cpus) for node in inventory.nodes] == [
        ("gpu-0", "a100_80gb.8", 8, 96),
        ("gpu-1", "a100_80gb.8", 8, 96),
        ("plain", "cpu", 0, 4),
    ]
    assert inventory.nodes[2].gpu_type is None
    assert inventory.shared_slots == 3
