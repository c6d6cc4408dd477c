"""`mcli interactive`: compute to work on by hand."""

from __future__ import annotations

import argparse

from mcli.cli import overrides
from mcli.cli.connect import add_shell_arguments, connect
from mcli.cli.output import note

EXAMPLES = """\
  mcli interactive 2 --gpus 1              one GPU for two hours, and a shell there
  mcli interactive 8 --gpus 8 --tmux       in a tmux session, to come back to with `mcli connect --tmux`
  mcli interactive 2 --no-connect          only hold it; `mcli connect` opens a shell later

The run goes on when the shell ends. Give its compute back with `mcli stop run`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add for how long, on what, and how to connect."""
    duration = parser.add_mutually_exclusive_group(required=True)
    duration.add_argument("hours", nargs="?", type=_hours, metavar="HOURS", help="for how long, such as 0.5")
    duration.add_argument(
        "--hours", "--max-duration", dest="named_hours", type=_hours, metavar="HOURS", help="the same"
    )
    parser.add_argument("--name", default="interactive", help="name (default: interactive)")
    parser.add_argument("--image", help="container image")
    overrides.add_compute_arguments(parser.add_argument_group("compute"))
    parser.add_argument(
        "--connect", action=argparse.BooleanOptionalAction, default=True, help="open a shell (default)"
    )
    add_shell_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Submit the run, say under which name, and connect."""
    from mcli import RunConfig, create_interactive_run

    config = RunConfig(name=args.name, image=args.image, compute=overrides.given(args, overrides.COMPUTE))
    hours = args.hours if args.named_hours is None else args.named_hours
    held = create_interactive_run(config, seconds=round(hours * 3600))
    if not args.connect:
        print(held.name)
        note(f"Open a shell: mcli connect {held.name}")
        return 0
    note(f"Submitted {held.name}")
    code = connect(held, args)
    note(f"{held.name} goes on. Come back: mcli connect {held.name}; give it back: mcli stop run {held.name}")
    return code


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours, such as 2 or 0.5")
    return hours
