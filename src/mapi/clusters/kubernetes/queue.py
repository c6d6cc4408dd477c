"""What Kueue says of an execution that is in its queue. Pure.

Its Workload has the words; whether it may run is said by its Job, which Kueue suspends and lets go on.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

#: The group of Kueue's API, the label of the Job's queue, and the one of a Workload with its Job's uid.
GROUP = "kueue.x-k8s.io"
QUEUE = f"{GROUP}/queue-name"
JOB_UID = f"{GROUP}/job-uid"

_DEACTIVATED = "it was deactivated there"
_PREVIOUSLY = "Previously: "


def job_of(workload: Json) -> str | None:
    """The name of the Job that a Workload stands for."""
    owners = workload["metadata"].get("ownerReferences", ())
    return next((str(owner["name"]) for owner in owners if owner["kind"] == "Job"), None)


def waiting_for(workload: Json) -> str | None:
    """Why a Workload is not let in; None if it is, or nothing is said yet."""
    if workload["spec"].get("active") is False:
        return _DEACTIVATED
    reserved = _condition(workload, "QuotaReserved")
    return str(reserved["message"]) if reserved.get("status") == "False" else None


def eviction(workload: Json) -> tuple[str, bool] | None:
    """Why the place of a Workload was taken away the last time, though it may have another; None if never.

    Returns:
        The reason, and whether it is to wait for another: not if it was deactivated, by a person or a limit.
    """
    found = _condition(workload, "Evicted")
    if not found:
        return None
    comes_back = workload["spec"].get("active") is not False
    return str(found["message"]).removeprefix(_PREVIOUSLY), comes_back


def _condition(workload: Json, kind: str) -> Json:
    conditions: list[Json] = workload.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})
