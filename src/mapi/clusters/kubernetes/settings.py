"""What an administrator may say about a Kubernetes cluster."""

from __future__ import annotations

from typing import Literal

import msgspec


class Toleration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A taint that runs put up with, in the words of Kubernetes."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class KubernetesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a cluster of kind `kubernetes`.

    `kubeconfig`: the file that says how to reach it; by default the service account of the pod the platform
    runs in, else `$KUBECONFIG`, else `~/.kube/config`. `context`: of that file, by default its current one.
    `namespace`: of the runs, by default the context's. `node_selector`: labels of the nodes to use.
    `queue`: the LocalQueue of Kueue that decides when runs start, where there is one.
    `endpoint`: how pods reach the platform, where that is not its public URL.
    `image_pull_secrets`: used beside their owner's.
    `memory_share`: how much of a node's memory runs get, each as large a part as it asks of the node's GPUs,
    or else CPUs; the rest is for what else runs there. With 0 it is neither requested nor limited.
    `ranks_share_nodes`: several ranks of a run may be placed on one node.
    `rendezvous`: whether MASTER_ADDR is a name, which needs DNS in the cluster, or the address of a Service.
    """

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    queue: str = ""
    endpoint: str = ""
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""
    image_pull_secrets: tuple[str, ...] = ()
    memory_share: float = 0.9
    ranks_share_nodes: bool = False
    shared_slots: int = 16
    rendezvous: Literal["name", "address"] = "name"

    @property
    def node_labels(self) -> str | None:
        """The label selector of the nodes to use; None for all of them."""
        return ",".join(f"{label}={value}" for label, value in self.node_selector.items()) or None
