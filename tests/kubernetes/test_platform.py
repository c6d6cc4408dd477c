"""The whole of it: `mcli`, a server, and Kubernetes, an emulated one and a real one where there is one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from mapi.clusters.kubernetes.client import JOBS, PODS, SECRETS, SERVICES, Api
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mcli.models.run_status import RunStatus
from tests.cli.conftest import ACTIVE, PROGRAM, Mcli
from tests.cli.screen import Screen
from tests.conftest import wait_until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.real import ADDRESS, namespace_of_tests, needs_cluster
from tests.kubernetes.stage import settings_of

pytestmark = pytest.mark.timeout(240)


class Site:
    """A platform with two clusters: `kube`, and this machine.

    `emulated`: the cluster behind `kube`, if it is none of the real ones.
    """

    def __init__(
        self, directory: Path, settings: KubernetesSettings, emulated: EmulatedCluster | None = None
    ) -> None:
        self.settings = settings
        self.emulated = emulated
        self.mcli = Mcli(directory)
        home = directory / "config" / "platform"
        home.mkdir(parents=True)
        clusters = {"kube": {"kind": "kubernetes", **self._settings()}, "here": {"kind": "local"}}
        port = self.settings.endpoint.rpartition(":")[2]
        bound = {"host": "0.0.0.0", "port": int(port)} if port else {}
        config = {"grace_seconds": 2, "clusters": clusters, **bound}
        (home / "mapi.yaml").write_text(yaml.safe_dump(config))
        self.info = home / "platform.json"

    def run(self, command: str, name: str = "test", *, cluster: str = "kube", **fields: Any) -> str:
        """Submit a run and return its name."""
        compute = {"cluster": cluster, "gpu_type": "none", **fields.pop("compute", {})}
        fields.setdefault("image", self.settings.default_image)
        return self.mcli.submit(command, name, compute=compute, **fields)

    def ended(self, name: str, status: RunStatus = RunStatus.COMPLETED) -> dict[str, Any]:
        """Wait until a run has ended as it should; return what is known about it."""
        record = self.mcli.wait(name)
        assert record["status"] == status.value, (record, self.log(name))
        return record

    def log(self, name: str, *arguments: str) -> str:
        return self.mcli("logs", name, *arguments).stdout

    def prints(self, name: str, text: str, *arguments: str) -> None:
        """Wait until a run has printed something."""
        wait_until(lambda: text in self.log(name, *arguments), f"{name} prints {text!r}", 60)

    def left(self) -> list[str]:
        """The names of what is in the namespace."""

        async def look() -> list[str]:
            api = Api.connect(self.settings)
            try:
                lists = [(await api.list(each))[0] for each in (JOBS, PODS, SERVICES, SECRETS)]
            finally:
                await api.close()
            return [item["metadata"]["name"] for each in lists for item in each]

        return asyncio.run(look())

    def kill(self) -> None:
        """End the server as a crash would."""
        os.kill(json.loads(self.info.read_text())["pid"], signal.SIGKILL)

    def stop_everything(self) -> None:
        names = self.mcli("get", "runs", "-s", ACTIVE, "--limit", "none", "-o", "name").stdout.split()
        if names:
            self.mcli("stop", "runs", *names, "-y")
        for name in names:
            self.mcli.wait(name)

    def _settings(self) -> dict[str, Any]:
        defaults = msgspec.to_builtins(KubernetesSettings())
        given = msgspec.to_builtins(self.settings)
        return {name: value for name, value in given.items() if value != defaults[name]}


@pytest.fixture(scope="module", params=["emulated", pytest.param("real", marks=needs_cluster)])
def _site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "real":
        with namespace_of_tests() as settings:
            at = f"http://{ADDRESS}:{_free_port()}" if ADDRESS else ""
            yield from _opened(Site(directory, msgspec.structs.replace(settings, endpoint=at)))
        return
    with EmulatedCluster(directory / "kubernetes") as emulated:
        emulated.add_node("cpu-0", cpus=4)
        yield from _opened(Site(directory, settings_of(emulated, directory), emulated))


def _opened(site: Site) -> Iterator[Site]:
    try:
        yield site
    finally:
        site.mcli("platform", "stop")


@pytest.fixture
def site(_site: Site) -> Iterator[Site]:
    yield _site
    _site.stop_everything()
    wait_until(lambda: not _site.left(), "nothing is left in the namespace", 60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def test_both_clusters_are_shown_and_runs_go_where_they_say(site: Site) -> None:
    shown = json.loads(site.mcli("get", "clusters", "-o", "json").stdout)
    assert [each["name"] for each in shown] == ["here", "kube"]
    names = {cluster: site.run("echo $MASTER_ADDR", cluster=cluster) for cluster in ("kube", "here")}
    for cluster, name in names.items():
        assert site.ended(name)["cluster"] == cluster


def test_two_nodes_from_a_file_to_completed(site: Site) -> None:
    path = site.mcli.config(
        'echo "rank $NODE_RANK of $NUM_NODES"; cat $PARAMETERS',
        "pair",
        image=site.settings.default_image,
        compute={"cluster": "kube", "gpu_type": "none", "nodes": 2},
        parameters={"lr": 0.1, "names": ["ü"]},
    )
    followed = site.mcli("run", "-f", path, "--follow")
    assert "rank 0 of 2" in followed.stdout
    assert "completed after" in followed.stderr.splitlines()[-1]
    name = site.mcli("get", "runs", "--limit", "1", "-o", "name").stdout.strip()
    for rank in (0, 1):
        first, *parameters = site.log(name, "--rank", str(rank)).splitlines()
        assert first == f"rank {rank} of 2"
        assert yaml.safe_load("\n".join(parameters)) == {"lr": 0.1, "names": ["ü"]}


def test_the_python_api(site: Site) -> None:
    script = f"""
