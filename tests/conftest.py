"""Platforms for tests: real servers, each with a directory of its own, ended when the tests have."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcli import embedded
from mcli.embedded import PlatformInfo
from mcli.models.run_status import RunStatus

pytest_plugins = ["tests.postgres"]


def pytest_configure() -> None:
    """Ctrl-C works as for a person, also where the tests run in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class PlatformOfTests:
    """A platform on this machine, as a client with this configuration directory finds it."""

    def __init__(self, directory: Path, settings: dict[str, Any] | None = None) -> None:
        self.directory = directory
        self.home = directory / "platform"
        if settings:
            self.home.mkdir(parents=True)
            (self.home / "mapi.yaml").write_text(yaml.safe_dump(settings))

    def use(self, patch: pytest.MonkeyPatch) -> None:
        """Make this the platform that the client finds."""
        for name in list(os.environ):
            if name.startswith(("MOSAICML_", "MCLI_", "MAPI_")):
                patch.delenv(name)
        patch.setenv("MCLI_CONFIG_DIR", str(self.directory))
        # Runs find programs on the platform's PATH: this Python, and what is installed beside it, first
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

    def running(self) -> PlatformInfo:
        """Start it if need be."""
        return embedded.ensure_running()

    def kill(self) -> None:
        """End the server as a crash would."""
        info = embedded.find()
        assert info is not None
        os.kill(info.pid, signal.SIGKILL)
        wait_until(lambda: embedded.find() is None, "the server is gone")

    def stop_runs(self) -> None:
        """Stop what still runs or waits, so that the next test finds room."""
        from mcli import RunFailed, RunStatusNotReached, get_runs, stop_runs, wait_for_run_status

        if embedded.find() is None:
            return
        active = get_runs(statuses=ACTIVE, limit=500, timeout=60)
        stop_runs(active, timeout=60)
        for run in active:
            with suppress(RunStatusNotReached, RunFailed):  # it ended by itself meanwhile
                wait_for_run_status(run, "STOPPED", timeout=60)


ACTIVE = [status for status in RunStatus if not status.is_terminal() and status is not RunStatus.UNKNOWN]


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Wait for a condition, and return what it returned."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {seconds} s, not yet: {what}"
        time.sleep(0.005)
    return value


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test ever meets the platform of whoever runs the tests."""
    monkeypatch.setenv("MCLI_CONFIG_DIR", str(tmp_path / "mcli"))


@contextmanager
def platform_of_tests(directory: Path, config: dict[str, Any]) -> Iterator[PlatformOfTests]:
    """A platform that is there while this is open; started by whatever first needs it."""
    platform = PlatformOfTests(directory, config)
    yield platform
    with pytest.MonkeyPatch.context() as patch:
        platform.use(patch)
        embedded.stop()


@contextmanager
def used(platform: PlatformOfTests, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlatformOfTests]:
    """Have a test's calls go to a platform, and leave nothing running there."""
    platform.use(monkeypatch)
    yield platform
    platform.stop_runs()


@pytest.fixture(scope="session")
def _machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformOfTests]:
    with platform_of_tests(tmp_path_factory.mktemp("machine"), {"grace_seconds": 2}) as platform:
        yield platform


@pytest.fixture
def machine(_machine: PlatformOfTests, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlatformOfTests]:
    """The platform of this machine as it is."""
    with used(_machine, monkeypatch) as platform:
        yield platform


PRETEND = {
    "grace_seconds": 2,
    "clusters": {
        "lab": {
            "kind": "local",
            "pretend": [
                {"name": "a", "gpu_type": "a100_80gb", "gpus": 8, "cpus": 64, "count": 2},
                {"name": "c", "cpus": 4},
            ],
        }
    },
}


@pytest.fixture(scope="session")
def _lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformOfTests]:
    with platform_of_tests(tmp_path_factory.mktemp("lab"), PRETEND) as platform:
        yield platform


@pytest.fixture
def lab(_lab: PlatformOfTests, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlatformOfTests]:
    """A platform whose cluster pretends to have two nodes of eight GPUs, and one of four CPUs."""
    with used(_lab, monkeypatch) as platform:
        yield platform
