"""From a launch to objects that Kubernetes accepts, and that mean what the launch says."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from mapi.clusters.base import Launch
from mapi.clusters.kubernetes import objects
from mapi.clusters.kubernetes.objects import Names, execution_of, label_value, names
from mapi.clusters.kubernetes.settings import KubernetesSettings, Toleration
from mapi.clusters.kubernetes.status import INDEX
from mapi.domain.access import Access, Endpoints
from mapi.domain.run import Allocation, ExecutionId
from mapi.domain.secrets import BY_TYPE, OpenSecret, Secret, Value
from mcli.models.secret import SecretType
from tests.kubernetes.emulation import validation
from tests.kubernetes.emulation.pods import expanded
from tests.kubernetes.emulation.resources import BY_KIND

Json = dict[str, Any]

SETTINGS = KubernetesSettings()
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def launch(nodes: int = 1, gpus: int = 0, cpus: int = 0, **fields: Any) -> Launch:
    return Launch(
        **{
            "execution": ExecutionId("0192f0c1-7b3a-7000-8000-000000000000", 2),
            "run_name": "hello-abc123",
            "command": "true",
            "image": "busybox:1",
            "env": {},
            "parameters": "lr: 0.1\n",
            "allocation": Allocation("there", "cpu", nodes, gpus, cpus, None),
            "placement": tuple(f"node-{rank}" for rank in range(nodes)),
            "owner": "user-1",
            **fields,
        }
    )


def secret(type_: SecretType, value: Value, **metadata: str) -> OpenSecret:
    return OpenSecret(Secret(type_.value, "user-1", "mine", type_, metadata, 0), value)


def called(what: Launch) -> Names:
    return names("1234abcd", what)


def job_of(
    what: Launch, settings: KubernetesSettings = SETTINGS, resources: dict[str, str] | None = None
) -> Json:
    return objects.job(what, called(what), settings, resources or {})


def pod_of(
    what: Launch, settings: KubernetesSettings = SETTINGS, resources: dict[str, str] | None = None
) -> Json:
    spec: Json = job_of(what, settings, resources)["spec"]["template"]["spec"]
    return spec


def secrets_of(what: Launch, address: str = "10.0.0.1") -> list[Json]:
    return objects.secrets(what, called(what), {"metadata": {"name": "job", "uid": "u"}}, address)


# Names


@pytest.mark.parametrize(
    "run_name",
    ["hello-abc123", "UPPER_case.and dots", "日本語", "", "-", "9lives", "a" * 200, "..", "$(rm -rf /)",
     "a\n", "x" * 37 + "--y", "İstanbul"],
)  # fmt: skip
def test_names_are_legal_whatever_a_run_is_called(run_name: str) -> None:
    what = launch(2, run_name=run_name, execution=ExecutionId("a-run", 1234), owner="me@example.org")
    job = job_of(what)
    validation.check(BY_KIND["Job"], job)
    service = objects.service(called(what), SETTINGS, job | {"metadata": job["metadata"] | {"uid": "u"}})
    validation.check(BY_KIND["Service"], service)
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", service["metadata"]["name"])
    assert all(LABEL.fullmatch(value) for value in job["metadata"]["labels"].values())


def test_executions_and_platforms_do_not_meet_in_a_name() -> None:
    one, other = launch(), launch(execution=ExecutionId("another", 2))
    found = {names(platform, what).job for platform in ("1", "2") for what in (one, other)}
    assert len(found) == 4
    assert called(one) == called(launch(command="another"))


def test_an_object_says_whose_it_is() -> None:
    assert execution_of(job_of(launch())) == launch().execution
    assert job_of(launch())["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "mapi",
        "mapi/platform": "1234abcd",
        "mapi/run": "0192f0c1-7b3a-7000-8000-000000000000",
        "mapi/resumption": "2",
        "mapi/run-name": "hello-abc123",
        "mapi/owner": "user-1",
    }


@pytest.mark.parametrize(
    ("text", "label"),
    [("plain", "plain"), ("", ""), ("a b/c", "a-b-c"), ("-a-", "a"), ("ü", ""), ("x" * 70, "x" * 63)],
)
def test_labels_are_as_near_to_a_text_as_they_can(text: str, label: str) -> None:
    assert label_value(text) == label


# The Job


def test_a_job_has_a_pod_for_each_rank_and_starts_none_again() -> None:
    spec = job_of(launch(3))["spec"]
    limits = {name: value for name, value in spec.items() if name != "template"}
    assert limits == {
        "suspend": True,
        "completionMode": "Indexed",
        "completions": 3,
        "parallelism": 3,
        "backoffLimitPerIndex": 0,
    }
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize(("grace", "seconds"), [(30.0, 30), (0.1, 1), (0.0, 1), (10.5, 11)])
def test_the_grace_period_is_in_whole_seconds(grace: float, seconds: int) -> None:
    assert pod_of(launch(grace_seconds=grace))["terminationGracePeriodSeconds"] == seconds


@pytest.mark.parametrize(
    "command", ["echo $HOME $$ $(date) $$(x) $(NODE_RANK)", "a\nb", "", "'\"\\", "$", "$$$"]
)
def test_a_command_is_not_read_by_kubernetes(command: str) -> None:
    (container,) = pod_of(launch(command=command))["containers"]
    assert [expanded(word, {"NODE_RANK": "7"}) for word in container["args"]] == [command]
    *_, script, name = container["command"]
    assert expanded(script, {}).endswith('exec $sh -c "$1"; fi; done')
    assert name == "sh"


@pytest.mark.parametrize(
    ("image", "default", "policy", "used"),
    [
        ("mine:1", "other:1", "", {"image": "mine:1"}),
        ("", "other:1", "Never", {"image": "other:1", "imagePullPolicy": "Never"}),
    ],
)
def test_the_image_is_the_runs_or_the_clusters(image: str, default: str, policy: Any, used: Json) -> None:
    settings = KubernetesSettings(default_image=default, image_pull_policy=policy)
    (container,) = pod_of(launch(image=image), settings)["containers"]
    assert {name: container[name] for name in ("image", "imagePullPolicy") if name in container} == used


@pytest.mark.parametrize(
    ("gpus", "cpus", "resource", "asked"),
    [
        (0, 0, {}, {}),
        (0, 4, {}, {"cpu": "4"}),
        (8, 0, {}, {"nvidia.com/gpu": "8"}),
        (8, 16, {"node-0": "amd.com/gpu"}, {"cpu": "16", "amd.com/gpu": "8"}),
    ],
)
def test_what_is_asked_for_is_requested_and_limited(
    gpus: int, cpus: int, resource: dict[str, str], asked: Json
) -> None:
    (container,) = pod_of(launch(gpus=gpus, cpus=cpus), resources=resource)["containers"]
    assert container["resources"] == ({"requests": asked, "limits": asked} if asked else {})


# Where pods may go

PATIENCE = [
    {
        "key": f"node.kubernetes.io/{trouble}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 60,
    }
    for trouble in ("not-ready", "unreachable")
]


@pytest.mark.parametrize(
    ("gpus", "resources", "tolerated"),
    [
        (0, {}, []),
        (1, {}, ["nvidia.com/gpu"]),
        (1, {"node-0": "amd.com/gpu"}, ["amd.com/gpu"]),
        (0, {"node-0": "nvidia.com/gpu"}, ["nvidia.com/gpu"]),
        (0, {"elsewhere": "nvidia.com/gpu"}, []),
    ],
)
def test_the_taint_of_gpus_is_tolerated_where_a_run_is_placed_beside_them(
    gpus: int, resources: dict[str, str], tolerated: list[str]
) -> None:
    wanted = [{"key": key, "operator": "Exists"} for key in tolerated]
    assert pod_of(launch(gpus=gpus), resources=resources)["tolerations"] == wanted + PATIENCE


def test_the_settings_say_what_else_is_tolerated_and_which_nodes_there_are() -> None:
    toleration = Toleration(key="team", value="ml", effect="NoSchedule")
    pod = pod_of(launch(), KubernetesSettings(tolerations=(toleration,), node_selector={"pool": "runs"}))
    own = {"key": "team", "value": "ml", "effect": "NoSchedule"}
    assert pod["tolerations"] == [own, *PATIENCE]
    assert pod["nodeSelector"] == {"pool": "runs"}


def pinned(pod: Json) -> list[str]:
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    fields = [field for term in required["nodeSelectorTerms"] for field in term["matchFields"]]
    assert all((field["key"], field["operator"]) == ("metadata.name", "In") for field in fields)
    return [value for field in fields for value in field["values"]]


@pytest.mark.parametrize(
    ("placement", "nodes", "apart"),
    [
        (("a",), ["a"], False),
        (("a", "b"), ["a", "b"], True),
        (("a", "a"), ["a"], False),
        (("a", "b", "a"), ["a", "b"], False),
    ],
)
def test_pods_are_pinned_to_their_nodes_and_apart_where_each_has_its_own(
    placement: tuple[str, ...], nodes: list[str], apart: bool
) -> None:
    pod = pod_of(launch(len(placement), placement=placement))
    assert pinned(pod) == nodes
    assert ("podAntiAffinity" in pod["affinity"]) is apart


def test_only_ranks_of_the_same_execution_are_kept_apart() -> None:
    (rule,) = pod_of(launch(2))["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    mine = job_of(launch(2))["spec"]["template"]["metadata"]["labels"].items()
    other = job_of(launch(2, execution=ExecutionId("0192f0c1-7b3a-7000-8000-000000000000", 3)))
    wanted = rule["labelSelector"]["matchLabels"].items()
    assert wanted <= mine
    assert not wanted <= other["spec"]["template"]["metadata"]["labels"].items()


# What is in pods


def variables(what: Launch, address: str = "10.0.0.1") -> Json:
    """The variables of rank 0, as a kubelet would set them."""
    texts = secrets_of(what, address)[0]["stringData"]
    (container,) = pod_of(what)["containers"]
    found = {}
    for variable in container["env"]:
        source = variable["valueFrom"]
        key = source.get("secretKeyRef", {}).get("key")
        if key is None:
            assert source == {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
        found[variable["name"]] = "0" if key is None else texts[key]
    return found


def test_the_environment_is_that_of_every_cluster() -> None:
    assert variables(launch(2, gpus=8)) == {
        "MOSAICML_PLATFORM": "true",
        "RUN_NAME": "hello-abc123",
        "COMPOSER_RUN_NAME": "hello-abc123",
        "RESUMPTION_INDEX": "2",
        "NUM_NODES": "2",
        "NODE_RANK": "0",
        "WORLD_SIZE": "16",
        "LOCAL_WORLD_SIZE": "8",
        "MASTER_ADDR": "10.0.0.1",
        "MASTER_PORT": "29500",
        "PARAMETERS": "/mnt/config/parameters.yaml",
    }


def test_a_run_without_gpus_is_shown_none() -> None:
    assert variables(launch())["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_the_users_variables_have_the_last_word() -> None:
    env = {"NODE_RANK": "9", "RUN_NAME": "mine", "TEXT": "a $(RUN_NAME) $$ ü\n"}
    found = variables(launch(env=env, secrets=(secret(SecretType.ENV_VAR, "s", key="TEXT"),)))
    assert {name: found[name] for name in env} == env


def test_no_value_of_a_variable_is_in_a_pods_spec() -> None:
    what = launch(env={"PASSWORD": "hunter2"}, secrets=(secret(SecretType.ENV_VAR, "hunter2", key="TOKEN"),))
    assert "hunter2" not in json.dumps(job_of(what))


WHERE = "/secrets/mine"


@pytest.mark.parametrize(
    ("type_", "value", "metadata", "files"),
    [
        (SecretType.ENV_VAR, "v", {"key": "KEY"}, {}),
        (SecretType.MOUNTED, "v", {"mountPath": WHERE}, {"secret": ("v", 0o644)}),
        (SecretType.SSH, "v\n", {"mountPath": WHERE}, {"secret": ("v\n", 0o400)}),
        (SecretType.GIT_SSH, "v\n", {"mountPath": WHERE}, {"secret": ("v\n", 0o400)}),
        (
            SecretType.SFTP_SSH,
            "v\n",
            {"mountPath": WHERE},
            {"secret": ("v\n", 0o400), "known_hosts": ("", 0o400)},
        ),
        (
            SecretType.S3,
            {"config": "c", "credentials": "k"},
            {"mountDirectory": WHERE},
            {"config": ("c", 0o400), "credentials": ("k", 0o400)},
        ),
        (SecretType.GCP, "{}", {"mountPath": WHERE}, {"secret": ("{}", 0o400)}),
        (
            SecretType.OCI,
            {"config": "c", "keyFile": "k"},
            {"mountDirectory": WHERE},
            {"config": ("c", 0o400), "key_file": ("k", 0o400)},
        ),
        (SecretType.DATABRICKS, {"host": "h", "token": "t"}, {}, {}),
        (SecretType.DOCKER_REGISTRY, {"username": "u", "password": "p"}, {}, {}),
    ],
)
def test_every_kind_of_secret_is_mounted_where_it_belongs(
    type_: SecretType, value: Value, metadata: dict[str, str], files: dict[str, tuple[str, int]]
) -> None:
    what = launch(secrets=(secret(type_, value, **metadata),))
    expected = {f"{WHERE}/{name}": file for name, file in files.items()}
    assert mounted(what) == {"/mnt/config/parameters.yaml": ("lr: 0.1\n", 0o644), **expected}


def test_every_kind_of_secret_is_in_that_table() -> None:
    (mark,) = [
        mark
        for mark in test_every_kind_of_secret_is_mounted_where_it_belongs.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    ]
    assert {case[0] for case in mark.args[1]} == set(BY_TYPE)


def test_the_token_of_a_run_is_a_file_of_its_own() -> None:
    access = Access(Endpoints.at("http://platform:3000"), "token-1")
    assert mounted(launch(access=access))["/mnt/access/token"][0].strip() == "token-1"


def mounted(what: Launch) -> dict[str, tuple[str, int]]:
    """The files of a pod, as a kubelet would write them: text and mode by path."""
    pod, texts = pod_of(what), secrets_of(what)[0]["stringData"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    return {
        f"{mount['mountPath']}/{item['path']}": (texts[item["key"]], item["mode"])
        for mount in container["volumeMounts"]
        for item in volumes[mount["name"]].get("secret", {"items": ()})["items"]
        if mount["readOnly"]
    }


def test_shared_memory_is_not_the_64_mib_of_a_container() -> None:
    pod = pod_of(launch())
    assert {"name": "shm", "mountPath": "/dev/shm"} in pod["containers"][0]["volumeMounts"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory"}} in pod["volumes"]


@pytest.mark.parametrize(
    ("value", "server", "entry"),
    [
        (
            {"username": "u", "password": "p"},
            "https://index.docker.io/v1/",
            {"username": "u", "password": "p"},
        ),
        (
            {"username": "u", "password": "p", "email": "e@x", "server": "ghcr.io"},
            "ghcr.io",
            {"username": "u", "password": "p", "email": "e@x"},
        ),
    ],
)
def test_images_are_pulled_with_the_owners_docker_secrets(
    value: dict[str, str], server: str, entry: Json
) -> None:
    what = launch(secrets=(secret(SecretType.DOCKER_REGISTRY, value),))
    _, pull = secrets_of(what)
    assert pull["type"] == "kubernetes.io/dockerconfigjson"
    auth = base64.b64encode(b"u:p").decode()
    config = json.loads(pull["stringData"][".dockerconfigjson"])
    assert config == {"auths": {server: {**entry, "auth": auth}}}
    pod = pod_of(what, KubernetesSettings(image_pull_secrets=("site",)))
    assert pod["imagePullSecrets"] == [{"name": pull["metadata"]["name"]}, {"name": "site"}]


# What belongs to a Job


def test_everything_goes_with_its_job() -> None:
    what = launch(secrets=(secret(SecretType.DOCKER_REGISTRY, {"username": "u", "password": "p"}),))
    owner = {"metadata": {"name": "the-job", "uid": "uid-1"}}
    made = [
        objects.service(called(what), SETTINGS, owner),
        *objects.secrets(what, called(what), owner, "there"),
    ]
    owned = {"apiVersion": "batch/v1", "kind": "Job", "name": "the-job", "uid": "uid-1"}
    assert [each["metadata"]["ownerReferences"] for each in made] == [[owned]] * 3
    for each in made:
        validation.check(BY_KIND[each["kind"]], each)


def test_rank_0_is_met_by_its_name_or_at_the_address_of_a_service() -> None:
    what, owner = launch(2), {"metadata": {"name": "the-job", "uid": "uid-1"}}
    by_name = objects.service(called(what), KubernetesSettings(), owner)
    assert by_name["spec"]["clusterIP"] == "None"
    assert objects.master_address(called(what), by_name) == f"{called(what).job}-0.{called(what).service}"
    by_address = objects.service(called(what), KubernetesSettings(rendezvous="address"), owner)
    assert by_address["spec"]["selector"][INDEX] == "0"
    made = {**by_address, "spec": {**by_address["spec"], "clusterIP": "10.1.2.3"}}
    assert objects.master_address(called(what), made) == "10.1.2.3"


def test_a_queue_is_named_on_the_job() -> None:
    labels = job_of(launch(), KubernetesSettings(queue="team"))["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "team"
