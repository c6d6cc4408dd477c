"""The environment of a rank on this machine."""

from __future__ import annotations

from collections.abc import Mapping

from mapi.clusters.base import Launch
from mapi.clusters.local.devices import RankDevices
from mapi.clusters.local.rank import MARKER, RankFiles
from mapi.domain.runtime import PARAMETERS_FILE, PARAMETERS_MOUNT, rank_environment

#: What of the platform's own environment is not for its runs: its settings, and a place in another's run.
_PRIVATE_PREFIXES = ("MOSAICML_", "MCLI_", "MAPI_")
_OTHER_RUNS = frozenset(
    {"RANK", "LOCAL_RANK", "GLOBAL_RANK", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"}
)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What a run gets of the platform's own environment."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_PRIVATE_PREFIXES) and name not in _OTHER_RUNS
    }


def environment_of(
    launch: Launch,
    rank: int,
    files: RankFiles,
    devices: RankDevices,
    base: Mapping[str, str],
    *,
    mounted: bool,
) -> dict[str, str]:
    """The variables of one rank: the user's on top, except for what would break into another run's devices.

    Args:
        launch: what is to be started.
        rank: which of its ranks.
        files: the rank's files.
        devices: what the rank was handed.
        base: what it gets of the platform's own environment.
        mounted: whether its files are shown where users expect them, or are only where they really are.
    """
    injected = launch.injection("" if mounted else str(files.private))
    gpus = ",".join(map(str, devices.gpus))
    return {
        **base,
        **rank_environment(
            run_name=launch.run_name,
            resumption=launch.execution.resumption,
            rank=rank,
            nodes=launch.allocation.nodes,
            gpus_per_node=launch.allocation.gpus_per_node,
            master_addr="127.0.0.1",
            master_port=devices.port,
            parameters_path=f"{PARAMETERS_MOUNT if mounted else files.parameters}/{PARAMETERS_FILE}",
            user={**injected.env, **launch.env},
        ),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # CUDA's own order is not the one the indices were found in
        "CUDA_VISIBLE_DEVICES": gpus,
        "NVIDIA_VISIBLE_DEVICES": gpus or "void",
        MARKER: files.marker,
    }
