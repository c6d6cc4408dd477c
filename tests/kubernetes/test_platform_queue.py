"""A cluster whose own queue decides, as users see it: emulated, and with a real Kueue where there is one.

MAPI_TEST_CLUSTER_QUEUE names a ClusterQueue of the real cluster, in which there is one CPU.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from mapi.clusters.kubernetes.client import Api
from mapi.clusters.kubernetes.queue import GROUP
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mcli.models.run_status import RunStatus
from tests.conftest import wait_until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.real import namespace_of_tests, needs_cluster
from tests.kubernetes.site import Site, opened
from tests.kubernetes.stage import settings_of

CLUSTER_QUEUE = os.environ.get("MAPI_TEST_CLUSTER_QUEUE", "")
NO_ROOM = "waiting in queue team of kube: couldn't assign flavors to pod set main: insufficient unused quota"

needs_kueue = pytest.mark.skipif(not CLUSTER_QUEUE, reason="MAPI_TEST_CLUSTER_QUEUE names no ClusterQueue")
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module", params=["emulated", pytest.param("real", marks=[needs_cluster, needs_kueue])])
def _site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "real":
        with namespace_of_tests() as settings:
            asyncio.run(_create_queue(settings))
            yield from opened(Site(directory, replace(settings, queue="team", memory_share=0)))
        return
    with EmulatedCluster(directory / "kubernetes") as emulated:
        emulated.add_node("cpu-0", cpus=4)
        emulated.create("LocalQueue", {"metadata": {"name": "team"}})
        yield from opened(Site(directory, settings_of(emulated, directory, queue="team"), emulated))


@pytest.fixture
def site(_site: Site) -> Iterator[Site]:
    yield _site
    _site.stop_everything()
    wait_until(lambda: not _site.left(), "nothing is left in the namespace", 60)


async def _create_queue(settings: KubernetesSettings) -> None:
    api = Api.connect(settings)
    try:
        version = await api.version_of(GROUP)
        queue = {
            "apiVersion": version,
            "kind": "LocalQueue",
            "metadata": {"name": "team"},
            "spec": {"clusterQueue": CLUSTER_QUEUE},
        }
        await api.request("POST", f"/apis/{version}/namespaces/{api.namespace}/localqueues", queue)
    finally:
        await api.close()


async def _stop_queue(settings: KubernetesSettings, policy: str) -> None:
    api = Api.connect(settings)
    try:
        path = f"/apis/{await api.version_of(GROUP)}/namespaces/{api.namespace}/localqueues/team"
        await api.request("PATCH", path, {"spec": {"stopPolicy": policy}})
    finally:
        await api.close()


def submit(site: Site, command: str) -> str:
    return site.run(command, compute={"cpus": 1})


def occupy(site: Site) -> str:
    """Submit a run that has the only place; return its name."""
    name = submit(site, "echo up $RESUMPTION_INDEX; sleep 1000")
    site.mcli.wait(name, RunStatus.RUNNING)
    site.prints(name, "up 0")
    return name


def waits(site: Site, name: str) -> None:
    """Wait until a run is queued with the words of the queue."""

    def queued() -> bool:
        record = site.mcli.record(name)
        return record["status"] == "QUEUED" and str(record["reason"]).startswith(NO_ROOM)

    wait_until(queued, f"{name} waits with a reason", 60)


def test_a_run_waits_with_the_queues_words_and_starts_in_its_turn(site: Site) -> None:
    first = occupy(site)
    second = submit(site, "echo in my turn")
    waits(site, second)
    site.mcli("stop", "run", first, "-y")
    site.ended(second)
    assert site.log(second) == "in my turn\n"
    steps = site.mcli("describe", "run", second).stdout
    for step in ("Run queued on cluster kube", "Run starting on kube", "Run started", "Run completed"):
        assert step in steps


def test_a_run_that_waits_can_be_stopped_and_leaves_nothing(site: Site) -> None:
    occupy(site)
    second = submit(site, "echo never")
    waits(site, second)
    site.mcli("stop", "run", second, "-y")
    assert site.ended(second, RunStatus.STOPPED)["started_at"] is None
    wait_until(lambda: not any(second in left for left in site.left()), "nothing of it is left", 60)


def test_a_server_that_was_killed_is_taken_over_from_with_its_queue(site: Site) -> None:
    first = occupy(site)
    second = submit(site, "echo once")
    waits(site, second)
    site.kill()
    waits(site, second)
    site.mcli("stop", "run", first, "-y")
    site.ended(second)
    assert site.log(second) == "once\n"


def test_a_run_whose_place_was_taken_comes_back(site: Site) -> None:
    first = occupy(site)
    if site.emulated is None:
        asyncio.run(_stop_queue(site.settings, "HoldAndDrain"))
        wait_until(lambda: site.mcli.record(first)["status"] == "QUEUED", "its place is taken", 60)
        asyncio.run(_stop_queue(site.settings, "None"))
    else:
        (job,) = (item["metadata"]["name"] for item in site.emulated.objects("Job"))
        site.emulated.evict_from_queue(job, "The LocalQueue is stopped")
    site.prints(first, "up 1")
    assert (
        "queue team took its place: The LocalQueue is stopped" in site.mcli("describe", "run", first).stdout
    )
