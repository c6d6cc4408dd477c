"""`mcli run`: submit a configuration, restart a run, or submit one again."""

from __future__ import annotations

import argparse
import copy
from typing import TYPE_CHECKING

from mcli.cli import overrides
from mcli.cli.follow import follow_to_the_end, how_to_go_on, outcome
from mcli.cli.output import note
from mcli.cli.selection import named_run
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.run import Run

EXAMPLES = """\
  mcli run -f hello.yaml --follow             submit, and show the log until the run ends
  mcli run -f train.yaml --gpus 16 --nodes 2  the same configuration, on more GPUs
  mcli run --clone llama-Ab12Cd --name again  submit what an earlier run was
  mcli run --restart llama-Ab12Cd             start a run that has ended once more, as its next resumption

With --follow the exit code is 0 only if the run completed. Ctrl-C ends the following, not the run.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the run comes from, what to change in it, and whether to follow it."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-f", "--file", metavar="FILE", help="run configuration (YAML)")
    source.add_argument(
        "-r", "--restart", metavar="RUN", help="a run that has ended, to be started once more"
    )
    source.add_argument("--clone", metavar="RUN", help="a run whose configuration is submitted again")
    parser.add_argument("--follow", action=argparse.BooleanOptionalAction, default=False, help="show the log")
    overrides.add_override_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Submit, say under which name, and follow if asked to."""
    submitted = _restart(args) if args.restart else _submit(args)
    if not args.follow:
        print(submitted.name)
        note(f"Follow its log: mcli logs -f {submitted.name}")
        return 0
    note(f"Submitted {submitted.name}")
    try:
        ended = follow_to_the_end(submitted)
    except KeyboardInterrupt:
        note(how_to_go_on(submitted))
        return 1
    note(outcome(ended))
    return 0 if ended.status is RunStatus.COMPLETED else 1


def _submit(args: argparse.Namespace) -> Run:
    from mcli import RunConfig, create_run

    if args.file:
        config = RunConfig.from_file(args.file)
    else:
        original = named_run(args.clone)
        config = copy.deepcopy(original.submitted_config or original.config)
    overrides.apply(args, config)
    return create_run(config)


def _restart(args: argparse.Namespace) -> Run:
    from mcli import start_run, update_run
    from mcli.api.exceptions import MCLIException

    fixed = overrides.given(args, ("name", "image", *overrides.COMPUTE))
    if fixed:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in fixed)
        raise MCLIException(
            f"A restart keeps the name, the image and the compute of its run; {flags} would change that. "
            f"Submit it as a new run: mcli run --clone {args.restart}"
        )
    original = named_run(args.restart)
    scheduling = overrides.given(args, overrides.SCHEDULING)
    if scheduling:
        update_run(original, **scheduling)
    return start_run(original)
