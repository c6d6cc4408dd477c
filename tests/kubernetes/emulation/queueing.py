"""Kueue: a Workload for every Job that names a queue, let in for as long as there are CPUs in the quota.

As Kueue was seen to do it: a Job is let go on when its Workload is admitted; to take its place away, the
Workload says why first, then the Job is suspended, and only then the Workload waits again.
"""

from __future__ import annotations

import copy
import hashlib
from typing import Any

from tests.kubernetes.emulation.quantities import quantity
from tests.kubernetes.emulation.registry import Registry
from tests.kubernetes.emulation.resources import BY_KIND, JOBS, Object, now

WORKLOADS, LOCAL_QUEUES = BY_KIND["Workload"], BY_KIND["LocalQueue"]
_QUEUE, _JOB_UID = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/job-uid"
_NO_RESERVATION = ("Admitted", "False", "NoReservation", "The workload has no reservation")


class Kueue:
    """The queue controller. `cpus`: the quota of all queues together."""

    def __init__(self, registry: Registry) -> None:
        self.cpus = 1.0
        self._registry = registry
        self._evicted: dict[str, str] = {}

    def evict(self, job: str, why: str) -> None:
        """Take the place of a Job away."""
        self._evicted[job] = why
        self.sync()

    def sync(self) -> None:
        """Bring every Job with a queue to what the quota allows, the oldest first."""
        store = self._registry.store
        jobs = [job for job in store.all(JOBS) if _QUEUE in job["metadata"].get("labels", {})]
        free = self.cpus
        waiting = []
        for job in sorted(jobs, key=lambda job: job["metadata"]["creationTimestamp"]):
            if job["metadata"].get("deletionTimestamp"):
                continue
            workload = self._workload(job)
            finished = any(
                each["type"] in ("Complete", "Failed") and each["status"] == "True"
                for each in job["status"].get("conditions", ())
            )
            if finished:
                self._say(workload, ("Finished", "True", "Succeeded", "Job finished"))
            elif job["metadata"]["name"] in self._evicted:
                self._take_away(job, workload)
            elif job["spec"]["suspend"]:
                if job["status"].get("active"):  # its pods hold their place until they have gone
                    free -= _cpus(job)
                    continue
                waiting.append((job, workload))
            else:
                free -= _cpus(job)
        for job, workload in waiting:
            queue = job["metadata"]["labels"][_QUEUE]
            if store.find(LOCAL_QUEUES, job["metadata"]["namespace"], queue) is None:
                self._hold(workload, "Inadmissible", f"LocalQueue {queue} doesn't exist")
            elif _cpus(job) > free:
                more = _cpus(job) - free
                self._hold(
                    workload,
                    "Pending",
                    "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor "
                    f"default, {more:g} more needed",
                )
            else:
                free -= _cpus(job)
                self._let_in(job, workload)

    def _workload(self, job: Object) -> Object:
        metadata = job["metadata"]
        unique = hashlib.sha256(metadata["uid"].encode()).hexdigest()[:5]
        name = f"job-{metadata['name']}-{unique}"
        found = self._registry.store.find(WORKLOADS, metadata["namespace"], name)
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        return found or self._registry.create(
            WORKLOADS,
            metadata["namespace"],
            {
                "metadata": {
                    "name": name,
                    "labels": {_JOB_UID: metadata["uid"]},
                    "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
                },
                "spec": {"active": True, "queueName": metadata["labels"][_QUEUE]},
                "status": {"conditions": []},
            },
        )

    def _hold(self, workload: Object, reason: str, message: str) -> None:
        self._say(workload, ("QuotaReserved", "False", reason, message))

    def _let_in(self, job: Object, workload: Object) -> None:
        said = [("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue cq")]
        evicted = next((each for each in workload["status"]["conditions"] if each["type"] == "Evicted"), None)
        if evicted:
            said.append(("Evicted", "False", "QuotaReserved", f"Previously: {evicted['message']}"))
        self._say(workload, *said, ("Admitted", "True", "Admitted", "The workload is admitted"))
        self._suspend(job, False)

    def _take_away(self, job: Object, workload: Object) -> None:
        why = self._evicted.pop(job["metadata"]["name"])
        workload = self._say(workload, ("Evicted", "True", "Preempted", why))
        self._suspend(job, True)
        self._say(workload, _NO_RESERVATION, ("QuotaReserved", "False", "Pending", "waits for its turn"))

    def _suspend(self, job: Object, suspend: bool) -> None:
        spec = {**job["spec"], "suspend": suspend}
        self._registry.store.put(JOBS, {**job, "spec": spec})

    def _say(self, workload: Object, *said: tuple[str, str, str, str]) -> Object:
        item: dict[str, Any] = copy.deepcopy(workload)
        conditions = {each["type"]: each for each in item["status"].get("conditions", ())}
        for kind, status, reason, message in said:
            before = conditions.get(kind, {})
            changed = now() if before.get("status") != status else before["lastTransitionTime"]
            conditions[kind] = {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": changed,
            }
        item["status"]["conditions"] = list(conditions.values())
        return self._registry.store.put(WORKLOADS, item)


def _cpus(job: Object) -> float:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    asked = container.get("resources", {}).get("requests", {}).get("cpu", "0")
    return float(quantity(asked)) * int(job["spec"]["parallelism"])
