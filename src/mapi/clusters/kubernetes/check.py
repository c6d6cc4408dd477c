"""What works in a Kubernetes cluster, and which permission is missing for what does not."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from mapi.clusters.findings import Finding, what_it_has
from mapi.clusters.kubernetes.client import JOBS, NODES, Api, Json, KubernetesError, Refused, backoff
from mapi.clusters.kubernetes.inventory import is_ready, node_of, repelling
from mapi.clusters.kubernetes.permissions import Permission, needed
from mapi.clusters.kubernetes.queue import GROUP
from mapi.clusters.kubernetes.settings import KubernetesSettings

log = logging.getLogger(__name__)

#: The oldest version whose Jobs, pods and terminals are as the platform takes them to be.
_OLDEST = (1, 29)

_REVIEW = "authorization.k8s.io/v1"

#: A Job as small as one can be, which is never really created.
_TRIAL = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"generateName": "mapi-check-"},
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "none", "command": ["true"]}],
            }
        }
    },
}


def check(settings: KubernetesSettings, home: Path) -> list[Finding]:
    """Question a cluster; without an answer to the first question there are no others.

    Args:
        settings: of the cluster.
        home: where the platform keeps its state, which makes no difference here.

    Raises:
        ValueError: the settings, or the kubeconfig they name, cannot be used.
    """

    async def ask() -> list[Finding]:
        api = Api.connect(settings)
        try:
            return [finding async for finding in _findings(api, settings)]
        finally:
            await api.close()

    return asyncio.run(ask())


async def warn(api: Api, name: str, *, queue: bool) -> None:
    """Write to the log what the platform is not allowed to do, once the API server answers.

    Args:
        api: the cluster.
        name: what users call it.
        queue: whether it has a queue of its own.
    """
    for pause in backoff():
        try:
            for permission, missing in await missing_verbs(api, queue=queue):
                if missing:
                    log.warning("cluster %s: %s", name, _warning(permission, missing, api.namespace))
            return
        except Refused as error:
            if not error.is_passing:
                log.warning("cluster %s: what is allowed there cannot be asked: %s", name, error)
                return
        except KubernetesError:
            pass  # it is said elsewhere that the cluster cannot be reached
        await asyncio.sleep(pause)


async def missing_verbs(api: Api, *, queue: bool) -> list[tuple[Permission, list[str]]]:
    """Return every permission the platform needs, with those of its verbs that it is not allowed.

    Args:
        api: the cluster.
        queue: whether it has a queue of its own.

    Raises:
        KubernetesError: no answer.
    """

    async def missing(permission: Permission) -> tuple[Permission, list[str]]:
        return permission, [verb for verb in permission.verbs if not await _allows(api, permission, verb)]

    return await asyncio.gather(*map(missing, needed(queue=queue)))


async def _findings(api: Api, settings: KubernetesSettings) -> AsyncIterator[Finding]:
    queue = bool(settings.queue)
    try:
        yield _version(await api.request("GET", "/version"), api.address)
    except KubernetesError as error:
        refused = isinstance(error, Refused) and error.code == 401
        hint = ", so the token or the certificate of the kubeconfig is not accepted" if refused else ""
        yield Finding("API server", False, f"{api.address}: {error}{hint}")
        return
    yield await _attempt(f"namespace {api.namespace}", _namespace(api))
    try:
        for permission, missing in await missing_verbs(api, queue=queue):
            yield _permission(permission, missing)
    except KubernetesError as error:
        yield Finding("permissions", None, f"cannot be asked for: {error}")
    try:
        for finding in _nodes(await api.list(NODES, labelSelector=settings.node_labels), settings):
            yield finding
    except KubernetesError as error:
        yield Finding("nodes", False, str(error))
    yield await _attempt("create a Job (dry run)", _trial(api))
    if queue:
        yield await _attempt(f"queue {settings.queue}", _queue(api, settings.queue))


async def _allows(api: Api, permission: Permission, verb: str) -> bool:
    resource, _, subresource = permission.resource.partition("/")
    asked = {"group": permission.group, "resource": resource, "subresource": subresource, "verb": verb}
    if not permission.everywhere:
        asked["namespace"] = api.namespace
    review = {"apiVersion": _REVIEW, "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": asked}}
    answer = await api.request("POST", f"/apis/{_REVIEW}/selfsubjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def _version(answer: Json, address: str) -> Finding:
    version = str(answer.get("gitVersion", "of no known version"))
    numbers = tuple(int(number) for number in re.findall("[0-9]+", version)[:2])
    if numbers < _OLDEST:
        return Finding("API server", False, f"{version}; {'.'.join(map(str, _OLDEST))} or newer is needed")
    return Finding("API server", True, f"{version} at {address}")


async def _namespace(api: Api) -> tuple[bool, str]:
    try:
        await api.request("GET", f"/api/v1/namespaces/{api.namespace}")
    except Refused as error:
        if error.code != 404:
            raise
        return False, f"does not exist: kubectl create namespace {api.namespace}"
    return True, "exists"


def _permission(permission: Permission, missing: list[str]) -> Finding:
    allowed = [verb for verb in permission.verbs if verb not in missing]
    lacks = f"not allowed: {', '.join(missing)}; needed to {permission.purpose}"
    return Finding(f"permission {permission}", not missing, lacks if missing else ", ".join(allowed))


def _nodes(listed: tuple[list[Json], str], settings: KubernetesSettings) -> list[Finding]:
    items, _ = listed
    found = []
    for item in sorted(items, key=lambda item: str(item["metadata"]["name"])):
        node = node_of(item, settings.tolerations)
        text = what_it_has(node)
        closed = _why_closed(item, settings)
        found.append(
            Finding(
                f"node {node.name}",
                None if closed else True,
                f"{text}; takes no runs: {closed}" if closed else text,
            )
        )
    if not any(finding.works for finding in found):
        selected = f"node_selector {settings.node_labels}" if settings.node_labels else "the cluster"
        why = "none of them takes runs now" if found else f"{selected} has none"
        found.append(Finding("nodes", False, why))
    return found


def _why_closed(item: Json, settings: KubernetesSettings) -> str:
    """Why a node takes no runs now; nothing if it does."""
    if not is_ready(item):
        return "it is not ready"
    if item.get("spec", {}).get("unschedulable"):
        return "it is cordoned"
    taints = repelling(item, settings.tolerations)
    return f"tolerations has none for {', '.join(taints)}" if taints else ""


async def _trial(api: Api) -> tuple[bool, str]:
    await api.request("POST", api.path(JOBS), _TRIAL, dryRun="All")
    return True, "accepted"


async def _queue(api: Api, name: str) -> tuple[bool, str]:
    try:
        version = await api.version_of(GROUP)
    except Refused as error:
        if error.code != 404:
            raise
        return False, f"the cluster has no Kueue: its API {GROUP} is not there"
    try:
        queue = await api.request("GET", f"/apis/{version}/namespaces/{api.namespace}/localqueues/{name}")
    except Refused as error:
        if error.code != 404:
            raise
        return False, f"there is no LocalQueue of this name in namespace {api.namespace}"
    conditions = {each["type"]: each for each in queue.get("status", {}).get("conditions", ())}
    active = conditions.get(
        "Active", {"status": "Unknown", "reason": "Kueue says nothing of it; does it run?"}
    )
    if active["status"] == "True":
        return True, f"a LocalQueue, active ({version})"
    return False, "is not active: " + ": ".join(filter(None, (active["reason"], active.get("message"))))


async def _attempt(what: str, question: Coroutine[Any, Any, tuple[bool, str]]) -> Finding:
    try:
        works, detail = await question
    except KubernetesError as error:
        return Finding(what, False, str(error))
    return Finding(what, works, detail)


def _warning(permission: Permission, missing: list[str], namespace: str) -> str:
    where = "the cluster" if permission.everywhere else f"namespace {namespace}"
    return (
        f"not allowed to {', '.join(missing)} {permission} in {where}, needed to {permission.purpose}; "
        "deploy/kubernetes/rbac.yaml has the role that allows it"
    )
