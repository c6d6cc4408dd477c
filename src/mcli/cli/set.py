"""`mcli set api-key`: which key is sent to the platform."""

from __future__ import annotations

import argparse
import sys

from mcli.cli.output import note

EXAMPLES = """\
  mcli set api-key               asks for the key, so that it is in no shell history
  mcli set api-key < key.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is set."""
    parser.add_argument("what", choices=("api-key",), help="what is set")
    parser.add_argument("value", nargs="?", help="default: asked for, or read from stdin")


def run(args: argparse.Namespace) -> int:
    """Write the key into the configuration file."""
    from mcli import set_api_key
    from mcli.config import config_path

    set_api_key(args.value if args.value is not None else ask_for_key())
    note(f"Written to {config_path()}")
    return 0


def ask_for_key() -> str:
    """Return the key that a person types, unseen, or that stdin has."""
    import getpass

    return getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()
