"""Clusters, their use and their users, as the protocol shows them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from mapi.clusters.base import Node
from mapi.domain.user import Organization, User
from mapi.platform import ClusterView, Occupancy
from mapi.web.graphql.wire import estimated_end, gpu_type_name, maybe_timestamp, timestamp

#: What may be submitted here.
SUBMISSION_TYPES = ("TRAINING",)

_GIB = 2**30


def cluster_wire(view: ClusterView, *, utilization: bool) -> dict[str, Any]:
    """Return a cluster in the full shape of the schema's `Cluster`.

    Args:
        view: the cluster.
        utilization: whether its use is asked for; without, that part is absent.
    """
    instances = [instance_wire(nodes) for nodes in _by_instance(view.inventory.nodes)]
    wire: dict[str, Any] = {
        "id": view.name,
        "name": view.name,
        "provider": view.kind.upper(),
        "allowFractional": True,
        "allowMultinode": view.inventory.ranks_share_nodes or any(item["numNodes"] > 1 for item in instances),
        "allowedSubmissionTypes": list(SUBMISSION_TYPES),
        "isMultiTenant": False,
        "reservationType": None,
        "schedulerEnabled": True,
        "allowedInstances": instances,
    }
    if utilization:
        wire["utilization"] = utilization_wire(view)
    return wire


def instance_wire(nodes: Sequence[Node]) -> dict[str, Any]:
    """Return one kind of node in the shape of the schema's `Instance`.

    Args:
        nodes: all nodes of that kind, at least one.
    """
    first = nodes[0]
    return {
        "name": first.instance,
        "gpuType": gpu_type_name(first.gpu_type),
        "gpusPerNode": first.gpus,
        "numNodes": len(nodes),
        "gpuNums": gpu_counts(first.gpus, len(nodes)),
        "cpus": first.cpus,
        "memory": f"{first.memory / _GIB:.0f}GiB",
        "storage": None,
        "nodes": [
            {"name": node.name, "isAlive": node.alive, "isSchedulable": node.schedulable, "upTime": []}
            for node in nodes
        ],
    }


def gpu_counts(per_node: int, nodes: int) -> list[int]:
    """The GPU counts a run may ask for: any part of one node, or several nodes in full."""
    if per_node == 0:
        return [0]
    return [*range(1, per_node + 1), *(per_node * count for count in range(2, nodes + 1))]


def utilization_wire(view: ClusterView) -> dict[str, Any]:
    """Return who uses a cluster, in the shape of the schema's `Utilization`."""
    used: Counter[str] = Counter()
    for occupancy in view.active:
        allocation = occupancy.run.latest.allocation
        used[allocation.instance] += allocation.gpus
    by_instance = [
        _instance_use(view.name, nodes, used[nodes[0].instance])
        for nodes in _by_instance(view.inventory.nodes)
    ]
    in_line = sorted(view.queued, key=lambda waiting: waiting.position or 0)
    active = [_run_use(occupancy) for occupancy in view.active]
    queued = [_run_use(occupancy) for occupancy in in_line]
    return {
        "anonymizeUsers": False,
        "instanceUtils": by_instance,
        "activeRunsByUser": active,
        "queuedRunsByUser": queued,
        "activeDeploymentsByUser": [],
        "queuedDeploymentsByUser": [],
        "clusterInstanceUtils": [_flat(use) for use in by_instance],
        "activeByUser": active,
        "queuedByUser": queued,
    }


def _by_instance(nodes: Iterable[Node]) -> list[list[Node]]:
    found: defaultdict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        found[node.instance].append(node)
    return list(found.values())


def _instance_use(cluster: str, nodes: Sequence[Node], used: int) -> dict[str, Any]:
    usable = sum(node.gpus for node in nodes if node.alive and node.schedulable)
    return {
        "clusterId": cluster,
        "instance": instance_wire(nodes),
        "gpusUsed": used,
        "gpusAvailable": max(usable - used, 0),
        "gpusTotal": sum(node.gpus for node in nodes),
    }


def _flat(use: dict[str, Any]) -> dict[str, Any]:
    instance = use["instance"]
    return {
        **{key: use[key] for key in ("clusterId", "gpusUsed", "gpusAvailable", "gpusTotal")},
        **{key: instance[key] for key in ("gpuType", "gpusPerNode", "numNodes")},
    }


def _run_use(occupancy: Occupancy) -> dict[str, Any]:
    run = occupancy.run
    latest, scheduling = run.latest, run.spec.scheduling
    return {
        "id": run.id,
        "createdAt": timestamp(run.created_at),
        "userName": occupancy.user.name,
        "runName": run.name,
        "instance": latest.allocation.instance,
        "gpuNum": latest.allocation.gpus,
        "gpuType": gpu_type_name(latest.allocation.gpu_type),
        "startTime": maybe_timestamp(latest.started_at),
        "estimatedEndTime": estimated_end(run, latest),
        "maxDurationSeconds": scheduling.max_duration_seconds,
        "reason": occupancy.reason,
        "scheduling": {
            "priority": scheduling.priority,
            "preemptible": scheduling.preemptible,
            "retryOnSystemFailure": scheduling.retry_on_system_failure,
        },
    }


def user_wire(user: User, organizations: Iterable[Organization]) -> dict[str, Any]:
    """Return a user in the shape of the schema's `User`, with the organization they belong to."""
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "organizations": [
            organization_wire(organization)
            for organization in organizations
            if organization.id == user.organization_id
        ],
    }


def organization_wire(organization: Organization) -> dict[str, Any]:
    """Return an organization in the shape of the schema's `Organization`."""
    return {"id": organization.id, "name": organization.name, "isDatabricksInternal": False}
