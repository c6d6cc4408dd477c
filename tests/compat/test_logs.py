"""Logs, as the published clients read them."""

from __future__ import annotations

import pytest

from tests.compat.calls import ALL, LATER, LATEST, shows
from tests.compat.published import ClientError, Published

NODES = {"nodes": 2, "gpus": 8, "gpu_type": "a100_80gb"}

CRASH = """
if [ $NODE_RANK = 0 ]; then sleep 60; fi
echo before
python3 -c 'def train():
  raise ValueError("no data")
train()'
exit 1
"""


@shows("get_run_logs", "follow_run_logs", on=ALL)
def test_a_log_is_read_whole_now_or_as_it_grows(client: Published) -> None:
    client.create("echo first; sleep 0.3; printf 'Zürich\\rbar\\n'")
    assert client("''.join(follow_run_logs(run))") == "first\nZürich\rbar\n"
    assert client("''.join(get_run_logs(run))") == "first\nZürich\rbar\n"


@shows("follow_run_logs", on=ALL)
def test_a_follower_waits_for_a_run_that_has_not_begun(client: Published) -> None:
    gpus = {"gpu_type": "a100_80gb", "gpu_num": 16}
    first = client.create("sleep 0.5", **gpus)
    client.create("echo at last", **gpus)
    assert client("''.join(follow_run_logs(run))") == "at last\n"
    assert client("wait_for_run_status(first, 'COMPLETED', timeout=20).status", first=first) == "COMPLETED"


@shows("get_run_logs(rank=…)", on=ALL)
def test_every_rank_has_a_log(client: Published) -> None:
    fields = {"gpu_type": "a100_80gb", "gpu_num": 16} if client.version == "0.3.0" else {"compute": NODES}
    client.finished("echo rank $NODE_RANK", **fields)
    assert client("''.join(get_run_logs(run, rank=1))") == "rank 1\n"
    assert client("''.join(get_run_logs(run))") == "rank 0\n"
    with pytest.raises(ClientError, match="no node of rank 7"):
        client("''.join(get_run_logs(run, rank=7))")


@shows("get_run_logs(node_rank=…)", on=LATEST)
def test_a_rank_is_named_by_its_node(client: Published) -> None:
    client.finished("echo rank $NODE_RANK", compute=NODES)
    assert client("''.join(get_run_logs(run, node_rank=1))") == "rank 1\n"


@shows("get_run_logs(failed=True)", on=ALL)
def test_the_first_rank_that_failed_is_found(client: Published) -> None:
    fields = {"gpu_type": "a100_80gb", "gpu_num": 16} if client.version == "0.3.0" else {"compute": NODES}
    client.finished("if [ $NODE_RANK = 0 ]; then sleep 60; fi; echo rank $NODE_RANK; exit 1", **fields)
    assert client("''.join(get_run_logs(run, failed=True))") == "rank 1\n"


@shows("get_run_logs(first_exception=True)", on=LATEST)
def test_the_first_exception_is_found(client: Published) -> None:
    client.finished(CRASH, compute=NODES)
    text = client("''.join(get_run_logs(run, first_exception=True, failed=True))")
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: no data\n")
    client.finished("exit 1")
    with pytest.raises(ClientError, match="holds no traceback"):
        client("''.join(get_run_logs(run, first_exception=True, failed=True))")


@shows("get_run_logs(resumption=…)")
def test_every_resumption_has_a_log(client: Published) -> None:
    client.finished("echo try $RESUMPTION_INDEX; exit 1", scheduling={"max_retries": 1})
    logs = [client(f"''.join(get_run_logs(run, resumption={index}))") for index in (0, 1)]
    assert logs == ["try 0\n", "try 1\n"]
    with pytest.raises(ClientError, match="no resumption 5"):
        client("''.join(get_run_logs(run, resumption=5))")


@shows("get_run_logs(tail=…)")
def test_the_tail_is_so_many_bytes_before_the_end(client: Published) -> None:
    client.finished("for n in $(seq 100); do echo line $n; done")
    assert client("''.join(get_run_logs(run, tail=9))") == "line 100\n"


@shows("get_run_logs(container='MAIN')")
def test_the_one_container_has_a_name(client: Published) -> None:
    client.finished("echo here")
    assert client("''.join(get_run_logs(run, container='MAIN'))") == "here\n"


@shows("get_run_logs(container='MODEL')", refused="a run has one container")
def test_there_is_no_second_container(client: Published) -> None:
    client.finished("echo here")
    with pytest.raises(ClientError, match=r"MODEL.* is not known"):
        client("''.join(get_run_logs(run, container='MODEL'))")


@shows("get_run_logs(local_gpu_rank=…)", on=LATEST, refused="logs are kept for each node, not for each GPU")
def test_there_are_no_logs_for_each_gpu(client: Published) -> None:
    client.finished("true", gpu_type="a100_80gb", gpu_num=8)
    for rank in ("local_gpu_rank=3", "global_gpu_rank=3"):
        with pytest.raises(ClientError, match="use nodeRank"):
            client(f"''.join(get_run_logs(run, {rank}))")


@shows("get_run_logs")
def test_a_log_of_many_chunks_comes_whole(client: Published) -> None:
    client.finished("head -c 3000000 /dev/zero | tr '\\0' x")
    assert client("len(''.join(get_run_logs(run)))") == 3_000_000


@shows("get_run_logs", on=LATER)
def test_a_run_that_has_not_started_has_no_logs(client: Published) -> None:
    client.create("sleep 60", gpu_type="a100_80gb", gpu_num=16)
    client.create("true", gpu_type="a100_80gb", gpu_num=16)
    with pytest.raises(ClientError, match="has not started"):
        client("''.join(get_run_logs(run))")
