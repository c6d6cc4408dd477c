"""What a pod says has become of its rank. Pure: every word of Kubernetes that matters is in a table here."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from mapi.domain.exits import exit_reason
from mapi.domain.run import now_ms

Json = dict[str, Any]

INDEX = "batch.kubernetes.io/job-completion-index"
CONTAINER = "main"

#: Why a container waits when its image cannot be had.
_NO_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)

#: Why a container waits when something else is wrong, which may pass.
_TROUBLE = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

#: Why a pod ended by no doing of its own, where its condition DisruptionTarget does not say so.
_DISRUPTED = {
    "Evicted": "evicted from its node",
    "NodeLost": "its node was lost",
    "NodeShutdown": "its node was shut down",
    "Shutdown": "its node was shut down",
    "Terminated": "its node was shut down",
    "Preempting": "its node needed the room",
    "UnexpectedAdmissionError": "its node did not take it",
    "NodeAffinity": "its node did not take it",
    "OutOfcpu": "its node did not take it",
    "OutOfmemory": "its node did not take it",
    "OutOfpods": "its node did not take it",
}

_OUT_OF_MEMORY = "killed (signal 9): out of memory, beyond the limit of its container or of its node"


#: What the Job controller adds to the name of a Job for a pod: its index, and letters that make it unique.
_TRY = re.compile(r'-\d+-[a-z0-9]{5}"')


class Ended(msgspec.Struct, frozen=True):
    """How a rank ended, in the terms of `RankExited`."""

    at: int
    code: int | None
    reason: str | None
    system: bool = False


class PodState(msgspec.Struct, frozen=True):
    """What has become of a rank.

    `no_image`: why its image cannot be had. `trouble`: a type of notice, and what is in the way. `leaving`:
    the pod is being deleted.
    """

    rank: int
    node: str | None = None
    started: int | None = None
    ended: Ended | None = None
    no_image: str | None = None
    trouble: tuple[str, str] | None = None
    leaving: bool = False


def pod_state(pod: Json) -> PodState:
    """Read a pod of a Job."""
    metadata, status = pod["metadata"], pod.get("status", {})
    container: Json = next(
        (each for each in status.get("containerStatuses", ()) if each["name"] == CONTAINER), {}
    )
    state = container.get("state", {})
    waiting, running, over = (state.get(kind, {}) for kind in ("waiting", "running", "terminated"))
    why, words = waiting.get("reason", ""), waiting.get("message", "")
    return PodState(
        rank=rank_of(pod),
        node=pod["spec"].get("nodeName"),
        started=_ms(running.get("startedAt") or (over.get("startedAt") if _ran(over) else None)),
        ended=_ended(status, over),
        no_image=(words or why) if why in _NO_IMAGE else None,
        trouble=(_NOTICES["container"], f"{why}: {words}") if why in _TROUBLE else _unscheduled(status),
        leaving="deletionTimestamp" in metadata,
    )


def rank_of(pod: Json) -> int:
    """The rank of a pod: its completion index."""
    return int(pod["metadata"]["annotations"][INDEX])


def vanished(state: PodState, node_lost: bool) -> Ended:
    """How a rank ended whose pod is gone without saying.

    Args:
        state: what was known of it.
        node_lost: whether its node does not answer.
    """
    if node_lost:
        return Ended(now_ms(), None, f"node {state.node} was lost, and the rank with it", system=True)
    return Ended(now_ms(), None, "its pod was deleted before it could say how it ended", system=True)


def without_tries(message: str) -> str:
    """Call the pods of a message by the name of their Job: their own is another with each try to create one.

    >>> without_tries('pods "llm-0-4f77dcc7-1-h22jk" is forbidden: exceeded quota')
    'pods "llm-0-4f77dcc7" is forbidden: exceeded quota'
    """
    return _TRY.sub('"', message)


def disrupted(pod: Json) -> str | None:
    """Why a pod is ending by no doing of its own; None if it is not."""
    status = pod.get("status", {})
    for each in status.get("conditions", ()):
        if each["type"] == "DisruptionTarget" and each["status"] == "True":
            return _said(_DISRUPTED.get(each.get("reason", ""), "its pod was evicted"), each.get("message"))
    if status.get("reason") in _DISRUPTED:
        return _said(_DISRUPTED[status["reason"]], status.get("message"))
    return None


_NOTICES = {"container": "CONTAINER_WAITS", "schedule": "UNSCHEDULABLE"}


def _unscheduled(status: Json) -> tuple[str, str] | None:
    for each in status.get("conditions", ()):
        if each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable":
            return _NOTICES["schedule"], each.get("message", "no node takes it")
    return None


def _ended(status: Json, over: Json) -> Ended | None:
    if over:
        code = over["exitCode"]
        at = _ms(over.get("finishedAt")) or now_ms()
        disruption = disrupted({"status": status})
        if disruption is not None and code:
            return Ended(at, code, disruption, system=True)
        if over.get("reason") == "OOMKilled":
            return Ended(at, code, _OUT_OF_MEMORY)
        if not _ran(over):
            return Ended(at, code, f"its command could not be started: {over.get('message', '')}".strip())
        return Ended(at, code, exit_reason(code, code - 128 if code > 128 else None))
    if status.get("phase") == "Failed":
        reason = disrupted({"status": status}) or _said(
            f"its pod failed ({status.get('reason', 'Unknown')})", status.get("message")
        )
        return Ended(now_ms(), None, reason, system=True)
    return None


def _ran(over: Json) -> bool:
    """Whether a container that has ended ever ran its command."""
    return bool(over) and over.get("reason") not in (
        "StartError",
        "ContainerCannotRun",
        "ContainerStatusUnknown",
    )


def _said(what: str, message: str | None) -> str:
    return f"{what}: {message}" if message else what


def _ms(time: str | None) -> int | None:
    return int(datetime.fromisoformat(time).timestamp() * 1000) if time else None
