"""What Kueue says, in the words it was seen to say it in."""

from __future__ import annotations

from typing import Any

import pytest

from mapi.clusters.kubernetes.queue import eviction, job_of, waiting_for

Json = dict[str, Any]

NO_ROOM = "couldn't assign flavors to pod set main: insufficient unused quota for cpu, 1 more needed"


def workload(*conditions: tuple[str, str, str, str], active: bool = True) -> Json:
    return {
        "metadata": {"name": "job-a-f1101", "ownerReferences": [{"kind": "Job", "name": "a"}]},
        "spec": {"active": active},
        "status": {
            "conditions": [
                dict(zip(("type", "status", "reason", "message"), each, strict=True)) for each in conditions
            ]
        },
    }


NOT_READY = ("PodsReady", "False", "WaitForStart", "Not all pods are ready or succeeded")
RESERVED = ("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue cq")


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (workload(("QuotaReserved", "False", "Pending", NO_ROOM), NOT_READY), NO_ROOM),
        (workload(("QuotaReserved", "False", "Inadmissible", "no LocalQueue a")), "no LocalQueue a"),
        (workload(NOT_READY), None),
        (workload(RESERVED), None),
        (workload(active=False), "it was deactivated there"),
        (workload(("QuotaReserved", "False", "Pending", NO_ROOM), active=False), "it was deactivated there"),
        ({"metadata": {}, "spec": {}}, None),
    ],
)  # fmt: skip
def test_why_it_waits(seen: Json, reason: str | None) -> None:
    assert waiting_for(seen) == reason


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (workload(("Evicted", "True", "Preempted", "other"), RESERVED), ("other", True)),
        (workload(("Evicted", "False", "QuotaReserved", "Previously: other"), RESERVED), ("other", True)),
        (workload(("Evicted", "True", "Deactivated", "stopped"), active=False), ("stopped", False)),
        (workload(RESERVED), None),
    ],
)  # fmt: skip
def test_why_its_place_was_taken(seen: Json, reason: tuple[str, bool] | None) -> None:
    assert eviction(seen) == reason


def test_whose_it_is() -> None:
    assert job_of(workload()) == "a"
    assert job_of({"metadata": {}}) is None
