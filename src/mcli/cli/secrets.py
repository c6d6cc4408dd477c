"""Secrets as text: the list. Their values are nowhere to be had."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mcli.cli.output import Listing, Table, moment, show

if TYPE_CHECKING:
    from mcli.models.secret import Secret


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which secrets are listed."""
    parser.add_argument("names", nargs="*", metavar="SECRET", help="names, or patterns; default: all")
    parser.add_argument(
        "--type", action="append", dest="types", metavar="TYPE", help="env-var, mounted, s3 ..."
    )
    parser.add_argument("--ids", action="store_true", help="show ids")


def list_things(args: argparse.Namespace) -> None:
    """Print the secrets that are meant."""
    chosen = matching(args.names, args.types)
    listing = Listing(
        names=[secret.name for secret in chosen],
        records=lambda: [record(secret) for secret in chosen],
        table=lambda: _table(chosen, args.ids),
    )
    show(listing, args.output)


def matching(names: list[str], types: list[str] | None = None) -> list[Secret]:
    """Return the secrets whose names match one of `names`; all of them without any.

    Raises:
        MCLIException: there is none of a name.
    """
    import difflib
    import fnmatch

    from mcli import get_secrets
    from mcli.api.exceptions import MCLIException

    everything = get_secrets(secret_types=types)
    known = [secret.name for secret in everything]
    for name in names:
        if not fnmatch.filter(known, name):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "`mcli get secrets` lists those there are."
            raise MCLIException(f"There is no secret named {name!r}. {hint}")
    return [
        secret
        for secret in everything
        if not names or any(fnmatch.fnmatchcase(secret.name, name) for name in names)
    ]


def record(secret: Secret) -> dict[str, Any]:
    """Return all that may be known about a secret, by name, for JSON and YAML."""
    return {
        "name": secret.name,
        "id": secret.id,
        "type": secret.secret_type,
        "created_at": secret.created_at,
        **{name: getattr(secret, name) for name in secret.KEPT},
    }


def _table(chosen: list[Secret], ids: bool) -> Table:
    rows = [
        [
            secret.name,
            secret.id if ids else None,
            secret.secret_type.value.lower().replace("_", "-"),
            next((getattr(secret, name) for name in secret.KEPT), "-"),
            moment(secret.created_at),
        ]
        for secret in chosen
    ]
    return Table(("NAME", "ID", "TYPE", "IN RUNS", "CREATED"), rows)
