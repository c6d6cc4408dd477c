"""The published command lines: what they print, and the code they exit with."""

from __future__ import annotations

import json

import pytest

from tests.compat.calls import ALL, LATER, LATEST, V3, V5, V6, V8, shows
from tests.compat.published import Output, Published

GPUS = {"gpu_type": "a100_80gb", "gpu_num": 16}
CONFIG = {"name": "published-cli", "image": "bash", "command": "echo one; sleep 0.2; echo two"}

COLUMNS = {
    V5: "NAME USER CREATED TIME STATUS START TIME END TIME CLUSTER INSTANCE NODES",
    V6: "NAME CLUSTER NODES INSTANCE STATUS START TIME END TIME",
    V8: "NAME CLUSTER NODES INSTANCE STATUS START TIME END TIME",
}


def done(output: Output) -> Output:
    assert output.code == 0, output
    assert "Traceback" not in output.err
    return output


def failed(output: Output, *said: str, code: int = 1) -> None:
    assert output.code == code, output
    assert "Traceback" not in output.text
    for words in said:
        assert words in output.text


@shows("mcli run -f", "mcli run --follow")
def test_a_run_is_submitted_and_followed(client: Published) -> None:
    assert done(client.cli("run", "-f", client.file("run.yaml", CONFIG), "--follow")).out.split() == [
        "one",
        "two",
    ]
    assert "mcli logs published-cli-" in done(client.cli("run", "-f", client.file("run.yaml", CONFIG))).text


@shows("mcli run -f")
def test_overrides_of_the_command_line_count(client: Published) -> None:
    path = client.file("run.yaml", CONFIG)
    done(client.cli("run", "-f", path, "--name", "other", "--gpu-type", "a100_80gb", "--gpus", "8"))
    assert client("run = get_runs(limit=1)[0]; run.name[:6], run.gpus") == ["other-", 8]


@shows("mcli run -f")
def test_a_wrong_configuration_is_told(client: Published) -> None:
    wrong = {**CONFIG, "compute": {"gpus": 8, "gpu_type": "h100"}}
    failed(client.cli("run", "-f", client.file("run.yaml", wrong)), "Error 400", "h100", "a100_80gb")
    incomplete = {key: value for key, value in CONFIG.items() if key != "command"}
    failed(client.cli("run", "-f", client.file("run.yaml", incomplete)), "required values", "command")
    failed(client.cli("run"), "Must specify a file")


@shows("mcli run --clone", "mcli run -r")
def test_a_run_is_cloned_and_restarted(client: Published) -> None:
    name = client.finished("echo $RESUMPTION_INDEX")
    assert "mcli logs cloned-" in done(client.cli("run", "--clone", name, "--name", "cloned")).text
    done(client.cli("run", "-r", name))
    client("[r.status for r in watch_run_status(run, timeout=20)]")
    assert done(client.cli("logs", name)).out == "1\n"
    assert done(client.cli("logs", name, "--prev")).out == "0\n"


@shows("mcli get runs")
def test_runs_are_listed_in_columns(client: Published) -> None:
    done_name, failed_name = client.finished("true"), client.finished("exit 1")
    output = done(client.cli("get", "runs", done_name, failed_name))
    header, *rows = [" ".join(line.split()) for line in output.out.strip().splitlines()]
    assert header == COLUMNS[client.version]
    assert [row.split()[0] for row in rows] == [failed_name, done_name]
    assert "Failed" in rows[0] and "Completed" in rows[1]
    names = done(
        client.cli("get", "runs", failed_name, done_name, "--status", "failed", "-o", "name")
    ).out.split()
    assert names == [failed_name]
    listed = json.loads(done(client.cli("get", "runs", done_name, "-o", "json")).out.replace("\n", " "))
    assert listed[0]["name"] == done_name
    assert "No items found" in done(client.cli("get", "runs", "no-such-run")).text
    assert len(done(client.cli("get", "runs", "--limit", "1", "-o", "name")).out.split()) == 1


@shows("mcli get runs --all-users", on=LATEST)
def test_everybodys_runs_are_listed(client: Published) -> None:
    client.finished("true")
    assert "USER" in done(client.cli("get", "runs", "--all-users", "--limit", "1")).out


@shows("mcli get runs")
def test_a_run_that_ran_twice_has_a_line_for_each_time(client: Published) -> None:
    name = client.finished("exit 1", scheduling={"max_retries": 1})
    output = done(client.cli("get", "runs", name))
    assert "RESUMPTION" in output.out
    assert output.out.count("Failed") == 2


@shows("mcli describe run")
def test_a_run_is_described(client: Published) -> None:
    name = client.finished("exit 3", metadata={"team": "vision"})
    text = done(client.cli("describe", "run", name)).text
    for words in (
        f"Run Name {name}",
        "Status Failed",
        "exit code 3",
        "team",
        "name: published",
        "command: exit 3",
    ):
        assert words in text, words
    assert "No runs found with name: nope" in done(client.cli("describe", "run", "nope")).text


