"""Flags that change a run configuration before it is submitted."""

from __future__ import annotations

import argparse
from typing import Any

from mcli.cli.values import words

#: Fields of `compute` that a flag sets.
COMPUTE = ("cluster", "instance", "nodes", "node_names", "gpu_type", "gpus", "cpus")

#: Fields of `scheduling` that a flag sets.
SCHEDULING = ("priority", "preemptible", "max_retries", "max_duration")


def add_override_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each field that can be changed on the command line."""
    group = parser.add_argument_group("instead of what the configuration says")
    group.add_argument("--name", "--run-name", help="name, before the platform makes it unique")
    group.add_argument("--image", help="container image")
    add_compute_arguments(group)
    add_scheduling_arguments(group)
    group.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="any field, as YAML: parameters.lr=0.1, integrations[0].git_branch=main (may be repeated)",
    )


def add_compute_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the flags for where a run runs, and on how much."""
    parser.add_argument("--cluster", "--platform", help="where it runs")
    parser.add_argument("--instance", help="kind of node, as `mcli get clusters` lists them")
    parser.add_argument("--nodes", type=int, metavar="N", help="number of nodes")
    parser.add_argument("--node-names", type=words, metavar="A,B", help="the nodes to use, by name")
    parser.add_argument("--gpus", type=int, metavar="N", help="GPUs over all nodes")
    parser.add_argument("--gpu-type", metavar="TYPE", help="type of GPU, or `none`")
    parser.add_argument("--cpus", type=int, metavar="N", help="CPUs on each node")


def add_scheduling_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the flags for how a run queues and retries."""
    parser.add_argument("--priority", help="auto, low or lowest")
    parser.add_argument(
        "--preemptible",
        action=argparse.BooleanOptionalAction,
        help="whether a more important run may push it back",
    )
    parser.add_argument(
        "--max-retries",
        "--max_retries",
        type=int,
        metavar="N",
        help="how often it is tried again when it fails",
    )
    parser.add_argument(
        "--max-duration", type=float, metavar="HOURS", help="hours after which it is stopped, such as 0.5"
    )


def given(args: argparse.Namespace, fields: Any) -> dict[str, Any]:
    """Return those of `fields` that the command line sets."""
    return {name: getattr(args, name) for name in fields if getattr(args, name) is not None}


def values(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the flags say, by field of a run configuration."""
    blocks = {"compute": given(args, COMPUTE), "scheduling": given(args, SCHEDULING)}
    return given(args, ("name", "image")) | {name: block for name, block in blocks.items() if block}
