"""What may stand in the nested blocks of a run configuration."""

from __future__ import annotations

from typing import TypedDict


class ComputeConfig(TypedDict, total=False):
    """The compute a run asks for; the platform fills in what is left out.

    `gpus` counts all nodes; `cpus` is per node.
    """

    cluster: str
    instance: str
    nodes: int
    node_names: list[str]
    gpus: int
    gpu_type: str
    cpus: int


class SchedulingConfig(TypedDict, total=False):
    """How a run queues, and what happens when it fails. `max_duration` in hours."""

    priority: str
    preemptible: bool
    max_retries: int
    retry_on_system_failure: bool
    max_duration: float
