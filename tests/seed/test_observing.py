"""Logs and statuses of a run, as the public page describes them."""

import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from itertools import pairwise
from types import GeneratorType
from typing import Any

import pytest

from mcli.api.exceptions import KubernetesException, MAPIException, RunFailed
from mcli.api.kube.runs import (
    Run,
    RunConfig,
    RunStatus,
    create_run,
    follow_run_logs,
    get_run_logs,
    stop_run,
    wait_for_run_status,
)
from mcli.models.log_line import LogLine
from tests.conftest import PlatformOfTests, wait_until


def start(command: str, **fields: Any) -> Run:
    return create_run(RunConfig(name="observed", image="bash", command=command, **fields))


def done(command: str, **fields: Any) -> Run:
    return wait_for_run_status(start(command, **fields), "COMPLETED", timeout=20)


def test_logs_of_a_completed_run_are_a_string_by_name_or_run(machine: PlatformOfTests) -> None:
    run = done("echo one; echo two >&2")
    assert get_run_logs(run) == get_run_logs(run.name) == "one\ntwo\n"


def test_logs_of_an_active_run_are_what_exists_at_the_time(machine: PlatformOfTests) -> None:
    run = start("echo now; sleep 60")
    next(iter(follow_run_logs(run)))
    assert get_run_logs(run) == "now\n"
    stop_run(run)


def test_each_rank_has_its_own_log_and_the_lowest_is_the_default(machine: PlatformOfTests) -> None:
    run = done("echo rank $NODE_RANK of $NUM_NODES", compute={"nodes": 2})
    assert get_run_logs(run) == get_run_logs(run, rank=0) == "rank 0 of 2\n"
    assert get_run_logs(run, 1) == "rank 1 of 2\n"


def test_the_failed_rank_is_found(machine: PlatformOfTests) -> None:
    run = start("echo rank $NODE_RANK; [ $NODE_RANK = 0 ] && sleep 60; exit 3", compute={"nodes": 2})
    with pytest.raises(RunFailed, match="exit code 3 on rank 1"):
        wait_for_run_status(run, "COMPLETED", timeout=20)
    assert get_run_logs(run, failed=True) == "rank 1\n"


def test_a_line_carries_the_time_it_was_emitted(machine: PlatformOfTests) -> None:
    before = dt.datetime.now(dt.UTC)
    run = done("echo first; sleep 0.3; echo second")
    first, second = (LogLine.from_line(line) for line in get_run_logs(run, timestamps=True).splitlines())
    assert (first.text, second.text) == ("first", "second")
    assert first.timestamp and second.timestamp
    assert before <= first.timestamp < second.timestamp <= dt.datetime.now(dt.UTC)
    assert 0.25 < (second.timestamp - first.timestamp).total_seconds() < 2
    followed = list(follow_run_logs(run, timestamps=True))
    assert [LogLine.from_line(line).text for line in followed] == ["first", "second"]


def test_a_run_that_does_not_exist_is_not_found(machine: PlatformOfTests) -> None:
    calls: list[Callable[[str], Any]] = [get_run_logs, follow_run_logs]
    for call in calls:
        with pytest.raises(KubernetesException) as caught:
            call("no-such-run")
        assert caught.value.status == HTTPStatus.NOT_FOUND
        assert isinstance(caught.value, MAPIException)
    with pytest.raises(KubernetesException) as caught:
        wait_for_run_status("no-such-run", "COMPLETED")
    assert caught.value.status == HTTPStatus.NOT_FOUND


def test_a_run_that_does_not_run_yet_or_has_no_such_rank_is_a_bad_request(lab: PlatformOfTests) -> None:
    blocker = start("sleep 60", gpu_num=16, gpu_type="a100_80gb")
    wait_for_run_status(blocker, "RUNNING", timeout=20)
    waiting = start("true", gpu_num=16, gpu_type="a100_80gb")
    for run, rank in ((waiting, None), (blocker, 5)):
        with pytest.raises(KubernetesException) as caught:
            get_run_logs(run, rank)
        assert caught.value.status == HTTPStatus.BAD_REQUEST
    stop_run(waiting)
    stop_run(blocker)


def test_following_waits_for_new_lines_until_the_run_ends(machine: PlatformOfTests) -> None:
    run = start("for n in 1 2 3; do echo line $n; sleep 0.2; done")
    lines = follow_run_logs(run)
    assert isinstance(lines, GeneratorType)
    arrived = [(line, time.monotonic()) for line in lines]
    assert [line for line, _ in arrived] == ["line 1", "line 2", "line 3"]
    assert arrived[2][1] - arrived[0][1] > 0.2
    assert wait_for_run_status(run, "COMPLETED", timeout=5).status is RunStatus.COMPLETED


