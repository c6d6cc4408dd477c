"""A rank of an execution, and what it shares with all others of its cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mapi.clusters.base import Logs, Report
from mapi.clusters.kubernetes.client import Api, KubernetesError
from mapi.clusters.kubernetes.status import Ended, PodState
from mapi.domain.run import ExecutionId


@dataclass(frozen=True, slots=True)
class Site:
    """What the executions of a cluster have in common.

    `queue`: its own queue, "" where it has none. `logs`: where what ranks print is kept. `note_file`: the
    note beside the log of a rank. `node_lost`: whether a node is known not to answer. `heard`:
    see `Requests`.
    """

    api: Api
    queue: str
    report: Callable[[Report], None]
    logs: Logs
    note_file: Callable[[ExecutionId, int], Path]
    node_lost: Callable[[str | None], bool]
    heard: Callable[[str, KubernetesError | None], None]


@dataclass(slots=True, eq=False)
class Rank:
    """A rank, as far as it is known. `told`: its exit was reported."""

    number: int
    pod: str | None = None
    state: PodState | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    ended: Ended | None = None
    started: bool = False
    told: bool = False
