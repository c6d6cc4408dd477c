"""What a kubelet makes of a pod's spec: variables, files, and the status it reports. Nothing runs here."""

from __future__ import annotations

import base64
import os
import re
import sys
from pathlib import Path
from typing import Any

from tests.kubernetes.emulation.quantities import quantity
from tests.kubernetes.emulation.resources import CONFIGMAPS, SECRETS, SERVICES, Object, Resource, now
from tests.kubernetes.emulation.selectors import field
from tests.kubernetes.emulation.store import Store

_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


class ConfigError(Exception):
    """A container cannot be made of what its spec names; the message is the kubelet's."""


def expanded(text: str, variables: dict[str, str]) -> str:
    """Replace `$(NAME)` as Kubernetes does: what is not known stays, and `$$` is one `$`."""

    def replaced(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return variables.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replaced, text)


def environment(store: Store, pod: Object, container: Object, base: dict[str, str]) -> dict[str, str]:
    """Return the variables of a container.

    Raises:
        ConfigError: a Secret or ConfigMap is not there.
    """
    namespace = pod["metadata"]["namespace"]
    found = {**base, **_service_links(store, namespace)}
    for source in container.get("envFrom") or []:
        for kind, resource in (("secretRef", SECRETS), ("configMapRef", CONFIGMAPS)):
            if kind in source:
                data = _data(store, resource, namespace, source[kind])
                found.update({source.get("prefix", "") + key: value.decode() for key, value in data.items()})
    for variable in container.get("env") or []:
        if "valueFrom" in variable:
            value = _value_from(store, pod, container, variable["valueFrom"])
        else:
            value = expanded(variable.get("value", ""), found)
        if value is not None:
            found[variable["name"]] = value
    return found


def base_environment(pod: Object, home: Path) -> dict[str, str]:
    """What the image and the runtime set. The image has this Python first on its path."""
    path = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOSTNAME": hostname(pod), "HOME": str(home)}


def hostname(pod: Object) -> str:
    name: str = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return name[:63]


def write_volume(store: Store, pod: Object, volume: Object, directory: Path) -> bool:
    """Make the directory of a volume; return whether it may only be read.

    Raises:
        ConfigError: a Secret or ConfigMap is not there.
    """
    directory.mkdir(parents=True, mode=0o777)
    if "emptyDir" in volume:
        directory.chmod(0o777)
        return False
    for source in (volume.get("projected") or {}).get("sources") or [volume]:
        for kind, resource, name in (("secret", SECRETS, "secretName"), ("configMap", CONFIGMAPS, "name")):
            if kind in source:
                reference = source[kind]
                default = reference.get(
                    "defaultMode", (volume.get("projected") or {}).get("defaultMode", 0o644)
                )
                named = {**reference, "name": reference.get(name) or reference.get("name")}
                data = _data(store, resource, pod["metadata"]["namespace"], named)
                items = reference.get("items") or [{"key": key, "path": key} for key in data]
                for item in items:
                    _write(directory / item["path"], data[item["key"]], item.get("mode", default))
    return True


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(mode)


def image_problem(store: Store, pod: Object, container: Object) -> str | None:
    """Why an image cannot be pulled: `…/missing/…` is nowhere, `private/…` wants a pull secret."""
    image: str = container["image"]
    name = f'"docker.io/{image}"'
    failed = f"failed to pull and unpack image {name}: failed to resolve reference {name}: "
    if "missing" in image.split("/"):
        return f"{failed}docker.io/{image}: not found"
    if image.startswith("private/"):
        namespace = pod["metadata"]["namespace"]
        secrets = (
            store.find(SECRETS, namespace, each["name"]) for each in pod["spec"].get("imagePullSecrets") or []
        )
        if not any(secret and secret["type"] == "kubernetes.io/dockerconfigjson" for secret in secrets):
            return f"{failed}pull access denied, repository does not exist or may require authorization"
    return None


def name_problem(image: str) -> str | None:
    """Why the name of an image is none."""
    if image == image.lower() and " " not in image:
        return None
    why = f"invalid reference format: repository name (library/{image}) must be lowercase"
    return f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {why}'


