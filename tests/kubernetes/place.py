"""A cluster in which things go wrong: the emulated one, or a real one, where that does others no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from mapi.clusters.base import Launch, Node
from mapi.clusters.kubernetes.settings import KubernetesSettings, Toleration
from tests.clusters.suite import Stage, play
from tests.kubernetes.api import JOBS, PODS, SECRETS, SERVICES, Api, Json
from tests.kubernetes.emulation.resources import now
from tests.kubernetes.stage import stage_in

T = TypeVar("T")

NODES = "/api/v1/nodes"


class Place:
    """A namespace of a cluster, and nodes of its own that have no kubelet: what runs there, `run_on` says."""

    def __init__(self, api: Api, home: Path, deadline: float) -> None:
        self.api = api
        self.deadline = deadline
        self.own = f"zz-{api.namespace}"
        self._home = home
        kubeconfig = home / "kubeconfig"
        kubeconfig.write_text(api.kubeconfig)
        self.settings = KubernetesSettings(
            kubeconfig=str(kubeconfig),
            namespace=api.namespace,
            image_pull_policy="IfNotPresent",
            ranks_share_nodes=True,
            tolerations=(Toleration(key=self.own, operator="Exists"),),
        )

    def play(self, scene: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
        """Play a scene on a stage in this place."""
        play(lambda: stage_in(self._home / "home", self.settings, self.deadline, self.api.image), scene)

    async def call(self, method: Callable[..., T], *given: Any, **named: Any) -> T:
        """Call the API without holding up the cluster under test."""
        return await asyncio.to_thread(method, *given, **named)

    async def until(self, path: str, condition: Callable[[Json], Any], **query: Any) -> Json:
        """Wait until what is at a path of the API is as it should be; return it."""
        async with asyncio.timeout(self.deadline):
            while True:
                found = await self.call(self.api.get, path, **query)
                if condition(found):
                    return found
                await asyncio.sleep(0.02)

    async def pod_of(self, launch: Launch, rank: int = 0) -> Json:
        """Wait for the pod of a rank; return it."""
        labels = f"mapi/run={launch.execution.run_id},batch.kubernetes.io/job-completion-index={rank}"
        found = await self.until(PODS, lambda pods: pods["items"], labelSelector=labels)
        pod: Json = found["items"][0]
        return pod

    async def job_of(self, launch: Launch, condition: Callable[[Json], Any] = bool) -> Json:
        """Wait until the Job of an execution is as it should be; return it."""
        labels = f"mapi/run={launch.execution.run_id}"
        found = await self.until(
            JOBS, lambda jobs: jobs["items"] and condition(jobs["items"][0]), labelSelector=labels
        )
        job: Json = found["items"][0]
        return job

    async def empty(self) -> None:
        """Wait until nothing is left in the namespace."""
        for kind in (JOBS, PODS, SECRETS, SERVICES):
            await self.until(kind, lambda found: not found["items"])

    # Nodes of its own

    async def add_node(self, *taints: Json, labels: Json | None = None, room: Json | None = None) -> None:
        """Add a node that takes nobody else's pods."""
        allocatable = {"cpu": "64", "memory": "256Gi", "pods": "110", **(room or {})}
        own = {"key": self.own, "effect": "NoSchedule"}
        node = {
            "metadata": {
                "name": self.own,
                "labels": {"kubernetes.io/hostname": self.own, **(labels or {})},
            },
            "spec": {"taints": [own, *taints]},
            "status": {"capacity": allocatable, "allocatable": allocatable, "conditions": [_ready("True")]},
        }
        await self.call(self.api.create, NODES, node)

    async def change_node(self, spec: Json) -> None:
        await self.call(self.api.patch, f"{NODES}/{self.own}", {"spec": spec})

    async def silence_node(self) -> None:
        """Have nothing heard of the node any more."""
        status = {"conditions": [_ready("Unknown")]}
        await self.call(self.api.patch, f"{NODES}/{self.own}/status", {"status": status})

    async def taint_node(self, key: str, effect: str) -> None:
        node = await self.call(self.api.get, f"{NODES}/{self.own}")
        taints = [*node["spec"].get("taints", ()), {"key": key, "effect": effect}]
        await self.change_node({"taints": taints})

    async def remove_node(self) -> None:
        await self.call(self.api.delete, f"{NODES}/{self.own}")

    async def run_on(self, pod: Json) -> None:
        """Say that a pod runs, as the kubelet of its node would."""
        await self._report(pod, "Running", {"running": {"startedAt": now()}})

    async def end_on(self, pod: Json, code: int) -> None:
        """Say that a pod which is to leave has ended, and let go of it, as the kubelet of its node would."""
        name = pod["metadata"]["name"]
        await self.until(f"{PODS}/{name}", lambda pod: pod["metadata"].get("deletionTimestamp"))
        over = {"exitCode": code, "reason": "Error", "startedAt": now(), "finishedAt": now()}
        await self._report(pod, "Failed", {"terminated": over})
        await self.call(self.api.delete, f"{PODS}/{name}", gracePeriodSeconds=0)

    async def _report(self, pod: Json, phase: str, state: Json) -> None:
        container = {"name": "main", "image": "i", "imageID": "i", "restartCount": 0, "ready": False}
        status = {"phase": phase, "containerStatuses": [{**container, "state": state}]}
        await self.call(self.api.patch, f"{PODS}/{pod['metadata']['name']}/status", {"status": status})


def node_of(stage: Stage, name: str) -> Node | None:
    """What the inventory has of a node."""
    return next((node for node in stage.cluster.inventory.nodes if node.name == name), None)


def _ready(status: str) -> Json:
    at = now()
    return {
        "type": "Ready",
        "status": status,
        "reason": "Said",
        "message": "said by a test",
        "lastHeartbeatTime": at,
        "lastTransitionTime": at,
    }
