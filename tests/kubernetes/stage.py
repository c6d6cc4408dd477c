"""A stage with a Kubernetes cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mapi.clusters.kubernetes.cluster import KubernetesCluster
from mapi.clusters.kubernetes.settings import KubernetesSettings
from tests.clusters.suite import DEADLINE, LogFiles, Stage
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.real import IMAGE, KUBECONFIG


def stage_in(
    home: Path, settings: KubernetesSettings, deadline: float = DEADLINE, image: str | None = None
) -> Stage:
    logs = LogFiles(home)

    def make() -> KubernetesCluster:
        return KubernetesCluster("there", home, settings, logs)

    home.mkdir(exist_ok=True)
    return Stage(make, logs, deadline, image or image_of(settings))


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
