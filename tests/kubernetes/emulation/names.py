"""Names of pods and services, as a cluster's DNS resolves them: its pods share a namespace's hosts file."""

from __future__ import annotations

from pathlib import Path

from tests.kubernetes.emulation.resources import NAMESPACES, PODS, SERVICES, Object
from tests.kubernetes.emulation.selectors import selects
from tests.kubernetes.emulation.store import Store

_ENDED = ("Succeeded", "Failed")


def write_hosts(store: Store, directory: Path) -> None:
    """Bring the hosts file of every namespace up to date, in place: pods have it mounted."""
    for namespace in store.all(NAMESPACES):
        name = namespace["metadata"]["name"]
        path = directory / name
        text = "127.0.0.1 localhost\n" + "".join(f"{line}\n" for line in _lines(store, name))
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _lines(store: Store, namespace: str) -> list[str]:
    lines = []
    pods = [pod for pod in store.all(PODS, namespace) if pod["status"].get("podIP")]
    for pod in pods:
        if pod["status"]["phase"] not in _ENDED:
            lines.append(f"{pod['status']['podIP']} {pod['spec'].get('hostname') or pod['metadata']['name']}")
    for service in store.all(SERVICES, namespace):
        spec, name = service["spec"], service["metadata"]["name"]
        for pod in pods:
            labels = pod["metadata"].get("labels") or {}
            reachable = _ready(pod) or spec.get("publishNotReadyAddresses")
            if pod["status"]["phase"] in _ENDED or not reachable:
                continue
            if not selects({"matchLabels": spec.get("selector") or {"": ""}}, labels):
                continue
            hosts = [name]
            if pod["spec"].get("subdomain") == name and (hostname := pod["spec"].get("hostname")):
                hosts.insert(0, f"{hostname}.{name}")
            lines += [f"{pod['status']['podIP']} {' '.join(_qualified(host, namespace))}" for host in hosts]
    return lines


def _qualified(host: str, namespace: str) -> list[str]:
    return [host, *(f"{host}.{namespace}{suffix}" for suffix in ("", ".svc", ".svc.cluster.local"))]


def _ready(pod: Object) -> bool:
    return any(
        each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions") or []
    )
