"""How a list of things is printed: as a table, as names, as JSON or YAML.

On a terminal a table is fitted to its width. Anywhere else nothing is coloured, wrapped or cut: what another
program reads is whole.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple


class Table(NamedTuple):
    """Column titles and rows of text. A column that is `None` in every row is not shown."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str | None]]

    def lines(self) -> list[list[str]]:
        """Return titles and rows as they are shown: one line each, without the columns that nobody filled."""
        columns = [
            (title, *cells)
            for place, title in enumerate(self.titles)
            if (cells := [row[place] for row in self.rows]) == [] or any(cell is not None for cell in cells)
        ]
        return [[" ".join((cell or "").splitlines()) for cell in line] for line in zip(*columns, strict=True)]


class Listing(NamedTuple):
    """The same things in each form they can be asked for."""

    names: Sequence[str]
    records: Callable[[], list[dict[str, Any]]]
    table: Callable[[], Table]


def add_output_argument(parser: argparse.ArgumentParser, formats: Iterable[str] | None = None) -> None:
    """Add `-o`."""
    choices = list(formats or FORMATS)
    parser.add_argument(
        "-o", "--output", choices=choices, default=choices[0], help=f"how to print (default: {choices[0]})"
    )


def show(listing: Listing, output: str) -> None:
    """Print a listing in one of `FORMATS`."""
    FORMATS[output](listing)


def print_table(table: Table) -> None:
    """Print a table: fitted to a terminal, whole anywhere else."""
    if sys.stdout.isatty():
        _print_fitted(table.lines())
    else:
        _print_whole(table.lines())


def print_heading(text: str) -> None:
    """Print the title of a section, set off from what is above it."""
    print(f"\n{text}\n{'-' * len(text)}")


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print names and values below each other; `None` is left out."""
    shown = {name: value for name, value in fields.items() if value is not None}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        print(f"{name:<{width}}  {' '.join(str(value).splitlines())}")


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    import json

    print(json.dumps(value, indent=2, default=plain, ensure_ascii=False))


def print_yaml(value: object) -> None:
    """Print a value as YAML; multi-line text as blocks."""
    import json

    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    whole = json.loads(json.dumps(value, default=plain))
    print(yaml.dump(whole, Dumper=Dumper, sort_keys=False, allow_unicode=True), end="")


def plain(value: object) -> object:
    """Return the JSON form of what JSON has no form for."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def moment(value: dt.datetime | None) -> str:
    """Return a time as a person here reads it, or `-`."""
    return value.astimezone().strftime("%Y-%m-%d %I:%M %p") if value else "-"


def duration(seconds: float) -> str:
    """Return a length of time in the two units that matter.

    >>> duration(0.25), duration(75), duration(7260)
    ('250 ms', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def note(message: str) -> None:
    """Say something to the person, where it does not mix with the output."""
    print(message, file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """Write over the last line of a terminal, if there is one; nothing clears it.

    What does not fit is cut, or it could not be written over.
    """
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        print(f"\r\x1b[2K{text[: width - 1]}", end="", file=sys.stderr, flush=True)


def _print_whole(lines: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _print_fitted(lines: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    titles, *rows = lines
    fitted = RichTable(box=None, pad_edge=False, header_style="bold")
    for place, title in enumerate(titles):
        fitted.add_column(title, overflow="fold", no_wrap=place == 0)  # the first is a name, to be copied
    for row in rows:
        fitted.add_row(*map(Text, row))
    Console().print(fitted)


#: The forms of `-o`; the first is the default.
FORMATS: dict[str, Callable[[Listing], None]] = {
    "table": lambda listing: print_table(listing.table()),
    "name": lambda listing: print("".join(f"{name}\n" for name in listing.names), end=""),
    "json": lambda listing: print_json(listing.records()),
    "yaml": lambda listing: print_yaml(listing.records()),
}
