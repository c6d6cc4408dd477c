"""`mcli describe`: tell all about one run or cluster, or who you are to the platform."""

from __future__ import annotations

import argparse

from mcli.cli import clusters, runs, users
from mcli.cli.output import add_output_argument

EXAMPLES = """\
  mcli describe run                           the latest run: what it asked for, what happened to it
  mcli describe run llama-Ab12Cd --yaml-only > again.yaml
  mcli describe cluster lab                   its nodes, one by one
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is described."""
    things = parser.add_subparsers(dest="thing", required=True, metavar="run|cluster|me")
    for name, help_line, part in (
        ("run", "all about a run (default: the latest)", runs),
        ("cluster", "all about a cluster (default: the only one)", clusters),
        ("me", "who you are to the platform", users),
    ):
        description = things.add_parser(name, help=help_line)
        if name != "me":
            description.add_argument("name", nargs="?", metavar=name.upper())
        part.add_describe_arguments(description)
        add_output_argument(description, ("text", "json", "yaml"))
        description.set_defaults(describe_thing=part.describe_thing)


def run(args: argparse.Namespace) -> int:
    """Describe what was asked for."""
    args.describe_thing(args)
    return 0
