"""The whole of it: `mcli`, a server, and Kubernetes, an emulated one and a real one where there is one."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import yaml

from mcli.models.run_status import RunStatus
from tests.cli.conftest import PROGRAM
from tests.cli.screen import Screen
from tests.conftest import wait_until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.real import ADDRESS, namespace_of_tests, needs_cluster
from tests.kubernetes.site import Site, opened
from tests.kubernetes.stage import settings_of

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module", params=["emulated", pytest.param("real", marks=needs_cluster)])
def _site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "real":
        with namespace_of_tests() as settings:
            at = f"http://{ADDRESS}:{_free_port()}" if ADDRESS else ""
            yield from opened(Site(directory, msgspec.structs.replace(settings, endpoint=at)))
        return
    with EmulatedCluster(directory / "kubernetes") as emulated:
        emulated.add_node("cpu-0", cpus=4)
        yield from opened(Site(directory, settings_of(emulated, directory), emulated))


@pytest.fixture
def site(_site: Site) -> Iterator[Site]:
    yield _site
    _site.back()
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
        image=site.image,
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
run = create_run(RunConfig(name="api", image={site.image!r}, command="echo from $NODE_RANK",
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


def test_a_cluster_that_is_away_holds_up_nobody_else(site: Site) -> None:
    if site.emulated is None:
        pytest.skip("a real cluster is not to be taken away")
    runs = site.run("echo up; sleep 1000", "runs")
    site.prints(runs, "up")
    site.away()
    wait_until(lambda: "CLUSTER_UNREACHABLE" in site.events(runs), "the run is told")
    assert site.mcli.record(runs)["status"] == RunStatus.RUNNING.value
    late = site.run("echo late", "late")
    site.ended(site.run("echo here", cluster="here"))
    shown = json.loads(site.mcli("get", "clusters", "-o", "json").stdout)
    assert [each["name"] for each in shown] == ["here", "kube"]
    site.mcli("stop", "run", runs)
    site.kill()
    assert site.mcli.record(late)["status"] != RunStatus.COMPLETED.value  # by a server that came up meanwhile
    site.back()
    site.ended(late)
    site.ended(runs, RunStatus.STOPPED)
    assert site.log(runs) == "up\n"
