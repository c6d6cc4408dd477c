"""The rest of the Python API: retries, restarts, updates, events, clusters, pages."""

from http import HTTPStatus
from typing import Any

import pytest

import mcli
from mcli import (
    MAPIException,
    Run,
    RunConfig,
    RunFailed,
    RunStatus,
    create_interactive_run,
    create_run,
    create_run_event,
    follow_run_logs,
    get_cluster,
    get_clusters,
    get_run,
    get_run_logs,
    get_runs,
    start_run,
    start_runs,
    stop_run,
    stop_runs,
    update_run,
    update_run_metadata,
    wait_for_run_status,
    watch_run_status,
)
from tests.conftest import PlatformOfTests, wait_until


def start(command: str, name: str = "beyond", **fields: Any) -> Run:
    return create_run(RunConfig(name=name, image="bash", command=command, **fields))


def test_a_failure_is_retried_as_often_as_the_run_allows_each_time_with_its_own_log(
    machine: PlatformOfTests,
) -> None:
    run = start("echo try $RESUMPTION_INDEX; exit $((2 - RESUMPTION_INDEX))", scheduling={"max_retries": 5})
    ended = wait_for_run_status(run, "COMPLETED", timeout=20)
    assert ended.resumption_count == 3
    assert [get_run_logs(run, resumption=index) for index in range(3)] == ["try 0\n", "try 1\n", "try 2\n"]
    assert get_run_logs(run) == "try 2\n"
    reasons = [event.event_message for event in ended.events if event.event_type == mcli.EventType.REQUEUED]
    assert reasons == [
        "Run queued again: retry 1 of 5 after: exit code 2",
        "Run queued again: retry 2 of 5 after: exit code 1",
    ]


def test_retries_come_to_an_end(machine: PlatformOfTests) -> None:
    run = start("exit 1", scheduling={"max_retries": 1})
    with pytest.raises(RunFailed, match="exit code 1"):
        wait_for_run_status(run, "COMPLETED", timeout=20)
    assert get_run(run).resumption_count == 2


def test_an_ended_run_is_started_again_as_its_next_resumption(machine: PlatformOfTests) -> None:
    run = start("echo $RESUMPTION_INDEX")
    wait_for_run_status(run, "COMPLETED", timeout=20)
    again = start_run(run)
    assert again.status is RunStatus.PENDING
    wait_until(lambda: get_run(run).resumption_count == 2, "it runs again")
    assert wait_for_run_status(run, "COMPLETED", timeout=20).resumption_count == 2
    assert get_run_logs(run) == "1\n"
    assert get_run_logs(run, resumption=0) == "0\n"


def test_a_run_that_goes_on_cannot_be_started_again(machine: PlatformOfTests) -> None:
    run = start("sleep 60")
    with pytest.raises(MAPIException, match="only runs that have ended") as caught:
        start_runs([run])
    assert caught.value.status == HTTPStatus.CONFLICT
    stop_run(run)


def test_a_run_is_stopped_when_its_time_is_over(machine: PlatformOfTests) -> None:
    run = start("sleep 60", scheduling={"max_duration": 1 / 3600})
    ended = wait_for_run_status(run, "STOPPED", timeout=20)
    assert "max_duration" in str(ended.reason)
    assert ended.cumulative_running_time < 10


def test_a_run_that_goes_on_can_be_given_more_time(machine: PlatformOfTests) -> None:
    run = start("sleep 2.5; echo done", scheduling={"max_duration": 2 / 3600})
    updated = update_run(run, max_duration=1, max_retries=3, preemptible=True, priority="low")
    assert (updated.max_duration, updated.max_retries, updated.preemptible) == (1, 3, True)
    assert wait_for_run_status(run, "COMPLETED", timeout=20).priority.lower() == "low"


def test_a_run_of_higher_priority_preempts_and_the_other_comes_back(lab: PlatformOfTests) -> None:
    gpus: dict[str, Any] = {"gpu_type": "a100_80gb", "gpu_num": 16}
    low = start(
        "if [ $RESUMPTION_INDEX = 0 ]; then sleep 60; fi; echo back",
        scheduling={"priority": "low", "preemptible": True},
        **gpus,
    )
    wait_for_run_status(low, "RUNNING", timeout=20)
    high = start("true", scheduling={"priority": "high"}, **gpus)
    wait_for_run_status(high, "COMPLETED", timeout=20)
    ended = wait_for_run_status(low, "COMPLETED", timeout=20)
    assert get_run_logs(low) == "back\n"
    assert ended.resumptions[0].status is RunStatus.STOPPED
    assert high.name in " ".join(event.event_message for event in ended.events)


