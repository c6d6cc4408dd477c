from __future__ import annotations

import gc
import os
import secrets
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.clusters.suite")

from tests.conftest import wait_until  # noqa: E402
from tests.kubernetes.api import Api  # noqa: E402
from tests.kubernetes.emulation.cluster import EmulatedCluster  # noqa: E402


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the garbage collector close what it may.

    httpx2 leaves a connection to it whose handshake was under way when its request was cancelled, as it
    happens when a cluster is closed.
    """
    item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """No other test is blamed for it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[EmulatedCluster]:
    """A Kubernetes cluster with one node of four CPUs, and one of eight GPUs."""
    with EmulatedCluster(tmp_path / "kubernetes") as cluster:
        cluster.add_node("cpu-0", cpus=4)
        cluster.add_node("gpu-0", cpus=64, gpus=8, labels={"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"})
        yield cluster


@pytest.fixture
def api(emulated: EmulatedCluster) -> Api:
    """The API of the emulated cluster."""
    return Api(emulated.kubeconfig, emulated.namespace)


@pytest.fixture(params=["emulated", "real"])
def any_api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """The API of the emulated cluster; then of a real one, in a namespace of its own, where there is one."""
    if request.param == "emulated":
        yield request.getfixturevalue("api")
        return
    kubeconfig, image = (os.environ.get(f"MAPI_TEST_{name}") for name in ("KUBECONFIG", "IMAGE"))
    if not kubeconfig or not image:
        pytest.skip("MAPI_TEST_KUBECONFIG and MAPI_TEST_IMAGE name no real cluster")
    namespace = f"emulation-{secrets.token_hex(4)}"
    real = Api(Path(kubeconfig).read_text(), namespace, image)
    real.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    wait_until(lambda: real.get("serviceaccounts")["items"], "pods can be created")
    yield real
    real.delete(f"/api/v1/namespaces/{namespace}")
