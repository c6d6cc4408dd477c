"""The emulated controllers and nodes run what pods ask for, and report it as real ones were seen to."""

from __future__ import annotations

import base64
from functools import partial
from itertools import islice
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.kubernetes.api import JOBS, PODS, SECRETS, SERVICES, Api
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.emulation.jobs import INDEX


def test_a_pod_goes_through_its_states(any_api: Api) -> None:
    revision = any_api.get(PODS)["metadata"]["resourceVersion"]
    any_api.pod("one", "exit 3")
    assert any_api.ended("one")["exitCode"] == 3
    seen: dict[tuple[str, str], None] = {}
    for event in any_api.watch(PODS, resourceVersion=revision):
        phase = event["object"]["status"]["phase"]
        seen[phase, _state(event["object"])] = None
        if phase == "Failed":
            break
    assert list(seen) == [
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
def test_exit_codes_are_those_of_the_command(any_api: Api, command: str, code: int, reason: str) -> None:
    any_api.pod("one", command)
    ended = any_api.ended("one")
    assert (ended["exitCode"], ended["reason"]) == (code, reason)


def test_variables_come_from_where_the_spec_says(any_api: Api) -> None:
    texts = {"KEY": "value $(A) `id`", "OTHER": "o"}
    any_api.create(SECRETS, {"metadata": {"name": "s"}, "stringData": texts})
    env = [
        {"name": "A", "value": "a"},
        {"name": "B", "value": "$(A)b$$(A)$(NONE)"},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "KEY"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    container = {"env": env, "envFrom": [{"secretRef": {"name": "s"}}]}
    command = 'printf "%s|" "$A" "$B" "$C" "$OTHER" "$NODE" "$HOSTNAME"; hostname'
    any_api.pod("one", command, container=container)
    any_api.ended("one")
    node = any_api.get(f"{PODS}/one")["spec"]["nodeName"]
    assert any_api.log("one") == b"a|ab$(A)$(NONE)|value $(A) `id`|o|%s|one|one\n" % node.encode()


def test_volumes_are_at_their_paths(any_api: Api) -> None:
    data = {"parameters.yaml": base64.b64encode(b"lr: 0.1\n").decode()}
    any_api.create(SECRETS, {"metadata": {"name": "s"}, "data": data})
    volumes = [
        {"name": "v", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "shm", "emptyDir": {}},
    ]
    mounts = [{"name": "v", "mountPath": "/mnt/config"}, {"name": "shm", "mountPath": "/dev/shm"}]
    look = "cat /mnt/config/*; stat -Lc %a /mnt/config/*; touch /dev/shm/x && ls /dev/shm"
    command = f"exec 2>&1; {look}; touch /mnt/config/y"
    any_api.pod("one", command, volumes=volumes, container={"volumeMounts": mounts})
    assert any_api.ended("one")["exitCode"] == 1
    assert any_api.log("one").startswith(b"lr: 0.1\n400\nx\ntouch: ")


def test_lines_carry_the_time_at_which_they_were_whole(any_api: Api) -> None:
    any_api.pod("one", r"head -c 40000 /dev/zero | tr '\0' a; printf '\ncr\rb\377\n'; printf end")
    any_api.ended("one")
    assert any_api.log("one") == b"a" * 40000 + b"\ncr\rb\xff\nend"
    stamped = [line.split(b" ", 1) for line in any_api.log("one", timestamps="true").split(b"\n")]
    assert [text for _, text in stamped] == [b"a" * 40000, b"cr\rb\xff", b"end"]
    last = stamped[-1][0].decode()
    assert len(last) == len("2026-01-01T00:00:00.000000000Z")
    assert any_api.log("one", sinceTime=last).endswith(b"end")
    assert any_api.log("one", sinceTime="2100-01-01T00:00:00Z") == b""


def test_what_comes_between_the_parts_of_a_long_line_has_no_time(any_api: Api) -> None:
    """A long line comes in parts; the other stream does not wait for its end."""
    long = r"head -c 40000 /dev/zero | tr '\0' a"
    any_api.pod("one", f"{long}; sleep 0.2; echo err >&2; sleep 0.2; echo; echo b")
    any_api.ended("one")
    (first, rest, b, end) = any_api.log("one", timestamps="true").split(b"\n")
    assert first.endswith(b"Z " + b"a" * 32768 + b"err")
    assert rest.endswith(b"Z " + b"a" * 7232)
    assert b.endswith(b"Z b")
    assert not end


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


def test_a_deleted_pod_gets_its_grace(any_api: Api) -> None:
    forever = "echo up; while :; do sleep 0.01; done"
    any_api.pod("gentle", f"trap 'echo saved; exit 5' TERM; {forever}")
    any_api.pod("deaf", f"trap '' TERM; {forever}", terminationGracePeriodSeconds=1)
    for name in ("gentle", "deaf"):
        wait_until(partial(_up, any_api, name), f"{name} is up")
    revision = any_api.get(PODS)["metadata"]["resourceVersion"]
    for name in ("gentle", "deaf"):
        any_api.delete(f"{PODS}/{name}")
    wait_until(lambda: any_api.get(PODS)["items"] == [], "they are gone")
    events = any_api.watch(PODS, resourceVersion=revision)
    deleted = islice((event["object"] for event in events if event["type"] == "DELETED"), 2)
    ends = {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]
        for pod in deleted
    }
    assert ends == {"gentle": 5, "deaf": 137}


def _up(api: Api, name: str) -> bool:
    status = api.get(f"{PODS}/{name}")["status"]
    return bool(status["phase"] == "Running" and api.log(name) == b"up\n")


def test_an_indexed_job_has_a_pod_for_every_index(any_api: Api) -> None:
    any_api.job("two", "echo $JOB_COMPLETION_INDEX $(hostname)")
    done = any_api.until(f"{JOBS}/two", _has("Complete"), "it is complete")
    assert (done["status"]["succeeded"], done["status"]["completedIndexes"]) == (2, "0,1")
    pods = sorted(
        any_api.get(PODS, labelSelector="job-name=two")["items"], key=lambda pod: str(pod["metadata"]["name"])
    )
    assert [any_api.log(pod["metadata"]["name"]) for pod in pods] == [b"0 two-0\n", b"1 two-1\n"]
    any_api.delete(f"{JOBS}/two", propagationPolicy="Background")
    wait_until(lambda: any_api.get(PODS)["items"] == [], "its pods are gone")


def test_a_job_that_is_just_deleted_leaves_its_pods(any_api: Api) -> None:
    any_api.job("two", "true")
    any_api.until(f"{JOBS}/two", _has("Complete"), "it is complete")
    any_api.delete(f"{JOBS}/two")
    wait_until(lambda: any_api.request("GET", f"{JOBS}/two")[0] == 404, "it is gone")
    owners = [pod["metadata"].get("ownerReferences", []) for pod in any_api.get(PODS)["items"]]
    assert owners == [[], []]


def test_a_job_of_which_one_fails_ends_the_others(any_api: Api) -> None:
    command = "[ $JOB_COMPLETION_INDEX = 1 ] && exit 7; exec sleep 1000"
    any_api.job("two", command, backoffLimit=0, pod={"terminationGracePeriodSeconds": 1})
    any_api.until(f"{JOBS}/two", _has("Failed"), "it has failed")
    wait_until(lambda: len(any_api.get(PODS)["items"]) == 1, "the other is gone")
    (pod,) = any_api.get(PODS)["items"]
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7


def test_with_a_limit_for_each_index_the_others_go_on(any_api: Api) -> None:
    any_api.job("two", "[ $JOB_COMPLETION_INDEX = 1 ] && exit 7; sleep 0.2", backoffLimitPerIndex=0)
    failed = any_api.until(f"{JOBS}/two", _has("Failed"), "it has failed")
    assert (failed["status"]["completedIndexes"], failed["status"]["failedIndexes"]) == ("0", "1")


def test_a_pod_that_is_deleted_has_failed_and_is_not_started_again(any_api: Api) -> None:
    settings = {"backoffLimitPerIndex": 0, "pod": {"terminationGracePeriodSeconds": 1}}
    any_api.job("two", "[ $JOB_COMPLETION_INDEX = 1 ] || exec sleep 1000", **settings)
    any_api.until(f"{JOBS}/two", lambda job: job["status"].get("completedIndexes") == "1", "one is complete")
    (pod,) = any_api.get(PODS, labelSelector=f"{INDEX}=0")["items"]
    any_api.delete(f"{PODS}/{pod['metadata']['name']}")
    failed = any_api.until(f"{JOBS}/two", _has("Failed"), "it has failed")
    assert (failed["status"]["failed"], failed["status"]["failedIndexes"]) == (1, "0")
    wait_until(lambda: len(any_api.get(PODS)["items"]) == 1, "the deleted one is gone")


def test_suspending_a_job_fails_no_index(any_api: Api) -> None:
    settings = {"backoffLimitPerIndex": 0, "pod": {"terminationGracePeriodSeconds": 1}}
    any_api.job("two", "[ $JOB_COMPLETION_INDEX = 1 ] && exit 7; exec sleep 1000", **settings)
    any_api.until(f"{JOBS}/two", lambda job: job["status"].get("failedIndexes") == "1", "one has failed")
    any_api.patch(f"{JOBS}/two", {"spec": {"suspend": True}})
    wait_until(lambda: len(any_api.get(PODS)["items"]) == 1, "the other is gone")
    any_api.patch(f"{JOBS}/two", {"spec": {"suspend": False}})
    job = any_api.until(f"{JOBS}/two", lambda job: job["status"].get("active"), "it runs again")
    assert (job["status"]["failed"], job["status"]["failedIndexes"]) == (1, "1")


def test_a_suspended_job_waits(any_api: Api) -> None:
    any_api.job("two", "true", suspend=True)
    any_api.until(f"{JOBS}/two", _has("Suspended"), "it is suspended")
    assert any_api.get(PODS)["items"] == []
    any_api.patch(f"{JOBS}/two", {"spec": {"suspend": False}})
    any_api.until(f"{JOBS}/two", _has("Complete"), "it is complete")


def _has(kind: str) -> Any:
    return lambda job: any(
        each["type"] == kind and each["status"] == "True" for each in job["status"].get("conditions", [])
    )


def test_a_service_gives_its_pods_names(api: Api) -> None:
    spec = {"clusterIP": "None", "selector": {"role": "met"}, "publishNotReadyAddresses": True}
    api.create(SERVICES, {"metadata": {"name": "meet"}, "spec": spec})
    met = api.pod_spec("exec sleep 1000", hostname="first", subdomain="meet")
    api.create(PODS, {"metadata": {"name": "one", "labels": {"role": "met"}}, "spec": met})
    api.pod("two", "until getent hosts first.meet meet.runs.svc.cluster.local; do sleep 0.02; done")
    assert api.ended("two")["exitCode"] == 0
    address = api.get(f"{PODS}/one")["status"]["podIP"].encode()
    assert [line.split()[0] for line in api.log("two").splitlines()[-2:]] == [address, address]


def test_a_command_can_be_run_beside_a_container(any_api: Api) -> None:
    any_api.pod(
        "one", "export A=1; echo up; exec sleep 1000", container={"env": [{"name": "WHO", "value": "me"}]}
    )
    wait_until(lambda: _up(any_api, "one"), "it is up")
    printed, status = any_api.execute("one", "sh", "-c", "cat; echo $WHO; hostname; exit 3", typed=b"hello\n")
    assert printed == b"hello\nme\none\n"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    sized = "read x; until stty size | grep 40; do sleep 0.1; done"
    printed, status = any_api.execute("one", "sh", "-c", sized, typed=b"go\n", tty=True, size=(40, 10))
    assert b"10 40\r\n" in printed
    assert status["status"] == "Success"


def test_a_container_over_its_memory_is_killed(any_api: Api) -> None:
    resources = {"resources": {"limits": {"memory": "64Mi"}}}
    any_api.pod("one", "dd if=/dev/zero of=/dev/null bs=200M count=5", container=resources)
    ended = any_api.ended("one")
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
