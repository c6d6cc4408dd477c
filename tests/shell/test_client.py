"""`MintShell`, as a program uses it."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mcli import MAPIException, embedded, stop_run
from mcli.api.exceptions import MCLIException, MintException
from mcli.api.mint.shell import MintShell
from tests.conftest import PlatformOfTests, wait_until
from tests.shell.terminal import running


def test_a_command_is_executed_and_what_it_printed_returned(machine: PlatformOfTests) -> None:
    run = running()
    assert MintShell(run).execute("echo $RUN_NAME; echo ä€🚀; exit 3") == f"{run.name}\r\nä€🚀\r\n"
    assert MintShell(run.name, rank=0).execute("seq 20000").split() == [str(n) for n in range(1, 20001)]


def test_key_and_endpoint_may_be_given(machine: PlatformOfTests, monkeypatch: pytest.MonkeyPatch) -> None:
    platform, run = machine.running(), running()
    with monkeypatch.context() as patch:
        patch.setenv("MOSAICML_API_ENDPOINT", "http://127.0.0.1:9/graphql")
        shell = MintShell(run, api_key=platform.api_key, endpoint=platform.mint_endpoint)
        assert shell.execute("echo in") == "in\r\n"
        with pytest.raises(
            MintException, match=f"Unable to connect to run {run.name}: the API key is not known"
        ):
            MintShell(run, api_key="wrong", endpoint=platform.mint_endpoint).execute("true")


@pytest.mark.parametrize(
    ("run", "rank", "why"),
    [("nobody-Ab12Cd", 0, "Run nobody-Ab12Cd not found"), ("", 2, "no node of rank 2")],
)
def test_what_cannot_be_connected_says_why(machine: PlatformOfTests, run: str, rank: int, why: str) -> None:
    with pytest.raises(MintException, match=why) as caught:
        MintShell(run or running(), rank=rank).execute("true")
    assert isinstance(caught.value, MCLIException)
    assert not isinstance(caught.value, MAPIException)


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("ws://127.0.0.1:9/v1/shell", "Connection refused"),
        ("{mint}/elsewhere", "HTTP status 403"),
        ("not a url", "not a url"),
    ],
)
def test_an_endpoint_that_is_none_is_named(machine: PlatformOfTests, endpoint: str, why: str) -> None:
    endpoint = endpoint.format(mint=machine.running().mint_endpoint)
    with pytest.raises(MintException, match=why):
        MintShell("run-Ab12Cd", api_key="k", endpoint=endpoint).execute("true")


def test_a_connection_that_is_lost_is_an_error(machine: PlatformOfTests, tmp_path: Path) -> None:
    run, failures = running(), []

    def execute() -> None:
        try:
            MintShell(run).execute("touch connected; sleep 1000")
        except MintException as error:
            failures.append(str(error))

    (work,) = machine.home.glob(f"clusters/*/runs/{run.run_uid}/0/0/work")
    thread = threading.Thread(target=execute)
    thread.start()
    wait_until((work / "connected").exists, "it is connected")
    machine.kill()
    thread.join(timeout=20)
    assert failures == [f"Unable to connect to run {run.name}: the connection was lost"]


def test_a_platform_that_goes_down_says_so_and_the_run_goes_on(machine: PlatformOfTests) -> None:
    run = running()
    (work,) = machine.home.glob(f"clusters/*/runs/{run.run_uid}/0/0/work")
    program = str(Path(sys.executable).with_name("mcli"))
    command = [program, "connect", run.name, "--command", "touch connected; sleep 1000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        wait_until((work / "connected").exists, "it is connected")
        embedded.stop()
        _, said = process.communicate(timeout=20)
        assert process.returncode == 1
        assert said == f"The platform went down; {run.name} goes on. Connect again: mcli connect {run.name}\n"
    stop_run(run)
