"""Lists that are watched, compared and filtered; columns that appear when they say something."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING

from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from tests.cli.conftest import Mcli

LEAVES_THE_OTHER_SCREEN = "\x1b[?25h\x1b[?1049l"
EVERYTHING = {"gpu_type": "none", "cpus": os.cpu_count() or 1}


def plain(seen: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)


def test_a_waiting_run_shows_why_it_waits_and_its_place_in_line(mcli: Mcli) -> None:
    blocker = mcli.submit("sleep 60", "holds", compute=EVERYTHING)
    mcli.wait(blocker, RunStatus.RUNNING)
    names = [mcli.submit("true", "waits", compute=EVERYTHING) for _ in range(2)]
    mcli.wait(names[1], RunStatus.QUEUED)
    table = mcli("get", "runs", *names).stdout
    assert re.search(rf"{names[0]} .* Queued \(waiting for \d+ CPUs? on local; 0 free, next in line\)", table)
    assert re.search(rf"{names[1]} .* Queued \(.*, 1 run ahead\)", table)
    assert "1 run ahead" in mcli("describe", "run", names[1]).stdout
    util = mcli("util").stdout
    assert util.startswith("Training Instances:\n")
    assert "Active Non-Preemptible Runs" in util
    assert re.search(rf"\n2 +{names[1]} .*1 run ahead", util.partition("Queued Runs")[2])
    mcli("stop", "runs", blocker, *names, "-y")


def test_a_run_with_a_limit_shows_how_far_it_is_and_when_it_ends_at_the_latest(mcli: Mcli) -> None:
    name = mcli.submit("sleep 60", "limited", scheduling={"max_duration": 10})
    mcli.wait(name, RunStatus.RUNNING)
    head, row = mcli("get", "runs", name).stdout.splitlines()
    assert head.endswith("ETA")
    assert re.search(r"Running □{10} \(0%\)  \d{4}-\d\d-\d\d .*  \d{4}-\d\d-\d\d", row)
    mcli("stop", "run", name)


def test_metadata_ids_and_users_are_columns_where_they_are_asked_for(mcli: Mcli) -> None:
    name = mcli.submit("true", "columns", metadata={"loss": 0.25, "team": "a"})
    head, row = mcli(
        "get", "runs", name, "-m", "loss", "-m", "acc", "--ids", "--all-users"
    ).stdout.splitlines()
    assert head.split() == ("NAME ID USER CLUSTER NODES INSTANCE STATUS START TIME END TIME loss acc".split())
    assert re.search(r" 0\.25 +-$", row)
    record = mcli.record(name)
    assert record["id"] in row and record["created_by"] in row
    head, row = mcli("get", "runs", name, "--user", record["created_by"], "-c", "local").stdout.splitlines()
    assert "USER" not in head and "CLUSTER" not in head
    assert mcli("get", "runs", "--user", "nobody@example.org", "-o", "name").stdout == ""


def test_an_unknown_cluster_in_a_filter_gets_a_suggestion(mcli: Mcli) -> None:
    assert "Did you mean 'local'?" in mcli("get", "runs", "--cluster", "locl", code=1).stderr


def test_all_resumptions_are_shown_if_asked_for(mcli: Mcli) -> None:
    name = mcli.submit("exit 1", "often", scheduling={"max_retries": 4})
    mcli.wait(name)
    assert mcli("get", "runs", name).stdout.count(name) == 3
    assert mcli("get", "runs", name, "--expanded").stdout.count(name) == 5


def test_a_watched_list_is_drawn_in_place_until_ctrl_c(mcli: Mcli) -> None:
    name = mcli.submit("sleep 60", "watched")
    mcli.wait(name, RunStatus.RUNNING)
    with mcli.terminal("get", "runs", name, "--watch") as terminal:
        terminal.wait_for("Running")
        mcli("stop", "run", name)
        terminal.wait_for("Stopped")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 0
    before, left, after = terminal.seen.partition(LEAVES_THE_OTHER_SCREEN)
    assert left and "\x1b[?1049h" in before
    assert name in plain(after) and "Stopped" in plain(after)


def test_a_watched_list_fits_the_window_also_when_it_changes(mcli: Mcli) -> None:
    names = [mcli.submit("true", f"fits-{number}") for number in range(8)]
    mcli.wait(names[-1])
    with mcli.terminal("get", "runs", "fits-*", "--watch", columns=120, lines=40) as terminal:
        terminal.wait_for(names[0])
        terminal.seen = ""
        terminal.resize(60, 5)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.wait_for(r"… and \d+ more lines")
        frame = plain(terminal.seen[: terminal.seen.index("more lines") + 10])
        assert len(frame.splitlines()) <= 5
        assert max(map(len, frame.splitlines())) <= 60
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 0


def test_watching_without_a_terminal_repeats_it_plainly(mcli: Mcli) -> None:
    mcli.submit("true", "plain")
    with mcli.start("util", "--watch") as process:
        assert process.stdout is not None
        seen = ""
        while seen.count("Training Instances:") < 2:
            seen += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
    assert "\x1b" not in seen + rest


def test_what_is_watched_is_a_table(mcli: Mcli) -> None:
    assert "--watch" in mcli("get", "runs", "--watch", "-o", "json", code=1).stderr


def test_two_runs_can_be_compared(mcli: Mcli) -> None:
    names = [mcli.submit("true", "pair", parameters={"lr": lr, "epochs": 3}) for lr in (0.1, 0.2)]
    lines = mcli("diff", "run", *names).stdout.splitlines()
    assert lines[:2] == [f"--- {names[0]}", f"+++ {names[1]}"]
    assert "-  lr: 0.1" in lines and "+  lr: 0.2" in lines and "   epochs: 3" in lines
    code, seen = mcli.on_terminal("diff", "run", *names)
    assert code == 0
    rows = plain(seen).splitlines()
    assert rows[0].split() == names
    assert any(row.split() == ["lr:", "0.1", "lr:", "0.2"] for row in rows)
    assert max(map(len, rows)) <= 80
    assert mcli("diff", "run", names[0], names[0]).stdout == ""


def test_many_runs_are_stopped_with_their_list_and_a_question(mcli: Mcli) -> None:
    names = [mcli.submit("sleep 60", "asked") for _ in range(2)]
    with mcli.terminal("stop", "runs", "asked-*") as terminal:
        question = terminal.wait_for(r"Stop 2 runs: .*\? \[y/N\] ")
        assert all(name in question for name in names)
        terminal.press("n\n")
        assert terminal.ended() == 1
    assert not any(RunStatus(mcli.record(name)["status"]).is_terminal() for name in names)
    with mcli.terminal("stop", "runs", "asked-*") as terminal:
        terminal.wait_for(r"\[y/N\] ")
        terminal.press("y\n")
        assert terminal.ended() == 0
    assert all(mcli.wait(name)["status"] == "STOPPED" for name in names)


def test_many_at_once_show_how_far_they_are(mcli: Mcli) -> None:
    from mcli.cli.selection import _AT_ONCE

    config = mcli.config("sleep 60", "bulk", compute=EVERYTHING)
    script = (
        "import sys; from mcli import RunConfig, create_run\n"
        f"config = RunConfig.from_file({config!r})\n"
        f"made = [create_run(config, future=True) for _ in range({_AT_ONCE + 5})]\n"
        "print(*(run.result(60).name for run in made))"
    )
    names = mcli.python(script).split()
    with mcli.terminal("stop", "runs", "bulk-*", "-y") as terminal:
        assert terminal.ended() == 0
    assert f"{_AT_ONCE} of {len(names)} stopped" in terminal.seen
    assert f"{len(names)} of {len(names)} stopped" in terminal.seen
    assert all(name in terminal.seen for name in names)
    listed = json.loads(mcli("get", "runs", "bulk-*", "--limit", "none", "-o", "json").stdout)
    assert not [run["name"] for run in listed if run["status"] not in ("STOPPED", "STOPPING")]
