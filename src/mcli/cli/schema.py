"""`mcli schema`: the fields of a run configuration, for an editor that completes and checks them."""

from __future__ import annotations

import argparse

from mcli.cli.output import print_json

EXAMPLES = """\
  mcli schema > run.schema.json

An editor with a YAML language server uses it in a file that begins with
  # yaml-language-server: $schema=run.schema.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(args: argparse.Namespace) -> int:
    """Print the schema."""
    from mcli.models.config_schema import SCHEMA

    print_json(SCHEMA)
    return 0
