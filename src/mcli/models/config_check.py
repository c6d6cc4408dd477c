"""Everything that is wrong with a run configuration, found at once and by its path.

An interpreter for the few keywords of JSON Schema that `config_schema` uses. It is more lenient than an
editor where the client is: null means "not said", and a name that is not legal is made so when it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from mcli.models.config_schema import SCHEMA, Schema
from mcli.models.naming import snake

#: Keys and indices that lead from a configuration to a value in it.
Path = tuple[str | int, ...]


class Problem(NamedTuple):
    """What is wrong, and where. `fatal`: the run would be refused, or would not be what was meant."""

    path: Path
    text: str
    fatal: bool = True


def problems(values: Mapping[str, Any], schema: Schema = SCHEMA) -> list[Problem]:
    """Return everything that is wrong with a configuration, given by field name."""
    return list(_check(values, schema, ()))


def path_text(path: Path) -> str:
    """Return a path as a person writes it.

    >>> path_text(("integrations", 0, "git_repo"))
    'integrations[0].git_repo'
    """
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _check(value: Any, schema: Schema, path: Path) -> Iterator[Problem]:
    if value is None:
        return
    accepted = schema.get("type")
    if accepted is not None:
        names = [accepted] if isinstance(accepted, str) else accepted
        if not any(_TYPES[name].matches(value) for name in names):
            expected = " or ".join(_TYPES[name].words for name in names)
            yield Problem(path, f"expected {expected}, got {_shown(value)}")
            return
    if isinstance(value, Mapping):
        yield from _check_mapping(value, schema, path)
    elif isinstance(value, str):
        yield from _check_text(value, schema, path)
    elif isinstance(value, Sequence) and "items" in schema:
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], (*path, index))
    elif isinstance(value, int | float):
        yield from _check_number(value, schema, path)


def _check_mapping(value: Mapping[Any, Any], schema: Schema, path: Path) -> Iterator[Problem]:
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for key, item in value.items():
        name = snake(str(key)) if path else str(key)  # nested blocks may be spelled as they travel
        if name in known:
            yield from _check(item, known[name], (*path, str(key)))
        elif isinstance(others, dict):
            yield from _check(item, others, (*path, str(key)))
        elif not others:
            yield _unknown(str(key), known, path)
    for name in schema.get("required", ()):
        if _is_missing(value, name):
            yield Problem((*path, name), "required")
    choices = [choice["required"][0] for choice in schema.get("anyOf", ())]
    if choices and all(_is_missing(value, name) for name in choices):
        yield Problem((*path, choices[0]), f"required (or {', '.join(choices[1:])})")
    for rule in schema.get("allOf", ()):
        if not any(_check(value, rule["if"], path)):
            yield from _check(value, rule["then"], path)


def _check_text(value: str, schema: Schema, path: Path) -> Iterator[Problem]:
    if "const" in schema and value != schema["const"]:
        yield Problem(path, f"expected {schema['const']!r}")
    if "enum" in schema and value.lower() not in schema["enum"]:
        close = get_close_matches(value.lower(), schema["enum"], n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        yield Problem(path, f"{value!r} is not one of {', '.join(schema['enum'])}{hint}")
    if len(value) > schema.get("maxLength", len(value)):
        yield Problem(path, f"has {len(value)} characters; at most {schema['maxLength']} are accepted")


def _check_number(value: float, schema: Schema, path: Path) -> Iterator[Problem]:
    if value < schema.get("minimum", value):
        yield Problem(path, f"expected {schema['minimum']} or more, got {value}")
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield Problem(path, f"expected more than {schema['exclusiveMinimum']}, got {value}")


def _unknown(key: str, known: Mapping[str, Schema], path: Path) -> Problem:
    """Say what a key was probably meant to be.

    At the top, one that resembles no field is some other program's: it is left out, as it always was.
    """
    meant = [
        f"{block}.{key}"
        for block in ("compute", "scheduling")
        if not path and key in known[block]["properties"]
    ] or [path_text((*path, name)) for name in get_close_matches(key, known, n=1)]
    if meant:
        return Problem((*path, key), f"unknown field; did you mean '{meant[0]}'?")
    if path:
        return Problem((*path, key), f"unknown field; accepted: {', '.join(known)}")
    return Problem((key,), "unknown field, ignored", fatal=False)


def _is_missing(value: Mapping[str, Any], name: str) -> bool:
    return value.get(name) in (None, "") and value.get(_OLDER.get(name, name)) in (None, "")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


class _Type(NamedTuple):
    classes: tuple[type, ...]
    words: str

    def matches(self, value: Any) -> bool:
        if isinstance(value, bool):
            return bool in self.classes
        return isinstance(value, self.classes) or (
            int in self.classes and isinstance(value, float) and value.is_integer()
        )


_TYPES = {
    "object": _Type((Mapping,), "a mapping"),
    "array": _Type((list, tuple), "a list"),
    "string": _Type((str,), "text"),
    "integer": _Type((int,), "a whole number"),
    "number": _Type((int, float), "a number"),
    "boolean": _Type((bool,), "true or false"),
}

#: Other spellings of required fields.
_OLDER = {"name": "run_name", "integration_type": "type"}
