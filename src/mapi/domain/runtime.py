"""The environment a rank runs in: the same on every kind of cluster."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

#: Where a run finds its parameters, on every cluster that allows a mount.
PARAMETERS_MOUNT = "/mnt/config"
PARAMETERS_FILE = "parameters.yaml"


class File(msgspec.Struct, frozen=True):
    """A file of a rank that is not for everybody's eyes, at an absolute path."""

    path: str
    text: str
    mode: int

    def __repr__(self) -> str:
        return f"File({self.path!r})"


class Injection(msgspec.Struct, frozen=True):
    """What a rank is given beside its configuration. Its `repr` has names only."""

    files: tuple[File, ...] = ()
    env: dict[str, str] = {}

    def __add__(self, other: Injection) -> Injection:
        return Injection(self.files + other.files, {**self.env, **other.env})

    def __repr__(self) -> str:
        return f"Injection({[file.path for file in self.files]}, {list(self.env)})"


def rank_environment(
    *,
    run_name: str,
    resumption: int,
    rank: int,
    nodes: int,
    gpus_per_node: int,
    master_addr: str,
    master_port: int,
    parameters_path: str,
    user: Mapping[str, str],
) -> dict[str, str]:
    """Return the variables of one rank, the user's own on top.

    A rank without GPUs counts as one worker, so that `WORLD_SIZE` is the number of processes a plain
    launcher starts: the GPUs of the run, or its nodes when it has none.
    """
    local_world_size = max(gpus_per_node, 1)
    return {
        "MOSAICML_PLATFORM": "true",
        "RUN_NAME": run_name,
        "COMPOSER_RUN_NAME": run_name,
        "RESUMPTION_INDEX": str(resumption),
        "NUM_NODES": str(nodes),
        "NODE_RANK": str(rank),
        "WORLD_SIZE": str(nodes * local_world_size),
        "LOCAL_WORLD_SIZE": str(local_world_size),
        "MASTER_ADDR": master_addr,
        "MASTER_PORT": str(master_port),
        "PARAMETERS": parameters_path,
        **user,
    }
