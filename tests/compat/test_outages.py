"""Servers that die and wires that are cut, with the published clients at the other end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mcli
from mcli import embedded
from tests.compat.calls import V3, V5, V6, V8, shows
from tests.compat.proxy import Wire
from tests.compat.published import ClientError, Published
from tests.conftest import PRETEND, PlatformOfTests, platform_of_tests, used, wait_until

STORM = """
config = RunConfig(name=base, image='bash', command='true')
futures = [create_run(config, future=True) for _ in range(60)]
[future.result(timeout=50).name for future in futures]
"""


@pytest.fixture(scope="module")
def _shaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformOfTests]:
    with platform_of_tests(tmp_path_factory.mktemp("shaky"), PRETEND) as platform:
        yield platform


@pytest.fixture
def lab(_shaky: PlatformOfTests, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlatformOfTests]:
    """A platform and clients of these tests' own: what follows a crash is not for others."""
    with used(_shaky, monkeypatch) as platform:
        yield platform


@pytest.fixture
def _clients() -> Iterator[dict[str, Published]]:
    clients: dict[str, Published] = {}
    yield clients
    for client in clients.values():
        client.close()


@shows("create_run(future=True)")
def test_a_storm_of_runs_survives_the_server_and_none_is_made_twice(
    client: Published, lab: PlatformOfTests
) -> None:
    base = f"storm-{client.version.replace('.', '-')}"
    answers: list[list[str]] = []
    storm = threading.Thread(target=lambda: answers.append(client(STORM, base=base)))
    storm.start()
    wait_until(lambda: len(named(base)) >= 10, "the storm has begun")
    lab.kill()
    embedded.ensure_running()
    storm.join(timeout=60)
    (names,) = answers
    assert len(set(names)) == 60
    assert sorted(named(base)) == sorted(names)


def named(base: str) -> list[str]:
    return [run.name for run in mcli.get_runs(limit=500, timeout=30) if run.name.startswith(base)]


@shows("get_runs")
def test_a_server_that_is_down_is_waited_for(client: Published, lab: PlatformOfTests) -> None:
    name = client.finished("true")
    lab.kill()
    back = threading.Timer(0.5, embedded.ensure_running)
    back.start()
    assert client("[r.name for r in get_runs([name], timeout=30)]", name=name) == [name]
    back.join()


@pytest.fixture
def wire(lab: PlatformOfTests) -> Iterator[Wire]:
    wire = Wire(lab.running().endpoint)
    yield wire
    wire.close()


@pytest.fixture
def follower(client: Published, wire: Wire, tmp_path: Path) -> Iterator[Published]:
    """The same client at the other end of a wire that can be cut, in the middle of a log."""
    follower = client.with_environment(tmp_path, MOSAICML_API_ENDPOINT=wire.endpoint)
    follower.create("for n in $(seq 40); do echo line $n; sleep 0.05; done")
    follower("log = follow_run_logs(run); seen = next(log)")
    yield follower
    follower.close()


@shows("follow_run_logs", on=(V8,))
def test_a_follower_goes_on_at_the_byte_when_the_wire_is_cut(follower: Published, wire: Wire) -> None:
    before = wire.connections
    wire.cut()
    follower("seen += ''.join(log)")
    assert follower("seen") == "".join(f"line {n}\n" for n in range(1, 41))
    assert wire.connections > before


@pytest.mark.parametrize("client", [V3, V5, V6], indirect=True)
def test_an_older_follower_is_told_when_the_wire_is_cut_and_can_begin_again(
    follower: Published, wire: Wire, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = follower("run.name")
    wire.cut()
    with pytest.raises(ClientError, match=r"ConnectionClosed|TransportConnectionFailed"):
        follower("''.join(log)")
    again = follower.with_environment(tmp_path_factory.mktemp("again"))
    try:
        assert again("''.join(follow_run_logs(name))", name=name).endswith("line 40\n")
    finally:
        again.close()