def status_of(
    pod: Object, states: dict[str, Object], *, phase: str, ip: str, host_ip: str, sandbox: bool
) -> Object:
    """Return the status of a pod whose containers are in these states.

    Args:
        pod: the pod.
        states: by the name of its containers.
        phase: of the pod.
        ip: its address.
        host_ip: of its node.
        sandbox: whether it has been set up, and not been torn down.
    """
    before = pod["status"]
    spec = pod["spec"]
    ended = phase in ("Succeeded", "Failed")
    done = [state["terminated"]["exitCode"] for state in states.values() if "terminated" in state]
    over = ended or len(done) == len(states)
    why = ("PodCompleted" if not any(done) else "PodFailed") if over else "ContainersNotReady"
    ready = all("running" in state for state in states.values()) and not over
    unready = f"containers with unready status: [{' '.join(states)}]"
    explained = {} if ready else {"reason": why, **({"message": unready} if not over else {})}
    completed = {"reason": "PodCompleted"} if over and why == "PodCompleted" else {}
    wanted: list[tuple[str, bool, Object]] = [
        ("PodReadyToStartContainers", sandbox, {}),
        ("Initialized", True, completed),
        ("Ready", ready, explained),
        ("ContainersReady", ready, explained),
        ("PodScheduled", True, {}),
    ]
    known = {each["type"]: each for each in before.get("conditions") or []}
    conditions = [_condition(known.get(kind), kind, value, more) for kind, value, more in wanted]
    others = [each for kind, each in known.items() if kind not in {kind for kind, _, _ in wanted}]
    return {
        **before,
        "phase": phase,
        "conditions": [*others, *conditions],
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": before.get("startTime") or now(),
        "containerStatuses": [_container_status(each, states[each["name"]]) for each in spec["containers"]],
        **({"podIP": ip, "podIPs": [{"ip": ip}]} if sandbox or before.get("podIP") else {}),
    }


def terminated(code: int, started: str, *, reason: str | None = None, message: str | None = None) -> Object:
    """Return the state of a container that has ended."""
    why = reason or ("Error" if code else "Completed")
    state = {"exitCode": code, "reason": why, "startedAt": started, "finishedAt": now()}
    return {"terminated": {**state, **({"message": message} if message else {})}}


def waiting(reason: str, message: str | None = None) -> Object:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def _container_status(container: Object, state: Object) -> Object:
    running = "running" in state
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "" if "waiting" in state else f"sha256:{'0' * 64}",
        "lastState": {},
        "ready": running,
        "started": running,
        "restartCount": 0,
        "state": state,
    }


def _condition(before: Object | None, kind: str, value: bool, more: Object) -> Object:
    condition = {"type": kind, "status": str(value), "lastProbeTime": None, **more}
    same = before is not None and before["status"] == condition["status"]
    return {**condition, "lastTransitionTime": before["lastTransitionTime"] if before and same else now()}


def _service_links(store: Store, namespace: str) -> dict[str, str]:
    """Variables of the services that are there already, if they have an address."""
    found = {}
    for service in store.all(SERVICES, namespace):
        address, ports = service["spec"].get("clusterIP"), service["spec"].get("ports") or []
        if address not in (None, "None") and ports:
            name = service["metadata"]["name"].upper().replace("-", "_")
            found[f"{name}_SERVICE_HOST"] = address
            found[f"{name}_SERVICE_PORT"] = str(ports[0]["port"])
    return found


def _value_from(store: Store, pod: Object, container: Object, source: Object) -> str | None:
    namespace = pod["metadata"]["namespace"]
    for kind, resource in (("secretKeyRef", SECRETS), ("configMapKeyRef", CONFIGMAPS)):
        if kind in source:
            reference = source[kind]
            data = _data(store, resource, namespace, reference)
            if reference["key"] in data:
                return data[reference["key"]].decode()
            if reference.get("optional"):
                return None
            word = {"secrets": "Secret", "configmaps": "ConfigMap"}[resource.plural]
            raise ConfigError(
                f"couldn't find key {reference['key']} in {word} {namespace}/{reference['name']}"
            )
    if "fieldRef" in source:
        path = source["fieldRef"]["fieldPath"]
        if found := _FIELD.fullmatch(path):
            return str((pod["metadata"].get(found[1]) or {}).get(found[2], ""))
        return str(field(pod, path) or "")
    reference = source["resourceFieldRef"]
    resources = container.get("resources") or {}
    group, _, name = reference["resource"].partition(".")
    amount = quantity((resources.get(group) or {}).get(name) or _whole_node(name))
    return str(-(-amount // quantity(reference.get("divisor") or 1)))


def _whole_node(name: str) -> int:
    return (
        (os.cpu_count() or 1) if name == "cpu" else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    )


def _data(store: Store, resource: Resource, namespace: str, reference: dict[str, Any]) -> dict[str, bytes]:
    found = store.find(resource, namespace, reference["name"])
    if found is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{resource.plural[:-1].lower()} "{reference["name"]}" not found')
    data = found.get("data") or {}
    if resource is SECRETS:
        return {key: base64.b64decode(value) for key, value in data.items()}
    return {key: value.encode() for key, value in data.items()}
