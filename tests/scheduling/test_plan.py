"""Who starts, where, and who makes room: the rules, one example each."""

import time

import pytest

from mapi.clusters.base import Inventory, Node
from mapi.scheduling import Placed, Waiting, plan
from tests.scheduling.clusters import cpus, gpu_cluster, gpus, node, placed, waiting


def started(queue: list[Waiting], running: list[Placed], inventory: Inventory) -> dict[str, tuple[str, ...]]:
    return dict(plan(queue, running, inventory, 0).starts)


# -- order


def test_priority_goes_first_then_age() -> None:
    queue = [
        waiting("young", gpus(8), at=2),
        waiting("old", gpus(8), at=1),
        waiting("urgent", gpus(8), at=3, priority=1),
    ]
    assert list(started(queue, [], gpu_cluster(2))) == ["urgent", "old"]


def test_a_run_starts_on_all_its_nodes_or_on_none() -> None:
    running = [placed("busy", gpus(8), "n1")]
    assert started([waiting("gang", gpus(8, nodes=2))], running, gpu_cluster(2)) == {}
    assert started([waiting("gang", gpus(8, nodes=2))], running, gpu_cluster(3)) == {"gang": ("n0", "n2")}


# -- placement


def test_a_run_goes_where_it_leaves_the_fewest_gpus() -> None:
    running = [placed("a", gpus(5), "n1"), placed("b", gpus(2), "n2")]
    assert started([waiting("w", gpus(3))], running, gpu_cluster(3)) == {"w": ("n1",)}
    assert started([waiting("w", gpus(6))], running, gpu_cluster(3)) == {"w": ("n2",)}


def test_ranks_go_to_distinct_nodes_first_and_share_only_where_that_is_allowed() -> None:
    run = [waiting("w", gpus(2, nodes=2))]
    assert started(run, [], gpu_cluster(2, share=True)) == {"w": ("n0", "n1")}
    assert started(run, [], gpu_cluster(1, share=True)) == {"w": ("n0", "n0")}
    assert started(run, [], gpu_cluster(1)) == {}
    five = [waiting("w", gpus(2, nodes=5))]
    assert started(five, [], gpu_cluster(2, share=True)) == {"w": ("n0", "n0", "n0", "n1", "n1")}
    nine = [waiting("w", gpus(2, nodes=9))]
    assert started(nine, [], gpu_cluster(2, share=True)) == {}


def test_named_nodes_are_given_to_the_ranks_in_order() -> None:
    run = [waiting("w", gpus(8, nodes=2, names=("n2", "n0")))]
    assert started(run, [], gpu_cluster(3)) == {"w": ("n2", "n0")}
    assert started(run, [placed("busy", gpus(1), "n0")], gpu_cluster(3)) == {}


@pytest.mark.parametrize("unusable", [node("n0", alive=False), node("n0", schedulable=False)])
def test_nothing_starts_on_a_node_that_is_down_or_closed(unusable: Node) -> None:
    inventory = Inventory((unusable, node("n1")))
    queue = [waiting("a", gpus(8), 1), waiting("b", gpus(8), 2)]
    assert started(queue, [], inventory) == {"a": ("n1",)}


def test_a_run_goes_only_to_its_kind_of_node() -> None:
    inventory = Inventory((node("big", 8), node("small", 4)))
    assert started([waiting("w", gpus(1, of=4))], [], inventory) == {"w": ("small",)}


def test_requested_cpus_are_counted_and_others_share_slots() -> None:
    inventory = Inventory((node("n0", gpus=0, cpus=4),), shared_slots=2)
    asking = [waiting(f"w{number}", cpus(3), number) for number in range(2)]
    assert list(started(asking, [], inventory)) == ["w0"]
    sharing = [waiting(f"s{number}", cpus(0), number) for number in range(3)]
    assert list(started([*asking, *sharing], [], inventory)) == ["w0", "s0", "s1"]


# -- backfill


def test_a_short_run_passes_the_head_and_a_long_one_does_not() -> None:
    running = [placed("busy", gpus(4), "n0", ends_at=100_000)]
    head = waiting("head", gpus(8), 1)
    assert started([head, waiting("short", gpus(4), 2, seconds=100)], running, gpu_cluster(1)) == {
        "short": ("n0",)
    }
    assert started([head, waiting("long", gpus(4), 2, seconds=101)], running, gpu_cluster(1)) == {}
    assert started([head, waiting("endless", gpus(4), 2)], running, gpu_cluster(1)) == {}


def test_a_long_run_passes_where_the_head_will_not_start() -> None:
    running = [placed("a", gpus(8), "n0", ends_at=100_000), placed("b", gpus(4), "n1", ends_at=200_000)]
    queue = [waiting("head", gpus(8), 1), waiting("endless", gpus(4), 2)]
    assert started(queue, running, gpu_cluster(2)) == {"endless": ("n1",)}


