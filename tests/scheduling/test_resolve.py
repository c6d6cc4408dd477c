"""What a run asked for becomes what it gets, or an error that says what there is."""

import pytest

from mapi.clusters.base import Inventory
from mapi.domain.errors import BadRequest, BadRunRequest, InstanceTypeUnavailable
from mapi.domain.run import Allocation, Compute
from mapi.scheduling import PRIORITIES, parse_priority, resolve
from tests.scheduling.clusters import node

LAB = Inventory(
    (
        node("h0"),
        node("h1"),
        node("h2", alive=False),
        node("a0", 4, "a100_80gb"),
        node("c0", 0, cpus=16),
        node("c1", 0, cpus=16),
    )
)
BOX = Inventory((node("box", 0, cpus=4),), ranks_share_nodes=True, shared_slots=8)
BOTH = {"lab": LAB, "box": BOX}
H100, A100 = "h100_80gb", "a100_80gb"


def got(nodes: int, per_node: int, kind: str, cpus: int = 0, cluster: str = "lab") -> Allocation:
    gpu_type = kind.split(".")[0] if per_node else None
    return Allocation(cluster, kind, nodes, per_node, cpus, gpu_type)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(Compute(), got(1, 0, "cpu"), id="nothing said: a rank on CPUs"),
        pytest.param(Compute(gpu_type="none"), got(1, 0, "cpu"), id="no GPUs"),
        pytest.param(Compute(gpu_type="None", gpus=0, cpus=0), got(1, 0, "cpu"), id="as clients send it"),
        pytest.param(Compute(gpu_type="cpu", cpus=8), got(1, 0, "cpu", 8), id="CPUs"),
        pytest.param(Compute(cpus=32), got(1, 0, "a100_80gb.4", 32), id="CPUs only a GPU node has"),
        pytest.param(Compute(nodes=2), got(2, 0, "cpu"), id="nodes without GPUs"),
        pytest.param(Compute(gpus=4, gpu_type="H100_80GB"), got(1, 4, "h100_80gb.8"), id="any case"),
        pytest.param(Compute(gpus=8), got(1, 8, "h100_80gb.8"), id="the only type that fits on one node"),
        pytest.param(
            Compute(gpus=16, gpu_type=H100), got(2, 8, "h100_80gb.8"), id="as few nodes as hold them"
        ),
        pytest.param(Compute(gpus=12, gpu_type=H100), got(2, 6, "h100_80gb.8"), id="the same on each node"),
        pytest.param(Compute(gpus=6, nodes=3, gpu_type=H100), got(3, 2, "h100_80gb.8"), id="both said"),
        pytest.param(Compute(nodes=2, gpu_type=H100), got(2, 8, "h100_80gb.8"), id="whole nodes"),
        pytest.param(Compute(gpu_type=A100), got(1, 4, "a100_80gb.4"), id="a GPU type alone: one whole node"),
        pytest.param(Compute(instance="a100_80gb.4"), got(1, 4, "a100_80gb.4"), id="an instance alone"),
        pytest.param(
            Compute(instance="h100_80gb.8", gpu_type="none"), got(1, 0, "h100_80gb.8"), id="its CPUs"
        ),
        pytest.param(
            Compute(nodes=3, gpu_type=H100), got(3, 8, "h100_80gb.8"), id="a node that is down counts"
        ),
        pytest.param(
            Compute(cluster="box", nodes=5), got(5, 0, "cpu", cluster="box"), id="ranks share a box"
        ),
        pytest.param(Compute(cluster="box", nodes=2, cpus=2), got(2, 0, "cpu", 2, "box"), id="and its CPUs"),
    ],
)
def test_a_request_is_completed(asked: Compute, expected: Allocation) -> None:
    assert resolve(asked, BOTH) == expected


def test_without_a_cluster_the_first_that_can_ever_hold_it_is_taken() -> None:
    assert resolve(Compute(), {"box": BOX, "lab": LAB}).cluster == "box"
    assert resolve(Compute(gpu_type=H100), {"box": BOX, "lab": LAB}).cluster == "lab"
    assert resolve(Compute(cpus=8), {"box": BOX, "lab": LAB}).cluster == "lab"


def test_named_nodes_say_how_many_and_of_which_kind() -> None:
    found = resolve(Compute(node_names=("h1", "h0"), gpus=4), BOTH)
    assert (found.instance, found.nodes, found.gpus_per_node) == ("h100_80gb.8", 2, 2)
    assert found.node_names == ("h1", "h0")


