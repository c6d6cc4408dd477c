"""The promises of every cluster, in the emulated Kubernetes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clusters.suite import ClusterSuite, Stage
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.stage import settings_of, stage_in


@pytest.fixture
def new_stage(tmp_path: Path, emulated: EmulatedCluster) -> Callable[[], Stage]:
    return lambda: stage_in(tmp_path / "home", settings_of(emulated, tmp_path))


class TestKubernetes(ClusterSuite):
    """The promises of every cluster, in a namespace."""
