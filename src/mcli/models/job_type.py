"""Kept for callers that pass it; it has no effect."""

from __future__ import annotations

from enum import Enum


class MCLIJobType(Enum):
    """What kind of job a run is."""

    RUN = "RUN"