def test_of_two_instances_of_one_type_the_one_that_needs_fewer_nodes_and_leaves_less_is_taken() -> None:
    inventory = Inventory((node("eight"), node("four", 4), node("two", 2)))
    assert resolve(Compute(gpus=4), {"lab": inventory}).instance == "h100_80gb.4"
    assert resolve(Compute(gpus=6), {"lab": inventory}).instance == "h100_80gb.8"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Compute(cluster="lap"), ["compute.cluster", '"lap"', "lab, box", 'did you mean "lab"']),
        (Compute(gpu_type="h100_80g"), ["compute.gpu_type", '"h100_80g"', A100, "none", f'"{H100}"']),
        (Compute(instance="h100.8"), ["compute.instance", "h100_80gb.8", "cpu"]),
        (Compute(node_names=("h9",)), ["compute.node_names", '"h9"', "h0"]),
        (Compute(cluster="box", gpu_type=H100), ["compute.gpu_type", H100, "none"]),
        (Compute(gpus=1, cluster="box"), ["1 GPUs", "box has no GPUs", "box: 1 × cpu (4 CPUs)"]),
        (Compute(nodes=4, gpu_type=H100), ["4 nodes", "lab has 3 of 4 nodes", "3 × h100_80gb.8"]),
        (Compute(cpus=999), ["999 CPUs", "lab has 0 of a node of cpu with 999 CPUs"]),
        (Compute(gpus=9, gpu_type=H100), ["9 GPUs", "do not divide evenly", "8 or 10"]),
        (Compute(instance="cpu", gpu_type=H100), ["instance cpu", "no node that is all of that"]),
        (Compute(cluster="box", nodes=3, cpus=2), ["box has 1 of 3 nodes of cpu with 2 CPUs"]),
        (Compute(cluster="box", nodes=9), ["box has 1 of 9 nodes"]),
    ],
)
def test_what_can_never_be_had_is_refused_with_what_there_is(asked: Compute, words: list[str]) -> None:
    with pytest.raises(InstanceTypeUnavailable) as refused:
        resolve(asked, BOTH)
    for word in words:
        assert word in refused.value.message


def test_where_there_is_no_cluster_at_all_that_is_said() -> None:
    with pytest.raises(InstanceTypeUnavailable, match="there is no cluster"):
        resolve(Compute(), {})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Compute(nodes=0), ["compute.nodes: 0", "1 or more"]),
        (Compute(gpus=-1, cpus=-2), ["compute.gpus: -1", "compute.cpus: -2"]),
        (Compute(gpus=2, gpu_type="none"), ["compute.gpus: 2", "0 or left out"]),
        (Compute(gpus=0, gpu_type=H100), ["compute.gpus: 0", H100]),
        (Compute(gpus=9, nodes=2), ["compute.gpus: 9", "a multiple of compute.nodes (2)", "8 or 10"]),
        (Compute(nodes=3, node_names=("h0", "h1")), ["compute.nodes: 3", "must be 2"]),
        (Compute(node_names=("h0", "h0")), ["compute.node_names: h0", "only once"]),
        (Compute(node_names=("h0", "c0")), ["compute.node_names", "h0 is h100_80gb.8", "c0 is cpu"]),
        (Compute(gpus=4), ["compute.gpu_type", "lab", f"{H100}, {A100}"]),
    ],
)
def test_what_contradicts_itself_or_has_two_meanings_is_refused(asked: Compute, words: list[str]) -> None:
    with pytest.raises(BadRunRequest) as refused:
        resolve(asked, BOTH)
    for word in words:
        assert word in refused.value.message


@pytest.mark.parametrize("name", PRIORITIES)
def test_a_priority_is_known_in_any_case(name: str) -> None:
    assert parse_priority(f" {name.upper()} ") == name


def test_the_names_for_the_middle_mean_the_same() -> None:
    assert len({PRIORITIES[name] for name in ("standard", "default", "auto", "medium")}) == 1
    worth = [PRIORITIES[name] for name in ("highest", "high", "auto", "low", "lowest")]
    assert worth == sorted(worth, reverse=True)


def test_an_unknown_priority_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(BadRequest, match=r'priority "hihg": must be one of highest, .*did you mean "high"'):
        parse_priority("hihg")
