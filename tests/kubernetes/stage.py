"""A stage with a Kubernetes cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mapi.clusters.kubernetes.cluster import KubernetesCluster
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.domain.run import ExecutionId
from tests.clusters.suite import DEADLINE, Stage
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.real import IMAGE, KUBECONFIG


def stage_in(
    home: Path, settings: KubernetesSettings, deadline: float = DEADLINE, image: str | None = None
) -> Stage:
    def log_path(execution: ExecutionId, rank: int) -> Path:
        return home / f"{execution.run_id}-{execution.resumption}-{rank}.log"

    def read_log(execution: ExecutionId, rank: int) -> bytes:
        path = log_path(execution, rank)
        return path.read_bytes() if path.exists() else b""

    def make() -> KubernetesCluster:
        return KubernetesCluster("there", home, settings, log_path)

    home.mkdir(exist_ok=True)
    return Stage(make, read_log, deadline, image or image_of(settings))


def image_of(settings: KubernetesSettings) -> str:
    """An image with a shell that the cluster has."""
    return IMAGE if settings.kubeconfig == KUBECONFIG else "sh:1"


def settings_of(cluster: EmulatedCluster, directory: Path, **more: Any) -> KubernetesSettings:
    """Settings for the namespace of an emulated cluster.

    Args:
        cluster: the cluster.
        directory: where its kubeconfig is written.
        more: other settings than the usual ones.
    """
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(cluster.kubeconfig)
    return KubernetesSettings(kubeconfig=str(kubeconfig), **{"ranks_share_nodes": True, **more})
