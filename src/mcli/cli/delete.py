"""`mcli delete`: forget runs and their logs, or secrets."""

from __future__ import annotations

import argparse

from mcli.cli import secrets
from mcli.cli.selection import add_changed_run_arguments, change, confirm, select_to_change

EXAMPLES = """\
  mcli delete run llama-Ab12Cd
  mcli delete runs 'sweep-*' --status failed,stopped
  mcli delete runs --before 2026-01-01 --all -y
  mcli delete secret wandb
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is deleted, and which of it."""
    things = parser.add_subparsers(dest="thing", required=True, metavar="run|secret")
    runs = things.add_parser("run", aliases=["runs"], help="delete runs, and stop them first")
    add_changed_run_arguments(runs, "delete")
    runs.set_defaults(delete_things=_delete_runs)
    secret = things.add_parser(
        "secret", aliases=["secrets"], help="delete secrets; what runs have, they keep"
    )
    secret.add_argument("names", nargs="*", metavar="SECRET", help="names, or patterns such as 'aws-*'")
    secret.add_argument("-a", "--all", action="store_true", help="delete all secrets")
    secret.add_argument("-y", "--yes", "--force", action="store_true", help="do not ask")
    secret.set_defaults(delete_things=_delete_secrets)


def run(args: argparse.Namespace) -> int:
    """Delete what is meant; print the names."""
    args.delete_things(args)
    return 0


def _delete_runs(args: argparse.Namespace) -> None:
    from mcli import delete_runs

    change(select_to_change(args, "delete"), lambda some: delete_runs(some, timeout=60), "deleted")


def _delete_secrets(args: argparse.Namespace) -> None:
    from mcli import delete_secrets
    from mcli.api.exceptions import MCLIException

    if not (args.names or args.all):
        raise MCLIException("Which secrets? Name them, or delete all of them with --all")
    names = [secret.name for secret in secrets.matching(args.names)]
    if not names:
        raise MCLIException("There are no secrets to delete")
    if len(names) > 1 and not args.yes:
        confirm(names, "secrets", "delete")
    for secret in delete_secrets(names):
        print(secret.name)
