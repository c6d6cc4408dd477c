"""The server as an administrator starts it: configuration, users, health, metrics, either database."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcli import MAPIException, RunConfig, create_run, get_run_logs, get_runs, wait_for_run_status

MAPI = Path(sys.executable).with_name("mapi")


def environment(**extra: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MOSAICML_", "MCLI_", "MAPI_"))
    }
    return {**kept, **extra}


def mapi(*arguments: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAPI, *arguments], env=environment(**extra), capture_output=True, text=True, check=False, timeout=30
    )


class Server:
    """`mapi serve` in the foreground."""

    def __init__(self, home: Path, *arguments: str) -> None:
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            [MAPI, "serve", "--home", home, "--ready-fd", str(writer), *arguments],
            env=environment(),
            pass_fds=(writer,),
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writer)
        with os.fdopen(reader) as pipe:
            self.info = json.loads(pipe.readline())
        self.base = self.info["endpoint"].removesuffix("/graphql")

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.base + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def use(self, patch: pytest.MonkeyPatch, key: str | None = None) -> None:
        patch.setenv("MOSAICML_API_ENDPOINT", self.info["endpoint"])
        patch.setenv("MOSAICML_API_KEY", key or self.info["api_key"])

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "home")
    yield running
    assert running.end() == 0


def test_it_says_where_it_listens_and_ends_cleanly(server: Server) -> None:
    assert set(server.info) == {"endpoint", "mint_endpoint", "api_key", "home", "pid", "version"}
    assert server.info["pid"] == server.process.pid
    status, text = server.get("/healthz")
    assert (status, json.loads(text)["status"]) == (200, "ready")


def test_what_only_its_owner_may_read_only_its_owner_can(server: Server) -> None:
    home = Path(server.info["home"])
    assert home.stat().st_mode & 0o077 == 0
    for name in ("platform.json", "api_key"):
        assert (home / name).stat().st_mode & 0o077 == 0


def test_metrics_count_what_runs(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.use(monkeypatch)
    run = create_run(RunConfig(name="counted", image="bash", command="true"))
    wait_for_run_status(run, "COMPLETED", timeout=20)
    _, text = server.get("/metrics")
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines['mapi_runs{status="COMPLETED"}'] == "1.0"
    assert lines['mapi_queue_length{cluster="local"}'] == "0.0"
    assert lines["mapi_submit_to_start_seconds_count"] == "1.0"
    assert float(lines['mapi_api_seconds_count{operation="createRun"}']) == 1


def test_a_second_server_in_one_home_is_refused(server: Server) -> None:
    ended = mapi("serve", "--home", server.info["home"])
    assert ended.returncode == 1
    assert "a platform is running in" in ended.stderr
    assert server.get("/healthz")[0] == 200


def test_it_has_the_same_address_and_key_after_a_restart(tmp_path: Path) -> None:
    first = Server(tmp_path)
    assert first.end() == 0
    second = Server(tmp_path)
    assert (second.info["endpoint"], second.info["api_key"]) == (
        first.info["endpoint"],
        first.info["api_key"],
    )
    second.end()


def test_a_wrong_key_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.use(monkeypatch, key="wrong")
    with pytest.raises(MAPIException, match="API key") as caught:
        get_runs()
    assert caught.value.status == 401


def test_a_user_has_runs_of_their_own_and_sees_those_of_the_organization(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.use(monkeypatch)
    mine = create_run(RunConfig(name="mine", image="bash", command="true"))
    added = mapi("user", "add", "ada", "--email", "ada@example.org", "--home", server.info["home"])
    assert added.returncode == 0
    server.use(monkeypatch, key=added.stdout.strip())
    theirs = create_run(RunConfig(name="theirs", image="bash", command="true"))
    assert [run.name for run in get_runs()] == [theirs.name]
    assert [run.name for run in get_runs(all_users=True)] == [theirs.name, mine.name]
    again = mapi("user", "add", "ada", "--email", "ada@example.org", "--home", server.info["home"])
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert "ada@example.org" in mapi("user", "list", "--home", server.info["home"]).stdout


def test_a_run_is_created_once_however_often_one_request_is_sent(server: Server) -> None:
    document = "mutation($d: CreateRunInput!) { createRun(createRunData: $d) { name } }"
    run_input = {"runName": "once", "image": "bash", "command": "true"}
    body = json.dumps({"query": document, "variables": {"d": {"runInput": run_input}}}).encode()
    headers = {
        "Authorization": server.info["api_key"],
        "Content-Type": "application/json",
        "Idempotency-Key": "one",
    }

    def send(_: int) -> str:
        request = urllib.request.Request(server.info["endpoint"], body, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(json.load(answer)["data"]["createRun"][0]["name"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(send, range(8)))) == 1


def test_it_works_on_postgresql(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path, "--database", postgres_database)
    server.use(monkeypatch)
    run = create_run(RunConfig(name="pg", image="bash", command="echo on postgres"))
    wait_for_run_status(run, "COMPLETED", timeout=20)
    assert get_run_logs(run) == "on postgres\n"
    server.end()
    server = Server(tmp_path, "--database", postgres_database)
    assert [found.name for found in get_runs()] == [run.name]
    server.end()


def test_configuration_is_file_then_environment_then_flags(tmp_path: Path) -> None:
    (tmp_path / "mapi.yaml").write_text("host: 127.0.0.2\nport: 1\ngrace_seconds: 5\n")
    shown = mapi("config", "--home", tmp_path, "--port", "3", MAPI_PORT="2", MAPI_LOG_LEVEL="debug").stdout
    lines = {line.split()[0]: line for line in shown.splitlines()}
    assert "127.0.0.2" in lines["host"]
    assert str(tmp_path / "mapi.yaml") in lines["host"]
    assert lines["port"].split()[1:] == ["3", "(--port)"]
    assert lines["log_level"].split()[1:] == ["debug", "(MAPI_LOG_LEVEL)"]
    assert lines["public_url"].endswith("(default)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hots: x", "hots is not a known setting; did you mean host?"),
        ("port: many", "port: Expected `int`"),
        ("[1", "is no YAML"),
        ("clusters: {local: {kind: local, shared_slot: 3}}", "unknown field `shared_slot`"),
        ("clusters: {local: {kind: mesos}}", "mesos"),
    ],
)
def test_a_wrong_setting_is_named_with_its_source(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mapi.yaml").write_text(text)
    for command in ("config", "serve"):
        ended = mapi(command, "--home", tmp_path)
        assert ended.returncode == 1
        assert said in ended.stderr
        assert "mapi.yaml" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_an_address_in_use_is_said(server: Server, tmp_path: Path) -> None:
    port = server.base.rsplit(":", 1)[1]
    ended = mapi("serve", "--home", tmp_path / "other", "--port", port)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr


def test_it_ends_when_its_home_is_removed_and_leaves_the_next_ones_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = Server(home)
    home.rename(tmp_path / "away")
    second = Server(home)
    _, said = first.process.communicate(timeout=30)
    assert "its home was removed" in said
    assert first.process.returncode == 0
    assert (home / "platform.json").exists()
    assert second.end() == 0


def test_followers_do_not_hold_up_the_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.use(monkeypatch)
    run = create_run(RunConfig(name="long", image="bash", command="sleep 30"))
    future = wait_for_run_status(run, "COMPLETED", future=True)
    wait_for_run_status(run, "RUNNING", timeout=20)
    began = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - began < 10
    assert not future.done()
    restarted = Server(Path(server.info["home"]))
    from mcli import stop_run

    stop_run(run)
    wait_for_run_status(run, "STOPPED", timeout=40)
    server.process = restarted.process
