"""Runs, from the command line: submit, follow, look at, change, end."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from tests.cli.conftest import Mcli


def test_a_followed_run_shows_its_log_on_stdout_and_its_outcome_on_stderr(mcli: Mcli) -> None:
    ended = mcli("run", "-f", mcli.config('echo "Hello World!"', "hello"), "--follow")
    assert ended.stdout == "Hello World!\n"
    assert "completed after" in ended.stderr.splitlines()[-1]


def test_following_a_run_that_fails_is_a_failure_that_says_why(mcli: Mcli) -> None:
    ended = mcli("run", "-f", mcli.config("echo before; exit 3"), "--follow", code=1)
    assert ended.stdout == "before\n"
    last = ended.stderr.splitlines()[-1]
    assert "failed after" in last
    assert "exit code 3" in last


def test_a_submitted_run_prints_its_name_and_nothing_else_on_stdout(mcli: Mcli) -> None:
    ended = mcli("run", "-f", mcli.config("true", "quiet"))
    assert ended.stdout.startswith("quiet-")
    assert len(ended.stdout.split()) == 1
    assert f"mcli logs -f {ended.stdout.strip()}" in ended.stderr


def test_flags_win_over_the_file(mcli: Mcli) -> None:
    path = mcli.config("sleep 60", "written", cpus=1, scheduling={"priority": "low"})
    flags = [
        "--name",
        "said",
        "--image",
        "other",
        "--nodes",
        "2",
        "--max-retries",
        "3",
        "--max-duration",
        "0.5",
    ]
    name = mcli("run", "-f", path, *flags, "--preemptible").stdout.strip()
    found = mcli.record(name)
    assert name.startswith("said-")
    assert (found["image"], found["node_count"], found["max_retries"]) == ("other", 2, 3)
    assert (found["max_duration"], found["preemptible"]) == (0.5, True)
    assert found["priority"].lower() == "low"


def test_ctrl_c_ends_the_following_and_not_the_run(mcli: Mcli) -> None:
    path = mcli.config("echo begun; sleep 60", "goes-on")
    code, printed, said = mcli.interrupted("run", "-f", path, "--follow", once="begun")
    assert (code, printed) == (1, "begun\n")
    name = said.rpartition("mcli logs -f ")[2].strip()
    assert name.startswith("goes-on-")
    assert mcli.record(name)["status"] == "RUNNING"


def test_a_run_that_is_tried_again_is_followed_to_the_last_try(mcli: Mcli) -> None:
    path = mcli.config(
        "echo try $RESUMPTION_INDEX; exit $((1 - RESUMPTION_INDEX))", scheduling={"max_retries": 2}
    )
    ended = mcli("run", "-f", path, "--follow")
    assert ended.stdout == "try 0\ntry 1\n"
    assert "tried again" in ended.stderr


def test_a_run_that_asks_for_what_there_is_not_is_refused_before_it_is_queued(mcli: Mcli) -> None:
    said = mcli(
        "run", "-f", mcli.config("true", "greedy"), "--gpus", "4096", "--gpu-type", "x9", code=1
    ).stderr
    assert said.startswith("mcli: ")
    assert "greedy" not in mcli("get", "runs", "-o", "name").stdout


def test_a_clone_asks_for_what_its_original_did(mcli: Mcli) -> None:
    original = mcli.submit("echo $PLACE", "original", env_variables={"PLACE": "here"})
    mcli.wait(original)
    ended = mcli("run", "--clone", original, "--name", "copy", "--follow")
    assert ended.stdout == "here\n"
    assert "copy-" in ended.stderr


def test_a_restarted_run_is_the_same_run_with_another_resumption(mcli: Mcli) -> None:
    name = mcli.submit("echo try $RESUMPTION_INDEX", "again")
    mcli.wait(name)
    assert mcli("run", "--restart", name, "--follow").stdout == "try 1\n"
    assert mcli("logs", name).stdout == "try 1\n"
    assert mcli("logs", name, "--prev").stdout == mcli("logs", name, "--resumption", "0").stdout == "try 0\n"
    assert "resumption 7" in mcli("logs", name, "--resumption", "7", code=1).stderr
    table = mcli("get", "runs", name).stdout
    assert "RESUMPTION" in table
    assert table.count(name) == 2


def test_a_restart_keeps_the_compute_and_says_what_to_do_instead(mcli: Mcli) -> None:
    said = mcli("run", "--restart", "any-run", "--nodes", "2", code=1).stderr
    assert "--nodes" in said
    assert "mcli run --clone any-run" in said


def test_logs_are_those_of_the_latest_run_unless_one_is_named(mcli: Mcli) -> None:
    first = mcli.submit("echo first", "first")
    mcli.wait(first)
    mcli.wait(mcli.submit("echo second", "second"))
    assert mcli("logs").stdout == "second\n"
    assert mcli("log", first).stdout == "first\n"
    assert mcli("logs", "-f", first).stdout == "first\n"


def test_a_log_can_be_cut_short_and_carry_the_time_of_each_line(mcli: Mcli) -> None:
    name = mcli.submit("printf 'one\\ntwo\\n'", "lines")
    mcli.wait(name)
    assert mcli("logs", name, "--tail", "1").stdout == "two\n"
    for line, text in zip(
        mcli("logs", name, "--timestamps").stdout.splitlines(), ("one", "two"), strict=True
    ):
        written, _, rest = line.partition(" ")
        assert rest == text
        assert abs(dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(written)) < dt.timedelta(minutes=5)


def test_every_rank_has_a_log_of_its_own_and_the_failed_one_is_shown(mcli: Mcli) -> None:
    command = "echo rank $NODE_RANK; [ $NODE_RANK = 0 ] && exec sleep 60; exit 9"
    name = mcli.submit(command, "ranks", compute={"gpu_type": "none", "nodes": 2})
    mcli.wait(name)
    assert mcli("logs", name, "--node", "0").stdout == "rank 0\n"
    assert mcli("logs", name, "--failed").stdout == mcli("logs", name).stdout == "rank 1\n"


def test_an_unknown_run_gets_the_one_that_was_probably_meant(mcli: Mcli) -> None:
    name = mcli.submit("true", "findable")
    for words in (["logs"], ["describe", "run"], ["stop", "run"], ["get", "runs"], ["run", "--restart"]):
        assert f"Did you mean '{name}'?" in mcli(*words, "findable", code=1).stderr
    assert "mcli get runs" in mcli("logs", "nothing-like-it-at-all", code=1).stderr


def test_runs_are_listed_newest_first_by_name_pattern_and_status(mcli: Mcli) -> None:
    names = [mcli.submit(f"exit {code}", f"listed-{code}") for code in (0, 1)]
    for name in names:
        mcli.wait(name)
    assert mcli("get", "runs", "listed-*", "-o", "name").stdout.split() == names[::-1]
    assert mcli("get", "runs", "listed-*", "-s", "failed", "-o", "name").stdout.split() == names[1:]
    assert mcli("get", "runs", *names, "-o", "name").stdout.split() == names[::-1]
    assert mcli("get", "runs", "-l", "-o", "name").stdout.split() == names[1:]
    assert mcli("get", "runs", "listed-*", "--before", "2020-01-01", "-o", "name").stdout == ""
    cut = mcli("get", "runs", "listed-*", "--limit", "1", "-o", "name")
    assert cut.stdout.split() == names[1:]
    assert "there are more" in cut.stderr


def test_a_table_has_the_columns_people_know(mcli: Mcli) -> None:
    name = mcli.submit("true", "row")
    mcli.wait(name)
    head, row = mcli("get", "runs", name).stdout.splitlines()
    assert head.split("  ")[0] == "NAME"
    assert [title in head for title in ("CLUSTER", "NODES", "INSTANCE", "STATUS", "START TIME", "END TIME")]
    assert row.startswith(name)
    assert "cpu" in row and "Completed" in row


def test_json_tells_all_about_a_run(mcli: Mcli) -> None:
    name = mcli.submit("exit 4", "whole", parameters={"lr": 0.1, "note": "x" * 500}, metadata={"team": "a"})
    mcli.wait(name)
    (found,) = json.loads(mcli("get", "runs", name, "-o", "json", COLUMNS="40").stdout)
    assert found["status"] == "FAILED"
    assert "exit code 4" in found["reason"]
    assert found["submitted_config"]["parameters"] == {"lr": 0.1, "note": "x" * 500}
    assert found["metadata"] == {"team": "a"}
    assert [step["status"] for step in found["lifecycle"]][-1] == "FAILED"
    assert found["events"] and found["nodes"]
    assert yaml.safe_load(mcli("get", "runs", name, "-o", "yaml").stdout) == [found]
    assert json.loads(mcli("describe", "run", name, "-o", "json").stdout) == found


def test_a_description_has_what_happened_and_what_was_asked_for(mcli: Mcli) -> None:
    name = mcli.submit("printf 'one\\n'; exit 4", "told")
    mcli.wait(name)
    said = mcli("describe", "run", name).stdout
    for part in (
        name,
        "Status              Failed",
        "exit code 4",
        "Run Event Log",
        "Run Nodes",
        "Submitted Run Configuration",
        "image: bash",
    ):
        assert part in said
    only = yaml.safe_load(mcli("describe", "run", name, "--yaml-only").stdout)
    assert (only["name"], only["command"]) == ("told", "printf 'one\\n'; exit 4")
    assert "image: bash" not in mcli("describe", "run", name, "--no-yaml").stdout


def test_a_stopped_run_keeps_its_log_and_the_reason(mcli: Mcli) -> None:
    name = mcli.submit("echo begun; sleep 60", "stoppable")
    mcli.wait(name, RunStatus.RUNNING)
    assert mcli("stop", "run", name, "--reason", "wrong data").stdout == f"{name}\n"
    found = mcli.wait(name)
    assert found["status"] == "STOPPED"
    assert "wrong data" in found["reason"]
    assert mcli("logs", name).stdout == "begun\n"
    assert "no runs to stop" in mcli("stop", "run", name, code=1).stderr


@pytest.mark.parametrize(
    "arguments",
    [["stop", "-y", "run"], ["stop", "run", "-y"], ["logs", "--tail", "1"], ["delete", "run", "-y"]],
)
def test_flags_may_stand_anywhere(mcli: Mcli, arguments: list[str]) -> None:
    mcli(*arguments, mcli.submit("echo up; sleep 1000"))


def test_following_a_run_that_is_stopped_ends_with_that(mcli: Mcli) -> None:
    name = mcli.submit("echo begun; sleep 60", "followed")
    with mcli.start("logs", "-f", name) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "begun\n"
        mcli("stop", "run", name)
        _, said = follower.communicate(timeout=30)
    assert "was stopped" in said


def test_more_than_one_run_is_changed_only_with_consent(mcli: Mcli) -> None:
    names = [mcli.submit("sleep 60", "many") for _ in range(2)]
    said = mcli("stop", "runs", "many-*", code=1).stderr
    assert all(name in said for name in names)
    assert "-y" in said
    assert not any(RunStatus(mcli.record(name)["status"]).is_terminal() for name in names)
    assert sorted(mcli("stop", "runs", "many-*", "-y").stdout.split()) == sorted(names)


@pytest.mark.parametrize("verb", ["stop", "delete"])
def test_nothing_named_is_never_everything(mcli: Mcli, verb: str) -> None:
    assert "--all" in mcli(verb, "runs", "-y", code=1).stderr


def test_a_deleted_run_is_gone_from_lists_that_do_not_ask_for_it(mcli: Mcli) -> None:
    name = mcli.submit("sleep 60", "deletable")
    assert mcli("delete", "run", name).stdout == f"{name}\n"
    assert name not in mcli("get", "runs", "-o", "name").stdout
    assert mcli.wait(name)["is_deleted"]


def test_how_a_run_queues_can_be_changed_while_it_does(mcli: Mcli) -> None:
    name = mcli.submit("sleep 60", "changed")
    mcli("update", "run", name, "--priority", "low", "--max-duration", "2")
    mcli("watchdog", name, "--max-retries", "4")
    found = mcli.record(name)
    assert (found["priority"].lower(), found["max_duration"]) == ("low", 2)
    assert (found["retry_on_system_failure"], found["max_retries"]) == (True, 4)
    mcli("watchdog", name, "--disable")
    assert mcli.record(name)["retry_on_system_failure"] is False
    assert "Nothing to change" in mcli("update", "run", name, code=1).stderr


def test_a_reader_that_has_read_enough_is_no_error_of_anybody(mcli: Mcli) -> None:
    name = mcli.submit("seq 100000", "long")
    mcli.wait(name)
    with mcli.start("logs", name) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "1\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def test_the_clusters_there_are_can_be_listed_and_described(mcli: Mcli) -> None:
    head, *rows = mcli("get", "clusters").stdout.splitlines()
    assert all(title in head for title in ("NAME", "PROVIDER", "GPU_TYPE", "GPUS", "INSTANCE", "NODES"))
    assert rows
    (cluster,) = json.loads(mcli("get", "clusters", "-o", "json").stdout)
    assert cluster["name"] == mcli("get", "clusters", "-o", "name").stdout.strip()
    said = mcli("describe", "cluster").stdout
    assert cluster["instances"][0]["nodes"][0]["name"] in said
    assert (
        f"Did you mean '{cluster['name']}'?"
        in mcli("describe", "cluster", cluster["name"] + "x", code=1).stderr
    )


def test_what_is_used_and_who_waits_can_be_seen(mcli: Mcli) -> None:
    name = mcli.submit("sleep 60", "using")
    mcli.wait(name, RunStatus.RUNNING)
    said = mcli("util").stdout
    assert "GPUS_AVAILABLE" in said
    assert name in said
    assert name not in mcli("util", "--hide-users").stdout


def test_the_platform_can_be_asked_where_it_is(mcli: Mcli) -> None:
    mcli("get", "runs")
    found = json.loads(mcli("platform", "status", "--json").stdout)
    assert set(found) == {"endpoint", "mint_endpoint", "api_key", "home", "pid", "version"}
    said = mcli("platform", "start").stdout
    assert found["endpoint"] in said
    assert found["api_key"] not in said


def test_a_platform_that_does_not_run_says_so(offline: Mcli) -> None:
    assert "mcli platform start" in offline("platform", "status", code=1).stderr
    assert offline("platform", "status", "--json", code=1).stdout == "null\n"
    assert "No platform" in offline("platform", "stop").stderr


def test_on_a_terminal_a_follower_sees_the_log_and_the_outcome(mcli: Mcli) -> None:
    code, seen = mcli.on_terminal("run", "-f", mcli.config("echo begun", "drawn"), "--follow")
    assert code == 0
    assert "begun\n" in seen
    assert "completed after" in seen.splitlines()[-1]


def test_on_a_terminal_a_table_fits_and_is_still_complete(mcli: Mcli) -> None:
    name = mcli.submit("exit 5", "a-name-that-takes-some-room")
    mcli.wait(name)
    code, seen = mcli.on_terminal("get", "runs", name)
    assert code == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", seen).splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if line.startswith(name)]
    assert "Failed" in row
