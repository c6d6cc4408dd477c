"""`mcli logs`: show the log of a run, or follow it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mcli.cli.follow import follow_to_the_end, how_to_go_on, outcome, print_lines
from mcli.cli.output import note
from mcli.cli.selection import named_run
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.run import Run

EXAMPLES = """\
  mcli logs                        the log of the latest run
  mcli logs -f llama-Ab12Cd        follow it until the run ends
  mcli logs llama-Ab12Cd --node 3  of another node
  mcli logs llama-Ab12Cd --prev    of the resumption before the latest
  mcli logs llama-Ab12Cd --failed  of the first node that failed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which run, which of its logs, and how much of it."""
    parser.add_argument("name", nargs="?", metavar="RUN", help="default: the latest run")
    parser.add_argument(
        "-f",
        "--follow",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="show what is written until it ends",
    )
    parser.add_argument("-t", "--tail", type=int, metavar="N", help="only the last N bytes")
    parser.add_argument(
        "--timestamps", action="store_true", help="put the time each line was written in front of it"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--node", "--node-rank", "--rank", dest="rank", type=int, metavar="N", help="of this node (rank)"
    )
    which.add_argument("--failed", action="store_true", help="of the first node that failed")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--resumption", type=int, metavar="N", help="of this resumption (0 is the first)")
    when.add_argument("--prev", action="store_true", help="of the resumption before the latest")


def run(args: argparse.Namespace) -> int:
    """Print what there is, or what comes."""
    named = named_run(args.name)
    resumption = _resumption(args, named)
    if args.follow and not args.failed:
        return _follow(args, named, resumption)
    from mcli import get_run_logs

    chosen = named.resumptions[resumption if resumption is not None else -1]
    failed = args.failed or (args.rank is None and chosen.status is RunStatus.FAILED)
    text = get_run_logs(
        named,
        rank=args.rank,
        failed=failed,
        resumption=resumption,
        tail=args.tail,
        timestamps=args.timestamps,
        timeout=None,
    )
    sys.stdout.write(text)
    return 0


def _follow(args: argparse.Namespace, named: Run, resumption: int | None) -> int:
    from mcli import follow_run_logs

    how = {"rank": args.rank, "timestamps": args.timestamps, "tail": args.tail}
    try:
        if resumption is not None:
            print_lines(follow_run_logs(named, resumption=resumption, **how))
        else:
            note(outcome(follow_to_the_end(named, **how)))
    except KeyboardInterrupt:
        note(how_to_go_on(named))
        return 1
    return 0


def _resumption(args: argparse.Namespace, named: Run) -> int | None:
    """Return which resumption was asked for; None for the latest, whichever that is."""
    from mcli.api.exceptions import MCLIException

    latest = named.resumptions[-1].index
    chosen: int | None = latest - 1 if args.prev else args.resumption
    if chosen is None or 0 <= chosen <= latest:
        return chosen
    if args.prev:
        raise MCLIException(f"{named.name} has had one resumption; there is none before it")
    raise MCLIException(f"{named.name} has no resumption {chosen}; there are those from 0 to {latest}")
