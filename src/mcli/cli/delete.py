"""`mcli delete`: forget runs and their logs."""

from __future__ import annotations

import argparse

from mcli.cli.selection import add_change_arguments, change, select_to_change

EXAMPLES = """\
  mcli delete run llama-Ab12Cd
  mcli delete runs 'sweep-*' --status failed,stopped
  mcli delete runs --before 2026-01-01 --all -y
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which runs."""
    add_change_arguments(parser, "delete")


def run(args: argparse.Namespace) -> int:
    """Delete the runs that are meant; print their names."""
    from mcli import delete_runs

    change(select_to_change(args, "delete"), lambda some: delete_runs(some, timeout=60), "deleted")
    return 0
