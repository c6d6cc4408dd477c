"""Real servers to call: one that misbehaves on request, one that says what it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcli import subscriptions, transport
from tests.client.raw_server import RawServer
from tests.client.scripted_platform import ScriptedPlatform


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No test sees the settings of the person who runs it, nor another test's connections."""
    for name in (
        "MOSAICML_API_ENDPOINT",
        "MOSAICML_API_KEY",
        "MOSAICML_ACCESS_TOKEN_FILE",
        "MOSAICML_MINT_ENDPOINT",
        "MOSAICML_PLATFORM",
        "MCLI_CONFIG_PATH",
        "MCLI_TIMEOUT",
        "RUN_NAME",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MCLI_CONFIG_DIR", str(tmp_path / "config"))
    yield
    transport.close_idle()
    subscriptions.close_idle()


def _use(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("MOSAICML_API_ENDPOINT", endpoint)
    monkeypatch.setenv("MOSAICML_API_KEY", "the-key")


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    with RawServer() as server:
        _use(monkeypatch, server.endpoint)
        yield server


@pytest.fixture(scope="session")
def _platform() -> Iterator[ScriptedPlatform]:
    platform = ScriptedPlatform()
    thread = threading.Thread(target=platform.serve)
    thread.start()
    platform.wait_until_ready()
    yield platform
    platform.stop()
    thread.join()


@pytest.fixture
def platform(_platform: ScriptedPlatform, monkeypatch: pytest.MonkeyPatch) -> ScriptedPlatform:
    _platform.reset()
    _use(monkeypatch, _platform.endpoint)
    return _platform
