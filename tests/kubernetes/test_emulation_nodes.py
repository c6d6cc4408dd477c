"""The emulated controllers and nodes run what pods ask for, and report it as real ones were seen to."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.kubernetes.api import JOBS, PODS, SECRETS, Api, job
from tests.kubernetes.emulation.cluster import EmulatedCluster


@pytest.fixture
def api(emulated: EmulatedCluster) -> Api:
    return Api(emulated)


def test_a_pod_goes_through_its_states(api: Api) -> None:
    revision = api.get(PODS)["metadata"]["resourceVersion"]
    api.pod("one", "exit 3")
    assert api.ended("one")["exitCode"] == 3
    events = api.watch(PODS, resourceVersion=revision, timeoutSeconds=0.05)
    seen = [(pod["status"]["phase"], _state(pod)) for pod in (event["object"] for event in events)]
    assert list(dict.fromkeys(seen)) == [
        ("Pending", ""),
        ("Pending", "ContainerCreating"),
        ("Running", "running"),
        ("Running", "Error"),
        ("Failed", "Error"),
    ]


def _state(pod: dict[str, Any]) -> str:
    for status in pod["status"].get("containerStatuses", []):
        ((kind, state),) = status["state"].items()
        return str(state.get("reason", kind))
    return ""


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("true", 0, "Completed"),
        ("kill -KILL $$$$; exit 4", 4, "Error"),  # process 1 of its namespace cannot kill itself
        ("sh -c 'kill -SEGV $$$$'; exit $?", 139, "Error"),
        ("exec no-such-program", 127, "Error"),
    ],
)
def test_exit_codes_are_those_of_the_command(api: Api, command: str, code: int, reason: str) -> None:
    api.pod("one", command)
    ended = api.ended("one")
    assert (ended["exitCode"], ended["reason"]) == (code, reason)


def test_variables_come_from_where_the_spec_says(api: Api) -> None:
    api.create(SECRETS, {"metadata": {"name": "s"}, "stringData": {"KEY": "value $(A) `id`", "OTHER": "o"}})
    env = [
        {"name": "A", "value": "a"},
        {"name": "B", "value": "$(A)b$$(A)$(NONE)"},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "KEY"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    container = {"env": env, "envFrom": [{"secretRef": {"name": "s"}}]}
    api.pod("one", 'printf "%s|" "$A" "$B" "$C" "$OTHER" "$NODE" "$HOSTNAME"; hostname', container=container)
    api.ended("one")
    assert api.log("one") == b"a|ab$(A)$(NONE)|value $(A) `id`|o|cpu-0|one|one\n"


def test_volumes_are_at_their_paths(api: Api) -> None:
    data = {"parameters.yaml": base64.b64encode(b"lr: 0.1\n").decode()}
    api.create(SECRETS, {"metadata": {"name": "s"}, "data": data})
    volumes = [
        {"name": "v", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "shm", "emptyDir": {}},
    ]
    mounts = [{"name": "v", "mountPath": "/mnt/config"}, {"name": "shm", "mountPath": "/dev/shm"}]
    command = (
        "cat /mnt/config/*; stat -c %a /mnt/config/*; touch /dev/shm/x && ls /dev/shm; touch /mnt/config/y"
    )
    api.pod("one", command, volumes=volumes, container={"volumeMounts": mounts})
    assert api.ended("one")["exitCode"] == 1
    assert api.log("one").startswith(b"lr: 0.1\n400\nx\ntouch: ")


def test_lines_carry_the_time_at_which_they_were_whole(api: Api) -> None:
    api.pod("one", r"head -c 40000 /dev/zero | tr '\0' a; printf '\ncr\rb\377\n'; echo err >&2; printf end")
    api.ended("one")
    assert api.log("one") == b"a" * 40000 + b"\ncr\rb\xff\nerr\nend"
    stamped = [line.split(b" ", 1) for line in api.log("one", timestamps="true").split(b"\n")]
    assert [text for _, text in stamped] == [b"a" * 40000, b"cr\rb\xff", b"err", b"end"]
    last = stamped[-1][0].decode()
    assert len(last) == len("2026-01-01T00:00:00.000000000Z")
    assert api.log("one", sinceTime=last).endswith(b"end")
    assert api.log("one", sinceTime="2100-01-01T00:00:00Z") == b""


def test_a_log_is_followed_to_its_end_and_cut_where_it_is_told(api: Api, emulated: EmulatedCluster) -> None:
    api.pod("one", "echo a; sleep 0.1; echo b")
    api.until(f"{PODS}/one", lambda pod: pod["status"]["phase"] != "Pending", "it runs")
    assert api.log("one", follow="true") == b"a\nb\n"
    emulated.faults.cut_next_log(3)
    with pytest.raises(Exception, match="IncompleteRead"):
        api.log("one")


@pytest.mark.parametrize(("image", "fixed"), [("missing/thing:1", False), ("private/thing:1", True)])
def test_an_image_that_cannot_be_pulled_is_said_so(api: Api, image: str, fixed: bool) -> None:
    api.pod("one", "true", container={"image": image})
    pod = api.until(f"{PODS}/one", lambda pod: _state(pod) == "ImagePullBackOff", "it backs off")
    state = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert f'Back-off pulling image "{image}"' in state["message"]
    status, answer = api.request("GET", f"{PODS}/one/log")
    assert (status, answer["message"]) == (
        400,
        'container "main" in pod "one" is waiting to start: trying and failing to pull image',
    )
    if fixed:
        api.create(SECRETS, {"metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson"})
        api.pod("two", "true", container={"image": image}, imagePullSecrets=[{"name": "pull"}])
        assert api.ended("two")["exitCode"] == 0


def test_a_pod_that_fits_nowhere_is_said_so(api: Api) -> None:
    wanted = {"resources": {"limits": {"nvidia.com/gpu": "9"}}}
    api.pod("one", "true", container=wanted)
    pod = api.until(f"{PODS}/one", lambda pod: pod["status"].get("conditions"), "it is refused")
    (condition,) = pod["status"]["conditions"]
    assert (condition["reason"], condition["message"]) == (
        "Unschedulable",
        "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. no new claims to deallocate, "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    )


def test_a_deleted_pod_gets_its_grace(api: Api) -> None:
    api.pod("gentle", "trap 'echo saved; exit 5' TERM; echo up; while :; do sleep 0.01; done")
    api.pod("deaf", "trap '' TERM; echo up; while :; do sleep 0.01; done", terminationGracePeriodSeconds=1)
    for name in ("gentle", "deaf"):
        wait_until(partial(_up, api, name), f"{name} is up")
    revision = api.get(PODS)["metadata"]["resourceVersion"]
    for name in ("gentle", "deaf"):
        api.delete(f"{PODS}/{name}")
    wait_until(lambda: api.get(PODS)["items"] == [], "they are gone")
    ends = {}
    for event in api.watch(PODS, resourceVersion=revision, timeoutSeconds=0.05):
        if event["type"] == "DELETED":
            status = event["object"]["status"]["containerStatuses"][0]["state"]["terminated"]
            ends[event["object"]["metadata"]["name"]] = status["exitCode"]
    assert ends == {"gentle": 5, "deaf": 137}


def _up(api: Api, name: str) -> bool:
    status = api.get(f"{PODS}/{name}")["status"]
    return bool(status["phase"] == "Running" and api.log(name) == b"up\n")


def test_an_indexed_job_has_a_pod_for_every_index(api: Api) -> None:
    api.create(JOBS, job("two", "echo $JOB_COMPLETION_INDEX $(hostname)"))
    done = api.until(f"{JOBS}/two", _has("Complete"), "it is complete")
    assert (done["status"]["succeeded"], done["status"]["completedIndexes"]) == (2, "0-1")
    pods = sorted(
        api.get(PODS, labelSelector="job-name=two")["items"], key=lambda pod: str(pod["metadata"]["name"])
    )
    assert [api.log(pod["metadata"]["name"]) for pod in pods] == [b"0 two-0\n", b"1 two-1\n"]
    api.delete(f"{JOBS}/two", propagationPolicy="Background")
    wait_until(lambda: api.get(PODS)["items"] == [], "its pods are gone")


def test_a_job_of_which_one_fails_ends_the_others(api: Api) -> None:
    api.create(
        JOBS,
        job(
            "two",
            "[ $JOB_COMPLETION_INDEX = 1 ] && exit 7; exec sleep 1000",
            pod={"terminationGracePeriodSeconds": 1},
        ),
    )
    api.until(f"{JOBS}/two", _has("Failed"), "it has failed")
    wait_until(lambda: len(api.get(PODS)["items"]) == 1, "the other is gone")
    assert api.get(PODS)["items"][0]["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7


def test_with_a_limit_for_each_index_the_others_go_on(api: Api) -> None:
    command = "[ $JOB_COMPLETION_INDEX = 1 ] && exit 7; sleep 0.2"
    template = job("two", command, backoffLimitPerIndex=0)
    del template["spec"]["backoffLimit"]
    api.create(JOBS, template)
    failed = api.until(f"{JOBS}/two", _has("Failed"), "it has failed")
    assert (failed["status"]["completedIndexes"], failed["status"]["failedIndexes"]) == ("0", "1")


def test_a_suspended_job_waits(api: Api) -> None:
    api.create(JOBS, job("two", "true", suspend=True))
    api.until(f"{JOBS}/two", _has("Suspended"), "it is suspended")
    assert api.get(PODS)["items"] == []
    api.patch(f"{JOBS}/two", {"spec": {"suspend": False}})
    api.until(f"{JOBS}/two", _has("Complete"), "it is complete")


def _has(kind: str) -> Any:
    return lambda job: any(
        each["type"] == kind and each["status"] == "True" for each in job["status"].get("conditions", [])
    )


def test_a_service_gives_its_pods_names(api: Api) -> None:
    spec = {"clusterIP": "None", "selector": {"job-name": "two"}, "publishNotReadyAddresses": True}
    api.create("/api/v1/namespaces/runs/services", {"metadata": {"name": "meet"}, "spec": spec})
    command = "until getent hosts two-0.meet; do sleep 0.02; done"
    api.create(JOBS, job("two", command, pod={"subdomain": "meet"}))
    api.until(f"{JOBS}/two", _has("Complete"), "it is complete")
    logs = {api.log(pod["metadata"]["name"]) for pod in api.get(PODS)["items"]}
    assert len(logs) == 1


def test_a_command_can_be_run_beside_a_container(api: Api) -> None:
    api.pod(
        "one", "export A=1; echo up; exec sleep 1000", container={"env": [{"name": "WHO", "value": "me"}]}
    )
    wait_until(lambda: _up(api, "one"), "it is up")
    printed, status = api.execute("one", "sh", "-c", "cat; echo $WHO; hostname; exit 3", typed=b"hello\n")
    assert printed == b"hello\nme\none\n"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    printed, status = api.execute(
        "one", "sh", "-c", "read x; stty size", typed=b"go\n", tty=True, size=(40, 10)
    )
    assert b"10 40\r\n" in printed
    assert status["status"] == "Success"


def test_a_container_over_its_memory_is_killed(api: Api) -> None:
    resources = {"resources": {"limits": {"memory": "64Mi"}}}
    api.pod("one", "head -c 300000000 /dev/zero | tail -c 200000000 | sleep 5", container=resources)
    ended = api.ended("one")
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_a_lost_node_leaves_its_pods_as_they_were(api: Api, emulated: EmulatedCluster) -> None:
    api.pod("one", "echo up; exec sleep 1000", nodeName="cpu-0")
    wait_until(lambda: _up(api, "one"), "it is up")
    emulated.lose_node("cpu-0")
    node = api.get("/api/v1/nodes/cpu-0")
    assert [(each["type"], each["status"]) for each in node["status"]["conditions"]] == [("Ready", "Unknown")]
    emulated.evict_lost("cpu-0")
    pod = api.get(f"{PODS}/one")
    assert pod["status"]["phase"] == "Running"
    assert pod["metadata"]["deletionTimestamp"]
    emulated.remove_node("cpu-0")
    wait_until(lambda: api.get(PODS)["items"] == [], "it is gone with its node")


def test_an_evicted_pod_says_why(api: Api, emulated: EmulatedCluster) -> None:
    api.pod("one", "echo up; exec sleep 1000")
    wait_until(lambda: _up(api, "one"), "it is up")
    emulated.evict("one")
    assert api.ended("one")["exitCode"] == 137
    assert api.get(f"{PODS}/one")["status"]["reason"] == "Evicted"
