"""The promises of every cluster, in a real Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mapi.clusters.kubernetes.settings import KubernetesSettings
from tests.clusters.suite import ClusterSuite, Stage
from tests.kubernetes.real import namespace_of_tests, needs_cluster
from tests.kubernetes.stage import stage_in

pytestmark = [needs_cluster, pytest.mark.timeout(300)]

#: A real cluster takes a second or two for a pod, and a busy one takes its time.
DEADLINE = 120.0


@pytest.fixture(scope="module")
def settings() -> Iterator[KubernetesSettings]:
    with namespace_of_tests() as settings:
        yield settings


@pytest.fixture
def new_stage(tmp_path: Path, settings: KubernetesSettings) -> Callable[[], Stage]:
    return lambda: stage_in(tmp_path / "home", settings, DEADLINE)


class TestKubernetes(ClusterSuite):
    """The promises of every cluster, in a namespace."""
