"""`mcli connect`: a shell in a run."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mcli.cli.follow import tell_until_started
from mcli.cli.output import note
from mcli.cli.selection import named_run
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.run import Run

EXAMPLES = """\
  mcli connect                                   the interactive run that is running
  mcli connect llama-Ab12Cd --rank 3             node 3 of a run
  mcli connect llama-Ab12Cd --command 'df -h .'   one command instead of a shell
  mcli connect llama-Ab12Cd --tmux               a session to come back to: the same command finds it again

The exit code is that of the shell.
"""

#: Interactive runs to choose from at most.
_CHOICES = 10

#: A name of its own for each node: nodes may share a machine. Where there is no tmux, apt-get may have it.
_TMUX = (
    "command -v tmux >/dev/null || (apt-get update -qq && apt-get install -y -qq tmux) && "
    'exec tmux -L "$RUN_NAME-$RESUMPTION_INDEX-$NODE_RANK" new-session -A -s main -D'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which run, and what to run there."""
    parser.add_argument(
        "name", nargs="?", metavar="RUN", help="default: the interactive run, if there is just one"
    )
    parser.add_argument("-l", "--latest", action="store_true", help="the latest run, of whichever kind")
    add_shell_arguments(parser)


def add_shell_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which node, and what to run there."""
    parser.add_argument(
        "--rank", "--node", dest="rank", type=int, default=0, metavar="N", help="which node (default: 0)"
    )
    parser.add_argument(
        "--container", metavar="NAME", help="which container of the node; MAIN is the only one"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--command", metavar="COMMAND", help="what to run, instead of a shell to type into")
    what.add_argument("--tmux", action="store_true", help="in a tmux session, which outlives the connection")


def run(args: argparse.Namespace) -> int:
    """Find the run, wait until it is running, and connect."""
    from mcli.api.exceptions import MCLIException

    if args.name and args.latest:
        raise MCLIException(f"Name a run, {args.name}, or say --latest, not both")
    return connect(named_run(args.name) if args.name or args.latest else _interactive_run(), args)


def connect(chosen: Run, args: argparse.Namespace) -> int:
    """Wait until a run is running, connect, and return the exit code of the shell.

    Args:
        chosen: the run.
        args: parsed arguments with those of `add_shell_arguments`.

    Raises:
        MCLIException: the run has ended, or takes no shell.
    """
    from mcli import wait_for_run_status
    from mcli.api.exceptions import MCLIException
    from mcli.api.mint.shell import MintShell

    if chosen.status.is_terminal():
        raise MCLIException(
            f"{chosen.name} is {chosen.status.display_name.lower()}: only a run that is running has shells. "
            f"Start it again with `mcli run --restart {chosen.name}`"
        )
    if chosen.status is not RunStatus.RUNNING:
        if sys.stderr.isatty():
            tell_until_started(chosen)
        wait_for_run_status(chosen, RunStatus.RUNNING)
    command = _TMUX if args.tmux else args.command
    code = MintShell(chosen, rank=args.rank).connect(command, args.container)
    if code is None:
        note(f"The platform went down; {chosen.name} goes on. Connect again: mcli connect {chosen.name}")
        return 1
    return code


def _interactive_run() -> Run:
    """Return the interactive run there is; where there are several, the one the person chooses."""
    from mcli import RunType, get_runs
    from mcli.api.exceptions import MCLIException

    active = [status for status in RunStatus if status <= RunStatus.RUNNING and status > RunStatus.UNKNOWN]
    runs = get_runs(run_types=[RunType.INTERACTIVE], statuses=active, limit=_CHOICES, include_details=True)
    if not runs:
        raise MCLIException(
            "No interactive run is active. Name a run (`mcli get runs -s running` lists them), "
            "or start one with `mcli interactive HOURS`"
        )
    if len(runs) == 1:
        return runs[0]
    names = ", ".join(run.name for run in runs)
    if not sys.stdin.isatty():
        raise MCLIException(f"Which run? Name one of {names}")
    for number, run in enumerate(runs, 1):
        note(f"{number:>3}  {run.name}  {run.status.display_name}")
    print("Which one? [1] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip() or "1"
    for number, run in enumerate(runs, 1):
        if answer in (str(number), run.name):
            return run
    raise MCLIException(f"{answer!r} is none of {names}")
