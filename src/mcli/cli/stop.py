"""`mcli stop`: end runs before their time."""

from __future__ import annotations

import argparse

from mcli.cli.output import note
from mcli.cli.selection import add_change_arguments, change, select_to_change
from mcli.models.run_status import TERMINAL, RunStatus

EXAMPLES = """\
  mcli stop run llama-Ab12Cd
  mcli stop runs 'sweep-*' --reason 'wrong data'
  mcli stop runs --status queued --cluster lab -y
"""

_ACTIVE = frozenset(RunStatus) - TERMINAL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which runs, and why."""
    add_change_arguments(parser, "stop")
    parser.add_argument("--reason", help="why; the run's history keeps it")


def run(args: argparse.Namespace) -> int:
    """Stop the runs that are meant and have not ended; print their names."""
    from mcli import stop_runs

    runs = select_to_change(args, "stop", _ACTIVE)
    change(runs, lambda some: stop_runs(some, reason=args.reason, timeout=60), "stopped")
    note("Stopping. Their logs are kept; `mcli run --restart RUN` starts one again")
    return 0