def test_a_waiting_run_says_for_what_and_behind_whom(lab: PlatformOfTests) -> None:
    gpus: dict[str, Any] = {"gpu_type": "a100_80gb", "gpu_num": 16}
    running = start("sleep 60", **gpus)
    wait_for_run_status(running, "RUNNING", timeout=20)
    first, second = start("true", **gpus), start("true", **gpus)
    wait_for_run_status(second, "QUEUED", timeout=20)
    reason = str(get_run(second).reason)
    assert "waiting for 16 GPUs of type a100_80gb on lab" in reason
    assert "1 run ahead" in reason
    utilization = get_cluster("lab").utilization
    assert utilization is not None
    assert [run.name for run in utilization.queued_runs] == [first.name, second.name]
    assert running.name in [run.name for run in utilization.active_runs]
    stop_runs([second, first, running])


def test_runs_for_cpus_have_them_to_themselves(lab: PlatformOfTests) -> None:
    first = start("sleep 60", cpus=4, compute={"instance": "cpu"})
    wait_for_run_status(first, "RUNNING", timeout=20)
    second = start("true", cpus=1, compute={"instance": "cpu"})
    wait_for_run_status(second, "QUEUED", timeout=20)
    assert "CPU" in str(get_run(second).reason)
    stop_run(first)
    wait_for_run_status(second, "COMPLETED", timeout=20)


def test_ranks_meet_at_one_address_with_their_own_numbers(lab: PlatformOfTests) -> None:
    ranks = "$NODE_RANK/$NUM_NODES $WORLD_SIZE $LOCAL_WORLD_SIZE"
    command = f"echo {ranks} $CUDA_VISIBLE_DEVICES $MASTER_ADDR:$MASTER_PORT"
    run = start(command, compute={"nodes": 2, "gpus": 8, "gpu_type": "a100_80gb"})
    wait_for_run_status(run, "COMPLETED", timeout=20)
    first, second = (get_run_logs(run, rank=rank).split() for rank in (0, 1))
    assert first[:3] == ["0/2", "8", "4"]
    assert second[:3] == ["1/2", "8", "4"]
    assert len(first[3].split(",")) == 4
    assert first[4] == second[4]


def test_metadata_is_merged_and_kept_to_its_limits(machine: PlatformOfTests) -> None:
    run = start("true", metadata={"team": "vision"})
    update_run_metadata(run, {"loss": 0.5})
    update_run_metadata(run.name, {"loss": float("nan"), "step": 3})
    assert get_run(run).metadata == {"team": "vision", "loss": "NaN", "step": 3}
    with pytest.raises(MAPIException):
        update_run_metadata(run, {str(key): key for key in range(300)})


def test_a_runs_own_events_are_in_its_history(machine: PlatformOfTests) -> None:
    run = start("true")
    wait_for_run_status(run, "COMPLETED", timeout=20)
    event = create_run_event(run.name, "CHECKPOINT_SAVED", {"step": 7})
    assert event.event_data == {"step": 7}
    types = [str(getattr(event.event_type, "value", event.event_type)) for event in get_run(run).events]
    assert types[0] == "CREATED"
    assert types[-1] == "CHECKPOINT_SAVED"
    assert {"STARTING", "STARTED", "COMPLETED"} <= set(types)


def test_watching_yields_the_status_now_and_every_change(machine: PlatformOfTests) -> None:
    run = start("sleep 0.3")
    seen = [current.status for current in watch_run_status(run)]
    assert seen == sorted(seen)
    assert seen[-1] is RunStatus.COMPLETED
    assert RunStatus.RUNNING in seen


def test_pages_lead_from_one_to_the_next(machine: PlatformOfTests) -> None:
    made = [start("true", name="paged") for _ in range(5)]
    page = get_runs(made, limit=2)
    names = [run.name for run in page]
    while page.has_next_page:
        page = page.next_page()
        names += [run.name for run in page]
    assert names == [run.name for run in reversed(made)]


