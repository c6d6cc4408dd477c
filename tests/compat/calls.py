"""What the suite shows, call by call and version by version: docs/compatibility.md is written from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Test = Callable[..., None]

V3, V5, V6, V8 = ALL = ("0.3.0", "0.5.34", "0.6.42", "0.8.3")
#: Those that can also be used as a command line, and have most of the calls.
LATER = (V5, V6, V8)
LATEST = (V6, V8)

WORKS = "works"

#: What a call does, by call and version.
SHOWN: dict[str, dict[str, str]] = {}


def shows(*calls: str, on: tuple[str, ...] = LATER, refused: str | None = None) -> Callable[[Test], Test]:
    """Say what a test shows, and run it with each of these versions as `client`.

    Args:
        calls: the calls or commands it uses, as its users write them.
        on: the versions that have them.
        refused: for what the platform does not have: what the error says.
    """

    def declare(test: Test) -> Test:
        for name in calls:
            row = SHOWN.setdefault(name, {})
            for version in on:
                said = f"error: {refused}" if refused else WORKS
                assert row.setdefault(version, said) == said, f"{name}: {row[version]!r}, or {said!r}?"
        parametrized: Test = pytest.mark.parametrize("client", on, indirect=True)(test)
        return parametrized

    return declare


def table() -> str:
    """The table of docs/compatibility.md."""
    lines = [f"| | {' | '.join(ALL)} |", f"|---|{'---|' * len(ALL)}"]
    for name in sorted(SHOWN, key=lambda name: (name.startswith("mcli "), name.lower())):
        cells = [SHOWN[name].get(version, "–") for version in ALL]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