def test_following_begins_before_the_run_does(lab: PlatformOfTests) -> None:
    blocker = start("sleep 60", gpu_num=16, gpu_type="a100_80gb")
    wait_for_run_status(blocker, "RUNNING", timeout=20)
    waiting = start("echo at last", gpu_num=16, gpu_type="a100_80gb")
    lines = follow_run_logs(waiting)
    stop_run(blocker)
    assert list(lines) == ["at last"]


def test_the_timeout_of_following_is_not_the_life_of_the_generator(machine: PlatformOfTests) -> None:
    run = start("echo a; sleep 1.2; echo b")
    assert list(follow_run_logs(run, timeout=1)) == ["a", "b"]


def test_logs_and_followers_come_as_futures(machine: PlatformOfTests) -> None:
    run = done("echo x")
    text = get_run_logs(run, future=True)
    lines = follow_run_logs(run, future=True)
    assert isinstance(text, Future)
    assert text.result(timeout=10) == "x\n"
    assert list(lines.result(timeout=10)) == ["x"]


def test_waiting_returns_the_run_at_or_past_the_status(machine: PlatformOfTests) -> None:
    run = start("true")
    for status in ("PENDING", "running", RunStatus.COMPLETED, RunStatus.QUEUED):
        assert wait_for_run_status(run.name, status, timeout=20).name == run.name
    assert wait_for_run_status(run, "COMPLETED").status is RunStatus.COMPLETED


def test_waiting_for_what_a_failed_run_never_reached_raises_run_failed(machine: PlatformOfTests) -> None:
    run = start("exit 3")
    with pytest.raises(RunFailed, match="exit code 3"):
        wait_for_run_status(run, "COMPLETED", timeout=20)
    assert wait_for_run_status(run, "RUNNING", timeout=20).status is RunStatus.FAILED  # it was reached before
    assert wait_for_run_status(run, "FAILED", timeout=20).status is RunStatus.FAILED


def test_waiting_for_a_run_that_is_stopped_raises_run_failed(machine: PlatformOfTests) -> None:
    run = start("sleep 60")
    future = wait_for_run_status(run, "COMPLETED", future=True)
    stop_run(run)
    with pytest.raises(RunFailed):
        future.result(timeout=20)


def test_waiting_too_long_raises_timeout_error(machine: PlatformOfTests) -> None:
    run = start("sleep 60")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        wait_for_run_status(run, "COMPLETED", timeout=0.3)
    assert 0.25 < time.monotonic() - began < 3
    stop_run(run)


def test_a_future_of_waiting_resolves_when_the_status_is_reached(machine: PlatformOfTests) -> None:
    run = start("sleep 0.4")
    future = wait_for_run_status(run, "COMPLETED", future=True)
    wait_for_run_status(run, "RUNNING", timeout=20)
    assert not future.done()
    assert future.result(timeout=20).status is RunStatus.COMPLETED


def test_statuses_are_twelve_in_their_order() -> None:
    order = (
        "UNKNOWN PENDING SCHEDULED QUEUED STARTING RUNNING TERMINATING STOPPING COMPLETED STOPPED "
        "FAILED_PULL FAILED"
    ).split()
    assert [status.value for status in RunStatus] == order
    for earlier, later in pairwise(order):
        assert RunStatus(earlier).before(RunStatus(later))
        assert RunStatus(later).after(RunStatus(earlier))
        assert not RunStatus(later).before(RunStatus(earlier))
    assert not RunStatus.RUNNING.before(RunStatus.RUNNING)
    assert RunStatus.RUNNING.before(RunStatus.RUNNING, inclusive=True)
    assert RunStatus.RUNNING.after(RunStatus.RUNNING, inclusive=True)


def test_an_unknown_status_string_becomes_unknown() -> None:
    assert RunStatus.from_string("running") is RunStatus.RUNNING
    assert RunStatus.from_string("FailedPull") is RunStatus.FAILED_PULL
    assert RunStatus.from_string("no such status") is RunStatus.UNKNOWN


def test_the_status_of_a_run_is_the_last_that_was_observed(machine: PlatformOfTests) -> None:
    run = start("true")
    assert not run.status.is_terminal()
    wait_until(lambda: run.refresh().status is RunStatus.COMPLETED, "the run is completed")


def test_a_program_that_reopens_its_output_loses_nothing(machine: PlatformOfTests) -> None:
    run = done("echo one; echo two > /dev/stderr; echo three > /dev/stdout; echo four >> /dev/fd/1")
    assert get_run_logs(run) == "one\ntwo\nthree\nfour\n"
