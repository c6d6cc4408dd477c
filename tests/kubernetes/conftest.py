from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.emulation.cluster import EmulatedCluster


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[EmulatedCluster]:
    """A Kubernetes cluster with one node of four CPUs, and one of eight GPUs."""
    with EmulatedCluster(tmp_path / "kubernetes") as cluster:
        cluster.add_node("cpu-0", cpus=4)
        cluster.add_node("gpu-0", cpus=64, gpus=8, labels={"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"})
        yield cluster
