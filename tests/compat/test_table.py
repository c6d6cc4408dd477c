"""docs/compatibility.md says what the suite shows: no more, no less."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from tests.compat.calls import SHOWN, table

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


def shown() -> str:
    """The table of everything the suite shows."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"tests.compat.{path.stem}")
    assert SHOWN
    return table()


def test_the_page_has_the_table_of_this_suite() -> None:
    assert shown() in PAGE.read_text(encoding="utf-8"), (
        "docs/compatibility.md differs from what the suite shows; "
        "replace its table by the output of: python -m tests.compat.test_table"
    )


if __name__ == "__main__":
    sys.stdout.write(shown())
