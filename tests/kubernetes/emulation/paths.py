"""Paths of the API."""

from __future__ import annotations

from dataclasses import dataclass

from tests.kubernetes.emulation.resources import RESOURCES, ApiError, Resource


@dataclass(frozen=True)
class Target:
    """What a path is about. `namespace`: None for all of them."""

    resource: Resource
    namespace: str | None
    name: str
    subresource: str

    @property
    def what(self) -> str:
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


def parse(path: str) -> Target | None:
    """Read `/apis/GROUP/VERSION[/namespaces/NAMESPACE]/RESOURCE[/NAME[/SUBRESOURCE]]`.

    Raises:
        ApiError: 404, the group is there but not the resource.
    """
    roots = dict.fromkeys(resource.root for resource in RESOURCES)
    root = next((root for root in roots if path.startswith(f"{root}/")), None)
    if root is None:
        return None
    parts = path.removeprefix(f"{root}/").rstrip("/").split("/")
    namespace = None
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] != "status":
        namespace, parts = parts[1], parts[2:]
    for resource in RESOURCES:
        if (resource.root, resource.plural) == (root, parts[0]):
            return Target(resource, namespace, *(*parts[1:3], "", "")[:2])
    raise ApiError(404, "NotFound", "the server could not find the requested resource")
