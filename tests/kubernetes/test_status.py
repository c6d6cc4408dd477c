"""What pods say, and what it means. The statuses are those that a Kubernetes 1.36 was seen to write."""

from __future__ import annotations

from typing import Any

import pytest

from mapi.clusters.kubernetes.status import INDEX, Ended, PodState, pod_state, unasked, vanished

Json = dict[str, Any]

BEGAN, OVER = "2026-11-24T16:31:05Z", "2026-11-24T16:31:09Z"
AT = 1795537869000


def pod(status: Json, **metadata: Any) -> Json:
    return {
        "metadata": {"name": "p-0-abcde", "annotations": {INDEX: "3"}, **metadata},
        "spec": {"nodeName": "node-1"},
        "status": status,
    }


def container(state: Json, phase: str = "Pending", **status: Any) -> Json:
    return {"phase": phase, "containerStatuses": [{"name": "main", "state": state}], **status}


def terminated(code: int, reason: str = "Error", message: str | None = None, **status: Any) -> Json:
    state: Json = {"exitCode": code, "reason": reason, "startedAt": BEGAN, "finishedAt": OVER}
    if message:
        state["message"] = message
    return container({"terminated": state}, "Failed" if code else "Succeeded", **status)


def waiting(reason: str, message: str | None = None) -> Json:
    return container({"waiting": {"reason": reason, **({"message": message} if message else {})}})


def condition(type_: str, reason: str, message: str, status: str = "True") -> Json:
    return {"conditions": [{"type": type_, "status": status, "reason": reason, "message": message}]}


def target(reason: str, message: str) -> Json:
    return condition("DisruptionTarget", reason, message)


PULL = 'failed to pull and unpack image "localhost:1/none:1": failed to resolve reference'
BACK_OFF = f'Back-off pulling image "localhost:1/none:1": ErrImagePull: {PULL}'
ROOM = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate"


def test_a_pod_is_the_rank_of_its_index_on_the_node_it_is_bound_to() -> None:
    state = pod_state(pod({"phase": "Pending"}))
    assert state == PodState(rank=3, node="node-1")
    assert pod_state({**pod({}), "spec": {}}).node is None


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        ("ErrImagePull", PULL, PULL),
        ("ImagePullBackOff", BACK_OFF, BACK_OFF),
        ("InvalidImageName", "couldn't parse image name", "couldn't parse image name"),
        ("ErrImageNeverPull", 'Container image "a:1" is not present', 'Container image "a:1" is not present'),
        ("ImageInspectError", "broken", "broken"),
        ("RegistryUnavailable", None, "RegistryUnavailable"),
        ("SignatureValidationFailed", "unsigned", "unsigned"),
    ],
)
def test_an_image_that_cannot_be_had(reason: str, message: str | None, told: str) -> None:
    state = pod_state(pod(waiting(reason, message)))
    assert (state.no_image, state.trouble, state.ended) == (told, None, None)


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (waiting("ContainerCreating"), None),
        (waiting("PodInitializing"), None),
        (
            waiting("CreateContainerConfigError", 'secret "s" not found'),
            ("CONTAINER_WAITS", 'CreateContainerConfigError: secret "s" not found'),
        ),
        (waiting("CreateContainerError", "x"), ("CONTAINER_WAITS", "CreateContainerError: x")),
        (waiting("RunContainerError", "x"), ("CONTAINER_WAITS", "RunContainerError: x")),
        (
            {"phase": "Pending", **condition("PodScheduled", "Unschedulable", ROOM, "False")},
            ("UNSCHEDULABLE", ROOM),
        ),
        ({"phase": "Pending", **condition("PodScheduled", "SchedulingGated", "gated", "False")}, None),
        ({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}, None),
    ],
)
def test_what_is_in_the_way_of_a_pod(status: Json, trouble: tuple[str, str] | None) -> None:
    state = pod_state(pod(status))
    assert (state.trouble, state.no_image, state.ended) == (trouble, None, None)


def test_a_container_that_runs() -> None:
    state = pod_state(pod(container({"running": {"startedAt": BEGAN}}, "Running")))
    assert (state.started, state.ended, state.leaving) == (AT - 4000, None, False)


def test_one_that_has_ended_has_run_before() -> None:
    assert pod_state(pod(terminated(0, "Completed"))).started == AT - 4000


def test_other_containers_of_the_pod_do_not_count() -> None:
    status = {"phase": "Running", "containerStatuses": [{"name": "proxy", "state": {"running": {}}}]}
    assert pod_state(pod(status)) == PodState(rank=3, node="node-1")


KILLED = "killed (signal 9): by force, or because the machine ran out of memory"
OOM = "out of memory, beyond the limit of its container or of its node"
NO_SHELL = 'exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown'


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (terminated(0, "Completed"), 0, None),
        (terminated(7), 7, "exit code 7"),
        (terminated(127), 127, "exit code 127"),
        (terminated(255), 255, "exit code 255"),
        (terminated(137), 137, KILLED),
        (terminated(139), 139, "killed by SIGSEGV (signal 11)"),
        (terminated(143), 143, "killed by SIGTERM (signal 15)"),
        (terminated(137, "OOMKilled"), 137, f"killed (signal 9): {OOM}"),
        (terminated(1, "OOMKilled"), 1, f"exit code 1: {OOM}"),
        (terminated(0, "OOMKilled"), 0, None),
        (terminated(128, "StartError", NO_SHELL), 128, f"its command could not be started: {NO_SHELL}"),
        (terminated(127, "ContainerCannotRun"), 127, "its command could not be started"),
        (
            terminated(137, reason="Error") | {"reason": "DeadlineExceeded", "message": "active for long"},
            137,
            "ended by a deadline of the cluster: active for long",
        ),
    ],
)
def test_how_a_command_ended(status: Json, code: int, reason: str | None) -> None:
    assert pod_state(pod(status)).ended == Ended(AT, code, reason)