def test_a_long_run_may_use_what_the_head_leaves() -> None:
    running = [placed("a", gpus(4), "n0", ends_at=100_000)]
    queue = [waiting("head", gpus(6), 1), *(waiting(f"w{n}", gpus(1), 2 + n) for n in range(4))]
    assert list(started(queue, running, gpu_cluster(1))) == ["w0", "w1"]


def test_where_the_heads_time_is_unknown_its_nodes_are_left_alone() -> None:
    running = [placed("endless", gpus(4), "n0", started_at=5), placed("too", gpus(4), "n1", started_at=9)]
    queue = [waiting("head", gpus(8), 1), waiting("short", gpus(4), 2, seconds=1)]
    assert started(queue, running, gpu_cluster(2)) == {"short": ("n1",)}


def test_a_head_that_nothing_can_help_holds_nobody_back() -> None:
    queue = [waiting("two", gpus(8, nodes=2), 1), waiting("one", gpus(8), 2)]
    inventory = Inventory((node("n0"), node("n1", alive=False)))
    assert started(queue, [], inventory) == {"one": ("n0",)}


# -- preemption


def test_only_preemptible_runs_of_lower_priority_make_room() -> None:
    head = [waiting("head", gpus(8), priority=1)]
    for running, victims in (
        (placed("low", gpus(8), "n0", priority=0, preemptible=True), (("low", "head"),)),
        (placed("equal", gpus(8), "n0", priority=1, preemptible=True), ()),
        (placed("firm", gpus(8), "n0", priority=0), ()),
    ):
        assert plan(head, [running], gpu_cluster(1), 0).preempts == victims


def test_the_fewest_and_then_the_youngest_make_room() -> None:
    def small(key: str, started_at: int, where: str = "n0") -> Placed:
        return placed(key, gpus(2), where, preemptible=True, started_at=started_at)

    four = [small(f"s{number}", number) for number in range(4)]
    one = placed("one", gpus(8), "n1", preemptible=True)
    head = [waiting("head", gpus(8), priority=1)]
    assert plan(head, [*four, one], gpu_cluster(2), 0).preempts == (("one", "head"),)
    less = [waiting("head", gpus(4), priority=1)]
    assert plan(less, four, gpu_cluster(1), 0).preempts == (("s3", "head"), ("s2", "head"))


def test_nobody_is_preempted_where_that_does_not_help() -> None:
    running = [placed("firm", gpus(1), "n0"), placed("soft", gpus(7), "n0", preemptible=True)]
    assert plan([waiting("head", gpus(8), priority=1)], running, gpu_cluster(1), 0).preempts == ()


def test_a_gang_that_is_preempted_frees_all_its_nodes() -> None:
    running = [placed("gang", gpus(8, nodes=2), "n0", "n1", preemptible=True)]
    queue = [waiting("head", gpus(8, nodes=2), priority=1)]
    assert plan(queue, running, gpu_cluster(2), 0).preempts == (("gang", "head"),)


def test_room_that_is_being_made_is_held_for_whom_it_is_made() -> None:
    head = waiting("head", gpus(8), 2, priority=1)
    other = waiting("other", gpus(4), 1)
    first = placed("first", gpus(4), "n0", preemptible=True, ending_for="head")
    second = placed("second", gpus(4), "n0", preemptible=True, ending_for="head")
    for running in ([first, second], [first]):
        decided = plan([head, other], running, gpu_cluster(1), 0)
        assert (decided.starts, decided.preempts) == ((), ())
    assert plan([head, other], [], gpu_cluster(1), 0).starts == (("head", ("n0",)),)


# -- cost


@pytest.mark.parametrize("limits", [None, 3600])
def test_ten_thousand_runs_that_cannot_start_are_seen_quickly(limits: int | None) -> None:
    inventory = gpu_cluster(1000)
    running = [placed(f"r{n}", gpus(8), f"n{n}", ends_at=limits and n) for n in range(1000)]
    shapes = [gpus(8), gpus(8, nodes=2), gpus(8, nodes=4), gpus(1)]
    queue = [waiting(f"w{n}", shapes[n % 4], n, seconds=limits) for n in range(10_000)]
    before = time.process_time()
    assert plan(queue, running, inventory, 10**6).starts == ()
    assert time.process_time() - before < 0.25  # 10 ms on an idle machine


def test_starting_one_of_ten_thousand_costs_little_more() -> None:
    inventory = gpu_cluster(1000)
    running = [placed(f"r{n}", gpus(8), f"n{n}") for n in range(999)]
    queue = [waiting(f"w{n}", gpus(8), n) for n in range(10_000)]
    before = time.process_time()
    assert plan(queue, running, inventory, 0).starts == (("w0", ("n999",)),)
    assert time.process_time() - before < 0.25
