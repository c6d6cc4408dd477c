"""What the platform answers with where a plain record is not enough."""

from __future__ import annotations

import msgspec

from mapi.clusters.base import Inventory
from mapi.domain.run import Run
from mapi.domain.user import User
from mapi.scheduling import Wait


class RunPage(msgspec.Struct, frozen=True):
    """A page of runs, newest first. `cursor`: pass it on for the next one; None on the last."""

    runs: list[Run]
    cursor: str | None
    has_next: bool


class RunPlan(msgspec.Struct, frozen=True):
    """A run as it would be accepted, and why it would wait; `wait` is None if it would start at once."""

    run: Run
    wait: Wait | None


class Occupancy(msgspec.Struct, frozen=True):
    """A run that holds or waits for a place. `position`: its place in line, 1 is next."""

    run: Run
    user: User
    reason: str | None = None
    position: int | None = None


class ClusterView(msgspec.Struct, frozen=True):
    """A cluster, what it has, and who uses it."""

    name: str
    kind: str
    inventory: Inventory
    active: list[Occupancy]
    queued: list[Occupancy]
