"""`mcli get`: list runs, clusters, secrets or users."""

from __future__ import annotations

import argparse

from mcli.cli import clusters, runs, secrets, users
from mcli.cli.output import add_output_argument

EXAMPLES = """\
  mcli get runs                                 the latest runs
  mcli get runs 'llama-*' --status running,queued
  mcli get runs --after 2026-01-31 -o json      whole, for another program
  mcli get runs --watch --status running,queued    as they change
  mcli get runs -m loss --all-users             with what is kept with each as `loss`
  mcli get clusters                             what there is to run on
  mcli get secrets --type env-var               what runs are given, without the values
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is listed, each with arguments of its own."""
    things = parser.add_subparsers(dest="thing", required=True, metavar="runs|clusters|secrets|users")
    for names, help_line, part in (
        (("runs", "run"), "list runs, newest first", runs),
        (("clusters", "cluster"), "list clusters and their kinds of nodes", clusters),
        (("secrets", "secret"), "list secrets, without their values", secrets),
        (("users", "user"), "list the users of your organization", users),
    ):
        listing = things.add_parser(names[0], aliases=names[1:], help=help_line)
        part.add_list_arguments(listing)
        add_output_argument(listing)
        listing.set_defaults(list_things=part.list_things)


def run(args: argparse.Namespace) -> int:
    """List what was asked for."""
    args.list_things(args)
    return 0
