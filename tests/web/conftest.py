"""A server as it runs in production, in a thread of the tests, in front of a platform held in memory."""

from collections.abc import Iterator

import pytest

from tests.web.standin import KEY, Server, StandIn, eventually


@pytest.fixture(scope="session")
def shared() -> Iterator[tuple[StandIn, Server]]:
    platform = StandIn()
    with Server(platform, KEY) as server:
        yield platform, server


@pytest.fixture
def platform(shared: tuple[StandIn, Server]) -> Iterator[StandIn]:
    """A platform as new; a test that leaves a stream of it open fails."""
    platform, _ = shared
    platform.forget()
    yield platform
    eventually(lambda: platform.streams == 0)


@pytest.fixture
def server(shared: tuple[StandIn, Server], platform: StandIn) -> Server:
    return shared[1]
