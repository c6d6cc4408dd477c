"""`mcli update run`: change how a run queues, while it does."""

from __future__ import annotations

import argparse

from mcli.cli import overrides
from mcli.cli.selection import named_run

EXAMPLES = """\
  mcli update run llama-Ab12Cd --priority low
  mcli update run llama-Ab12Cd --max-duration 12 --no-preemptible
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which run, and what to change."""
    parser.add_argument("what", choices=("run",), help="what is meant")
    parser.add_argument("name", metavar="RUN", help="a run that has not ended")
    overrides.add_scheduling_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Change the given fields, leave the others."""
    from mcli import update_run
    from mcli.api.exceptions import MCLIException

    changes = overrides.given(args, overrides.SCHEDULING)
    if not changes:
        raise MCLIException(
            "Nothing to change: give --priority, --preemptible, --max-retries or --max-duration"
        )
    print(update_run(named_run(args.name), **changes).name)
    return 0
