"""`mcli logs`: show the log of a run, or follow it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mcli.cli import log_output, values
from mcli.cli.follow import follow_to_the_end, how_to_go_on, outcome
from mcli.cli.log_output import Wanted
from mcli.cli.output import note
from mcli.cli.selection import named_run
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.resumption import Resumption
    from mcli.models.run import Run

EXAMPLES = """\
  mcli logs                        the log of the latest run
  mcli logs -f llama-Ab12Cd        follow it until the run ends
  mcli logs llama-Ab12Cd --tail 20 --since 10m --grep 'loss[:=]'
  mcli logs llama-Ab12Cd --node 3  of another node
  mcli logs -f --all-ranks         of all nodes of the latest run, as they write
  mcli logs llama-Ab12Cd --prev    of the resumption before the latest
  mcli logs llama-Ab12Cd --failed  of the first node that failed
"""


#: The published client knows logs of single GPUs; here a node has one log.
_GPU_FLAGS = (("--gpu", "--local-gpu-rank"), ("--global-gpu-rank",))


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
    parser.add_argument("-t", "--tail", type=values.count, metavar="N", help="only the last N lines")
    parser.add_argument(
        "--since",
        type=values.moment,
        metavar="TIME",
        help="only what was written since: 10m, 2h30m, or 2026-01-31T18:30",
    )
    parser.add_argument(
        "--grep",
        type=values.pattern,
        metavar="PATTERN",
        help="of that, only the lines with a match of a (Python) regular expression",
    )
    parser.add_argument(
        "--timestamps", action="store_true", help="put the time each line was written in front of it"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--node",
        "--node-rank",
        "--rank",
        dest="rank",
        type=values.count,
        metavar="N",
        help="of this node (rank)",
    )
    which.add_argument("--all-ranks", action="store_true", help="of all nodes, each line with its rank")
    which.add_argument("--failed", action="store_true", help="of the first node that failed")
    for flag in _GPU_FLAGS:
        which.add_argument(*flag, dest="gpu", type=values.count, metavar="N", help=argparse.SUPPRESS)
    parser.add_argument(
        "--error",
        "--first-exception",
        dest="first_exception",
        action="store_true",
        help="only the first Python traceback",
    )
    parser.add_argument("-c", "--container", type=str.upper, metavar="NAME", help="MAIN is the only one")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--resumption", type=int, metavar="N", help="of this resumption (0 is the first)")
    when.add_argument("--prev", action="store_true", help="of the resumption before the latest")


def run(args: argparse.Namespace) -> int:
    """Print what there is, or what comes."""
    named = named_run(args.name)
    resumption = _resumption(args, named)
    _refuse_what_is_not_kept(args, named)
    if args.first_exception:
        chosen = resumption or named.resumptions[-1]
        log_output.show_exception(named, chosen, args.rank)
        return 0
    wanted = Wanted(args.rank, args.all_ranks, args.timestamps, args.tail, args.since, args.grep)
    if args.follow and not args.failed:
        return _follow(args, named, wanted, resumption)
    chosen = resumption or named.resumptions[-1]
    itself = args.rank is None and not args.all_ranks and chosen.status is RunStatus.FAILED
    log_output.show(named, chosen, wanted, failed=args.failed or itself)
    return 0


def _follow(args: argparse.Namespace, named: Run, wanted: Wanted, resumption: Resumption | None) -> int:
    try:
        if resumption is not None:
            log_output.follow(named, resumption, wanted)
        else:
            note(outcome(follow_to_the_end(named, wanted)))
    except KeyboardInterrupt:
        note(how_to_go_on(named))
        return 1
    return 0


def _refuse_what_is_not_kept(args: argparse.Namespace, named: Run) -> None:
    from mcli.api.exceptions import MCLIException

    if args.gpu is not None:
        raise MCLIException(f"{named.name} has one log a node, not one a GPU; choose the node with --node")
    if args.container not in (None, "MAIN"):
        raise MCLIException(f"{named.name} has no container {args.container!r}; MAIN is the only one")


def _resumption(args: argparse.Namespace, named: Run) -> Resumption | None:
    """Return which resumption was asked for; None for the latest, whichever that is."""
    from mcli.api.exceptions import MCLIException

    latest = named.resumptions[-1].index
    chosen: int | None = latest - 1 if args.prev else args.resumption
    if chosen is None:
        return None
    if 0 <= chosen <= latest:
        return named.resumptions[chosen]
    if args.prev:
        raise MCLIException(f"{named.name} has had one resumption; there is none before it")
    raise MCLIException(f"{named.name} has no resumption {chosen}; there are those from 0 to {latest}")
