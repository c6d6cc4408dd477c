from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from typing import cast

import pytest

from mcli.api.exceptions import MCLIConfigError
from mcli.calls import Backoff, Deadline, call, effective_timeout, long_call


def test_a_call_runs_in_the_calling_thread_under_its_deadline() -> None:
    def work(deadline: Deadline) -> tuple[str, float | None]:
        return threading.current_thread().name, deadline.remaining()

    name, remaining = cast(tuple[str, float], call(work, 7.0, False))
    assert name == threading.current_thread().name
    assert 6 < remaining <= 7


def test_a_future_returns_at_once_and_its_result_can_be_waited_for() -> None:
    go = threading.Event()
    future = cast("Future[bool]", call(lambda _: go.wait(10), 0.0, True))
    with pytest.raises(TimeoutError):
        future.result(0.01)
    go.set()
    assert future.result(5)


def test_an_error_in_the_background_is_raised_by_its_future() -> None:
    def fail(_: Deadline) -> None:
        raise ValueError("no")

    for start in (call, long_call):
        with pytest.raises(ValueError, match="no"):
            cast("Future[None]", start(fail, None, True)).result(5)


def test_any_number_of_long_waits_leaves_room_for_short_calls() -> None:
    go = threading.Event()
    waits = [cast("Future[bool]", long_call(lambda _: go.wait(10), None, True)) for _ in range(50)]
    assert cast("Future[int]", call(lambda _: 1, None, True)).result(5) == 1
    go.set()
    assert all(wait.result(5) for wait in waits)


def test_a_long_wait_does_not_hold_up_the_end_of_the_program() -> None:
    program = "import time; from mcli.calls import long_call; long_call(lambda _: time.sleep(60), None, True)"
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert time.monotonic() - began < 20


def test_a_short_call_in_the_background_is_finished_before_the_program_ends() -> None:
    program = (
        "from mcli.calls import call; import time; "
        "call(lambda _: (time.sleep(0.1), print('done', flush=True)), None, True)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=30, capture_output=True)
    assert done.stdout == b"done\n"


def test_a_child_process_has_background_calls_of_its_own() -> None:
    cast("Future[int]", call(lambda _: 1, None, True)).result(5)
    program = (
        "import os; from mcli.calls import call; call(lambda _: 1, None, True).result(5)\n"
        "child = os.fork()\n"
        "if not child: os._exit(call(lambda _: 42, None, True).result(5))\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_the_environment_replaces_every_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCLI_TIMEOUT", "2.5")
    assert effective_timeout(10) == effective_timeout(None) == 2.5
    monkeypatch.setenv("MCLI_TIMEOUT", "soon")
    with pytest.raises(MCLIConfigError, match="MCLI_TIMEOUT: 'soon' is not a number"):
        effective_timeout(10)


def test_a_deadline_that_is_over_says_how_long_it_was() -> None:
    with pytest.raises(TimeoutError, match="longer than 0 seconds"):
        Deadline(0).remaining()


def test_pauses_never_reach_past_the_deadline() -> None:
    began = time.monotonic()
    backoff = Backoff(Deadline(0.2))
    while backoff.pause():
        pass
    assert time.monotonic() - began < 0.2


def test_sigterm_waits_for_protected_work_and_then_ends_the_process() -> None:
    program = (
        "import time; from mcli.protection import protected\n"
        "def work(_):\n    print('begun', flush=True); time.sleep(0.3); print('kept', flush=True)\n"
        "protected(work); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"begun\n"
        os.kill(process.pid, signal.SIGTERM)
        assert process.stdout.read() == b"kept\n"
    assert process.wait(10) == -signal.SIGTERM
