"""`mcli config`: which platform is used, and with which key."""

from __future__ import annotations

import argparse
import os

from mcli.cli.output import print_fields

EXAMPLES = """\
  mcli config
  MOSAICML_API_ENDPOINT=https://mapi.example.org/graphql mcli config
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(args: argparse.Namespace) -> int:
    """Print the settings; a platform that does not run is not started for that."""
    from mcli import embedded
    from mcli.config import config_path, resolve_target

    path = config_path()
    fields = {"Config file": f"{path}{'' if path.exists() else ' (not there: nothing is configured)'}"}
    if configured_endpoint():
        target = resolve_target()
        fields |= {"Platform": target.endpoint, "API key": _masked(target.api_key)}
    else:
        found = embedded.find()
        where = f"running at {found.endpoint}" if found else "not running; started when needed"
        fields |= {"Platform": f"this machine ({where})", "State": str(embedded.platform_home())}
    print_fields(fields)
    return 0


def configured_endpoint() -> str | None:
    """Return the endpoint that the environment or the configuration file names."""
    from mcli.config import read_config

    name = "MOSAICML_API_ENDPOINT"
    return os.environ.get(name) or read_config().get(name)


def _masked(key: str) -> str:
    """Return enough of a key to tell it from another, and too little to use it."""
    return f"...{key[-4:]}" if len(key) >= 12 else "set"
