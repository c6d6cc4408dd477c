from __future__ import annotations

import os
import threading
import time
from http import HTTPStatus
from typing import Any

import pytest

import mcli.embedded
from mcli import operations
from mcli.api.exceptions import (
    InstanceTypeUnavailable,
    KubernetesException,
    MAPIException,
    RunConfigException,
)
from mcli.calls import Backoff, Deadline
from mcli.embedded import PlatformInfo
from mcli.transport import execute
from mcli.version import __version__
from tests.client.raw_server import (
    RawServer,
    answer,
    answer_and_hang_up,
    half_an_answer,
    hang_up,
    refuse,
    silence,
    unused_port,
)
from tests.client.scripted_platform import ScriptedPlatform, until

CREATED = answer({"data": {"createRun": [{"name": "x"}]}})
PAGE = answer({"data": {"getRunsPaginated": {"runs": []}}})
EVENT = answer({"data": {"createRunEvent": [{"id": "1"}]}})


def get_runs(timeout: float | None = 5) -> Any:
    return execute(operations.GET_RUNS, {"getRunsPaginatedData": {}}, Deadline(timeout))


def create_run(timeout: float | None = 5) -> Any:
    return execute(operations.CREATE_RUN, {"createRunData": {}}, Deadline(timeout))


def create_event(timeout: float | None = 5) -> Any:
    return execute(operations.CREATE_RUN_EVENT, {"createRunEventData": {}}, Deadline(timeout))


def test_a_request_carries_the_key_as_it_is_and_says_which_client_asks(raw: RawServer) -> None:
    raw.steps = [PAGE]
    assert get_runs() == {"runs": []}
    headers, body = raw.requests[0]
    assert headers["Authorization"] == "the-key"
    assert headers["Content-Type"] == "application/json"
    assert headers["x-mosaicml-client"] == "mcli-platform"
    assert headers["x-mosaicml-client-version"] == __version__
    assert body.keys() == {"query", "variables"}


def test_a_connection_is_used_again(raw: RawServer) -> None:
    raw.steps = [PAGE]
    for _ in range(3):
        get_runs()
    assert len(raw.connections) == 1


def test_a_connection_dropped_while_idle_is_not_used_again(raw: RawServer) -> None:
    raw.steps = [answer_and_hang_up({"data": {"createRunEvent": [{"id": "1"}]}}), EVENT]
    create_event()
    until(lambda: raw.closed == 1)
    # Not repeatable: it would fail if it were sent on the dead connection.
    assert create_event() == [{"id": "1"}]
    assert len(raw.connections) == 2


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_what_did_not_happen_is_asked_for_again(raw: RawServer, code: int) -> None:
    raw.steps = [refuse(code, "later"), answer("<html>", status=code), CREATED]
    assert create_run() == [{"name": "x"}]
    assert len(raw.requests) == 3


def test_retries_carry_one_idempotency_key_and_each_call_its_own(raw: RawServer) -> None:
    raw.steps = [refuse(503, "later"), hang_up, CREATED]
    create_run()
    create_run()
    keys = [headers["Idempotency-Key"] for headers, _ in raw.requests]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]


def test_retries_end_before_the_deadline_with_the_real_error(raw: RawServer) -> None:
    raw.steps = [refuse(503, "down for maintenance")]
    began = time.monotonic()
    with pytest.raises(MAPIException, match="down for maintenance"):
        get_runs(timeout=0.4)
    assert time.monotonic() - began < 0.4
    assert len(raw.requests) > 1


def test_an_error_that_asking_again_cannot_mend_is_raised_at_once(raw: RawServer) -> None:
    raw.steps = [refuse(404, "Run x not found", "NotFound")]
    with pytest.raises(KubernetesException, match="Error 404: Run x not found") as raised:
        get_runs()
    assert raised.value.status is HTTPStatus.NOT_FOUND
    assert len(raw.requests) == 1


def test_a_change_that_may_have_happened_is_not_made_again(raw: RawServer) -> None:
    raw.steps = [hang_up, EVENT]
    with pytest.raises(MAPIException, match="look whether it took effect"):
        create_event()
    assert len(raw.requests) == 1


