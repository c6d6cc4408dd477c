"""The Job controller: pods for a Job, one an index where it is indexed, and what has become of them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

from tests.kubernetes.emulation.recorder import Recorder
from tests.kubernetes.emulation.registry import Registry
from tests.kubernetes.emulation.resources import JOBS, PODS, Object, now
from tests.kubernetes.emulation.store import Change

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
_COMPONENT = "job-controller"
_ENDED = ("Succeeded", "Failed")


class JobController:
    """Brings the pods of every Job to what its spec asks for."""

    def __init__(self, registry: Registry, recorder: Recorder) -> None:
        self._registry = registry
        self._recorder = recorder
        self._changed: set[str] = set()

    def note(self, change: Change) -> None:
        """Remember which Jobs to look at."""
        if change.resource is JOBS:
            self._changed.add(change.item["metadata"]["uid"])
        elif change.resource is PODS:
            self._changed.add(_owner(change.item))

    def sync(self) -> None:
        """Look at the Jobs of which something has changed, and at those whose deadline has passed."""
        store = self._registry.store
        changed, self._changed = self._changed, set()
        pods: dict[str, list[Object]] = {}
        for pod in store.all(PODS):
            pods.setdefault(_owner(pod), []).append(pod)
        jobs = {job["metadata"]["uid"]: job for job in store.all(JOBS)}
        for uid, job in jobs.items():
            if uid in changed or (_left(job) or 1) <= 0:
                self._sync_job(job, pods.get(uid, []))
        for pod in (pod for owner in changed - jobs.keys() for pod in pods.get(owner, [])):
            if FINALIZER in (pod["metadata"].get("finalizers") or []):
                self._registry.remove_finalizer(PODS, pod, FINALIZER)

    def due(self) -> float | None:
        """Seconds until a deadline of a Job passes, None without one."""
        left = [_left(job) for job in self._registry.store.all(JOBS) if not _finished(job)]
        return min((seconds for seconds in left if seconds is not None), default=None)

    def _sync_job(self, job: Object, pods: list[Object]) -> None:
        if job["metadata"].get("deletionTimestamp"):
            return
        status = copy.deepcopy(job["status"])
        self._count(job["spec"], status, pods)
        live = [pod for pod in pods if pod["status"]["phase"] not in _ENDED and not _deleting(pod)]
        if _finished(job):
            self._write(job, status, live, pods)
            return
        if job["spec"]["suspend"]:
            if not _condition(status, "Suspended"):
                self._record(job, "Normal", "Suspended", "Job suspended")
            _set(status, "Suspended", "True", "JobSuspended", "Job suspended")
            status.pop("startTime", None)
            self._delete(job, live)
            self._write(job, status, [], pods)
            return
        if _condition(status, "Suspended"):
            _set(status, "Suspended", "False", "JobResumed", "Job resumed")
            self._record(job, "Normal", "Resumed", "Job resumed")
        status.setdefault("startTime", now())
        verdict = _verdict(job, status)
        if verdict is None and not _condition(status, "FailureTarget"):
            live += self._create(job, status, live)
            self._write(job, status, live, pods)
            return
        self._end(job, status, verdict, live, pods)

    def _count(self, spec: Object, status: Object, pods: list[Object]) -> None:
        """Count each pod that has ended, or is to be deleted, and let go of it; suspending fails nothing."""
        for pod in pods:
            ended = pod["status"]["phase"] in _ENDED
            held = FINALIZER in (pod["metadata"].get("finalizers") or [])
            if not held or not (ended or _deleting(pod)):
                continue
            if ended or not spec["suspend"]:
                self._count_one(spec, status, pod)
            self._registry.remove_finalizer(PODS, pod, FINALIZER)

    def _count_one(self, spec: Object, status: Object, pod: Object) -> None:
        outcome = "succeeded" if pod["status"]["phase"] == "Succeeded" else "failed"
        status[outcome] = status.get(outcome, 0) + 1
        index = _index(pod)
        if index is not None and outcome == "succeeded":
            status["completedIndexes"] = _ranges({*_indexes(status, "completedIndexes"), index})
        elif index is not None and spec.get("backoffLimitPerIndex") == 0:
            status["failedIndexes"] = _ranges({*_indexes(status, "failedIndexes"), index})

    def _create(self, job: Object, status: Object, live: list[Object]) -> list[Object]:
        """Create the pods that are missing."""
        spec, created = job["spec"], []
        completions = spec.get("completions")
        if spec["completionMode"] == "Indexed":
            taken = {_index(pod) for pod in live} | _indexes(status, "completedIndexes")
            taken |= _indexes(status, "failedIndexes")
            missing: list[int | None] = [index for index in range(completions) if index not in taken]
        else:
            wanted = spec["parallelism"] if completions is None else completions - status.get("succeeded", 0)
            missing = [None] * (wanted - len(live))
        for index in missing[: max(0, spec["parallelism"] - len(live))]:
            pod = self._registry.create(PODS, job["metadata"]["namespace"], _pod(job, index))
            self._record(job, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
            created.append(pod)
        return created

    def _end(
        self,
        job: Object,
        status: Object,
        verdict: tuple[str, str, str] | None,
        live: list[Object],
        pods: list[Object],
    ) -> None:
        """Have every pod of a Job ended, then say that the Job has."""
        kind, reason, message = verdict or _target(status)
        target = {"Failed": "FailureTarget", "Complete": "SuccessCriteriaMet"}[kind]
        _set(status, target, "True", reason, message)
        self._delete(job, live)
        if not any(pod["status"]["phase"] not in _ENDED for pod in self._still(pods)):
            _set(status, kind, "True", reason, message)
            if kind == "Complete":
                status["completionTime"] = now()
                self._record(job, "Normal", "Completed", "Job completed")
            else:
                self._record(job, "Warning", reason, message)
        self._write(job, status, [], pods)

    def _delete(self, job: Object, pods: list[Object]) -> None:
        for pod in pods:
            metadata = pod["metadata"]
            self._registry.delete(PODS, metadata["namespace"], metadata["name"])
            self._record(job, "Normal", "SuccessfulDelete", f"Deleted pod: {metadata['name']}")

    def _still(self, pods: list[Object]) -> list[Object]:
        found = (
            self._registry.store.find(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
            for pod in pods
        )
        return [pod for pod in found if pod is not None]

    def _write(self, job: Object, status: Object, live: list[Object], pods: list[Object]) -> None:
        status["active"] = len(live)
        status["ready"] = sum(_ready(pod) for pod in live)
        status["terminating"] = sum(
            _deleting(pod) and pod["status"]["phase"] not in _ENDED for pod in self._still(pods)
        )
        status["uncountedTerminatedPods"] = {}
        if not status["active"]:
            del status["active"]
        self._registry.write_status(JOBS, job, status)

    def _record(self, job: Object, type_: str, reason: str, message: str) -> None:
        self._recorder.component(job, _COMPONENT, type_, reason, message)


def _verdict(job: Object, status: Object) -> tuple[str, str, str] | None:
    """Whether a Job is decided: the condition, its reason and its message."""
    spec = job["spec"]
    seconds = _left({**job, "status": status})
    if seconds is not None and seconds <= 0:
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    completions = spec.get("completions") or spec["parallelism"]
    completed, failed = _indexes(status, "completedIndexes"), _indexes(status, "failedIndexes")
    if failed and len(failed | completed) == completions:
        return "Failed", "FailedIndexes", "Job has failed indexes"
    if status.get("failed", 0) > spec["backoffLimit"]:
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    done = len(completed) if spec["completionMode"] == "Indexed" else status.get("succeeded", 0)
    if done >= completions:
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    return None


def _target(status: Object) -> tuple[str, str, str]:
    condition = _condition(status, "FailureTarget")
    assert condition is not None
    return "Failed", condition["reason"], condition["message"]


def _pod(job: Object, index: int | None) -> Object:
    metadata, template = job["metadata"], copy.deepcopy(job["spec"]["template"])
    inner = template["metadata"]
    inner["generateName"] = f"{metadata['name']}-" if index is None else f"{metadata['name']}-{index}-"
    inner["finalizers"] = [FINALIZER]
    inner["ownerReferences"] = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    if index is not None:
        inner["annotations"] = {**(inner.get("annotations") or {}), INDEX: str(index)}
        inner["labels"] = {**inner["labels"], INDEX: str(index)}
        template["spec"]["hostname"] = f"{metadata['name']}-{index}"
        source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
        for container in [*template["spec"]["containers"], *template["spec"].get("initContainers", [])]:
            variables = container.setdefault("env", [])
            if not any(variable["name"] == "JOB_COMPLETION_INDEX" for variable in variables):
                variables.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})
    return {"metadata": inner, "spec": template["spec"]}


def _owner(pod: Object) -> str:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")


def _index(pod: Object) -> int | None:
    index = (pod["metadata"].get("annotations") or {}).get(INDEX)
    return None if index is None else int(index)


def _deleting(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _ready(pod: Object) -> bool:
    return any(
        each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions") or []
    )


def _finished(job: Object) -> bool:
    return any(_is_true(job["status"], kind) for kind in ("Complete", "Failed"))


def _is_true(status: Object, kind: str) -> bool:
    condition = _condition(status, kind)
    return condition is not None and condition["status"] == "True"


def _condition(status: Object, kind: str) -> Object | None:
    return next((each for each in status.get("conditions") or [] if each["type"] == kind), None)


def _set(status: Object, kind: str, value: str, reason: str, message: str) -> None:
    found = _condition(status, kind)
    if found is not None and found["status"] == value:
        return
    at = now()
    condition = {
        "type": kind,
        "status": value,
        "lastProbeTime": at,
        "lastTransitionTime": at,
        "reason": reason,
        "message": message,
    }
    others = [each for each in status.get("conditions") or [] if each["type"] != kind]
    status["conditions"] = [*others, condition]


def _left(job: Object) -> float | None:
    """Seconds a Job has left, None without a deadline."""
    deadline, start = job["spec"].get("activeDeadlineSeconds"), job["status"].get("startTime")
    if deadline is None or start is None or job["spec"]["suspend"]:
        return None
    return float(deadline) - (datetime.now(UTC) - datetime.fromisoformat(start)).total_seconds()


def _indexes(status: Object, name: str) -> set[int]:
    """Read `0-2,5`."""
    found: set[int] = set()
    for part in filter(None, status.get(name, "").split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _ranges(indexes: set[int]) -> str:
    """Write `0-2,5,6`."""
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and index == parts[-1][-1] + 1:
            parts[-1].append(index)
        else:
            parts.append([index])
    return ",".join(_range(part) for part in parts)


def _range(part: list[int]) -> str:
    """A dash stands for at least one index that is not written."""
    return f"{part[0]}-{part[-1]}" if len(part) > 2 else ",".join(map(str, part))
