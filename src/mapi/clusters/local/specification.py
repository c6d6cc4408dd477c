"""What a launcher is told about a rank: everything it needs to start it, as JSON.

A rank is described in two ways, since only its supervisor finds out whether it can mount: with its files at
the paths users expect, and with its files where they really are.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from pathlib import Path

from mapi.clusters.base import Launch
from mapi.clusters.local.devices import RankDevices
from mapi.clusters.local.environment import environment_of
from mapi.clusters.local.rank import RankFiles
from mapi.domain.runtime import PARAMETERS_FILE, PARAMETERS_MOUNT


def specify(
    launch: Launch, rank: int, files: RankFiles, devices: RankDevices, *, log: Path, base: Mapping[str, str]
) -> bytes:
    """Return what `launcher.run_rank` reads.

    Args:
        launch: what is to be started.
        rank: which of its ranks.
        files: the rank's files.
        devices: what the rank was handed.
        log: the file its output goes to.
        base: what it gets of the platform's own environment.

    Raises:
        OSError: a secret is meant for a directory that holds what the rank itself needs.
    """
    root = str(files.private)
    mounted, plain = launch.injection(), launch.injection(root)
    directories = dict.fromkeys(posixpath.dirname(file.path) for file in mounted.files)
    needed = {files.directory, *files.directory.parents, *log.parents}
    for directory in directories:
        if Path(directory) in needed:
            raise OSError(
                f"a secret would hide {directory}, where the platform keeps this run; mount it elsewhere"
            )
    specification = {
        "directory": str(files.directory),
        "log": str(log),
        "command": launch.command,
        "parameters": launch.parameters,
        "parameters_file": PARAMETERS_FILE,
        "private": root,
        "mounts": [
            (str(files.parameters), PARAMETERS_MOUNT),
            *((root + directory, directory) for directory in directories),
        ],
        "mounted": {
            "env": environment_of(launch, rank, files, devices, base, mounted=True),
            "files": [(root + file.path, file.text, file.mode) for file in mounted.files],
        },
        "plain": {
            "env": environment_of(launch, rank, files, devices, base, mounted=False),
            "files": [(file.path, file.text, file.mode) for file in plain.files],
        },
        "grace": launch.grace_seconds,
        "cpus": devices.cpus,
    }
    return json.dumps(specification).encode()
