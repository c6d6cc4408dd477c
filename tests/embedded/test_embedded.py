"""The platform on this machine is found if it runs, started if it does not, and there is only one."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcli import embedded
from mcli.api.exceptions import MCLIException

START_AND_TELL = "from mcli import embedded; print(embedded.ensure_running().pid)"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state of a platform that only this test has, and that has ended when the test has."""
    monkeypatch.setenv("MCLI_CONFIG_DIR", str(tmp_path / "config"))
    yield embedded.platform_home()
    embedded.stop(timeout=5)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_without_a_platform_none_is_found_and_nothing_is_written(home: Path) -> None:
    assert embedded.find() is None
    assert embedded.stop() is False
    assert not home.exists()


def test_a_platform_that_was_started_is_found_with_the_same_endpoint_and_key(home: Path) -> None:
    started = embedded.ensure_running()
    assert embedded.find() == started == embedded.ensure_running()
    assert started.home == str(home)
    assert started.endpoint.startswith("http://127.0.0.1:")
    assert started.api_key
    assert is_running(started.pid)


def test_only_the_user_can_read_the_state_and_the_key(home: Path) -> None:
    embedded.ensure_running()
    assert mode(home.parent) == mode(home) == 0o700
    assert mode(home / "platform.json") == mode(home / "server.log") == 0o600


def test_clients_that_start_it_at_the_same_moment_get_one(home: Path) -> None:
    clients = [
        subprocess.Popen([sys.executable, "-c", START_AND_TELL], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = {client.communicate(timeout=60)[0] for client in clients}
    found = embedded.find()
    assert found is not None
    assert said == {f"{found.pid}\n"}


def test_it_outlives_the_client_that_started_it_and_takes_no_file_of_it_along(home: Path) -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    subprocess.run([sys.executable, "-c", START_AND_TELL], pass_fds=(write_end,), check=True, timeout=60)
    os.close(write_end)
    found = embedded.find()
    assert found is not None
    assert os.read(read_end, 1) == b"", "the pipe would not end if the platform held it open"
    os.close(read_end)
    assert os.getsid(found.pid) != os.getsid(0), "a Ctrl-C on the client's terminal would end it"


def test_a_platform_that_was_stopped_is_gone_and_comes_back_at_the_same_address(home: Path) -> None:
    before = embedded.ensure_running()
    assert embedded.stop() is True
    assert embedded.find() is None
    assert not is_running(before.pid)
    after = embedded.ensure_running()
    assert (after.endpoint, after.api_key) == (before.endpoint, before.api_key)
    assert after.pid != before.pid


def test_a_platform_that_was_killed_is_not_taken_for_alive(home: Path) -> None:
    killed = embedded.ensure_running()
    process = os.pidfd_open(killed.pid)
    signal.pidfd_send_signal(process, signal.SIGKILL)
    assert embedded._readable(process, 10), "the process did not end"
    os.close(process)
    assert (home / "platform.json").exists()
    assert embedded.find() is None
    assert embedded.ensure_running().pid != killed.pid


def test_a_platform_that_does_not_react_is_killed_when_its_time_is_up(home: Path) -> None:
    hanging = embedded.ensure_running()
    os.kill(hanging.pid, signal.SIGSTOP)
    assert embedded.stop(timeout=0.1) is True
    assert not is_running(hanging.pid)


def test_two_configuration_directories_are_two_platforms(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = embedded.ensure_running()
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("MCLI_CONFIG_DIR", str(tmp_path / "other"))
        other = embedded.ensure_running()
        assert (other.pid, other.endpoint) != (one.pid, one.endpoint)
        assert embedded.stop() is True
    assert embedded.find() == one


def test_a_platform_that_cannot_start_says_why_and_where_its_log_is(home: Path) -> None:
    home.mkdir(parents=True)
    with (home / "server.lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(MCLIException, match="did not start") as refused:
            embedded.ensure_running()
    assert str(home / "server.log") in str(refused.value)
    assert "server.lock" in str(refused.value) or "already" in str(refused.value)