def test_a_lost_answer_is_asked_for_again(raw: RawServer) -> None:
    raw.steps = [half_an_answer, hang_up, PAGE]
    assert get_runs() == {"runs": []}


def test_a_server_that_does_not_answer_in_time_is_a_timeout(raw: RawServer) -> None:
    over = threading.Event()
    raw.steps = [silence(over)]
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"getRunsPaginated was not answered by .* within 0\.2 seconds"):
        get_runs(timeout=0.2)
    assert time.monotonic() - began < 1
    over.set()


@pytest.mark.parametrize(("status", "raised"), [(200, 500), (401, 401), (404, 404)])
def test_an_answer_that_is_not_json_has_the_status_it_came_with(
    raw: RawServer, status: int, raised: int
) -> None:
    raw.steps = [answer("<html>hello</html>", status=status)]
    with pytest.raises(MAPIException, match="not with JSON") as error:
        get_runs()
    assert error.value.status == raised


@pytest.mark.parametrize("content", [{}, {"data": None}, {"data": {"getRunsPaginated": None}}, [], 3])
def test_an_answer_without_a_result_is_an_error_and_no_traceback(raw: RawServer, content: Any) -> None:
    raw.steps = [answer(content)]
    with pytest.raises(MAPIException, match="neither a result nor an error"):
        get_runs()


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("BadRunRequest", "Bad run request: image is a required field", RunConfigException),
        (None, "Bad run request: image is a required field", RunConfigException),
        ("InstanceTypeUnavailable", "no h100 here", InstanceTypeUnavailable),
        ("Conflict", "still running", KubernetesException),
        (None, "oops", KubernetesException),
    ],
)
def test_the_kind_of_an_error_decides_its_class(
    raw: RawServer, kind: str | None, message: str, expected: type[MAPIException]
) -> None:
    raw.steps = [refuse(400, message, kind)]
    with pytest.raises(MAPIException) as raised:
        get_runs()
    assert type(raised.value) is expected
    assert raised.value.message == message


def test_a_platform_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = f"http://127.0.0.1:{unused_port()}/graphql"
    monkeypatch.setenv("MOSAICML_API_ENDPOINT", endpoint)
    monkeypatch.setenv("MOSAICML_API_KEY", "k")
    with pytest.raises(MAPIException, match=f"Unable to connect to MAPI at {endpoint}") as raised:
        get_runs(timeout=0.2)
    assert raised.value.status is HTTPStatus.SERVICE_UNAVAILABLE


def test_the_platform_on_this_machine_is_started_again_when_it_is_gone(
    raw: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.steps = [PAGE]
    gone = f"http://127.0.0.1:{unused_port()}/graphql"
    endpoints = iter([gone, raw.endpoint])
    monkeypatch.delenv("MOSAICML_API_ENDPOINT")
    monkeypatch.setattr(
        mcli.embedded,
        "ensure_running",
        lambda: PlatformInfo(next(endpoints), "ws://127.0.0.1/", "embedded-key", "/", 1, "0"),
    )
    assert get_runs() == {"runs": []}
    assert raw.requests[0][0]["Authorization"] == "embedded-key"
    get_runs()  # found once, it is not looked for again


def test_a_call_goes_to_one_platform_whatever_the_environment_names_meanwhile(
    platform: ScriptedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = os.environ["MOSAICML_API_ENDPOINT"]
    monkeypatch.setenv("MOSAICML_API_ENDPOINT", "http://127.0.0.1:9/graphql")  # nobody is there
    pause = Backoff.pause

    def pause_and_move(self: Backoff) -> bool:
        monkeypatch.setenv("MOSAICML_API_ENDPOINT", elsewhere)
        return pause(self)

    monkeypatch.setattr(Backoff, "pause", pause_and_move)
    with pytest.raises(MAPIException, match=r"127\.0\.0\.1:9"):
        execute(operations.GET_RUNS, {}, Deadline(0.3))
    assert platform.requests == []
