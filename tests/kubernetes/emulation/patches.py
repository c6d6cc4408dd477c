"""Patches: JSON merge patch (RFC 7386), and as much of the strategic one as differs for what tests patch."""

from __future__ import annotations

from typing import Any

from tests.kubernetes.emulation.resources import Object

#: Lists that a strategic merge patch merges by a key of their items.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "conditions": "type",
    "taints": "key",
    "ownerReferences": "uid",
}

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
JSON = "application/json-patch+json"


def merged(item: Any, patch: Any, *, strategic: bool) -> Any:
    """Return `item` with `patch` laid over it; null removes."""
    if not isinstance(patch, dict):
        return patch
    result: Object = dict(item) if isinstance(item, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif strategic and name in MERGE_KEYS and isinstance(value, list):
            result[name] = _merged_list(result.get(name) or [], value, MERGE_KEYS[name])
        elif strategic and name == "finalizers":
            result[name] = list(dict.fromkeys([*(result.get(name) or []), *value]))
        elif not name.startswith("$"):
            result[name] = merged(result.get(name), value, strategic=strategic)
    for name in patch.get("$deleteFromPrimitiveList/finalizers", []) if strategic else []:
        result["finalizers"] = [kept for kept in result.get("finalizers", []) if kept != name]
    return result


def operated(item: Object, operations: list[Object]) -> Object:
    """Return `item` after the operations of a JSON patch (RFC 6902): add, replace, remove, test."""
    for operation in operations:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].lstrip("/").split("/")
        ]
        place: Any = item
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        if isinstance(place, list):
            index = len(place) if last == "-" else int(last)
            place[index : index + (operation["op"] != "add")] = (
                [] if operation["op"] == "remove" else [operation["value"]]
            )
        elif operation["op"] == "remove":
            del place[last]
        else:
            place[last] = operation["value"]
    return item


def _merged_list(items: list[Object], patches: list[Object], key: str) -> list[Object]:
    result = {item[key]: item for item in items}
    for patch in patches:
        if patch.get("$patch") == "delete":
            result.pop(patch[key], None)
        else:
            result[patch[key]] = merged(result.get(patch[key]), patch, strategic=True)
    return list(result.values())
