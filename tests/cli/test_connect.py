"""Shells, from the command line."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from mcli.models.run_status import RunStatus
from tests.cli.conftest import PROGRAM
from tests.cli.screen import Screen

if TYPE_CHECKING:
    from tests.cli.conftest import Mcli


@pytest.fixture(scope="module")
def desk(mcli: Mcli) -> str:
    """A run that is running."""
    name = mcli.submit("sleep 1000", "desk")
    mcli.wait(name, RunStatus.RUNNING)
    return name


def at_a_terminal(mcli: Mcli, *arguments: str) -> Screen:
    return Screen([PROGRAM, *arguments], mcli.environment, (100, 30))


def test_a_person_types_into_a_run_and_gets_their_terminal_back(mcli: Mcli, desk: str) -> None:
    with at_a_terminal(mcli, "connect", desk) as screen:
        grown = "while [ \"$(stty size)\" = '30 100' ]; do sleep 0.01; done"
        screen.type(f"echo in $RUN_NAME; stty size; {grown}; stty size\n")
        screen.until(f"in {desk}\r\n30 100\r\n")
        assert not screen.is_as_before()
        screen.resize(77, 22)
        screen.until("22 77\r\n")
        screen.type("bash -c 'echo u\"\"p; exec sleep 1000'\n")
        screen.until("up\r\n")
        screen.type("\x03")
        screen.until("^C")
        screen.type("echo ä€''🚀; exit 4\n")
        screen.until("ä€🚀\r\n")
        assert screen.ended() == 4
        assert screen.is_as_before()


def test_a_command_prints_where_there_is_no_terminal(mcli: Mcli, desk: str) -> None:
    ended = mcli("connect", desk, "--command", "echo hi; exit 3", code=3)
    assert ended.stdout == "hi\n"
    assert ended.stderr == ""


def test_it_waits_until_the_run_is_running(mcli: Mcli) -> None:
    name = mcli.submit("sleep 1000", "soon")
    assert mcli("connect", name, "--command", "echo $RUN_NAME").stdout == f"{name}\n"


def test_the_latest_run_is_meant_with_latest(mcli: Mcli) -> None:
    name = mcli.submit("sleep 1000", "newest")
    assert mcli("connect", "-l", "--command", "echo $RUN_NAME").stdout == f"{name}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rank", "3"], "has no node of rank 3; it has 0 to 0"),
        (["--container", "MODEL"], "no container 'MODEL'; there is MAIN"),
        (["--latest"], "not both"),
    ],
)
def test_what_cannot_be_is_said(mcli: Mcli, desk: str, arguments: list[str], said: str) -> None:
    assert said in mcli("connect", desk, *arguments, code=1).stderr


def test_a_run_that_has_ended_or_never_was_is_said(mcli: Mcli) -> None:
    name = mcli.submit("true", "brief")
    mcli.wait(name)
    assert f"{name} is completed" in mcli("connect", name, code=1).stderr
    assert "Did you mean" in mcli("connect", "brief", code=1).stderr


def test_an_interactive_run_is_held_and_found_again(mcli: Mcli) -> None:
    assert "mcli interactive HOURS" in mcli("connect", code=1).stderr
    held = mcli("interactive", "0.5", "--name", "bench", "--gpu-type", "none", "--no-connect")
    name = held.stdout.strip()
    assert name.startswith("bench-")
    assert mcli("connect", "--command", "echo $RUN_NAME").stdout == f"{name}\n"
    record = mcli.wait(name, RunStatus.RUNNING)
    assert record["run_type"] == "INTERACTIVE"
    other = mcli("interactive", "--hours", "1", "--command", "echo $RUN_NAME; exit 2", code=2)
    (second,) = re.findall(r"Submitted (interactive-\S+)", other.stderr)
    assert other.stdout == f"{second}\n"
    said = mcli("connect", code=1).stderr
    assert name in said
    assert second in said
    with at_a_terminal(mcli, "connect", "--command", "echo $RUN_NAME; exit 5") as screen:
        screen.until("Which one?")
        screen.type("2\n")
        assert screen.ended() == 5
        assert f"\n{name}\r\n" in screen.seen
    mcli("stop", "runs", name, second, "-y")


@pytest.mark.parametrize("hours", [[], ["0"], ["-1"], ["many"], ["inf"], ["1", "--hours", "2"]])
def test_an_interactive_run_has_an_end(offline: Mcli, hours: list[str]) -> None:
    assert "hours" in offline("interactive", *hours, code=2).stderr.lower()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_a_tmux_session_outlives_the_connection(mcli: Mcli, desk: str) -> None:
    with at_a_terminal(mcli, "connect", desk, "--tmux") as screen:
        screen.until("[main")
        screen.type("echo be''gun\n")
        screen.until("begun")
    with at_a_terminal(mcli, "connect", desk, "--tmux") as screen:
        screen.until("begun")
        screen.type("exit\n")
        assert screen.ended() == 0
