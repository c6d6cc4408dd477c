"""`mcli diff run`: two runs' configurations side by side, or as a patch where no terminal draws them."""

from __future__ import annotations

import argparse
import difflib
import sys
from itertools import zip_longest

from mcli.cli.selection import named_run

EXAMPLES = """\
  mcli diff run llama-Ab12Cd llama-Ef34Gh
  mcli diff run llama-Ab12Cd llama-Ef34Gh > changes.patch

The exit code is 0 also where they differ.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two runs."""
    parser.add_argument("what", choices=("run", "runs"), help="what is compared")
    parser.add_argument("first", metavar="RUN")
    parser.add_argument("second", metavar="RUN")


def run(args: argparse.Namespace) -> int:
    """Print what differs between the configurations as they were submitted."""
    names, texts = [], []
    for name in (args.first, args.second):
        found = named_run(name)
        names.append(found.name)
        texts.append(str(found.submitted_config or found.config).splitlines())
    if sys.stdout.isatty():
        _draw(names, texts)
    else:
        whole = max(map(len, texts))
        for line in difflib.unified_diff(texts[0], texts[1], names[0], names[1], n=whole, lineterm=""):
            print(line)
    return 0


def _draw(names: list[str], texts: list[list[str]]) -> None:
    """Draw both, line beside line; what is in one only is coloured."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, expand=True)
    for name in names:
        table.add_column(Text(name, style="bold"), ratio=1, overflow="fold")
    matcher = difflib.SequenceMatcher(a=texts[0], b=texts[1], autojunk=False)
    for change, *span in matcher.get_opcodes():
        left, right = texts[0][span[0] : span[1]], texts[1][span[2] : span[3]]
        styles = ("", "") if change == "equal" else ("red", "green")
        for pair in zip_longest(left, right, fillvalue=""):
            table.add_row(*(Text(line, style=style) for line, style in zip(pair, styles, strict=True)))
    Console().print(table)
