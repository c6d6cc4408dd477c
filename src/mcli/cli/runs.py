"""Runs as text: the list, and the description of one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mcli.cli import values
from mcli.cli.output import (
    Listing,
    Table,
    duration,
    moment,
    note,
    print_fields,
    print_heading,
    print_json,
    print_table,
    print_yaml,
    show,
)
from mcli.cli.selection import add_run_arguments, named_run, select

if TYPE_CHECKING:
    from mcli.models.resumption import Resumption
    from mcli.models.run import Run

#: Resumptions of a run that a list shows unless it is asked for all.
_SHOWN_RESUMPTIONS = 3


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which runs are listed, and how much of each."""
    add_run_arguments(parser)
    parser.add_argument("-l", "--latest", action="store_true", help="only the latest run")
    parser.add_argument(
        "--limit", type=values.limit, default=50, metavar="N", help="how many, or `none` (default: 50)"
    )
    parser.add_argument("--include-deleted", action="store_true", help="deleted runs as well")
    parser.add_argument("--ids", action="store_true", help="show ids")
    parser.add_argument(
        "--expanded", action="store_true", help="all resumptions of each run, not only the last 3"
    )


def list_things(args: argparse.Namespace) -> None:
    """Print the runs that are meant."""
    whole = args.output in ("json", "yaml")
    limit = 1 if args.latest else args.limit
    chosen, more = select(args, limit=limit, include_deleted=args.include_deleted, include_details=whole)
    listing = Listing(
        names=[run.name for run in chosen],
        records=lambda: [record(run) for run in chosen],
        table=lambda: _table(chosen, args),
    )
    show(listing, args.output)
    if more and not args.latest:
        note(f"These are the latest {limit}; there are more (--limit N, or --limit none)")


def record(run: Run) -> dict[str, Any]:
    """Return all that is known about a run, by name, for JSON and YAML."""
    return {
        "name": run.name,
        "id": run.run_uid,
        "status": run.status,
        "reason": run.reason or None,
        "run_type": run.run_type,
        "created_by": run.created_by,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "is_deleted": run.is_deleted,
        "cluster": run.cluster,
        "gpu_type": run.gpu_type,
        "gpus": run.gpus,
        "cpus": run.cpus,
        "node_count": run.node_count,
        "image": run.image,
        "priority": run.priority,
        "preemptible": run.preemptible,
        "retry_on_system_failure": run.retry_on_system_failure,
        "max_retries": run.max_retries,
        "max_duration": run.max_duration,
        "resumptions": [resumption.to_dict() for resumption in run.resumptions],
        "nodes": [node.to_dict() for node in run.nodes],
        "lifecycle": [step.to_dict() for step in run.lifecycle],
        "events": [
            {
                "time": event.event_time,
                "type": event.event_type,
                "message": event.event_message,
                "resumption": event.resumption_index,
            }
            for event in run.events
        ],
        "last_resumption_id": run.last_resumption_id,
        "metadata": run.metadata,
        "config": run.config.to_dict(),
        "submitted_config": run.submitted_config.to_dict() if run.submitted_config else None,
    }


def add_describe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how much of the description is printed."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--no-yaml", action="store_true", help="without the submitted configuration")
    which.add_argument("--yaml-only", action="store_true", help="only the submitted configuration")


def describe_thing(args: argparse.Namespace) -> None:
    """Print all about one run."""
    run = named_run(args.name)
    if args.yaml_only:
        print(str(run.submitted_config or ""), end="")
    elif args.output == "json":
        print_json(record(run))
    elif args.output == "yaml":
        print_yaml(record(run))
    else:
        _describe(run, with_config=not args.no_yaml)


def instance(gpus: int | None, gpu_type: str | None) -> str:
    """Return the compute of a run in short: `8x a100_80gb`, or `cpu`."""
    return f"{gpus}x {gpu_type}" if gpus else "cpu"


def _describe(run: Run, with_config: bool) -> None:
    print_fields(
        {
            "Name": run.name,
            "Id": run.run_uid,
            "Type": run.run_type.value.lower(),
            "User": run.created_by,
            "Status": _status(run.status.display_name, run.reason),
            "Created": moment(run.created_at),
            "Started": moment(run.started_at),
            "Ended": moment(run.completed_at),
            "Waited": duration(run.cumulative_pending_time),
            "Ran": duration(run.cumulative_running_time),
            "Image": run.image,
            "Priority": str(run.priority).lower(),
            "Preemptible": "yes" if run.preemptible else "no",
            "Watchdog": "on" if run.retry_on_system_failure else "off",
            "Max retries": run.max_retries,
            "Max duration": f"{run.max_duration:g} h" if run.max_duration else None,
        }
    )
    print_heading("Compute")
    print_fields(
        {
            "Cluster": run.cluster,
            "Instance": instance(run.gpus, run.gpu_type),
            "Nodes": run.node_count,
            "CPUs": run.cpus,
        }
    )
    if run.metadata:
        print_heading("Metadata")
        print_fields(run.metadata)
    if run.nodes:
        print_heading("Nodes")
        rows = [[str(node.rank), node.name, str(node.status), node.reason or None] for node in run.nodes]
        print_table(Table(("RANK", "NODE", "STATUS", "REASON"), rows))
    if run.events:
        print_heading("Events")
        rows = [
            [_second(event.event_time), str(event.resumption_index), event.event_message]
            for event in run.events
        ]
        print_table(Table(("TIME", "RESUMPTION", "EVENT"), rows))
    if with_config and run.submitted_config:
        print_heading("Submitted configuration")
        print(str(run.submitted_config), end="")


def _table(chosen: list[Run], args: argparse.Namespace) -> Table:
    titles = ("NAME", "ID", "CLUSTER", "NODES", "INSTANCE", "RESUMPTION", "STATUS", "START TIME", "END TIME")
    one_cluster = args.clusters is not None and len(args.clusters) == 1
    resumed = any(len(run.resumptions) > 1 for run in chosen)
    rows = [
        [
            run.name,
            run.run_uid if args.ids else None,
            None if one_cluster else resumption.cluster,
            str(resumption.node_count),
            instance(resumption.gpus, resumption.gpu_type),
            str(resumption.index) if resumed else None,
            _status(resumption.status.display_name, resumption.reason),
            moment(resumption.started_at),
            moment(resumption.ended_at),
        ]
        for run in chosen
        for resumption in _shown(run, args.expanded)
    ]
    return Table(titles, rows)


def _shown(run: Run, expanded: bool) -> Iterator[Resumption]:
    newest_first = list(reversed(run.resumptions))
    yield from newest_first if expanded else newest_first[:_SHOWN_RESUMPTIONS]


def _status(name: str, reason: str | None) -> str:
    return f"{name} ({reason})" if reason else name


def _second(time: Any) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"
