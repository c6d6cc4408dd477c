"""`mcli set`: which key is sent to the platform, and features of published clients that share the file."""

from __future__ import annotations

import argparse
import sys

from mcli.cli.output import note

EXAMPLES = """\
  mcli set api-key               asks for the key, so that it is in no shell history
  mcli set api-key < key.txt
  mcli set feature USE_MCLOUD    what the first published clients need
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is set."""
    parser.add_argument("what", choices=tuple(_SETTERS), help="what is set")
    parser.add_argument(
        "value", nargs="?", help="the key (default: asked for, or read from stdin); the feature"
    )


def run(args: argparse.Namespace) -> int:
    """Write it into the configuration file."""
    from mcli.config import config_path

    _SETTERS[args.what](args.value)
    note(f"Written to {config_path()}")
    return 0


def _set_key(value: str | None) -> None:
    from mcli import set_api_key

    set_api_key(value if value is not None else ask_for_key())


def _set_feature(value: str | None) -> None:
    from mcli.api.exceptions import MCLIException
    from mcli.config import set_feature

    if value is None:
        raise MCLIException("Which feature? Name it: mcli set feature USE_MCLOUD")
    set_feature(value, True)


_SETTERS = {"api-key": _set_key, "feature": _set_feature}


def ask_for_key() -> str:
    """Return the key that a person types, unseen, or that stdin has."""
    import getpass

    return getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()
