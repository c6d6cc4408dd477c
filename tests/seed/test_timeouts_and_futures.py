"""`timeout` and `future` mean the same for every function."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

import mcli
from mcli import RunConfig

CONFIG = RunConfig(name="a", image="bash", command="true")

CALLS: dict[str, Callable[..., Any]] = {
    "create_run": lambda **how: mcli.create_run(CONFIG, **how),
    "create_interactive_run": lambda **how: mcli.create_interactive_run(CONFIG, **how),
    "get_run": lambda **how: mcli.get_run("a", **how),
    "get_runs": mcli.get_runs,
    "stop_run": lambda **how: mcli.stop_run("a", **how),
    "stop_runs": lambda **how: mcli.stop_runs(["a"], **how),
    "start_run": lambda **how: mcli.start_run("a", **how),
    "start_runs": lambda **how: mcli.start_runs(["a"], **how),
    "delete_run": lambda **how: mcli.delete_run("a", **how),
    "delete_runs": lambda **how: mcli.delete_runs(["a"], **how),
    "update_run": lambda **how: mcli.update_run("a", preemptible=True, **how),
    "update_run_metadata": lambda **how: mcli.update_run_metadata("a", {"k": 1}, **how),
    "create_run_event": lambda **how: mcli.create_run_event("a", "CUSTOM", {}, **how),
    "get_run_logs": lambda **how: mcli.get_run_logs("a", **how),
    "follow_run_logs": lambda **how: mcli.follow_run_logs("a", **how),
    "wait_for_run_status": lambda **how: mcli.wait_for_run_status("a", "RUNNING", **how),
    "get_clusters": mcli.get_clusters,
    "get_cluster": lambda **how: mcli.get_cluster("a", **how),
}


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that takes every connection and never answers, until the test is over."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    monkeypatch.setenv("MOSAICML_API_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}/graphql")
    monkeypatch.setenv("MOSAICML_API_KEY", "key")
    yield
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in held:
        connection.close()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_takes_too_long_raises_timeout_error(name: str, silence: None) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        CALLS[name](timeout=0.2)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("name", CALLS)
def test_a_future_is_returned_at_once_and_its_result_takes_a_timeout(name: str, silence: None) -> None:
    began = time.monotonic()
    future = CALLS[name](future=True, timeout=0.001)  # future takes precedence over timeout
    assert time.monotonic() - began < 1
    assert isinstance(future, Future)
    with pytest.raises(TimeoutError):
        future.result(timeout=0.1)
