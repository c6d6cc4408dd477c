"""The scheduler: which node a pod goes to, or why none will do, in the words of the real one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from tests.kubernetes.emulation.quantities import quantity
from tests.kubernetes.emulation.recorder import Recorder
from tests.kubernetes.emulation.registry import Registry
from tests.kubernetes.emulation.resources import NODES, PODS, Object, now
from tests.kubernetes.emulation.selectors import matches, selects

_ENDED = ("Succeeded", "Failed")


class Unschedulable(Exception):
    """No node will do; the message says why."""


class Scheduler:
    """Binds pods that have no node yet, whenever a pod or a node has changed."""

    def __init__(self, registry: Registry, recorder: Recorder) -> None:
        self._registry = registry
        self._recorder = recorder

    def sync(self) -> None:
        """Try every pod that waits."""
        store = self._registry.store
        for pod in store.all(PODS):
            if pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
                continue
            try:
                node = choose(pod, store.all(NODES), store.all(PODS))
            except Unschedulable as error:
                self._refuse(pod, str(error))
            else:
                self._bind(pod, node)

    def _bind(self, pod: Object, node: str) -> None:
        store, metadata = self._registry.store, pod["metadata"]
        conditions = [_scheduled("True")]
        status = {**pod["status"], "conditions": conditions}
        store.put(PODS, {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": status})
        name = f"{metadata['namespace']}/{metadata['name']}"
        self._recorder.scheduler(pod, "Normal", "Scheduled", f"Successfully assigned {name} to {node}")

    def _refuse(self, pod: Object, message: str) -> None:
        said = [each.get("message") for each in pod["status"].get("conditions") or []]
        if message in said:
            return
        condition = _scheduled("False", reason="Unschedulable", message=message)
        self._registry.write_status(PODS, pod, {**pod["status"], "conditions": [condition]})
        self._recorder.scheduler(pod, "Warning", "FailedScheduling", message)


def choose(pod: Object, nodes: list[Object], pods: list[Object]) -> str:
    """Return the name of the node that suits a pod and has the most room.

    Raises:
        Unschedulable: there is none.
    """
    if not nodes:
        raise Unschedulable("no nodes available to schedule pods")
    there = [
        each for each in pods if each["status"].get("phase") not in _ENDED and each["spec"].get("nodeName")
    ]
    refusals: Counter[str] = Counter()
    helpless = 0
    suited: list[tuple[int, str]] = []
    for node in nodes:
        name = node["metadata"]["name"]
        here = [each for each in there if each["spec"]["nodeName"] == name]
        final = next(_final_refusals(pod, node), None)
        refused = [final] if final else [*_crowding(pod, node, here), *_spreading(pod, node, nodes, there)]
        refusals.update(refused)
        helpless += bool(final) or _too_large(pod, node)
        if not refused:
            suited.append((len(here), name))
    if suited:
        return min(suited)[1]
    reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in refusals.items()))
    victims = len(nodes) - helpless
    preemption = ", ".join(
        f"{count} {text}"
        for count, text in (
            (victims, "No preemption victims found for incoming pod"),
            (helpless, "Preemption is not helpful for scheduling"),
        )
        if count
    )
    available = f"0/{len(nodes)} nodes are available"
    raise Unschedulable(
        f"{available}: {reasons}. no new claims to deallocate, preemption: {available}: {preemption}."
    )


def _final_refusals(pod: Object, node: Object) -> Iterator[str]:
    """Why a node will not do, however empty it were."""
    spec = pod["spec"]
    if node["spec"].get("unschedulable") and not tolerated(spec, _UNSCHEDULABLE):
        yield "node(s) were unschedulable"
    if not all(
        tolerated(spec, taint) or taint["effect"] == "PreferNoSchedule"
        for taint in node["spec"].get("taints") or []
    ):
        yield "node(s) had untolerated taint(s)"
    if not _affine(spec, node):
        yield "node(s) didn't match Pod's node affinity/selector"


_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def tolerated(spec: Object, taint: Object) -> bool:
    for toleration in spec.get("tolerations") or []:
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if toleration.get("key") not in (None, "", taint["key"]):
            continue
        if toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def _affine(spec: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    wanted = spec.get("nodeSelector") or {}
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = (affinity or {}).get("nodeSelectorTerms") or []
    fields = {"metadata.name": node["metadata"]["name"]}
    return all(labels.get(key) == value for key, value in wanted.items()) and (
        affinity is None
        or any(
            matches(term.get("matchExpressions") or [], labels)
            and matches(term.get("matchFields") or [], fields)
            for term in terms
        )
    )


def requests(pod: Object) -> dict[str, Fraction]:
    """What a pod asks for, of each resource; a limit without a request is a request."""
    total: Counter[str] = Counter()
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name, value in asked.items():
            total[name] += quantity(value)  # type: ignore[assignment]
    return {name: Fraction(value) for name, value in total.items()}


def _crowding(pod: Object, node: Object, here: list[Object]) -> Iterator[str]:
    """What a node has too little of beside the pods that are there."""
    allocatable = node["status"]["allocatable"]
    if len(here) >= int(allocatable.get("pods", 110)):
        yield "Too many pods"
    for name, wanted in requests(pod).items():
        used = sum((requests(each).get(name, Fraction(0)) for each in here), Fraction(0))
        if wanted and wanted + used > quantity(allocatable.get(name, 0)):
            yield f"Insufficient {name}"


def _too_large(pod: Object, node: Object) -> bool:
    return any(True for reason in _crowding(pod, node, []) if reason.startswith("Insufficient"))


def _spreading(pod: Object, node: Object, nodes: list[Object], there: list[Object]) -> Iterator[str]:
    """Which pods it must, or must not, be with."""
    rules = ((pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or []
    for rule in rules:
        domain = _domain(node, rule["topologyKey"])
        if domain is not None and any(
            _domain(at, rule["topologyKey"]) == domain for at in _at(pod, rule, nodes, there)
        ):
            yield "node(s) didn't match pod anti-affinity rules"
    for rule in pod["spec"].get("topologySpreadConstraints") or []:
        if rule.get("whenUnsatisfiable") != "DoNotSchedule":
            continue
        key = rule["topologyKey"]
        suited = [each for each in nodes if _affine(pod["spec"], each)]
        counts = Counter({_domain(each, key): 0 for each in suited})
        counts.update(_domain(at, key) for at in _at(pod, rule, nodes, there))
        if counts[_domain(node, key)] + 1 - min(counts.values(), default=0) > rule["maxSkew"]:
            yield "node(s) didn't match pod topology spread constraints"


def _at(pod: Object, rule: Object, nodes: list[Object], there: list[Object]) -> list[Object]:
    """The nodes, with repetition, of the pods that a rule is about."""
    by_name = {node["metadata"]["name"]: node for node in nodes}
    namespace = pod["metadata"]["namespace"]
    return [
        by_name[each["spec"]["nodeName"]]
        for each in there
        if each["metadata"]["namespace"] == namespace
        and selects(rule.get("labelSelector"), each["metadata"].get("labels") or {})
        and each["spec"]["nodeName"] in by_name
    ]


def _domain(node: Object, key: str) -> str | None:
    found: str | None = (node["metadata"].get("labels") or {}).get(key)
    return found


def _scheduled(status: str, **why: str) -> Object:
    return {
        "type": "PodScheduled",
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": now(),
        **why,
    }