from mcli import RunConfig, create_run, follow_run_logs, wait_for_run_status
compute = {{"cluster": "kube", "gpu_type": "none", "nodes": 2}}
run = create_run(RunConfig(name="api", image={site.settings.default_image!r}, command="echo from $NODE_RANK",
                           compute=compute))
print("".join(follow_run_logs(run, rank=1)).strip())
print(wait_for_run_status(run, "COMPLETED", timeout=60).status.value)
"""
    assert site.mcli.python(script) == "from 1\nCOMPLETED\n"


def test_secrets_reach_the_run(site: Site) -> None:
    site.mcli("create", "secret", "env", "HIDDEN=dwarf", "--name", "hidden", "--no-input")
    (site.mcli.directory / "treasure").write_text("gold\n")
    site.mcli(
        "create", "secret", "mounted", "treasure", "--mount-path", "/mnt/cave", "--name", "cave", "--no-input"
    )
    login = ("--username", "me", "--password", "secret", "--server", "registry.example.org")
    site.mcli("create", "secret", "docker", *login, "--name", "registry", "--no-input")
    private = {"image": "private/image:1"} if site.emulated else {}
    try:
        name = site.run("echo $HIDDEN; cat /mnt/cave/*", **private)
        site.ended(name)
        assert site.log(name) == "dwarf\ngold\n"
    finally:
        for each in ("hidden", "cave", "registry"):
            site.mcli("delete", "secrets", each, "-y")


def test_a_run_that_is_stopped_and_deleted_leaves_nothing(site: Site) -> None:
    name = site.run("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done")
    site.mcli.wait(name, RunStatus.RUNNING)
    site.prints(name, "up")
    site.mcli("stop", "run", name)
    assert site.ended(name, RunStatus.STOPPED)
    assert site.log(name) == "up\nbye\n"
    site.mcli("delete", "run", name, "-y")
    assert name not in site.mcli("get", "runs", "-o", "name").stdout


def test_a_run_that_is_deleted_while_it_runs_leaves_nothing(site: Site) -> None:
    name = site.run("sleep 1000")
    site.mcli.wait(name, RunStatus.RUNNING)
    site.mcli("delete", "run", name, "-y", "--force")
    wait_until(lambda: not site.left(), "nothing is left", 60)


def test_a_failure_is_retried(site: Site) -> None:
    name = site.run('echo "try $RESUMPTION_INDEX"; [ $RESUMPTION_INDEX = 1 ]', scheduling={"max_retries": 2})
    assert site.ended(name)["max_retries"] == 2
    assert site.log(name) == "try 1\n"
    assert site.log(name, "--resumption", "0") == "try 0\n"


def test_a_higher_priority_preempts(site: Site) -> None:
    cpus = site.mcli.python("from mcli import get_cluster; print(get_cluster('kube').instances[0].cpus)")
    whole: dict[str, Any] = {"compute": {"cpus": int(cpus)}}
    low = site.run(
        "echo try $RESUMPTION_INDEX; sleep 1000",
        "low",
        scheduling={"priority": "low", "preemptible": True},
        **whole,
    )
    site.mcli.wait(low, RunStatus.RUNNING)
    high = site.run("true", "high", scheduling={"priority": "high"}, **whole)
    site.ended(high)
    site.prints(low, "try 1")


def test_a_person_connects(site: Site) -> None:
    name = site.run("sleep 1000")
    site.mcli.wait(name, RunStatus.RUNNING)
    with Screen([PROGRAM, "connect", name], site.mcli.environment, (100, 30)) as screen:
        screen.type(
            "echo in $RUN_NAME; stty size; until stty size | grep -q '^22'; do sleep 0.1; done; stty size\n"
        )
        screen.until(f"in {name}\r\n30 100\r\n")
        screen.resize(77, 22)
        screen.until("22 77\r\n")
        screen.type("exit 4\n")
        assert screen.ended() == 4


def test_a_server_that_was_killed_is_taken_over_from(site: Site) -> None:
    name = site.run(
        "echo up; until [ -e go ]; do sleep 0.05; done; echo on; exit $NODE_RANK",
        compute={"nodes": 2},
    )
    site.mcli.wait(name, RunStatus.RUNNING)
    for rank in ("0", "1"):
        site.prints(name, "up", "--rank", rank)
    site.kill()
    for rank in ("0", "1"):
        site.mcli("connect", name, "--rank", rank, "--command", "touch go")
    record = site.ended(name, RunStatus.FAILED)
    assert "exit code 1 on rank 1" in record["reason"]
    assert [site.log(name, "--rank", rank) for rank in ("0", "1")] == ["up\non\n"] * 2


def test_a_run_reaches_the_platform_with_its_token(site: Site) -> None:
    if site.emulated is None and not ADDRESS:
        pytest.skip("MAPI_TEST_ADDRESS does not say where pods reach this machine")
    query = json.dumps({"query": "query { runs: getRuns(getRunsData: {}) { __typename } }"})
    name = site.run(
        "if command -v mcli; then mcli get runs -o name; else "
        'wget -q -O - --header "Authorization: $(cat $MOSAICML_ACCESS_TOKEN_FILE)" '
        f"--header 'Content-Type: application/json' --post-data '{query}' $MOSAICML_API_ENDPOINT; fi",
        "inside",
    )
    site.ended(name)
    assert name in site.log(name) or '"data"' in site.log(name)
