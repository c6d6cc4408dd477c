"""Names on the wire (camelCase) and in Python (snake_case), and what a mistyped one may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_UNDERSCORE = re.compile(r"_([a-z])")
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def camel(name: str) -> str:
    """`git_repo` becomes `gitRepo`; a name that is camelCase already stays."""
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)


def snake(name: str) -> str:
    """`gitRepo` becomes `git_repo`; a name in capitals stays."""
    return _HUMP.sub(lambda found: "_" + found[1].lower(), name)


def camel_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` as the wire has them: camelCase keys, nothing that is None."""
    return {camel(str(key)): value for key, value in values.items() if value is not None}


def snake_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` as Python has them: snake_case keys, nothing that is None."""
    return {snake(key): value for key, value in values.items() if value is not None}


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name closest to `name`, or nothing if none is close."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
