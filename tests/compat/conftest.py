"""The published clients, installed once, and a platform they are pointed at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.install import NoPython, install_all
from tests.compat.published import Published
from tests.conftest import PlatformOfTests


@pytest.fixture(scope="session")
def environments(pytestconfig: pytest.Config) -> dict[str, Path | NoPython]:
    """The virtual environment of each client."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():  # installing takes minutes, and says so
        return install_all()


@pytest.fixture(scope="session")
def _clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Published]]:
    clients: dict[str, Published] = {}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def client(
    request: pytest.FixtureRequest,
    environments: dict[str, Path | NoPython],
    _clients: dict[str, Published],
    lab: PlatformOfTests,
    tmp_path_factory: pytest.TempPathFactory,
) -> Published:
    """A published client of the version asked for, pointed at the lab."""
    version: str = request.param
    venv = environments[version]
    if isinstance(venv, NoPython):
        pytest.skip(str(venv))
    running = lab.running()
    if version not in _clients:
        home = tmp_path_factory.mktemp("published") / version
        _clients[version] = Published(version, venv, home, running)
    _clients[version].forget()
    return _clients[version]
