"""What the platform must be allowed to do in a Kubernetes cluster, and what for: nothing else is asked for.

`mapi cluster check` asks the cluster about each; `deploy/kubernetes/rbac.yaml` grants the same.
"""

from __future__ import annotations

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
    Permission("", "nodes", ("list", "watch"), "know what there is to run on", everywhere=True),
    Permission("", "namespaces", ("get",), "check that the namespace is there"),
    Permission("batch", "jobs", ("create", "get", "list", "watch", "patch", "delete"), "start and end runs"),
    Permission("", "pods", ("list", "watch", "delete"), "see what becomes of runs, and free lost nodes"),
    Permission("", "pods/log", ("get",), "keep what runs print"),
    Permission("", "pods/exec", ("get", "create"), "open shells in runs, and end them by force"),
    Permission("", "services", ("create", "get"), "let the ranks of a run find each other"),
    Permission("", "secrets", ("create", "get"), "give runs parameters, secrets and their token"),
    Permission("", "events", ("list", "watch"), "say why runs wait"),
    Permission("kueue.x-k8s.io", "workloads", ("list", "watch"), "say why the queue holds runs", queue=True),
    Permission("kueue.x-k8s.io", "localqueues", ("get",), "check that the queue is there", queue=True),
)


def needed(*, queue: bool) -> tuple[Permission, ...]:
    """Return the permissions of a platform.

    Args:
        queue: whether the cluster has a queue of its own.
    """
    return tuple(permission for permission in PERMISSIONS if queue or not permission.queue)