@shows("mcli logs", "mcli logs --failed", "mcli logs --tail")
def test_logs_are_printed(client: Published) -> None:
    name = client.finished("echo hello; exit 1")
    assert done(client.cli("logs", name)).out == "hello\n"
    assert done(client.cli("logs", name, "--failed", "--no-follow")).out == "hello\n"
    assert done(client.cli("logs", name, "--follow")).out == "hello\n"
    assert done(client.cli("logs", name, "--tail", "3")).out == "lo\n"
    assert done(client.cli("logs")).out == "hello\n"
    failed(client.cli("logs", "nope"), "Error 404", "nope")


@shows("mcli logs --error", on=LATEST)
def test_only_the_exception_is_printed(client: Published) -> None:
    name = client.finished("echo before; python3 -c 'raise ValueError(7)'")
    assert done(client.cli("logs", name, "--error")).out.startswith("Traceback (most recent call last):\n")
    failed(client.cli("logs", client.finished("exit 1"), "--error"), "holds no traceback")


@shows("mcli stop runs", "mcli delete runs")
def test_runs_are_stopped_and_deleted(client: Published) -> None:
    name = client.create("sleep 60")
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    done(client.cli("stop", "run", name, "-y"))
    assert client("[r.status for r in watch_run_status(run, timeout=20)][-1]") == "STOPPED"
    done(client.cli("delete", "run", name, "-y"))
    assert client("len(get_runs([name]))", name=name) == 0
    failed(client.cli("stop", "run"), "at least one filter")
    failed(client.cli("stop", "run", name, "-y"), "No runs found")


@shows("mcli update run", "mcli watchdog")
def test_an_active_run_is_updated(client: Published) -> None:
    name = client.create("sleep 60")
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    done(client.cli("update", "run", name, "--max-duration", "2", "--max-retries", "3"))
    assert client("run = get_run(run); run.max_duration, run.max_retries") == [2, 3]
    done(client.cli("watchdog", name))
    assert client("run = get_run(run); run.retry_on_system_failure, run.max_retries") == [True, 10]
    done(client.cli("watchdog", name, "--disable"))
    assert client("run = get_run(run); run.retry_on_system_failure, run.max_retries") == [False, 0]
    assert "ETA" in done(client.cli("get", "runs", name)).out.upper() or client.version == V5


@shows("mcli diff run", on=LATEST)
def test_two_runs_are_compared(client: Published) -> None:
    first, second = client.finished("echo first"), client.finished("echo second")
    text = done(client.cli("diff", "run", first, second)).text
    assert "command: echo first" in text and "command: echo second" in text


@shows("mcli get clusters", "mcli describe cluster")
def test_clusters_are_shown(client: Published) -> None:
    text = done(client.cli("get", "clusters")).text
    assert "NAME PROVIDER GPU_TYPE GPUS INSTANCE NODES" in text
    assert "a100_80gb ≤8,16 │ a100_80gb.8 ≤2" in text
    assert "Total GPUs: 16" in done(client.cli("describe", "cluster", "lab")).text


@shows("mcli util")
def test_utilization_shows_the_queue_and_its_reasons(client: Published) -> None:
    running = client.create("sleep 60", **GPUS)
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    waiting = client.create("true", **GPUS)
    client("wait_for_run_status(run, 'QUEUED', timeout=20)")
    text = done(client.cli("util")).text
    assert "NAME INSTANCE_NAME NODE_INFO GPUS_AVAILABLE GPUS_USED GPUS_TOTAL" in text
    assert "lab a100_80gb.8 8xa100_80gb 0 16 16" in text
    active, queued = text.split("Queued Runs")
    assert running in active and waiting in queued
    assert "waiting for 16 GPUs" in queued


@shows("mcli describe me", on=LATEST)
def test_the_user_is_described(client: Published) -> None:
    assert "- default (" in done(client.cli("describe", "me")).text


@shows("mcli run -f", "mcli logs", "mcli get runs", "mcli get clusters", "mcli util", on=(V3,))
def test_the_first_command_line_still_works(client: Published) -> None:
    assert "mcli logs published-cli-" in done(client.cli("run", "-f", client.file("run.yaml", CONFIG))).text
    name = client.finished("echo hello")
    assert done(client.cli("logs", name)).out == "hello\n"
    assert name in done(client.cli("get", "runs")).text
    assert "lab LOCAL" in done(client.cli("get", "clusters")).text
    assert "lab 8xa100_80gb" in done(client.cli("util")).text


@shows("mcli get deployments", on=ALL, refused="not available on this platform")
def test_what_is_not_here_is_an_error(client: Published) -> None:
    failed(client.cli("get", "deployments"), "Error 501", "not available on this platform")


@shows("mcli get finetuning-runs", on=(V5, V6), refused="not available on this platform")
def test_finetuning_is_not_here(client: Published) -> None:
    failed(client.cli("get", "finetuning-runs"), "Error 501", "not available on this platform")


@pytest.mark.parametrize("client", LATER, indirect=True)
def test_a_command_that_does_not_exist_is_a_usage_error(client: Published) -> None:
    failed(client.cli("bogus"), "invalid choice", code=2)