def test_a_command_that_could_not_be_started_did_not_run() -> None:
    assert pod_state(pod(terminated(128, "StartError"))).started is None


LOW = "The node was low on resource: memory."
SHUTDOWN = "Pod was terminated in response to imminent node shutdown."


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (terminated(137) | {"reason": "Evicted", "message": LOW}, 137, f"evicted from its node: {LOW}"),
        (
            terminated(143) | {"reason": "Terminated", "message": SHUTDOWN},
            143,
            f"its node was shut down: {SHUTDOWN}",
        ),
        (terminated(143) | {"reason": "NodeShutdown"}, 143, "its node was shut down"),
        (terminated(137) | {"reason": "NodeLost"}, 137, "its node was lost"),
        (terminated(137) | {"reason": "Preempting"}, 137, "its node needed the room"),
        (
            terminated(137) | target("EvictionByEvictionAPI", "Eviction API: evicting"),
            137,
            "evicted: Eviction API: evicting",
        ),
        (
            terminated(137) | target("PreemptionByScheduler", "default-scheduler: preempting"),
            137,
            "a pod of higher priority needed the room: default-scheduler: preempting",
        ),
        (
            terminated(143) | target("DeletionByTaintManager", "Taint manager: deleting"),
            143,
            "its node was lost, or is to be left: Taint manager: deleting",
        ),
        (
            terminated(137, "ContainerStatusUnknown", "could not be located"),
            None,
            "how it ended is not known: could not be located",
        ),
        (
            terminated(137, "ContainerStatusUnknown", "could not be located") | {"reason": "Evicted"},
            None,
            "evicted from its node",
        ),
    ],
)
def test_what_is_not_the_commands_doing_is_a_failure_of_the_system(
    status: Json, code: int | None, reason: str
) -> None:
    assert pod_state(pod(status)).ended == Ended(AT, code, reason, system=True)


def test_a_command_that_saved_itself_in_time_has_succeeded() -> None:
    status = terminated(0, "Completed") | target("EvictionByEvictionAPI", "Eviction API: evicting")
    assert pod_state(pod(status)).ended == Ended(AT, 0, None)


def test_a_disruption_that_was_called_off_is_none() -> None:
    called_off = condition("DisruptionTarget", "PreemptionByScheduler", "", "False")
    assert pod_state(pod(terminated(3) | called_off)).ended == Ended(AT, 3, "exit code 3")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {"reason": "UnexpectedAdmissionError", "message": "Pod was rejected: no healthy devices present"},
            "its pod failed (UnexpectedAdmissionError): Pod was rejected: no healthy devices present",
        ),
        (
            {"reason": "OutOfcpu", "message": "Pod was rejected: Node didn't have enough resource: cpu"},
            "its pod failed (OutOfcpu): Pod was rejected: Node didn't have enough resource: cpu",
        ),
        ({"reason": "Evicted", "message": LOW}, f"evicted from its node: {LOW}"),
        (target("DeletionByPodGC", "PodGC: node no longer exists"),
         "its node is gone: PodGC: node no longer exists"),
        ({}, "its pod failed (Unknown)"),
    ],
)  # fmt: skip
def test_a_pod_that_failed_without_its_container(status: Json, reason: str) -> None:
    ended = pod_state(pod({"phase": "Failed", **status})).ended
    assert ended is not None
    assert (ended.code, ended.reason, ended.system) == (None, reason, True)


@pytest.mark.parametrize(("code", "reason", "system"), [(137, "its pod was deleted", True), (0, None, False)])
def test_a_pod_that_others_deleted_did_not_fail_by_itself(
    code: int, reason: str | None, system: bool
) -> None:
    state = pod_state(pod(terminated(code), deletionTimestamp=OVER))
    assert state.leaving
    assert state.ended is not None
    assert unasked(state, state.ended) == Ended(AT, code, reason, system)


def test_a_pod_that_others_deleted_before_it_ran_did_not_fail_by_itself() -> None:
    ended = pod_state(pod({"phase": "Failed"}, deletionTimestamp=OVER)).ended
    assert ended is not None
    assert (ended.code, ended.reason, ended.system) == (None, "its pod was deleted", True)


def test_a_pod_that_ended_by_itself_is_taken_at_its_word() -> None:
    state = pod_state(pod(terminated(5)))
    assert state.ended is not None
    assert unasked(state, state.ended) == state.ended


@pytest.mark.parametrize(
    ("node_lost", "reason"),
    [
        (True, "node node-1 was lost, and the rank with it"),
        (False, "its pod was deleted before it could say how it ended"),
    ],
)
def test_a_pod_that_is_gone_without_a_word(node_lost: bool, reason: str) -> None:
    ended = vanished(PodState(rank=3, node="node-1"), node_lost)
    assert (ended.code, ended.reason, ended.system) == (None, reason, True)
