"""From a launch to the objects that a Kubernetes user would have written for it. Pure.

One Indexed Job, a pod a rank. Its template pins the pods to the nodes of the placement, and keeps them apart
where each has a node of its own, so the scheduler can only give every placed node its one rank: which rank is
where, the pods say when they start. It is created suspended and owns the Service and the Secrets made after
it, so that whoever deletes the Job deletes everything, and no pod ever waits for what is not there yet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mapi.clusters.base import Launch
from mapi.clusters.kubernetes.inventory import gpu_tolerations
from mapi.clusters.kubernetes.settings import KubernetesSettings, Toleration
from mapi.clusters.kubernetes.status import CONTAINER, INDEX
from mapi.domain.run import ExecutionId
from mapi.domain.runtime import PARAMETERS_FILE, PARAMETERS_MOUNT, File, rank_environment
from mcli.models.secret import SecretType

Json = dict[str, Any]

PLATFORM, RUN, RESUMPTION = "mapi/platform", "mapi/run", "mapi/resumption"
RUN_NAME, OWNER = "mapi/run-name", "mapi/owner"
QUEUE = "kueue.x-k8s.io/queue-name"

#: The port where rank 0 is met. Every pod has an address of its own, so it can be the same for all.
PORT = 29500

#: How long a rank survives that its node does not answer, in seconds; the default is 300.
_NODE_PATIENCE = 60

#: What becomes of output is as on every cluster: both streams are one, in the order they were written.
#: Images need not have bash.
_START = 'exec 2>&1; for sh in bash sh; do if command -v $sh >/dev/null; then exec $sh -c "$1"; fi; done'

_DOCKER_HUB = "https://index.docker.io/v1/"


class Names(msgspec.Struct, frozen=True):
    """What the objects of an execution are called, and how they are found."""

    job: str
    labels: dict[str, str]

    @property
    def secret(self) -> str:
        """The Secret with its variables and files."""
        return self.job

    @property
    def service(self) -> str:
        """The Service by which its ranks are found."""
        return self.job

    def pull_secret(self, number: int) -> str:
        """One of the Secrets its images are pulled with."""
        return f"{self.job}-pull-{number}"


def names(platform: str, launch: Launch) -> Names:
    """Name the objects of an execution: legal whatever its run is called, and nobody else's.

    Args:
        platform: the id of this platform.
        launch: what is to be started.
    """
    execution = launch.execution
    stem = re.sub("[^a-z0-9-]", "-", launch.run_name.lower()).strip("-")[:38].strip("-") or "run"
    if not stem[0].isalpha():  # a Service's name begins with a letter
        stem = f"r-{stem}"
    unique = hashlib.sha256(f"{platform}/{execution}".encode()).hexdigest()[:8]
    labels = {
        "app.kubernetes.io/managed-by": "mapi",
        **execution_labels(platform, execution),
        RUN_NAME: label_value(launch.run_name),
        OWNER: label_value(launch.owner),
    }
    return Names(f"{stem}-{execution.resumption}-{unique}", labels)


def execution_labels(platform: str, execution: ExecutionId) -> dict[str, str]:
    """Labels by which everything of an execution is found."""
    return {
        PLATFORM: platform,
        RUN: label_value(execution.run_id),
        RESUMPTION: str(execution.resumption),
    }


def execution_of(item: Json) -> ExecutionId:
    """Whose an object is."""
    labels = item["metadata"]["labels"]
    return ExecutionId(labels[RUN], int(labels[RESUMPTION]))


def label_value(text: str) -> str:
    """The nearest text that a label may have."""
    return re.sub("[^A-Za-z0-9_.-]", "-", text)[:63].strip("_.-")


def job(
    launch: Launch, called: Names, settings: KubernetesSettings, gpu_resources: Mapping[str, str]
) -> Json:
    """The Job of an execution, suspended.

    Args:
        launch: what is to be started.
        called: what its objects are called.
        settings: of the cluster.
        gpu_resources: which resource the GPUs of each node are.
    """
    nodes, labels = launch.allocation.nodes, dict(called.labels)
    queue = {QUEUE: settings.queue} if settings.queue else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": called.job, "labels": labels | queue},
        "spec": {
            "suspend": True,
            "completionMode": "Indexed",
            "completions": nodes,
            "parallelism": nodes,
            "backoffLimitPerIndex": 0,  # what becomes of the other ranks is the platform's to say
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(launch, called, settings, gpu_resources),
            },
        },
    }


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
        for number, text in enumerate(_registries(launch))
    ]
    return [made, *pulls]


def environment(launch: Launch, address: str) -> dict[str, str]:
    """The variables that all ranks of an execution share, and NODE_RANK where the user has set it.

    Args:
        launch: what is to be started.
        address: where rank 0 is met.
    """
    allocation = launch.allocation
    user = {**launch.injection().env, **launch.env}
    found = rank_environment(
        run_name=launch.run_name,
        resumption=launch.execution.resumption,
        rank=0,
        nodes=allocation.nodes,
        gpus_per_node=allocation.gpus_per_node,
        master_addr=address,
        master_port=PORT,
        parameters_path=f"{PARAMETERS_MOUNT}/{PARAMETERS_FILE}",
        user=user,
    )
    if "NODE_RANK" not in user:
        del found["NODE_RANK"]
    if not allocation.gpus_per_node:  # images made for GPUs ask for all that their node has
        found["NVIDIA_VISIBLE_DEVICES"] = "void"
    return found


def files(launch: Launch) -> tuple[File, ...]:
    """The files of every rank."""
    parameters = File(f"{PARAMETERS_MOUNT}/{PARAMETERS_FILE}", launch.parameters, 0o644)
    return parameters, *launch.injection().files


def _pod(
    launch: Launch, called: Names, settings: KubernetesSettings, gpu_resources: Mapping[str, str]
) -> Json:
    resource = gpu_resources.get(launch.placement[0], "nvidia.com/gpu") if launch.placement else ""
    mounts, volumes = _volumes(launch, called)
    pull_secrets = [called.pull_secret(number) for number, _ in enumerate(_registries(launch))]
    container = {
        "name": CONTAINER,
        "image": launch.image or settings.default_image,
        "command": ["/bin/sh", "-c", _literally(_START), "sh"],
        "args": [_literally(launch.command)],
        "env": _variables(launch, called),
        "resources": _resources(launch, resource),
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
        "tolerations": _tolerations(settings.tolerations, _gpus_there(launch, resource, gpu_resources)),
        "affinity": _affinity(launch, called),
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


def _resources(launch: Launch, gpu_resource: str) -> Json:
    asked = {"cpu": launch.allocation.cpus_per_node, gpu_resource: launch.allocation.gpus_per_node}
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


def _affinity(launch: Launch, called: Names) -> Json:
    nodes = dict.fromkeys(node for node in launch.placement if node)
    if not nodes:
        return {}
    # A term names one node; a pod may go where any of the terms fits
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]} for node in nodes
    ]
    pinned: Json = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    }
    if len(nodes) == len(launch.placement) > 1:
        mine = {name: called.labels[name] for name in (PLATFORM, RUN, RESUMPTION)}
        pinned["podAntiAffinity"] = {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": mine}}
            ]
        }
    return pinned


def _gpus_there(launch: Launch, asked: str, gpu_resources: Mapping[str, str]) -> list[str]:
    """The resources that the GPUs of its nodes are: also a run without GPUs may be placed beside them."""
    there = [gpu_resources[node] for node in launch.placement if node in gpu_resources]
    return list(dict.fromkeys([*there, *([asked] if launch.allocation.gpus_per_node else [])]))


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


def _registries(launch: Launch) -> list[str]:
    """The credentials for images that the owner has, each as Docker writes them."""
    found = []
    for item in launch.secrets:
        if item.secret.type is SecretType.DOCKER_REGISTRY and isinstance(item.value, dict):
            user, password = item.value["username"], item.value["password"]
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            entry = {"username": user, "password": password, "auth": token}
            entry |= {"email": item.value["email"]} if item.value.get("email") else {}
            found.append(json.dumps({"auths": {item.value.get("server") or _DOCKER_HUB: entry}}))
    return found


def _owned(version: str, kind: str, name: str, called: Names, owner: Json) -> Json:
    reference = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    metadata = {"name": name, "labels": dict(called.labels), "ownerReferences": [reference]}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _literally(text: str) -> str:
    """Keep Kubernetes from replacing `$(NAME)` in a command."""
    return text.replace("$", "$$")
