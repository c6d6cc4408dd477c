"""What would become of a run if it were submitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcli.models.run_config import FinalRunConfig


@dataclass
class RunPlan:
    """What the platform would make of a configuration now.

    Attributes:
        config: the configuration the run would execute with, completed by the platform.
        cluster: where it would run.
        instance: on which kind of node.
        nodes: on how many of them.
        gpus_per_node: with how many GPUs of each.
        starts_now: whether it would start at once.
        reason: what it would wait for; None if it would start at once.
        position: its place in line, 1 is next; None if it would start at once.
    """

    config: FinalRunConfig
    cluster: str
    instance: str
    nodes: int
    gpus_per_node: int
    starts_now: bool
    reason: str | None = None
    position: int | None = None

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> RunPlan:
        """Read a plan as the platform sends it."""
        return cls(
            config=FinalRunConfig.from_wire(answer["runInput"]),
            cluster=answer["cluster"],
            instance=answer["instance"],
            nodes=answer["nodes"],
            gpus_per_node=answer["gpusPerNode"],
            starts_now=answer["startsNow"],
            reason=answer["reason"],
            position=answer["position"],
        )
