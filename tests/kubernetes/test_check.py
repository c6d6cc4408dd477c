from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from mapi.clusters.base import Node
from mapi.clusters.findings import Finding
from mapi.clusters.kubernetes.check import check, missing_verbs, warning
from mapi.clusters.kubernetes.permissions import PERMISSIONS, Permission
from tests.kubernetes.api import JOBS, Api
from tests.kubernetes.emulation.cluster import EmulatedCluster


class Questioned:
    """The emulated cluster as `check` questions it."""

    def __init__(self, cluster: EmulatedCluster) -> None:
        self._api = Api(cluster.kubeconfig, cluster.namespace)

    async def version(self) -> str:
        return str(self._answered("GET", "/version")["gitVersion"])

    async def namespace_exists(self, name: str) -> bool:
        status, answer = self._api.request("GET", f"/api/v1/namespaces/{name}")
        if status not in (200, 404):
            raise OSError(answer["message"])
        return status == 200

    async def allows(self, verb: str, permission: Permission, namespace: str | None) -> bool:
        resource, _, subresource = permission.resource.partition("/")
        asked = {"group": permission.group, "resource": resource, "subresource": subresource, "verb": verb}
        review = {"spec": {"resourceAttributes": {**asked, "namespace": namespace}}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(self._answered("POST", path, review)["status"]["allowed"])

    async def nodes(self) -> Iterable[Node]:
        return [
            Node(item["metadata"]["name"], "cpu", None, 0, int(item["status"]["allocatable"]["cpu"]), 2**34)
            for item in self._answered("GET", "/api/v1/nodes")["items"]
        ]

    async def try_job(self, namespace: str, job: dict[str, Any]) -> None:
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        status, answer = self._api.request("POST", path, job, dryRun="All")
        if status != 201:
            raise OSError(answer["message"])

    def _answered(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        status, answer = self._api.request(method, path, body)
        if status >= 300:
            raise OSError(answer["message"])
        return answer


@pytest.fixture
def look(emulated: EmulatedCluster) -> Callable[..., dict[str, Finding]]:
    def look(namespace: str = "runs", *, queue: bool = False) -> dict[str, Finding]:
        async def all_of_them() -> dict[str, Finding]:
            findings = check(Questioned(emulated), namespace, queue=queue)
            return {finding.what: finding async for finding in findings}

        return asyncio.run(all_of_them())

    return look


def test_a_cluster_that_is_ready_lacks_nothing(
    look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster
) -> None:
    findings = look(queue=True)
    assert not [finding for finding in findings.values() if finding.is_fatal]
    assert findings["API server"].detail == "v1.36.2"
    assert findings["node gpu-0"].detail.startswith("64 CPUs")
    assert {f"permission {permission}" for permission in PERMISSIONS} <= findings.keys()
    assert Api(emulated.kubeconfig, "runs").get(JOBS)["items"] == []


def test_the_queues_permissions_are_only_asked_for_with_a_queue(
    look: Callable[..., dict[str, Finding]],
) -> None:
    assert "permission workloads.kueue.x-k8s.io" not in look()


def test_a_missing_permission_is_named_with_what_it_is_for(
    look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster
) -> None:
    emulated.faults.deny("delete", "jobs")
    emulated.faults.deny("get", "pods/log")
    findings = look()
    fatal = {finding.what: finding.detail for finding in findings.values() if finding.is_fatal}
    assert fatal == {
        "permission jobs.batch": "not allowed: delete; needed to start and end runs",
        "permission pods/log": "not allowed: get; needed to keep what they print",
    }


def test_the_log_names_it_as_well(emulated: EmulatedCluster) -> None:
    emulated.faults.deny("watch", "nodes")
    missing = [
        warning(permission, verbs, "runs")
        for permission, verbs in asyncio.run(missing_verbs(Questioned(emulated), "runs", queue=False))
        if verbs
    ]
    assert missing == [
        "not allowed to watch nodes in the cluster, needed to know what there is to run on; "
        "deploy/kubernetes/rbac.yaml has the role that allows it"
    ]


def test_a_namespace_that_is_not_there_is_said_so(look: Callable[..., dict[str, Finding]]) -> None:
    findings = look("nowhere")
    assert findings["namespace nowhere"].detail == "does not exist; kubectl create namespace nowhere"
    assert findings["create a Job (dry run)"].detail == 'namespaces "nowhere" not found'


def test_a_namespace_that_must_not_be_seen_is_no_missing_one(
    look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster
) -> None:
    emulated.faults.deny("get", "namespaces")
    assert "cannot get resource" in look()["namespace runs"].detail


def test_without_an_answer_nothing_else_is_asked(
    look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster
) -> None:
    emulated.down()
    (finding,) = look().values()
    assert finding.is_fatal
    assert "refused" in finding.detail
