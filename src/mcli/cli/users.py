"""Users as text: the list, and the one who asks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mcli.cli.output import Listing, Table, print_fields, print_json, print_yaml, show

if TYPE_CHECKING:
    from mcli.models.user import User


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which users are listed."""
    parser.add_argument("emails", nargs="*", metavar="EMAIL", help="default: all of your organization")
    parser.add_argument("--ids", action="store_true", help="show ids")


def list_things(args: argparse.Namespace) -> None:
    """Print the users that are meant."""
    from mcli import get_users

    chosen = get_users(emails=args.emails or None)
    listing = Listing(
        names=[user.email for user in chosen],
        records=lambda: [record(user) for user in chosen],
        table=lambda: Table(
            ("EMAIL", "ID", "NAME", "ORGANIZATION"),
            [[user.email, user.id if args.ids else None, user.name, _organizations(user)] for user in chosen],
        ),
    )
    show(listing, args.output)


def add_describe_arguments(parser: argparse.ArgumentParser) -> None:
    """One's own account is described whole."""


def describe_thing(args: argparse.Namespace) -> None:
    """Print who the platform takes the caller for."""
    from mcli import get_current_user

    user = get_current_user()
    if args.output == "json":
        print_json(record(user))
    elif args.output == "yaml":
        print_yaml(record(user))
    else:
        print_fields(
            {"Name": user.name, "Email": user.email, "Id": user.id, "Organization": _organizations(user)}
        )


def record(user: User) -> dict[str, Any]:
    """Return all that is known about a user, by name, for JSON and YAML."""
    import dataclasses

    return dataclasses.asdict(user)


def _organizations(user: User) -> str:
    return ", ".join(organization.name for organization in user.organizations)
