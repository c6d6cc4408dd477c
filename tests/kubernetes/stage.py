"""A stage with a Kubernetes cluster."""

from __future__ import annotations

from pathlib import Path

from mapi.clusters.kubernetes.cluster import KubernetesCluster
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.domain.run import ExecutionId
from tests.clusters.suite import DEADLINE, Stage


def stage_in(home: Path, settings: KubernetesSettings, deadline: float = DEADLINE) -> Stage:
    def log_path(execution: ExecutionId, rank: int) -> Path:
        return home / f"{execution.run_id}-{execution.resumption}-{rank}.log"

    def read_log(execution: ExecutionId, rank: int) -> bytes:
        path = log_path(execution, rank)
        return path.read_bytes() if path.exists() else b""

    home.mkdir(exist_ok=True)
    return Stage(lambda: KubernetesCluster("there", home, settings, log_path), read_log, deadline)
