"""What would happen to a run, said before it is submitted, is what does happen."""

from mapi.scheduling import Waiting, forecast
from tests.scheduling.clusters import gpu_cluster, gpus, placed, waiting

BUSY = [placed("r", gpus(8), "n0", preemptible=True)]


def asked(run: Waiting, *queue: Waiting) -> str | None:
    wait = forecast(run, queue, BUSY, gpu_cluster(2), "lab", now=100)
    return None if wait is None else wait.reason


def test_a_run_that_fits_would_start() -> None:
    assert asked(waiting("new", gpus(8), 50)) is None


def test_a_run_that_does_not_fit_is_told_what_it_would_wait_for() -> None:
    assert (
        asked(waiting("new", gpus(8, nodes=2), 50))
        == "waiting for 16 GPUs of type h100_80gb on lab; 8 free, next in line"
    )


def test_a_run_behind_one_that_waits_would_not_pass_it() -> None:
    first = waiting("first", gpus(8, nodes=2), 10)
    assert asked(waiting("new", gpus(8), 50), first) == (
        "waiting for 8 GPUs of type h100_80gb on lab; 8 free, kept for a run ahead, 1 run ahead"
    )


def test_a_run_that_would_push_another_back_is_told_so() -> None:
    assert asked(waiting("new", gpus(8, nodes=2), 50, priority=1)) == (
        "waiting for 16 GPUs of type h100_80gb on lab; 8 free, 1 run ending to make room, next in line"
    )
