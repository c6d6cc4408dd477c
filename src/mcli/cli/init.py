"""`mcli init`: set up the configuration file."""

from __future__ import annotations

import argparse
import sys

from mcli.cli import config
from mcli.cli.set import ask_for_key

EXAMPLES = """\
  mcli init
  MOSAICML_API_ENDPOINT=https://mapi.example.org/graphql mcli init    asks for the key to it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add whether a person is there."""
    parser.add_argument("--no-input", action="store_true", help="ask nothing")


def run(args: argparse.Namespace) -> int:
    """Make the file, ask for what is missing, and show what holds now."""
    from mcli import initialize
    from mcli.api.exceptions import MCLIConfigError
    from mcli.config import resolve_target

    initialize()
    if config.configured_endpoint():
        try:
            resolve_target()
        except MCLIConfigError:
            if args.no_input or not sys.stdin.isatty():
                raise
            initialize(ask_for_key())
    return config.run(args)
