"""What a client asks to find out what there is."""

from __future__ import annotations

from tests.kubernetes.emulation.resources import ALL_VERBS, RESOURCES, Object

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-06-01T00:00:00Z",
    "goVersion": "go1.26",
    "compiler": "gc",
    "platform": "linux/amd64",
}
REVIEWS = "authorization.k8s.io/v1"
_SUBRESOURCES = {
    "pods": (
        ("log", ["get"]),
        ("exec", ["create", "get"]),
        ("eviction", ["create"]),
        ("status", ["get", "patch", "update"]),
    )
}


def document(path: str) -> Object | None:
    """Return the discovery document at a path, None where there is none."""
    return _documents().get(path.rstrip("/"))


def _documents() -> dict[str, Object]:
    versions = list(dict.fromkeys([*(each.group_version for each in RESOURCES if each.group), REVIEWS]))
    documents: dict[str, Object] = {
        "/version": VERSION,
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(each) for each in versions]},
        "/api/v1": _list("v1"),
    }
    documents.update({f"/apis/{version}": _list(version) for version in versions})
    documents.update(
        {
            f"/apis/{version.partition('/')[0]}": {"kind": "APIGroup", **_group(version)}
            for version in versions
        }
    )
    return documents


def _group(group_version: str) -> Object:
    group, _, version = group_version.partition("/")
    preferred = {"groupVersion": group_version, "version": version}
    return {"name": group, "versions": [preferred], "preferredVersion": preferred}


def _list(group_version: str) -> Object:
    resources: list[Object] = []
    for each in RESOURCES:
        if each.group_version != group_version:
            continue
        common = {"namespaced": each.namespaced, "kind": each.kind}
        names = {"name": each.plural, "singularName": each.kind.lower(), "shortNames": list(each.short)}
        resources.append({**names, **common, "verbs": list(ALL_VERBS)})
        for name, verbs in _SUBRESOURCES.get(each.plural, ()):
            resources.append({"name": f"{each.plural}/{name}", "singularName": "", **common, "verbs": verbs})
    if group_version == REVIEWS:
        review = {"singularName": "selfsubjectaccessreview", "namespaced": False, "verbs": ["create"]}
        resources.append({"name": "selfsubjectaccessreviews", "kind": "SelfSubjectAccessReview", **review})
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }
