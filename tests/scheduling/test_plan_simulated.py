"""What must hold on every cluster, checked on thousands of random ones that run until they are empty."""

from collections import Counter
from itertools import combinations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mapi.clusters.base import Inventory
from mapi.scheduling import Placed, Plan, Waiting, plan
from tests.scheduling.clusters import gpu_cluster, gpus, placed, waiting

SECOND = 1000

inventories = st.builds(gpu_cluster, st.integers(1, 3), gpus=st.just(4), share=st.booleans())
shapes = st.builds(gpus, st.integers(1, 4), nodes=st.integers(1, 3), of=st.just(4))
durations = st.integers(1, 9)


@st.composite
def queues(draw: st.DrawFn, limited: bool = False, priorities: tuple[int, ...] = (0,)) -> list[Waiting]:
    runs = []
    for number in range(draw(st.integers(1, 9))):
        seconds = draw(durations if limited else st.none() | durations)
        run = waiting(f"w{number}", draw(shapes), number, draw(st.sampled_from(priorities)), seconds)
        runs.append(replace(run, preemptible=draw(st.booleans())))
    return runs


def place(run: Waiting, nodes: tuple[str, ...], now: int) -> Placed:
    limit = run.max_duration_seconds
    ends_at = None if limit is None else now + limit * SECOND
    return Placed(run.key, run.allocation, nodes, run.priority, run.preemptible, now, ends_at)


def check_room(running: list[Placed], inventory: Inventory) -> None:
    used: Counter[str] = Counter()
    for run in running:
        assert len(run.placement) == run.allocation.nodes, "a gang started in part"
        assert inventory.ranks_share_nodes or len(set(run.placement)) == run.allocation.nodes
        for name in run.placement:
            used[name] += run.allocation.gpus_per_node
    assert all(used[node.name] <= node.gpus for node in inventory.nodes), "a node was over-committed"


def check_preempts(decided: Plan, queue: list[Waiting], running: list[Placed]) -> None:
    asking = {run.key: run for run in queue}
    held = {run.key: run for run in running}
    victims = [victim for victim, _ in decided.preempts]
    assert len(victims) == len(set(victims))
    for victim, key in decided.preempts:
        assert held[victim].preemptible
        assert held[victim].ending_for is None
        assert held[victim].priority < asking[key].priority


def simulate(queue: list[Waiting], inventory: Inventory, actual: dict[str, int]) -> dict[str, int]:
    """Run everything to its end and return when each run last started.

    `actual`: seconds each run really takes, at most its limit. A preempted run ends a second later and
    queues again.
    """
    now, running, starts = 0, list[Placed](), dict[str, int]()
    runs = {run.key: run for run in queue}
    queue = list(queue)
    ends: dict[str, int] = {}
    for _ in range(500):
        decided = plan(queue, running, inventory, now)
        check_preempts(decided, queue, running)
        for key, nodes in decided.starts:
            running.append(place(runs[key], nodes, now))
            ends[key] = now + actual[key] * SECOND
            starts[key] = now
        queue = [run for run in queue if run.key not in dict(decided.starts)]
        check_room(running, inventory)
        asked = dict(decided.preempts)
        running = [replace(run, ending_for=asked.get(run.key, run.ending_for)) for run in running]
        for victim in asked:
            ends[victim] = min(ends[victim], now + SECOND)
        if not running:
            break
        now = min(ends[run.key] for run in running)
        over = [run for run in running if ends[run.key] <= now]
        running = [run for run in running if run not in over]
        for run in over:
            if run.ending_for and now - starts[run.key] < actual[run.key] * SECOND:
                queue.append(runs[run.key])
    return starts


def fits_when_empty(run: Waiting, inventory: Inventory) -> bool:
    return bool(plan([run], [], inventory, 0).starts)


@settings(max_examples=1000, deadline=None)
@given(inventories, queues(priorities=(-1, 0, 1)), st.data())
def test_every_run_that_can_ever_fit_starts_and_no_node_is_overcommitted(
    inventory: Inventory, queue: list[Waiting], data: st.DataObject
) -> None:
    actual = {run.key: data.draw(st.integers(1, run.max_duration_seconds or 9)) for run in queue}
    starts = simulate(queue, inventory, actual)
    assert set(starts) == {run.key for run in queue if fits_when_empty(run, inventory)}


@settings(max_examples=300, deadline=None)
@given(st.permutations(range(6)), st.lists(st.integers(-1, 1), min_size=6, max_size=6))
def test_runs_that_need_everything_start_in_strict_order(ages: list[int], priorities: list[int]) -> None:
    everything = gpus(4, nodes=2, of=4)
    queue = [waiting(f"w{n}", everything, ages[n], priorities[n]) for n in range(6)]
    starts = simulate(queue, gpu_cluster(2, gpus=4), dict.fromkeys([run.key for run in queue], 1))
    assert sorted(starts, key=starts.__getitem__) == [
        run.key for run in sorted(queue, key=lambda run: (-run.priority, run.queued_at))
    ]


@settings(max_examples=1000, deadline=None)
@given(inventories, queues(limited=True))
def test_the_head_of_the_line_is_never_delayed_by_those_behind_it(
    inventory: Inventory, queue: list[Waiting]
) -> None:
    queue = [run for run in queue if fits_when_empty(run, inventory)]
    actual = {run.key: run.max_duration_seconds or 0 for run in queue}
    first = plan(queue, [], inventory, 0)
    head = next((run for run in queue if run.key not in dict(first.starts)), None)
    if head is None:
        return
    until_head = queue[: queue.index(head) + 1]
    alone, together = simulate(until_head, inventory, actual), simulate(queue, inventory, actual)
    assert together[head.key] <= alone[head.key]


@settings(max_examples=300, deadline=None)
@given(inventories, queues(priorities=(-1, 0, 1)), st.randoms(use_true_random=False))
def test_the_same_state_gives_the_same_plan(
    inventory: Inventory, queue: list[Waiting], random: Random
) -> None:
    shuffled = list(queue)
    random.shuffle(shuffled)
    assert plan(queue, [], inventory, 0) == plan(shuffled, [], inventory, 0)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 2), st.booleans()), max_size=8), st.integers(1, 8)
)
def test_as_few_make_room_as_possible(sizes: list[tuple[int, int, bool]], wanted: int) -> None:
    inventory = gpu_cluster(3)
    running: list[Placed] = []
    free = dict.fromkeys(["n0", "n1", "n2"], 8)
    for number, (size, place_, soft) in enumerate(sizes):
        if free[f"n{place_}"] >= size:
            free[f"n{place_}"] -= size
            run = placed(f"r{number}", gpus(size), f"n{place_}", preemptible=soft, started_at=number)
            running.append(run)
    head = [waiting("head", gpus(wanted), priority=1)]
    soft_runs = [run for run in running if run.preemptible]
    fewest = next(
        (
            count
            for count in range(len(soft_runs) + 1)
            for gone in combinations(soft_runs, count)
            if plan(head, [run for run in running if run not in gone], inventory, 0).starts
        ),
        0,
    )
    assert len(plan(head, running, inventory, 0).preempts) == fewest
