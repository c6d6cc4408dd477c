"""`mcli unset feature`: switch a feature of published clients off in the configuration file they share."""

from __future__ import annotations

import argparse

from mcli.cli.output import note

EXAMPLES = """\
  mcli unset feature USE_MCLOUD
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is unset."""
    parser.add_argument("what", choices=("feature",), help="what is unset")
    parser.add_argument("name", metavar="FEATURE", help="its name")


def run(args: argparse.Namespace) -> int:
    """Write it into the configuration file."""
    from mcli.config import config_path, set_feature

    set_feature(args.name, False)
    note(f"Written to {config_path()}")
    return 0
