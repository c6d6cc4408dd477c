"""Which events of a cluster say why nothing comes of a Job, or what takes so long. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mapi.clusters.kubernetes.status import without_tries

Json = dict[str, Any]

#: The reasons of events that are worth telling, and the type of notice they become.
_TELLING = {
    "FailedCreate": "POD_REFUSED",
    "FailedMount": "CONTAINER_WAITS",
    "Pulling": "PULLING_IMAGE",
}


def about_job(event: Json) -> str:
    """The name of the Job that an event is about, or its pod is of, which need not be known yet."""
    about = event.get("involvedObject", {})
    name = str(about.get("name", ""))
    # A pod is called as its Job, its index, and what makes it unique
    return name if about.get("kind") == "Job" else name.rpartition("-")[0].rpartition("-")[0]


def telling(event: Json, since: datetime) -> tuple[str, str] | None:
    """Return the type of notice that an event becomes, and its message; None for most.

    Args:
        event: as the API has it.
        since: older ones have been told.
    """
    kind = _TELLING.get(event.get("reason", ""))
    at = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    if kind is None or datetime.fromisoformat(at) < since:
        return None
    return kind, without_tries(event.get("message", ""))
