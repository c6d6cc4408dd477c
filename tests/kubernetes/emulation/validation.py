"""What the API does to an object before it is kept: refuse what is malformed, fill in what was left out."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from tests.kubernetes.emulation.resources import ApiError, Object, Resource

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"

#: Patterns of names, with how long they may be.
NAMES = {
    "label": (re.compile(_LABEL), 63),
    "dns1035": (re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?"), 63),
    "subdomain": (re.compile(rf"{_LABEL}(\.{_LABEL})*"), 253),
}
_LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_ENV_NAME = re.compile(r"[^=\x00]+")

POD_DEFAULTS = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "serviceAccountName": "default",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "priority": 0,
    "enableServiceLinks": True,
}
CONTAINER_DEFAULTS = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
JOB_DEFAULTS = {
    "backoffLimit": 6,
    "completionMode": "NonIndexed",
    "manualSelector": False,
    "podReplacementPolicy": "TerminatingOrFailed",
    "suspend": False,
}


def check(resource: Resource, item: Object) -> None:
    """Refuse what a real API server refuses.

    Raises:
        ApiError: 422, naming every field.
    """
    problems = list(_problems(resource, item))
    if problems:
        causes = [
            {"reason": "FieldValueInvalid", "message": message, "field": place} for place, message in problems
        ]
        listed = ", ".join(f"{place}: {message}" for place, message in problems)
        text = listed if len(problems) == 1 else f"[{listed}]"
        name = item["metadata"].get("name", "")
        raise ApiError(
            422,
            "Invalid",
            f'{resource.kind} "{name}" is invalid: {text}',
            {"name": name, "kind": resource.kind, "causes": causes},
        )


def complete(resource: Resource, item: Object) -> Object:
    """Return the object with everything its maker left to the API."""
    fill = {"Pod": _complete_pod, "Job": _complete_job, "Secret": _complete_secret}.get(resource.kind)
    return fill(item) if fill else item


def limited(pod: Object, ranges: list[Object]) -> Object:
    """Give containers the limits that their namespace has for those that name none."""
    for each in ranges:
        for rule in each["spec"]["limits"]:
            for container in pod["spec"]["containers"] if rule["type"] == "Container" else ():
                resources = container.setdefault("resources", {})
                resources["limits"] = {**(rule.get("default") or {}), **(resources.get("limits") or {})}
    return pod


def _problems(resource: Resource, item: Object) -> Iterator[tuple[str, str]]:
    metadata = item["metadata"]
    pattern, longest = NAMES[resource.name_pattern]
    name = metadata.get("name", "")
    if not pattern.fullmatch(name):
        yield "metadata.name", f'Invalid value: "{name}": must match {pattern.pattern!r}'
    if len(name) > longest:
        yield "metadata.name", f'Invalid value: "{name}": must be no more than {longest} characters'
    yield from _label_problems("metadata.labels", metadata.get("labels") or {})
    spec = item.get("spec") or {}
    match resource.kind:
        case "Pod":
            yield from _pod_problems("spec", spec)
        case "Job":
            template = spec.get("template") or {}
            yield from _label_problems(
                "spec.template.labels", (template.get("metadata") or {}).get("labels") or {}
            )
            yield from _pod_problems("spec.template.spec", template.get("spec") or {})
            yield from _job_problems(name, spec)
        case "Secret":
            for key, value in (item.get("data") or {}).items():
                if not _DATA_KEY.fullmatch(key):
                    yield (
                        f"data[{key}]",
                        f'Invalid value: "{key}": a valid config key must match {_DATA_KEY.pattern!r}',
                    )
                try:
                    base64.b64decode(value, validate=True)
                except (binascii.Error, ValueError):
                    yield f"data[{key}]", "Invalid value: illegal base64 data"


def _label_problems(place: str, labels: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            yield place, f'Invalid value: "{key}": name part must match {_LABEL_KEY.pattern!r}'
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            yield place, f'Invalid value: "{value}": a valid label must match {_LABEL_VALUE.pattern!r}'


def _pod_problems(place: str, spec: Object) -> Iterator[tuple[str, str]]:
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    if not spec.get("containers"):
        yield f"{place}.containers", "Required value"
    volumes = {volume["name"] for volume in spec.get("volumes") or []}
    for number, container in enumerate(containers):
        here = f"{place}.containers[{number}]"
        if not container.get("image"):
            yield f"{here}.image", "Required value"
        for index, variable in enumerate(container.get("env") or []):
            if not _ENV_NAME.fullmatch(variable.get("name", "")):
                yield f"{here}.env[{index}].name", f'Invalid value: "{variable.get("name")}"'
            if not isinstance(variable.get("value", ""), str):
                yield f"{here}.env[{index}].value", "Invalid value: must be a string"
        for index, mount in enumerate(container.get("volumeMounts") or []):
            if mount["name"] not in volumes:
                yield f"{here}.volumeMounts[{index}].name", f'Not found: "{mount["name"]}"'
        paths = [mount["mountPath"] for mount in container.get("volumeMounts") or []]
        for path in sorted({path for path in paths if paths.count(path) > 1}):
            yield f"{here}.volumeMounts.mountPath", f'Invalid value: "{path}": must be unique'
    for name in ("hostname", "subdomain"):
        if (value := spec.get(name)) and not (NAMES["label"][0].fullmatch(value) and len(value) <= 63):
            yield f"{place}.{name}", f'Invalid value: "{value}": must be a label'


def _job_problems(name: str, spec: Object) -> Iterator[tuple[str, str]]:
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy", "Always")
    if policy not in ("Never", "OnFailure"):
        yield (
            "spec.template.spec.restartPolicy",
            f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"',
        )
    if spec.get("completionMode") == "Indexed":
        if spec.get("completions") is None:
            yield "spec.completions", "Required value: when completion mode is Indexed"
        hostname = f"{name}-{(spec.get('completions') or 1) - 1}"
        if not NAMES["label"][0].fullmatch(hostname) or len(hostname) > 63:
            yield (
                "metadata.name",
                f'Invalid value: "{name}": will not able to create pod with invalid DNS label: {hostname}',
            )
    if spec.get("backoffLimitPerIndex") is not None and spec.get("completionMode") != "Indexed":
        yield "spec.backoffLimitPerIndex", "Invalid value: requires indexed completion mode"


def _complete_pod(item: Object) -> Object:
    return {
        **item,
        "spec": _completed_spec(item["spec"]),
        "status": {"phase": "Pending", "qosClass": _quality(item)},
    }


def _completed_spec(spec: Object) -> Object:
    completed = {**POD_DEFAULTS, **spec}
    for field in ("containers", "initContainers"):
        if field in completed:
            completed[field] = [_completed_container(each) for each in completed[field]]
    return completed


def _completed_container(container: Object) -> Object:
    tag = container["image"].rpartition("/")[2].partition(":")[2]
    policy = "IfNotPresent" if tag not in ("", "latest") else "Always"
    return {**CONTAINER_DEFAULTS, "imagePullPolicy": policy, **container}


def _quality(item: Object) -> str:
    resources = [container.get("resources") or {} for container in item["spec"]["containers"]]
    return "Burstable" if any(resources) else "BestEffort"


def _complete_job(item: Object) -> Object:
    metadata, spec = item["metadata"], {**JOB_DEFAULTS, **item["spec"]}
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec["parallelism"] = 1 if spec.get("parallelism") is None else spec["parallelism"]
    if spec.get("backoffLimitPerIndex") is not None and "backoffLimit" not in item["spec"]:
        spec["backoffLimit"] = 2**31 - 1
    labels = {
        "batch.kubernetes.io/controller-uid": metadata["uid"],
        "batch.kubernetes.io/job-name": metadata["name"],
        "controller-uid": metadata["uid"],
        "job-name": metadata["name"],
    }
    template = spec["template"]
    inner = {**(template.get("metadata") or {})}
    inner["labels"] = {**(inner.get("labels") or {}), **labels}
    spec["template"] = {**template, "metadata": inner, "spec": {**template["spec"]}}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}
    return {**item, "spec": spec, "status": {}}


def _complete_secret(item: Object) -> Object:
    texts = item.get("stringData") or {}
    data = {
        **(item.get("data") or {}),
        **{key: base64.b64encode(text.encode()).decode() for key, text in texts.items()},
    }
    rest = {name: value for name, value in item.items() if name != "stringData"}
    return {"type": "Opaque", **rest, **({"data": data} if data else {})}
