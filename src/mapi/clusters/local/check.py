"""What works on this machine, and what has to do without."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mapi.clusters.findings import Finding, what_it_has
from mapi.clusters.local import mounts
from mapi.clusters.local.inventory import discover, find_gpus
from mapi.clusters.local.settings import LocalSettings
from mapi.logs.inotify import Inotify, network_file_system


def check(settings: LocalSettings, home: Path) -> Iterator[Finding]:
    """Look at this machine.

    Args:
        settings: of the cluster.
        home: where the platform keeps its state, so its logs.
    """
    inventory = discover(settings).inventory
    for node in inventory.nodes:
        yield Finding(f"node {node.name}", True, what_it_has(node))
    yield Finding("runs without CPUs or GPUs", None, f"{inventory.shared_slots} at once on a node")
    yield _mounts()
    yield _inotify(home)
    gpu_type, found = find_gpus()
    yield Finding(
        "GPUs by NVML",
        bool(found) or None,
        f"{len(found)} of type {gpu_type}" if found else "no GPU, or no driver",
        needed=False,
    )


def _mounts() -> Finding:
    """Try it in a process of its own, which sees no more of this one than a rank does."""
    child = os.fork()
    if child == 0:
        try:
            mounts.isolate()
        except OSError:
            os._exit(1)
        os._exit(0)
    works = os.waitpid(child, 0)[1] == 0
    without = "not allowed here: runs find their files by $PARAMETERS and the like only"
    return Finding("private mounts", works, "/mnt/config and secrets" if works else without, needed=False)


def _inotify(home: Path) -> Finding:
    """Try it where the logs will be, or would: the home may not be there yet."""
    what, without = "inotify", "logs are followed by looking at them now and then"
    place = next(each for each in (home, *home.parents) if each.is_dir())
    if kind := network_file_system(place):
        return Finding(what, False, f"{place} is on {kind}: {without}", needed=False)
    try:
        with closing(Inotify()) as watches, tempfile.NamedTemporaryFile(dir=place) as file:
            watches.watch(Path(file.name))
    except OSError as error:
        return Finding(what, False, f"{error.strerror}: {without}", needed=False)
    return Finding(what, True, "logs are followed as they are written", needed=False)