def test_clusters_are_described_with_their_instances(lab: PlatformOfTests) -> None:
    (cluster,) = get_clusters()
    assert cluster.name == "lab"
    by_name = {instance.name: instance for instance in cluster.instances}
    assert by_name["a100_80gb.8"].num_nodes == 2
    assert by_name["cpu"].cpus == 4
    with pytest.raises(MAPIException) as caught:
        get_cluster("elsewhere")
    assert caught.value.status == HTTPStatus.NOT_FOUND


def test_a_run_object_does_what_the_functions_do(machine: PlatformOfTests) -> None:
    run = start("sleep 60")
    copy = run.clone(name="copy")
    assert copy.name.startswith("copy-")
    run.update_metadata({"a": 1})
    assert run.refresh().metadata == {"a": 1}
    assert run.update(max_retries=2).max_retries == 2
    for each in (run, copy):
        each.stop()
        wait_for_run_status(each, "STOPPED", timeout=20)
        each.delete()
        assert get_runs([each.name]) == []


def test_an_interactive_run_holds_its_place(machine: PlatformOfTests) -> None:
    run = create_interactive_run(RunConfig(name="desk", image="bash", compute={"gpus": 0}), seconds=60)
    assert run.run_type is mcli.RunType.INTERACTIVE
    wait_for_run_status(run, "RUNNING", timeout=20)
    stop_run(run)


def test_a_run_with_integrations_fails_and_says_which_cannot_be_set_up(machine: PlatformOfTests) -> None:
    run = start("true", integrations=[{"integration_type": "git_repo", "git_repo": "org/repo"}])
    with pytest.raises(RunFailed, match="git_repo"):
        wait_for_run_status(run, "RUNNING", timeout=20)


def test_a_follower_goes_on_at_the_byte_when_the_server_dies_and_comes_back(machine: PlatformOfTests) -> None:
    run = start("for n in $(seq 40); do echo line $n; sleep 0.05; done")
    lines = follow_run_logs(run)
    seen = [next(lines) for _ in range(5)]
    machine.kill()
    assert seen + list(lines) == [f"line {n}" for n in range(1, 41)]


def test_a_wait_survives_the_server(machine: PlatformOfTests) -> None:
    run = start("sleep 1.5")
    future = wait_for_run_status(run, "COMPLETED", future=True)
    wait_for_run_status(run, "RUNNING", timeout=20)
    machine.kill()
    assert future.result(timeout=30).status is RunStatus.COMPLETED


def test_queued_runs_survive_the_server(lab: PlatformOfTests) -> None:
    gpus: dict[str, Any] = {"gpu_type": "a100_80gb", "gpu_num": 16}
    running = start("sleep 60", **gpus)
    wait_for_run_status(running, "RUNNING", timeout=20)
    waiting = start("echo ran", **gpus)
    wait_for_run_status(waiting, "QUEUED", timeout=20)
    lab.kill()
    assert get_run(running).status is RunStatus.RUNNING
    assert get_run(waiting).status is RunStatus.QUEUED
    stop_run(running)
    wait_for_run_status(waiting, "COMPLETED", timeout=20)


def test_many_runs_at_once_all_complete(machine: PlatformOfTests) -> None:
    config = RunConfig(name="many", image="bash", command="true")
    futures = [create_run(config, future=True) for _ in range(60)]
    runs = [future.result(timeout=30) for future in futures]
    assert len({run.name for run in runs}) == 60
    for run in runs:
        wait_for_run_status(run, "COMPLETED", timeout=60)


def test_the_submitted_configuration_comes_back_as_it_was_written(machine: PlatformOfTests) -> None:
    config = RunConfig(
        name="round",
        image="bash",
        command="true",
        parameters={"a": [1, {"b": None}]},
        env_variables=[{"key": "A", "value": "1"}],
        metadata={"m": 1},
    )
    submitted = create_run(config).submitted_config
    assert submitted is not None
    for field in ("name", "image", "command", "parameters", "metadata"):
        assert getattr(submitted, field) == getattr(config, field)
