"""`mcli util`: what is used, by whom, and who waits for what."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import TYPE_CHECKING

from mcli.cli.clusters import named_clusters
from mcli.cli.output import Table, duration, moment, print_heading, print_table
from mcli.cli.watch import add_watch_argument, watch

if TYPE_CHECKING:
    from mcli.models.cluster import ClusterDetails, RunUtilization

EXAMPLES = """\
  mcli util                 all clusters
  mcli util lab             one of them
  mcli util --watch         as it changes
  mcli util --hide-users    only what is used and what is free
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which clusters, and how much of them."""
    parser.add_argument("names", nargs="*", metavar="CLUSTER", help="default: all")
    parser.add_argument("--hide-users", action="store_true", help="only what is used, not by whom")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("-t", "--training", action="store_true", help="only training, which is all there is")
    kind.add_argument("-i", "--inference", action="store_true", help="only inference, which there is not")
    add_watch_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print instances, active runs and the queue."""
    if args.inference:
        from mcli.api.exceptions import MCLIException

        raise MCLIException("this platform has no clusters for inference; leave --inference out")
    if args.watch:
        watch(lambda: _show(args))
    else:
        _show(args)
    return 0


def _show(args: argparse.Namespace) -> None:
    chosen = named_clusters(args.names, utilization=True)
    print("Training Instances:" if len(chosen) == 1 else "Training Instances by Cluster:")
    print_table(_instances(chosen))
    if args.hide_users:
        return
    used = [cluster.utilization for cluster in chosen if cluster.utilization is not None]
    active = [run for each in used for run in each.active_runs]
    for heading, preemptible in (("Active Non-Preemptible Runs", False), ("Active Preemptible Runs", True)):
        some = [run for run in active if bool(run.scheduling.get("preemptible")) is preemptible]
        if some:
            print_heading(heading)
            print_table(_active(some))
    if any(each.queued_runs for each in used):
        print_heading("Queued Runs")
        print_table(_queued([(place, run) for each in used for place, run in enumerate(each.queued_runs, 1)]))


def _instances(chosen: list[ClusterDetails]) -> Table:
    rows = [
        [
            cluster.name,
            use.instance.name,
            f"{use.instance.num_nodes} x {use.instance.gpu_type or 'cpu'}",
            str(use.gpus_available),
            str(use.gpus_used),
            str(use.gpus_total),
        ]
        for cluster in chosen
        if cluster.utilization is not None
        for use in cluster.utilization.instances
    ]
    return Table(("NAME", "INSTANCE_NAME", "NODE_INFO", "GPUS_AVAILABLE", "GPUS_USED", "GPUS_TOTAL"), rows)


def _active(runs: list[RunUtilization]) -> Table:
    rows = [
        [*_common(run), moment(run.estimated_end_time) if run.estimated_end_time else None] for run in runs
    ]
    return Table(("RUN_NAME", "USER", "AGE", "GPUS", "PRIORITY", "ETA"), rows)


def _queued(runs: list[tuple[int, RunUtilization]]) -> Table:
    rows = [[str(place), *_common(run), run.reason or None] for place, run in runs]
    return Table(("POS", "RUN_NAME", "USER", "AGE", "GPUS", "PRIORITY", "REASON"), rows)


def _common(run: RunUtilization) -> list[str]:
    age = (dt.datetime.now(dt.UTC) - run.created_at).total_seconds()
    priority = str(run.scheduling.get("priority") or "auto").lower()
    return [run.name, run.user, duration(age), str(run.gpus), priority]
