"""`mcli version`; without arguments it is answered before any parser is made."""

from __future__ import annotations

import argparse

from mcli.version import __version__

EXAMPLES = """\
  mcli version
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(args: argparse.Namespace) -> int:
    """Print the version."""
    print(f"mcli {__version__}")
    return 0
