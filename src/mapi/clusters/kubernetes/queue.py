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


def job_of(workload: Json) -> str | None:
    """The name of the Job that a Workload stands for."""
    owners = workload["metadata"].get("ownerReferences", ())
    return next((str(owner["name"]) for owner in owners if owner["kind"] == "Job"), None)


def waiting_for(workload: Json) -> str | None:
    """Why a Workload is not let in; None if it is, or nothing is said yet."""
    if workload["spec"].get("active") is False:
        return _DEACTIVATED
    return _message(workload, "QuotaReserved", "False")


def evicted_for(workload: Json) -> str | None:
    """Why the place of a Workload was taken away; None if it was not."""
    return _message(workload, "Evicted", "True")


def _message(workload: Json, kind: str, status: str) -> str | None:
    for each in workload.get("status", {}).get("conditions", ()):
        if each["type"] == kind and each["status"] == status:
            return str(each.get("message") or each.get("reason", ""))
    return None
