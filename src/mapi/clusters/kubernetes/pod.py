"""The pod of a rank. Pure.

Its template pins the ranks to the nodes of the placement, and keeps them apart where each has a node of its
own, so the scheduler can only give every placed node its one rank: which rank is where, the pods say when
they start.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterable
from typing import Any

import msgspec

from mapi.clusters.base import Launch
from mapi.clusters.kubernetes.contents import environment, files, registries
from mapi.clusters.kubernetes.inventory import GPU_RESOURCES, gpu_tolerations
from mapi.clusters.kubernetes.names import Names
from mapi.clusters.kubernetes.place import Place
from mapi.clusters.kubernetes.settings import KubernetesSettings, Toleration
from mapi.clusters.kubernetes.status import CONTAINER, INDEX

Json = dict[str, Any]

#: How long a rank survives that its node does not answer, in seconds; the default is 300.
_NODE_PATIENCE = 60

#: What becomes of output is as on every cluster: both streams are one, in the order they were written.
#: Images need not have bash.
_START = 'exec 2>&1; for sh in bash sh; do if command -v $sh >/dev/null; then exec $sh -c "$1"; fi; done'


def pod(launch: Launch, called: Names, settings: KubernetesSettings, place: Place) -> Json:
    """The specification that all pods of an execution share.

    Args:
        launch: what is to be started.
        called: what its objects are called.
        settings: of the cluster.
        place: what its ranks may count on.
    """
    gpus = place.gpu_resources or (tuple(GPU_RESOURCES)[:1] if launch.allocation.gpus_per_node else ())
    mounts, volumes = _volumes(launch, called)
    pull_secrets = [called.pull_secret(number) for number, _ in enumerate(registries(launch))]
    container = {
        "name": CONTAINER,
        "image": launch.image,
        "command": ["/bin/sh", "-c", _literally(_START), "sh"],
        "args": [_literally(launch.command)],
        "env": _variables(launch, called),
        "resources": _resources(launch, place, gpus),
        "volumeMounts": mounts,
    }
    if settings.image_pull_policy:
        container["imagePullPolicy"] = settings.image_pull_policy
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": max(1, math.ceil(launch.grace_seconds)),
        # With a process of its own as number 1, no command is deaf to signals, and no zombie stays
        "shareProcessNamespace": True,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "subdomain": called.service,
        "nodeSelector": dict(settings.node_selector),
        "tolerations": _tolerations(settings.tolerations, gpus),
        "affinity": _affinity(launch, called, place, apart=not settings.ranks_share_nodes),
        "imagePullSecrets": [{"name": name} for name in (*pull_secrets, *settings.image_pull_secrets)],
        "containers": [container],
        "volumes": volumes,
    }


def _variables(launch: Launch, called: Names) -> list[Json]:
    rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
    taken = {
        name: {"secretKeyRef": {"name": called.secret, "key": f"env.{name}"}}
        for name in environment(launch, "")
    }
    return [{"name": name, "valueFrom": source} for name, source in ({"NODE_RANK": rank} | taken).items()]


def _resources(launch: Launch, place: Place, gpu_resources: tuple[str, ...]) -> Json:
    asked = {
        "cpu": launch.allocation.cpus_per_node,
        "memory": place.memory,
        **dict.fromkeys(gpu_resources[:1], launch.allocation.gpus_per_node),
    }
    given = {name: str(amount) for name, amount in asked.items() if amount}
    return {"requests": given, "limits": given} if given else {}


def _volumes(launch: Launch, called: Names) -> tuple[list[Json], list[Json]]:
    """A volume for each directory that has files, and shared memory as large as the node's."""
    directories: dict[str, list[Json]] = {}
    for place, file in enumerate(files(launch)):
        directory, name = posixpath.split(file.path)
        item = {"key": f"file.{place}", "path": name, "mode": file.mode}
        directories.setdefault(directory, []).append(item)
    mounts: list[Json] = [{"name": "shm", "mountPath": "/dev/shm"}]
    volumes: list[Json] = [{"name": "shm", "emptyDir": {"medium": "Memory"}}]
    for number, (directory, items) in enumerate(directories.items()):
        mounts.append({"name": f"files-{number}", "mountPath": directory, "readOnly": True})
        volumes.append({"name": f"files-{number}", "secret": {"secretName": called.secret, "items": items}})
    return mounts, volumes


def _affinity(launch: Launch, called: Names, place: Place, *, apart: bool) -> Json:
    affinity: Json = {}
    # A term names one node; a pod may go where any of the terms fits
    terms: list[Json] = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        for node in place.nodes
    ] or [
        {"matchExpressions": [{"key": label, "operator": "In", "values": list(products)}]}
        for label, products in place.gpu_labels.items()
    ]
    if terms:
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        affinity["nodeAffinity"] = required
    ranks = launch.allocation.nodes
    if ranks > 1 and (len(place.nodes) == ranks or (apart and not place.nodes)):
        term = {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": called.own_labels},
        }
        affinity["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return affinity


def _tolerations(given: Iterable[Toleration], gpu_resources: Iterable[str]) -> list[Json]:
    accepted = [*given, *(each for resource in gpu_resources for each in gpu_tolerations(resource))]
    patience = [
        {
            "key": f"node.kubernetes.io/{trouble}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _NODE_PATIENCE,
        }
        for trouble in ("not-ready", "unreachable")
    ]
    return [*(msgspec.to_builtins(each) for each in accepted), *patience]


def _literally(text: str) -> str:
    """Keep Kubernetes from replacing `$(NAME)` in a command."""
    return text.replace("$", "$$")
