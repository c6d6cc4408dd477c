"""The part of a log that is asked for, of one rank or all, as it is written and as it looks."""

from __future__ import annotations

import datetime as dt
import os
import re
import time
from typing import TYPE_CHECKING

import pytest

from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from tests.cli.conftest import Mcli

TWO_NODES = {"gpu_type": "none", "nodes": 2}


def ended(mcli: Mcli, command: str, name: str, **fields: object) -> str:
    run = mcli.submit(command, name, **fields)
    mcli.wait(run)
    return run


def test_the_last_lines_are_shown_and_those_that_match(mcli: Mcli) -> None:
    name = ended(mcli, "for i in 1 2 3 4; do echo step $i loss=0.$i; echo other; done", "many-lines")
    assert mcli("logs", name, "--tail", "3").stdout == "other\nstep 4 loss=0.4\nother\n"
    assert mcli("logs", name, "--grep", r"loss=0\.[12]$").stdout == "step 1 loss=0.1\nstep 2 loss=0.2\n"
    assert mcli("logs", name, "--tail", "2", "--grep", "step").stdout == "step 4 loss=0.4\n"
    assert mcli("logs", "-f", name, "--tail", "2", "--grep", "step").stdout == "step 4 loss=0.4\n"
    assert mcli("logs", name, "--tail", "0").stdout == ""


def test_a_match_is_looked_for_in_what_the_run_wrote_and_not_in_the_time(mcli: Mcli) -> None:
    name = ended(mcli, "echo text", "no-digits")
    assert mcli("logs", name, "--timestamps", "--grep", r"\d").stdout == ""
    assert re.fullmatch(r"\S+Z text\n", mcli("logs", name, "--timestamps", "--grep", "text").stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--grep", "("],
            "'(' is not a regular expression: missing ), unterminated subpattern at position 0",
        ),
        (["--since", "yesterday"], "'yesterday' is not a time"),
        (["--tail", "-3"], "'-3' is not a number from 0 up"),
        (["--node", "1", "--all-ranks"], "not allowed with argument"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(offline: Mcli, arguments: list[str], message: str) -> None:
    assert message in offline("logs", *arguments, code=2).stderr


def test_what_was_written_since_a_moment(mcli: Mcli) -> None:
    name = mcli.submit("echo before; until [ -e $GATE ]; do sleep 0.01; done; echo after",
                       "since", env_variables={"GATE": str(mcli.directory / "gate")})  # fmt: skip
    with mcli.start("logs", "-f", name) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "before\n"
        time.sleep(0.01)  # the two lines differ by more than the precision of a moment
        moment = dt.datetime.now(dt.UTC)
        (mcli.directory / "gate").touch()
        assert follower.stdout.readline() == "after\n"
    mcli.wait(name)
    assert mcli("logs", name, "--since", moment.isoformat()).stdout == "after\n"
    assert mcli("logs", name, "--since", "1h").stdout == "before\nafter\n"
    assert mcli("logs", "-f", name, "--since", "1d12h").stdout == "before\nafter\n"
    future = (moment + dt.timedelta(hours=1)).isoformat()
    assert mcli("logs", name, "--since", future).stdout == ""


def test_all_ranks_are_shown_in_the_order_they_wrote_each_line_with_its_rank(mcli: Mcli) -> None:
    name = mcli.submit(
        "until [ -e $GATE-$NODE_RANK ]; do sleep 0.01; done; echo one; echo two",
        "both",
        compute=TWO_NODES,
        env_variables={"GATE": str(mcli.directory / "rank")},
    )
    with mcli.start("logs", "-f", "--all-ranks", name) as follower:
        assert follower.stdout is not None
        for rank in (1, 0):
            (mcli.directory / f"rank-{rank}").touch()
            seen = [follower.stdout.readline() for _ in range(2)]
            assert seen == [f"[{rank}] one\n", f"[{rank}] two\n"]
        assert follower.stdout.read() == ""
    assert mcli("logs", name, "--all-ranks").stdout == "[1] one\n[1] two\n[0] one\n[0] two\n"
    stamped = mcli("logs", name, "--all-ranks", "--timestamps", "--grep", "two").stdout
    assert re.fullmatch(r"\[1\] \S+Z two\n\[0\] \S+Z two\n", stamped)


def test_on_a_terminal_ranks_have_colours_unless_nobody_wants_them(mcli: Mcli) -> None:
    name = ended(mcli, r"printf '10%%\r100%%\n'", "coloured", compute=TWO_NODES)
    _, seen = mcli.on_terminal("logs", name, "--all-ranks")
    assert sorted(seen.splitlines()) == ["\x1b[33m[1]\x1b[0m 100%", "\x1b[36m[0]\x1b[0m 100%"]
    assert "\x1b" not in mcli("logs", name, "--all-ranks").stdout


def test_a_progress_bar_is_drawn_while_it_is_and_kept_as_it_was_written(mcli: Mcli) -> None:
    gate = mcli.directory / "bar"
    command = r"printf '10%%\r'; until [ -e $GATE ]; do sleep 0.01; done; printf '100%%\n'"
    name = mcli.submit(command, "bar", env_variables={"GATE": str(gate)})
    with mcli.start("logs", "-f", name, binary=True) as follower:
        assert follower.stdout is not None
        assert follower.stdout.read(4) == b"10%\r"
        gate.touch()
        assert follower.stdout.read() == b"100%\n"
    _, seen = mcli.on_terminal("logs", name)
    assert seen == "10%\r100%\n"


def test_a_follow_survives_a_restart_of_the_platform(mcli: Mcli) -> None:
    gate = mcli.directory / "restart"
    command = "echo before; until [ -e $GATE ]; do sleep 0.01; done; echo after"
    name = mcli.submit(command, "restart", env_variables={"GATE": str(gate)})
    with mcli.start("logs", "-f", name) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "before\n"
        mcli("platform", "stop")
        mcli("platform", "start")
        gate.touch()
        rest, said = follower.communicate(timeout=60)
    assert rest == "after\n"
    assert "completed" in said


def test_what_a_run_waits_for_is_shown_until_it_starts(mcli: Mcli) -> None:
    cpus = mcli.record(ended(mcli, "true", "any", compute={"cpus": 1, "gpu_type": "none"}))
    assert cpus["cpus"] == 1
    everything = {"gpu_type": "none", "cpus": os.cpu_count() or 1}
    blocker = mcli.submit("sleep 60", "blocker", compute=everything)
    mcli.wait(blocker, RunStatus.RUNNING)
    path = mcli.config("echo at last", "waiter", compute=everything)
    with mcli.terminal("run", "-f", path, "--follow") as terminal:
        terminal.wait_for(r"waiter-\w+: queued for .* \(waiting for \d+ CPU")
        mcli("stop", "run", blocker)
        assert terminal.ended() == 0
    assert "at last" in terminal.seen
    assert "completed after" in terminal.seen


def test_the_first_traceback_is_shown_alone(mcli: Mcli) -> None:
    name = mcli.submit("echo before; python3 -c 'raise ValueError(17)'; exit 1")
    mcli.wait(name)
    shown = mcli("logs", name, "--error").stdout
    assert shown.startswith("Traceback") and shown.endswith("ValueError: 17\n")


def test_what_is_not_kept_is_refused(mcli: Mcli) -> None:
    name = mcli.submit("true")
    mcli.wait(name)
    assert "one log a node" in mcli("logs", name, "--gpu", "0", code=1).stderr
    assert "MAIN is the only one" in mcli("logs", name, "-c", "MODEL", code=1).stderr
    assert "no clusters for inference" in mcli("util", "-i", code=1).stderr
