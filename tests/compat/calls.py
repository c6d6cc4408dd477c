"""What the suite shows, call by call and version by version: docs/compatibility.md is written from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Test = Callable[..., None]

V3, V5, V6, V8 = ALL = ("0.3.0", "0.5.34", "0.6.42", "0.8.3")
#: Those that can also be used as a command line, and have most of the calls.
LATER = (V5, V6, V8)
LATEST = (V6, V8)

#: What the error says of a call, None where it works; by call and version.
SHOWN: dict[str, dict[str, str | None]] = {}


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
                assert row.setdefault(version, refused) == refused, (
                    f"{name}: {row[version]!r}, or {refused!r}?"
                )
        parametrized: Test = pytest.mark.parametrize("client", on, indirect=True)(test)
        return parametrized

    return declare


def table() -> str:
    """The table of docs/compatibility.md."""
    lines = [f"| | {' | '.join(ALL)} | what the error says |", f"|---|{'---|' * (len(ALL) + 1)}"]
    for name in sorted(SHOWN, key=lambda name: (name.startswith("mcli "), name.lower())):
        row = SHOWN[name]
        cells = [("error" if row[version] else "works") if version in row else "–" for version in ALL]
        said = next(filter(None, row.values()), "")
        lines.append(f"| `{name}` | {' | '.join(cells)} | {said} |")
    return "\n".join(lines) + "\n"
