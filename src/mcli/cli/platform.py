"""`mcli platform`: the platform on this machine."""

from __future__ import annotations

import argparse

from mcli import embedded
from mcli.cli.output import note, print_json
from mcli.version import __version__

EXAMPLES = """\
  mcli platform start           it is also started whenever a command needs it
  mcli platform status --json   where it listens, and its key
  mcli platform stop            its runs go on; the next start knows them again
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do with it."""
    parser.add_argument("action", choices=tuple(_ACTIONS), help="what to do")
    parser.add_argument("--json", action="store_true", help="print where it listens, with its key, as JSON")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    return _ACTIONS[args.action](args.json)


def _start(as_json: bool) -> int:
    return _show(embedded.ensure_running(), as_json)


def _status(as_json: bool) -> int:
    found = embedded.find()
    if found is not None:
        return _show(found, as_json)
    if as_json:
        print_json(None)
    note("No platform runs on this machine. Start it with `mcli platform start`")
    return 1


def _stop(as_json: bool) -> int:
    stopped = embedded.stop()
    if as_json:
        print_json({"stopped": stopped})
    note("Stopped; runs that were active go on" if stopped else "No platform ran on this machine")
    return 0


def _show(platform: embedded.PlatformInfo, as_json: bool) -> int:
    if as_json:
        print_json(platform.to_dict())
        return 0
    print(f"endpoint  {platform.endpoint}")
    print(f"state     {platform.home}")
    print(f"process   {platform.pid}")
    print(f"version   {platform.version}")
    if platform.version != __version__:
        note(f"This is mcli {__version__}; `mcli platform stop` lets the next command start that version")
    return 0


_ACTIONS = {"start": _start, "status": _status, "stop": _stop}
