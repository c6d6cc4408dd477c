"""What the platform must be allowed to do in a Kubernetes cluster, and what for: nothing else is asked for.

`mapi cluster check` asks the cluster about each; `deploy/kubernetes/rbac.yaml` grants the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Permission(msgspec.Struct, frozen=True):
    """Verbs on a resource.

    `resource`: with its subresource, as roles write it. `purpose`: what does not work without. `everywhere`:
    it is of the cluster, not of the namespace of the runs. `queue`: only where the cluster has a queue of
    its own.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    purpose: str
    everywhere: bool = False
    queue: bool = False

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


PERMISSIONS = (
    Permission("", "nodes", ("get", "list", "watch"), "know what there is to run on", everywhere=True),
    Permission("", "namespaces", ("get",), "see that the namespace is there"),
    Permission("batch", "jobs", ("create", "get", "list", "watch", "patch", "delete"), "start and end runs"),
    Permission("", "pods", ("get", "list", "watch", "delete"), "see what becomes of them, and end them"),
    Permission("", "pods/log", ("get",), "keep what they print"),
    Permission("", "pods/exec", ("get", "create"), "open shells in them"),
    Permission("", "services", ("create", "get", "list", "delete"), "let their ranks find each other"),
    Permission(
        "",
        "secrets",
        ("create", "get", "list", "patch", "delete"),
        "give them parameters, secrets and their token",
    ),
    Permission("", "events", ("list", "watch"), "say why they wait"),
    Permission(
        "kueue.x-k8s.io", "workloads", ("get", "list", "watch"), "mirror the queue of the cluster", queue=True
    ),
)


def single(queue: bool) -> Iterator[tuple[Permission, str]]:
    """Yield each permission with each of its verbs.

    Args:
        queue: whether the cluster has a queue of its own.
    """
    for permission in PERMISSIONS:
        if queue or not permission.queue:
            for verb in permission.verbs:
                yield permission, verb
