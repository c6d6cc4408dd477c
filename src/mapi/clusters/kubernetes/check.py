"""What works in a Kubernetes cluster, and which permission is missing for what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

from mapi.clusters.base import Node
from mapi.clusters.findings import Finding
from mapi.clusters.kubernetes.permissions import Permission, single

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


class Examined(Protocol):
    """A cluster as `check` questions it. A method that gets no answer raises `OSError`, saying why."""

    async def version(self) -> str:
        """The version of the API server."""

    async def namespace_exists(self, name: str) -> bool:
        """Whether there is such a namespace."""

    async def allows(self, verb: str, permission: Permission, namespace: str | None) -> bool:
        """Whether the platform's account may do that."""

    async def nodes(self) -> Iterable[Node]:
        """The nodes that the settings select."""

    async def try_job(self, namespace: str, job: dict[str, Any]) -> None:
        """Have the API server check a Job without creating it."""


async def check(cluster: Examined, namespace: str, *, queue: bool) -> AsyncIterator[Finding]:
    """Question a cluster; without an answer to the first question there are no others.

    Args:
        cluster: the cluster.
        namespace: of the runs.
        queue: whether it has a queue of its own.
    """
    try:
        yield Finding("API server", True, await cluster.version())
    except OSError as error:
        yield Finding("API server", False, str(error))
        return
    yield await _attempt(f"namespace {namespace}", _namespace(cluster, namespace))
    for permission, missing in await missing_verbs(cluster, namespace, queue=queue):
        allowed = [verb for verb in permission.verbs if verb not in missing]
        yield Finding(f"permission {permission}", not missing, _worded(permission, allowed, missing))
    async for finding in _nodes(cluster):
        yield finding
    yield await _attempt("create a Job (dry run)", _trial(cluster, namespace))


async def missing_verbs(
    cluster: Examined, namespace: str, *, queue: bool
) -> list[tuple[Permission, list[str]]]:
    """Return every permission the platform needs, with those of its verbs that it is not allowed.

    Args:
        cluster: the cluster.
        namespace: of the runs.
        queue: whether it has a queue of its own.

    Raises:
        OSError: no answer.
    """
    pairs = list(single(queue))
    answers = await asyncio.gather(
        *(
            cluster.allows(verb, permission, None if permission.everywhere else namespace)
            for permission, verb in pairs
        )
    )
    missing: dict[Permission, list[str]] = {permission: [] for permission, _ in pairs}
    for (permission, verb), allowed in zip(pairs, answers, strict=True):
        if not allowed:
            missing[permission].append(verb)
    return list(missing.items())


def warning(permission: Permission, missing: list[str], namespace: str) -> str:
    """Say what is missing, for the log.

    Args:
        permission: what is needed.
        missing: the verbs that are not allowed.
        namespace: of the runs.
    """
    where = "the cluster" if permission.everywhere else f"namespace {namespace}"
    return (
        f"not allowed to {', '.join(missing)} {permission} in {where}, needed to {permission.purpose}; "
        "deploy/kubernetes/rbac.yaml has the role that allows it"
    )


def _worded(permission: Permission, allowed: list[str], missing: list[str]) -> str:
    if not missing:
        return ", ".join(allowed)
    return f"not allowed: {', '.join(missing)}; needed to {permission.purpose}"


async def _namespace(cluster: Examined, namespace: str) -> tuple[bool, str]:
    there = await cluster.namespace_exists(namespace)
    return there, "exists" if there else f"does not exist; kubectl create namespace {namespace}"


async def _trial(cluster: Examined, namespace: str) -> tuple[bool, str]:
    await cluster.try_job(namespace, _TRIAL)
    return True, "accepted"


async def _nodes(cluster: Examined) -> AsyncIterator[Finding]:
    try:
        nodes = list(await cluster.nodes())
    except OSError as error:
        yield Finding("nodes", False, str(error))
        return
    if not nodes:
        yield Finding("nodes", False, "none that the settings select")
    for node in nodes:
        gpus = f"{node.gpus} of type {node.gpu_type}" if node.gpus else "none"
        state = "" if node.schedulable and node.alive else "; takes no pods now"
        text = f"{node.cpus} CPUs, {node.memory / 2**30:.0f} GiB of memory, GPUs: {gpus}{state}"
        yield Finding(f"node {node.name}", (node.schedulable and node.alive) or None, text)


async def _attempt(what: str, question: Any) -> Finding:
    try:
        works, detail = await question
    except OSError as error:
        return Finding(what, False, str(error))
    return Finding(what, works, detail)
