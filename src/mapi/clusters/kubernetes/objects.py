"""From a launch to the objects that a Kubernetes user would have written for it. Pure.

One Indexed Job, a pod a rank. It is created suspended and owns the Service and the Secrets made after it, so
that whoever deletes the Job deletes everything, and no pod ever waits for what is not there yet.
"""

from __future__ import annotations

from typing import Any

from mapi.clusters.base import Launch
from mapi.clusters.kubernetes.contents import PORT, environment, files, registries
from mapi.clusters.kubernetes.names import Names
from mapi.clusters.kubernetes.place import Place
from mapi.clusters.kubernetes.pod import pod
from mapi.clusters.kubernetes.queue import QUEUE
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.clusters.kubernetes.status import INDEX

Json = dict[str, Any]


def job(launch: Launch, called: Names, settings: KubernetesSettings, place: Place) -> Json:
    """The Job of an execution, suspended.

    Args:
        launch: what is to be started.
        called: what its objects are called.
        settings: of the cluster.
        place: what its ranks may count on.
    """
    nodes, labels = launch.allocation.nodes, dict(called.labels)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": called.job, "labels": labels},
        "spec": {
            "suspend": True,
            "completionMode": "Indexed",
            "completions": nodes,
            "parallelism": nodes,
            "backoffLimitPerIndex": 0,  # what becomes of the other ranks is the platform's to say
            "template": {
                "metadata": {"labels": labels},
                "spec": pod(launch, called, settings, place),
            },
        },
    }


def let_go(settings: KubernetesSettings) -> Json:
    """The change that starts a Job when all that its pods need is there: at once, or in its queue's turn."""
    if settings.queue:
        return {"metadata": {"labels": {QUEUE: settings.queue}}}
    return {"spec": {"suspend": False}}


def is_let_go(made: Json) -> bool:
    """Whether a Job was changed like that."""
    return not made["spec"].get("suspend") or QUEUE in made["metadata"].get("labels", {})


def service(called: Names, settings: KubernetesSettings, owner: Json) -> Json:
    """The Service by which the ranks of an execution find rank 0.

    Args:
        called: what its objects are called.
        settings: say whether by name or by address.
        owner: the Job.
    """
    by_name = settings.rendezvous == "name"
    first = {} if by_name else {INDEX: "0"}
    spec: Json = {
        "selector": {**called.labels, **first},
        "ports": [{"name": "rendezvous", "port": PORT}],
        "publishNotReadyAddresses": True,
    }
    if by_name:
        spec["clusterIP"] = "None"
    return _owned("v1", "Service", called.service, called, owner) | {"spec": spec}


def master_address(called: Names, made: Json) -> str:
    """Where rank 0 is met.

    Args:
        called: what the objects are called.
        made: the Service as the cluster made it.
    """
    address = str(made["spec"]["clusterIP"])
    return f"{called.job}-0.{called.service}" if address == "None" else address


def secrets(launch: Launch, called: Names, owner: Json, address: str) -> list[Json]:
    """The Secrets of an execution: variables and files, and credentials for images.

    Args:
        launch: what is to be started.
        called: what its objects are called.
        owner: the Job.
        address: where rank 0 is met.
    """
    data = {f"env.{name}": value for name, value in environment(launch, address).items()}
    data |= {f"file.{place}": file.text for place, file in enumerate(files(launch))}
    made = _owned("v1", "Secret", called.secret, called, owner) | {"type": "Opaque", "stringData": data}
    pulls = [
        _owned("v1", "Secret", called.pull_secret(number), called, owner)
        | {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": text}}
        for number, text in enumerate(registries(launch))
    ]
    return [made, *pulls]


def _owned(version: str, kind: str, name: str, called: Names, owner: Json) -> Json:
    reference = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    metadata = {"name": name, "labels": dict(called.labels), "ownerReferences": [reference]}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
