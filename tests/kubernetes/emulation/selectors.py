"""Label and field selectors, and the node selector terms of affinity: all are lists of requirements."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.kubernetes.emulation.resources import Object, bad_request

Labels = Mapping[str, str]

_SET = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s+(?P<operator>in|notin)\s+\((?P<values>[^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s!=,()]*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<not>!)?\s*(?P<key>[^\s!=,()]+)\s*$")

OPERATORS: dict[str, Callable[[str | None, list[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
    "Gt": lambda value, values: value is not None and int(value) > int(values[0]),
    "Lt": lambda value, values: value is not None and int(value) < int(values[0]),
}


def parse_labels(text: str) -> list[Object]:
    """Read `a=b,c in (d,e),!f` as requirements."""
    return [_requirement(part) for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def matches(requirements: list[Object], labels: Labels) -> bool:
    return all(
        OPERATORS[each["operator"]](labels.get(each["key"]), each.get("values") or [])
        for each in requirements
    )


def selects(selector: Object | None, labels: Labels) -> bool:
    """Whether a LabelSelector of an object selects these labels; none selects nothing."""
    if selector is None:
        return False
    equal = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in equal.items()) and matches(
        selector.get("matchExpressions") or [], labels
    )


def parse_fields(text: str) -> list[tuple[str, bool, str]]:
    """Read `status.phase!=Running,metadata.name=a` as (path, equal, value)."""
    found = []
    for part in filter(None, text.split(",")):
        path, operator, value = re.split(r"(!=|==|=)", part, maxsplit=1)
        found.append((path, operator != "!=", value))
    return found


def fields_match(requirements: list[tuple[str, bool, str]], item: Object) -> bool:
    return all((str(field(item, path) or "") == value) is equal for path, equal, value in requirements)


def field(item: Object, path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    found: Any = item
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _requirement(text: str) -> Object:
    if found := _SET.match(text):
        values = [value.strip() for value in found["values"].split(",")]
        return {
            "key": found["key"],
            "operator": {"in": "In", "notin": "NotIn"}[found["operator"]],
            "values": values,
        }
    if found := _EQUAL.match(text):
        operator = "NotIn" if found["operator"] == "!=" else "In"
        return {"key": found["key"], "operator": operator, "values": [found["value"]]}
    if found := _EXISTS.match(text):
        return {"key": found["key"], "operator": "DoesNotExist" if found["not"] else "Exists"}
    raise bad_request(f"unable to parse requirement: {text!r}")
