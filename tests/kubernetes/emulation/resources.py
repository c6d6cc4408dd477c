"""The kinds of object there are, and what the API says when it refuses something."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

ALL_VERBS = tuple("create delete deletecollection get list patch update watch".split())


@dataclass(frozen=True)
class Resource:
    """A kind of object. `name_pattern`: what its names may look like, a row of `validation.NAMES`."""

    group_version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    name_pattern: str = "subdomain"

    @property
    def group(self) -> str:
        return self.group_version.rpartition("/")[0]

    @property
    def root(self) -> str:
        return f"/apis/{self.group_version}" if self.group else f"/api/{self.group_version}"

    @property
    def full_name(self) -> str:
        """As error messages call it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


RESOURCES = (
    Resource("v1", "namespaces", "Namespace", namespaced=False, short=("ns",), name_pattern="label"),
    Resource("v1", "nodes", "Node", namespaced=False, short=("no",)),
    Resource("v1", "pods", "Pod", short=("po",)),
    Resource("v1", "services", "Service", short=("svc",), name_pattern="dns1035"),
    Resource("v1", "secrets", "Secret"),
    Resource("v1", "configmaps", "ConfigMap", short=("cm",)),
    Resource("v1", "serviceaccounts", "ServiceAccount", short=("sa",)),
    Resource("v1", "events", "Event", short=("ev",)),
    Resource("batch/v1", "jobs", "Job"),
    Resource("kueue.x-k8s.io/v1beta1", "workloads", "Workload", short=("wl",)),
    Resource("kueue.x-k8s.io/v1beta1", "localqueues", "LocalQueue"),
    Resource("v1", "limitranges", "LimitRange", short=("limits",)),
)

NAMESPACES, NODES, PODS, SERVICES, SECRETS, CONFIGMAPS, _, EVENTS, JOBS, _, _, LIMIT_RANGES = RESOURCES

BY_KIND = {resource.kind: resource for resource in RESOURCES}


class ApiError(Exception):
    """An answer that is no object: a `Status` with its HTTP code."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Object | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after = retry_after

    @property
    def status(self) -> Object:
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        details = dict(self.details or {})
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        return {**status, "details": details} if details else status


def not_found(resource: Resource, name: str) -> ApiError:
    details = {"name": name, "kind": resource.plural, **({"group": resource.group} if resource.group else {})}
    return ApiError(404, "NotFound", f'{resource.full_name} "{name}" not found', details)


def already_exists(resource: Resource, name: str) -> ApiError:
    details = {"name": name, "kind": resource.plural, **({"group": resource.group} if resource.group else {})}
    return ApiError(409, "AlreadyExists", f'{resource.full_name} "{name}" already exists', details)


def conflict(resource: Resource, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.full_name} "{name}": {why}'
    return ApiError(409, "Conflict", message, {"name": name, "kind": resource.plural})


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden(verb: str, resource: str, group: str, namespace: str | None) -> ApiError:
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    plural = resource.partition("/")[0]
    what = f'resource "{resource}" in API group "{group}" {where}'
    message = f'{plural} is forbidden: User "tester" cannot {verb} {what}'
    return ApiError(403, "Forbidden", message, {"kind": plural})


def expired(asked: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def is_true(text: str | None) -> bool:
    """Whether a parameter of a query says yes, as Go reads it."""
    return text in ("1", "t", "T", "true", "TRUE", "True")


def now() -> str:
    """The time as the API writes it: whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def after(seconds: float) -> str:
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
