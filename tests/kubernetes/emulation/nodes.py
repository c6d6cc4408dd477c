"""The nodes of the cluster, and what can happen to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.kubernetes.emulation.kubelet import Kubelet
from tests.kubernetes.emulation.recorder import Recorder
from tests.kubernetes.emulation.registry import Registry
from tests.kubernetes.emulation.resources import NODES, PODS, Object, now
from tests.kubernetes.emulation.running_pod import RunningPod
from tests.kubernetes.emulation.scheduler import tolerated

_UNREACHABLE = "node.kubernetes.io/unreachable"

_INFO = {
    "architecture": "amd64",
    "bootID": "00000000-0000-0000-0000-000000000000",
    "containerRuntimeVersion": "containerd://2.0.0",
    "kernelVersion": "6.18.0",
    "kubeProxyVersion": "",
    "kubeletVersion": "v1.36.2",
    "machineID": "0" * 32,
    "operatingSystem": "linux",
    "osImage": "Debian GNU/Linux 12 (bookworm)",
    "systemUUID": "0" * 32,
}


class Nodes:
    """A kubelet for every node, and the node controller that judges them."""

    def __init__(self, registry: Registry, recorder: Recorder, home: Path, hosts: Path) -> None:
        self._registry = registry
        self._recorder = recorder
        self._home = home
        self._hosts = hosts
        self.kubelets: dict[str, Kubelet] = {}

    def running(self, pod: Object) -> RunningPod | None:
        kubelet = self.kubelets.get(pod["spec"].get("nodeName", ""))
        return kubelet.find(pod) if kubelet else None

    def sync(self) -> None:
        for kubelet in list(self.kubelets.values()):
            kubelet.sync()
        for node in self._registry.store.all(NODES):
            self._empty(node)

    def add(
        self,
        name: str,
        *,
        cpus: int = 4,
        memory: str = "16Gi",
        gpus: int = 0,
        labels: dict[str, str] | None = None,
        taints: list[Object] | None = None,
        resource: str = "nvidia.com/gpu",
    ) -> None:
        address = f"127.0.1.{len(self.kubelets) + 1}"
        room = {"cpu": str(cpus), "memory": memory, "pods": "110", "ephemeral-storage": "100Gi"}
        if gpus:
            room[resource] = str(gpus)
        self._registry.create(
            NODES,
            "",
            {
                "metadata": {
                    "name": name,
                    "labels": {
                        "kubernetes.io/hostname": name,
                        "kubernetes.io/os": "linux",
                        "kubernetes.io/arch": "amd64",
                        **(labels or {}),
                    },
                },
                "spec": {"taints": taints} if taints else {},
                "status": {
                    "addresses": [
                        {"type": "InternalIP", "address": address},
                        {"type": "Hostname", "address": name},
                    ],
                    "capacity": room,
                    "allocatable": room,
                    "conditions": [_ready("True", "KubeletReady", "kubelet is posting ready status")],
                    "nodeInfo": _INFO,
                },
            },
        )
        self.kubelets[name] = Kubelet(name, address, self._registry, self._recorder, self._home, self._hosts)

    def cordon(self, name: str, value: bool = True) -> None:
        node = self._registry.store.get(NODES, "", name)
        spec = {key: each for key, each in node["spec"].items() if key != "unschedulable"}
        self._registry.store.put(
            NODES, {**node, "spec": {**spec, **({"unschedulable": True} if value else {})}}
        )

    def lose(self, name: str, *, dead: bool) -> None:
        """Hear no more of a node. `dead`: nothing runs on it any more either."""
        self.kubelets[name].silent = True
        if dead:
            for pod in self._on(name):
                if running := self.running(pod):
                    running.kill()
        taints: list[Object] = [
            {"key": _UNREACHABLE, "effect": effect} for effect in ("NoSchedule", "NoExecute")
        ]
        message = "Kubelet stopped posting node status."
        self._judge(name, _ready("Unknown", "NodeStatusUnknown", message), taints)
        for pod in self._on(name):
            status = pod["status"]
            conditions = [
                {**each, "status": "False", "lastTransitionTime": now()} if each["type"] == "Ready" else each
                for each in status.get("conditions") or []
            ]
            self._registry.write_status(PODS, pod, {**status, "conditions": conditions})
            self._recorder.component(pod, "node-controller", "Warning", "NodeNotReady", "Node is not ready")

    def _empty(self, node: Object) -> None:
        """Delete the pods that do not put up with a node; of lost ones, `evict_lost` does."""
        taints = [
            taint
            for taint in node["spec"].get("taints") or []
            if taint["effect"] == "NoExecute" and taint["key"] != _UNREACHABLE
        ]
        for pod in self._on(node["metadata"]["name"]) if taints else ():
            if "deletionTimestamp" in pod["metadata"]:
                continue
            if not all(tolerated(pod["spec"], taint) for taint in taints):
                self._give_up(pod)

    def evict_lost(self, name: str) -> None:
        """Delete the pods of a lost node, as happens after five minutes: they stay, terminating."""
        for pod in self._on(name):
            self._give_up(pod)

    def restore(self, name: str) -> None:
        """Hear of a lost node again."""
        self._judge(name, _ready("True", "KubeletReady", "kubelet is posting ready status"), [])
        self.kubelets[name].speak()

    def remove(self, name: str) -> None:
        """Delete a node; its pods are gone with it."""
        kubelet = self.kubelets.pop(name)
        kubelet.silent = True
        for pod in self._on(name):
            if running := kubelet.find(pod):
                running.kill()
        self._registry.delete(NODES, "", name)
        for pod in self._on(name):
            current = self._disrupt(pod, "DeletionByPodGC", "PodGC: node no longer exists", phase="Failed")
            metadata = (current or pod)["metadata"]
            self._registry.delete(PODS, metadata["namespace"], metadata["name"], {"gracePeriodSeconds": 0})

    def evict(self, pod: Object) -> None:
        """Have the kubelet end a pod because its node is short of memory."""
        running = self.running(pod)
        assert running is not None
        message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        self._recorder.component(pod, "kubelet", "Warning", "Evicted", message, running.kubelet.node)
        self._disrupt(pod, "TerminationByKubelet", message)
        running.end(0, {"reason": "Evicted", "message": message})

    def _give_up(self, pod: Object) -> None:
        self._disrupt(pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
        self._registry.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])

    def evict_by_request(self, pod: Object) -> None:
        """Delete a pod because somebody asks to evict it, as who drains a node does."""
        self._disrupt(pod, "EvictionByEvictionAPI", "Eviction API: evicting")
        self._registry.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _on(self, name: str) -> list[Object]:
        return [
            pod
            for pod in self._registry.store.all(PODS)
            if pod["spec"].get("nodeName") == name and pod["status"]["phase"] not in ("Succeeded", "Failed")
        ]

    def _judge(self, name: str, condition: Object, taints: list[Object]) -> None:
        node = self._registry.store.get(NODES, "", name)
        kept = [taint for taint in node["spec"].get("taints") or [] if taint["key"] != _UNREACHABLE]
        spec = {key: value for key, value in node["spec"].items() if key != "taints"}
        if kept or taints:
            spec["taints"] = [*kept, *taints]
        self._registry.store.put(
            NODES, {**node, "spec": spec, "status": {**node["status"], "conditions": [condition]}}
        )
        if condition["status"] != "True":
            message = f"Node {name} status is now: NodeNotReady"
            self._recorder.component(node, "node-controller", "Normal", "NodeNotReady", message)

    def _disrupt(self, pod: Object, reason: str, message: str, **more: Any) -> Object | None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now(),
            "reason": reason,
            "message": message,
        }
        status = pod["status"]
        conditions = [*(status.get("conditions") or []), condition]
        return self._registry.write_status(PODS, pod, {**status, "conditions": conditions, **more})


def _ready(status: str, reason: str, message: str) -> Object:
    at = now()
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": at,
        "lastTransitionTime": at,
    }
