"""`mcli watchdog`: have a run tried again when it, or what it runs on, fails."""

from __future__ import annotations

import argparse

from mcli.cli.output import note
from mcli.cli.selection import named_run

EXAMPLES = """\
  mcli watchdog llama-Ab12Cd                  try it again up to 10 times
  mcli watchdog llama-Ab12Cd --max-retries 3
  mcli watchdog llama-Ab12Cd --disable
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which run, and how often."""
    parser.add_argument("name", metavar="RUN", help="a run that has not ended")
    parser.add_argument("--disable", action="store_true", help="do not try it again")
    parser.add_argument("--max-retries", type=int, default=10, metavar="N", help="how often (default: 10)")


def run(args: argparse.Namespace) -> int:
    """Switch the watchdog on or off."""
    from mcli import update_run
    from mcli.api.exceptions import MCLIException

    watched = named_run(args.name)
    if watched.status.is_terminal():
        raise MCLIException(
            f"{watched.name} has ended; start it again with `mcli run --restart {watched.name}`"
        )
    retries = 0 if args.disable else args.max_retries
    update_run(watched, retry_on_system_failure=not args.disable, max_retries=retries)
    note(
        f"{watched.name} is tried again up to {retries} times"
        if retries
        else f"{watched.name} is not tried again"
    )
    return 0
