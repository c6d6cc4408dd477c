"""Every run that waits is told why, in words a person can act on."""

import pytest

from mapi.clusters.base import Inventory
from mapi.domain.run import Allocation
from mapi.scheduling import Placed, explain, explain_all
from tests.scheduling.clusters import cpus, gpu_cluster, gpus, node, placed, waiting

CPU_BOX = Inventory((node("box", 0, cpus=4),), shared_slots=8)


@pytest.mark.parametrize(
    ("asked", "running", "inventory", "code", "reason"),
    [
        (
            gpus(8),
            [placed("r", gpus(4), "n0")],
            gpu_cluster(1),
            "GPUS",
            "waiting for 8 GPUs of type h100_80gb on lab; 4 free, 2 runs ahead",
        ),
        (
            gpus(1),
            [placed("r", gpus(8), "n0")],
            gpu_cluster(1),
            "GPUS",
            "waiting for 1 GPU of type h100_80gb on lab; 0 free, 2 runs ahead",
        ),
        (
            gpus(8),
            [placed("r", gpus(4), "n0"), placed("s", gpus(4), "n1")],
            gpu_cluster(2),
            "GPUS",
            "waiting for 8 GPUs of type h100_80gb on 1 node on lab; 8 free, 2 runs ahead",
        ),
        (
            cpus(4),
            [placed("r", cpus(3), "box")],
            CPU_BOX,
            "CPUS",
            "waiting for 4 CPUs on lab; 1 free, 2 runs ahead",
        ),
        (
            cpus(0),
            [placed(f"r{number}", cpus(0), "box") for number in range(8)],
            CPU_BOX,
            "SLOTS",
            "waiting for one of 8 shared slots on lab; 8 in use, 2 runs ahead",
        ),
        (
            gpus(8, names=("n1",)),
            [],
            Inventory((node("n0"), node("n1", alive=False))),
            "NODE_DOWN",
            "waiting for node n1 of lab which is down, 2 runs ahead",
        ),
        (
            gpus(8, nodes=2),
            [],
            Inventory((node("n0"), node("n1", schedulable=False))),
            "NODES_DOWN",
            "waiting for 2 nodes of instance h100_80gb.8 on lab; 1 up, 2 runs ahead",
        ),
        (
            gpus(4),
            [placed("r", gpus(4), "n0")],
            gpu_cluster(1),
            "TURN",
            "waiting for 4 GPUs of type h100_80gb on lab; 4 free, kept for a run ahead, 2 runs ahead",
        ),
        (
            gpus(8),
            [placed("r", gpus(8), "n0", ending_for="me")],
            gpu_cluster(1),
            "PREEMPTING",
            "waiting for 8 GPUs of type h100_80gb on lab; 0 free, 1 run ending to make room, 2 runs ahead",
        ),
    ],
)
def test_the_reason_says_what_is_missing(
    asked: Allocation, running: list[Placed], inventory: Inventory, code: str, reason: str
) -> None:
    ahead = [waiting(f"before{number}", gpus(8), number) for number in range(2)]
    wait = explain("me", [waiting("me", asked, 9), *ahead], running, inventory, "lab")
    assert (wait.code, wait.reason, wait.position) == (code, reason, 3)


def test_a_run_short_of_cpus_beside_free_gpus_is_told_so() -> None:
    asked = Allocation("lab", "h100_80gb.8", 1, 1, 60, "h100_80gb")
    running = [placed("r", Allocation("lab", "h100_80gb.8", 1, 1, 10, "h100_80gb"), "n0")]
    wait = explain("me", [waiting("me", asked)], running, gpu_cluster(1), "lab")
    assert (wait.code, wait.reason) == ("CPUS", "waiting for 60 CPUs on lab; 54 free, next in line")


def test_places_in_line_follow_priority_and_age() -> None:
    queue = [
        waiting("young", gpus(8), 2),
        waiting("old", gpus(8), 1),
        waiting("urgent", gpus(8), 3, priority=1),
    ]
    waits = explain_all(queue, [placed("r", gpus(8), "n0")], gpu_cluster(1), "lab")
    assert {key: wait.position for key, wait in waits.items()} == {"urgent": 1, "old": 2, "young": 3}
    assert waits["urgent"].reason.endswith("next in line")
    assert waits["old"].reason.endswith("1 run ahead")
