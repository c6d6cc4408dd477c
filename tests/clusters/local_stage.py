"""A stage with a local cluster, and ways to look at the processes behind it."""

from __future__ import annotations

import os
from pathlib import Path

from mapi.clusters.local.cluster import LocalCluster
from mapi.clusters.local.settings import LocalSettings
from mapi.domain.run import ExecutionId
from tests.clusters.suite import LogFiles, Stage, until


def stage_in(home: Path, settings: LocalSettings | None = None) -> Stage:
    logs = LogFiles(home)
    return Stage(lambda: LocalCluster("here", home, settings or LocalSettings(), logs), logs)


def processes_of(execution: ExecutionId) -> list[int]:
    """The processes that run with the marker of `execution`, whoever their parents are."""
    marker = f"MAPI_EXECUTION={execution}/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def children_of(parent: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


async def launcher_of_this_process() -> int:
    """The one launcher, once it is what it will be."""
    launchers: list[int] = []

    def found() -> bool:
        launchers[:] = [
            child
            for child in children_of(os.getpid())
            if b"launcher.py" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
        return len(launchers) == 1

    await until(found)
    return launchers[0]


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


#: Leaves a process that is nobody's child, in a session of its own, and deaf to gentle signals.
DAEMON = "(setsid bash -c 'trap \"\" TERM HUP; echo daemon; while :; do sleep 1; done' &) ; "
