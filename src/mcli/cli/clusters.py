"""Clusters as text: the list, and the description of one."""

from __future__ import annotations

import argparse
import difflib
from typing import TYPE_CHECKING, Any

from mcli.cli.output import (
    Listing,
    Table,
    print_fields,
    print_heading,
    print_json,
    print_table,
    print_yaml,
    show,
)

if TYPE_CHECKING:
    from mcli.models.cluster import ClusterDetails, Instance


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which clusters are listed."""
    parser.add_argument("names", nargs="*", metavar="CLUSTER", help="default: all")
    parser.add_argument("--ids", action="store_true", help="show ids")


def list_things(args: argparse.Namespace) -> None:
    """Print the clusters that are meant."""
    chosen = named_clusters(args.names)
    listing = Listing(
        names=[cluster.name for cluster in chosen],
        records=lambda: [record(cluster) for cluster in chosen],
        table=lambda: _table(chosen, args.ids),
    )
    show(listing, args.output)


def add_describe_arguments(parser: argparse.ArgumentParser) -> None:
    """A cluster is described whole."""


def describe_thing(args: argparse.Namespace) -> None:
    """Print all about one cluster."""
    from mcli.api.exceptions import MCLIException

    chosen = named_clusters([args.name] if args.name else [])
    if len(chosen) != 1:
        raise MCLIException(f"Which cluster? One of {', '.join(cluster.name for cluster in chosen)}")
    if args.output == "json":
        print_json(record(chosen[0]))
    elif args.output == "yaml":
        print_yaml(record(chosen[0]))
    else:
        _describe(chosen[0])


def named_clusters(names: list[str], *, utilization: bool = False) -> list[ClusterDetails]:
    """Return the clusters of these names, or all.

    Raises:
        MCLIException: there is none of a name.
    """
    from mcli import get_clusters
    from mcli.api.exceptions import MCLIException

    everything = get_clusters(include_utilization=utilization)
    known = [cluster.name for cluster in everything]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."
            raise MCLIException(f"There is no cluster named {name!r}. {hint}")
    return [cluster for cluster in everything if not names or cluster.name in names]


def record(cluster: ClusterDetails) -> dict[str, Any]:
    """Return all that is known about a cluster, by name, for JSON and YAML."""
    import dataclasses

    fields = dataclasses.asdict(cluster)
    del fields["utilization"]  # that is `mcli util`
    return fields


def _table(chosen: list[ClusterDetails], ids: bool) -> Table:
    rows = [
        [
            cluster.name,
            cluster.id if ids else None,
            cluster.provider,
            instance.gpu_type or "none",
            _gpu_numbers(instance),
            instance.name,
            str(instance.num_nodes),
        ]
        for cluster in chosen
        for instance in cluster.instances
    ]
    return Table(("NAME", "ID", "PROVIDER", "GPU_TYPE", "GPUS", "INSTANCE", "NODES"), rows)


def _describe(cluster: ClusterDetails) -> None:
    print_fields({"Name": cluster.name, "Id": cluster.id, "Provider": cluster.provider})
    for instance in cluster.instances:
        print_heading(f"Instance {instance.name}")
        print_fields(
            {
                "GPUs": f"{instance.gpus}x {instance.gpu_type} on each node" if instance.gpu_type else "none",
                "CPUs": instance.cpus,
                "Memory": instance.memory,
                "Storage": instance.storage,
                "Nodes": instance.num_nodes,
            }
        )
        rows = [[node.name, _yes(node.is_alive), _yes(node.is_schedulable)] for node in instance.nodes]
        if rows:
            print()
            print_table(Table(("NODE", "ALIVE", "SCHEDULABLE"), rows))


def _gpu_numbers(instance: Instance) -> str:
    """Return the numbers of GPUs a run can ask for: `≤8,16,24`."""
    numbers = [str(number) for number in instance.gpu_nums if number >= instance.gpus]
    if not instance.gpus or not numbers:
        return str(instance.gpus * instance.num_nodes)
    shown = numbers if len(numbers) <= 4 else [*numbers[:2], "...", numbers[-1]]
    return "≤" + ",".join(shown)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
