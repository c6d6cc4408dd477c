"""`mcli run`: submit a configuration, restart a run, or submit one again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mcli.cli import overrides
from mcli.cli.follow import follow_to_the_end, how_to_go_on, outcome
from mcli.cli.output import note
from mcli.cli.selection import named_run
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.run import Run
    from mcli.models.run_config import RunConfig

EXAMPLES = """\
  mcli run -f hello.yaml --follow             submit, and show the log until the run ends
  mcli run -f train.yaml --gpus 16 --nodes 2  the same configuration, on more GPUs
  mcli run -f base.yaml -f more.yaml          what the second says is laid over the first
  mcli run -f train.yaml --set parameters.optimizer.lr=0.1 --set command='python other.py'
  mcli run -f train.yaml --dry-run            check it, and show where it would run
  mcli run --clone llama-Ab12Cd --name again  submit what an earlier run was
  mcli run --restart llama-Ab12Cd             start a run that has ended once more, as its next resumption

With --follow the exit code is 0 only if the run completed. Ctrl-C ends the following, not the run.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the run comes from, what to change in it, and whether to follow it."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "-f",
        "--file",
        dest="files",
        action="append",
        metavar="FILE",
        help="run configuration (YAML); `-` is stdin; several are merged in order",
    )
    source.add_argument(
        "-r", "--restart", metavar="RUN", help="a run that has ended, to be started once more"
    )
    source.add_argument("--clone", metavar="RUN", help="a run whose configuration is submitted again")
    parser.add_argument("--dry-run", action="store_true", help="submit nothing; show what would be submitted")
    parser.add_argument("--follow", action=argparse.BooleanOptionalAction, default=False, help="show the log")
    overrides.add_override_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Submit, say under which name, and follow if asked to."""
    if args.dry_run:
        return _plan(args)
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
    from mcli import create_run

    return create_run(_configuration(args))


def _plan(args: argparse.Namespace) -> int:
    """Print the final configuration; what else is known about it is a comment in it."""
    from mcli import plan_run
    from mcli.api.exceptions import MCLIException

    if args.restart:
        raise MCLIException("--dry-run shows what would be submitted; a restart submits nothing")
    planned = plan_run(_configuration(args))
    gpus = f", {planned.gpus_per_node} GPUs on each" if planned.gpus_per_node else ""
    nodes = f"{planned.nodes} {'node' if planned.nodes == 1 else 'nodes'}"
    print(f"# on {planned.cluster}: {nodes} of {planned.instance}{gpus}")
    place = f" (number {planned.position} in line)" if planned.position else ""
    print("# would start at once" if planned.starts_now else f"# would wait{place}: {planned.reason}")
    print(str(planned.config), end="")
    return 0


def _configuration(args: argparse.Namespace) -> RunConfig:
    """Return what is to be submitted: the files or the clone's original, with the flags laid over them."""
    from mcli.cli import layers

    if args.files:
        said: list[layers.Layer] = [layers.file(name) for name in args.files]
    else:
        original = named_run(args.clone)
        config = original.submitted_config or original.config
        said = [layers.Values(original.name, config.to_dict())]
    flags = layers.Values("command line", overrides.values(args))
    return layers.configuration([*said, *map(layers.setting, args.settings), flags])


def _restart(args: argparse.Namespace) -> Run:
    from mcli import start_run, update_run
    from mcli.api.exceptions import MCLIException

    fixed = overrides.given(args, ("name", "image", *overrides.COMPUTE))
    if fixed or args.settings:
        flags = ", ".join([f"--{name.replace('_', '-')}" for name in fixed] + ["--set"] * bool(args.settings))
        raise MCLIException(
            f"A restart keeps the name, the image and the compute of its run; {flags} would change that. "
            f"Submit it as a new run: mcli run --clone {args.restart}"
        )
    original = named_run(args.restart)
    scheduling = overrides.given(args, overrides.SCHEDULING)
    if scheduling:
        update_run(original, **scheduling)
    return start_run(original)
