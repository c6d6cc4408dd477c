"""Runs as text: the list, and the description of one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mcli.api.exceptions import MCLIException
from mcli.cli import run_table, values
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
from mcli.cli.watch import add_watch_argument, watch

if TYPE_CHECKING:
    from mcli.models.run import Run


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which runs are listed, and how much of each."""
    add_run_arguments(parser)
    parser.add_argument(
        "-u", "--user", dest="user_emails", type=values.words, metavar="EMAIL", help="of these users"
    )
    parser.add_argument("--all-users", action="store_true", help="of everybody in your organization")
    parser.add_argument("-l", "--latest", action="store_true", help="only the latest run")
    parser.add_argument(
        "--limit", type=values.limit, default=50, metavar="N", help="how many, or `none` (default: 50)"
    )
    parser.add_argument("--include-deleted", action="store_true", help="deleted runs as well")
    parser.add_argument("--ids", action="store_true", help="show ids")
    parser.add_argument(
        "--expanded", action="store_true", help="all resumptions of each run, not only the last 3"
    )
    parser.add_argument(
        "-m",
        "--metadata",
        action="append",
        default=[],
        metavar="KEY",
        help="show what is kept with runs under a key (may be repeated)",
    )
    add_watch_argument(parser)


def list_things(args: argparse.Namespace) -> None:
    """Print the runs that are meant."""
    if not args.watch:
        more = _list(args)
        if more:
            note(f"These are the latest {args.limit}; there are more (--limit N, or --limit none)")
    elif args.output == "table":
        watch(lambda: _list(args))
    else:
        raise MCLIException(f"--watch shows tables; -o {args.output} cannot be watched")


def _list(args: argparse.Namespace) -> bool:
    """Print the runs that are meant; return whether there are more than the limit."""
    limit = 1 if args.latest else args.limit
    chosen, more = select(
        args,
        limit=limit,
        include_deleted=args.include_deleted,
        include_details=args.output in ("json", "yaml") or bool(args.metadata),
        user_emails=args.user_emails,
        all_users=args.all_users,
    )
    listing = Listing(
        names=[run.name for run in chosen],
        records=lambda: [record(run) for run in chosen],
        table=lambda: run_table.table(
            chosen,
            ids=args.ids,
            users=args.all_users or len(set(args.user_emails or ())) > 1,
            clusters=len(args.clusters or ()) != 1,
            expanded=args.expanded,
            metadata=args.metadata,
        ),
    )
    show(listing, args.output)
    return more and not args.latest


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


def _describe(run: Run, with_config: bool) -> None:
    print("Run Details\n-----------")
    print_fields(
        {
            "Run Name": run.display_name,
            "Run Type": run.run_type.value.lower(),
            "Parent Run Name": run.config.parent_name,
            "Run ID": run.run_uid,
            "Last Resumption ID": run.last_resumption_id,
            "User": run.created_by,
            "Cluster": run.cluster,
            "Image": run.image,
            "Priority": str(run.priority).lower(),
            "Status": run.status.display_name,
            "Reason": run.reason or None,
            "Preemptible": "yes" if run.preemptible else "no",
            "Watchdog": "on" if run.retry_on_system_failure else "off",
            "Max Retries": run.max_retries,
            "Max Duration": f"{run.max_duration:g} h" if run.max_duration else None,
            "Created": moment(run.created_at),
            "Started": moment(run.started_at),
            "Ended": moment(run.completed_at),
            "Waited": duration(run.cumulative_pending_time),
            "Ran": duration(run.cumulative_running_time),
        }
    )
    print_heading("Compute Requests")
    print_fields(
        {
            "Cluster": run.cluster,
            "Instance": run_table.instance(run.gpus, run.gpu_type),
            "Nodes": run.node_count,
            "CPUs": run.cpus or None,
        }
    )
    if run.metadata:
        print_heading("Run Metadata")
        print_fields(run.metadata)
    if run.nodes:
        print_heading("Run Nodes")
        rows = [[str(node.rank), node.name, str(node.status), node.reason or None] for node in run.nodes]
        print_table(Table(("RANK", "NODE NAME", "STATUS", "REASON"), rows))
    if run.events:
        print_heading("Run Event Log")
        rows = [
            [_second(event.event_time), str(event.resumption_index), event.event_message]
            for event in run.events
        ]
        print_table(Table(("TIME", "RESUMPTION", "EVENT"), rows))
    if with_config and run.submitted_config:
        print_heading("Submitted Run Configuration")
        print(str(run.submitted_config), end="")


def _second(time: Any) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"
