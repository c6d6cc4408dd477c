from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mapi.clusters.findings import Finding
from mapi.clusters.kubernetes.check import check, warn
from mapi.clusters.kubernetes.client import Api
from mapi.clusters.kubernetes.permissions import PERMISSIONS
from mapi.clusters.kubernetes.settings import KubernetesSettings, Toleration
from tests.conftest import wait_until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.emulation.discovery import VERSION

QUEUE = {"metadata": {"name": "gpus"}, "status": {"conditions": [{"type": "Active", "status": "True"}]}}


@pytest.fixture
def look(kubeconfig: str) -> Callable[..., dict[str, Finding]]:
    def look(**settings: Any) -> dict[str, Finding]:
        findings = check(KubernetesSettings(kubeconfig=kubeconfig, **settings), Path())
        return {finding.what: finding for finding in findings}

    return look


def fatal(findings: dict[str, Finding]) -> dict[str, str]:
    return {finding.what: finding.detail for finding in findings.values() if finding.is_fatal}


def test_a_cluster_that_is_ready_lacks_nothing(
    look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster
) -> None:
    emulated.create("LocalQueue", QUEUE)
    findings = look(queue="gpus")
    assert not fatal(findings)
    assert findings["API server"].detail == f"v1.36.2 at {emulated.url}"
    assert findings["node gpu-0"].detail.endswith("GPUs: 8 of type a100_80gb")
    assert findings["queue gpus"].works
    assert {f"permission {permission}" for permission in PERMISSIONS} <= findings.keys()
    assert not emulated.objects("Job")


def test_the_queues_permissions_are_only_asked_for_with_a_queue(
    look: Callable[..., dict[str, Finding]],
) -> None:
    assert not [what for what in look() if "kueue" in what]


def test_a_missing_permission_is_named_with_what_it_is_for(
    look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster
) -> None:
    emulated.faults.deny("delete", "jobs")
    emulated.faults.deny("get", "pods/log")
    assert fatal(look()) == {
        "permission jobs.batch": "not allowed: delete; needed to start and end runs",
        "permission pods/log": "not allowed: get; needed to keep what runs print",
    }


def test_a_namespace_that_is_not_there_is_said_so(look: Callable[..., dict[str, Finding]]) -> None:
    assert fatal(look(namespace="nowhere")) == {
        "namespace nowhere": "does not exist: kubectl create namespace nowhere",
        "create a Job (dry run)": 'namespaces "nowhere" not found',
    }


def test_a_namespace_that_must_not_be_seen_is_no_missing_one(
    look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster
) -> None:
    emulated.faults.deny("get", "namespaces")
    assert "cannot get resource" in look()["namespace runs"].detail


@pytest.mark.parametrize(
    ("conditions", "detail"),
    [
        (None, "there is no LocalQueue of this name in namespace runs"),
        ([], "is not active: Kueue says nothing of it; does it run?"),
        (
            [{"type": "Active", "status": "False", "reason": "Stopped", "message": "LocalQueue is stopped"}],
            "is not active: Stopped: LocalQueue is stopped",
        ),
    ],
)
def test_a_queue_that_takes_no_runs_is_said_so(
    look: Callable[..., dict[str, Finding]],
    emulated: EmulatedCluster,
    conditions: list[dict[str, str]] | None,
    detail: str,
) -> None:
    if conditions is not None:
        emulated.create("LocalQueue", {**QUEUE, "status": {"conditions": conditions}})
    assert fatal(look(queue="gpus")) == {"queue gpus": detail}


def test_a_queue_needs_kueue(look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster) -> None:
    emulated.faults.fail("get", "/apis/kueue.x-k8s.io", 404)
    assert look(queue="gpus")["queue gpus"].detail.startswith("the cluster has no Kueue")


def test_why_a_node_takes_no_runs_is_said(
    look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster
) -> None:
    taint = {"key": "reserved", "value": "ml", "effect": "NoSchedule"}
    emulated.patch("Node", "gpu-0", {"spec": {"taints": [taint]}}, namespace="")
    emulated.cordon("cpu-0")
    findings = look()
    assert findings["node gpu-0"].detail.endswith(
        "takes no runs: tolerations has none for reserved=ml:NoSchedule"
    )
    assert findings["node cpu-0"].detail.endswith("takes no runs: it is cordoned")
    assert fatal(findings) == {"nodes": "none of them takes runs now"}
    assert not fatal(look(tolerations=(Toleration(key="reserved", operator="Exists"),)))


def test_a_selector_that_selects_nothing_is_said_so(look: Callable[..., dict[str, Finding]]) -> None:
    assert fatal(look(node_selector={"pool": "ml"})) == {"nodes": "node_selector pool=ml has none"}


def test_without_an_answer_nothing_else_is_asked(
    look: Callable[..., dict[str, Finding]], emulated: EmulatedCluster
) -> None:
    emulated.down()
    (finding,) = look().values()
    assert finding.is_fatal
    assert finding.detail.startswith(f"{emulated.url}: the API server cannot be reached: ")


def test_a_cluster_that_is_too_old_is_said_so(
    look: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VERSION, "gitVersion", "v1.28.4+k3s1")
    assert fatal(look()) == {"API server": "v1.28.4+k3s1; 1.29 or newer is needed"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kubeconfig": "/no/such"}, "kubeconfig: there is no file /no/such"),
        ({"context": "emulatd"}, "context: there is no context 'emulatd' in .*; did you mean emulated"),
        ({"kubeconfig": __file__}, f"kubeconfig: {__file__} cannot be used: "),
    ],
)
def test_settings_that_cannot_be_used_are_named(kubeconfig: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(KubernetesSettings(**{"kubeconfig": kubeconfig, **settings}), Path())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config.pop("current-context"), "context: no context is the current one"),
        (lambda config: config["users"].clear(), "context: emulated names 'tester'"),
        (lambda config: config.pop("clusters"), "kubeconfig: .* cannot be used: 'clusters'"),
        (
            lambda config: config["clusters"][0]["cluster"].update({"certificate-authority": "/no/such.pem"}),
            "kubeconfig: the credentials of context emulated cannot be used: .*No such file",
        ),
    ],
)
def test_what_a_kubeconfig_lacks_is_named(
    kubeconfig: str, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    config = yaml.safe_load(Path(kubeconfig).read_text())
    change(config)
    Path(kubeconfig).write_text(yaml.safe_dump(config))
    with pytest.raises(ValueError, match=said):
        check(KubernetesSettings(kubeconfig=kubeconfig), Path())


def test_a_program_for_credentials_that_is_not_installed_is_named(
    look: Callable[..., dict[str, Finding]], kubeconfig: str
) -> None:
    config = yaml.safe_load(Path(kubeconfig).read_text())
    program = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "no-such-plugin"}
    config["users"][0]["user"] = {"exec": program}
    Path(kubeconfig).write_text(yaml.safe_dump(config))
    assert "no-such-plugin" in fatal(look())["API server"]


def test_the_command_prints_it_and_fails(kubeconfig: str, emulated: EmulatedCluster, tmp_path: Path) -> None:
    emulated.faults.deny("create", "secrets")
    clusters = {"lab": {"kind": "kubernetes", "kubeconfig": kubeconfig}}
    (tmp_path / "mapi.yaml").write_text(yaml.safe_dump({"clusters": clusters}))
    command = [sys.executable, "-m", "mapi", "cluster", "check", "lab", "--home", str(tmp_path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 1
    assert checked.stdout.startswith("lab (kubernetes)\n")
    (line,) = [line for line in checked.stdout.splitlines() if "MISSING" in line]
    assert "permission secrets" in line
    assert checked.stderr == "mapi: runs will not work on lab without: permission secrets\n"


#: What is said of a permission to watch nodes that is missing.
NO_NODES = (
    "cluster lab: not allowed to watch nodes in the cluster, needed to know what there is to run on; "
    "deploy/kubernetes/rbac.yaml has the role that allows it"
)


def test_a_server_names_missing_permissions_in_its_log(
    kubeconfig: str, emulated: EmulatedCluster, tmp_path: Path
) -> None:
    emulated.faults.deny("watch", "nodes")
    clusters = {"lab": {"kind": "kubernetes", "kubeconfig": kubeconfig}}
    (tmp_path / "mapi.yaml").write_text(yaml.safe_dump({"clusters": clusters}))
    command = [sys.executable, "-m", "mapi", "serve", "--home", str(tmp_path)]
    log = tmp_path / "log"
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as server:
        try:
            wait_until(lambda: NO_NODES in log.read_text(), "what is missing is said")
        finally:
            server.terminate()


def test_missing_permissions_are_named_when_the_cluster_answers(
    kubeconfig: str, emulated: EmulatedCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        api = Api.connect(KubernetesSettings(kubeconfig=kubeconfig))
        warning = asyncio.create_task(warn(api, "lab", queue=False))
        done, _ = await asyncio.wait({warning}, timeout=0.05)
        assert not done
        await asyncio.to_thread(emulated.up)
        await asyncio.wait_for(warning, 10)
        await api.close()

    emulated.faults.deny("watch", "nodes")
    emulated.down()
    asyncio.run(scene())
    assert caplog.messages == [NO_NODES]


@pytest.mark.parametrize("command", [["serve"], ["cluster", "check", "lab"]])
def test_the_extra_that_is_not_installed_is_named(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "mapi.yaml").write_text(yaml.safe_dump({"clusters": {"lab": {"kind": "kubernetes"}}}))
    without = "import sys; sys.modules['httpx2'] = None; from mapi.cli import main; sys.exit(main())"
    tried = subprocess.run(
        [sys.executable, "-c", without, *command, "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 1
    assert tried.stderr == (
        "mapi: cluster lab needs httpx2, which is not installed: pip install 'mcli-platform[kubernetes]'\n"
    )
