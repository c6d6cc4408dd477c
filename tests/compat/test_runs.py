"""Runs, from creation to deletion, through the Python API of the published clients."""

from __future__ import annotations

import pytest

from tests.compat.calls import ALL, LATER, LATEST, V3, shows
from tests.compat.published import ClientError, Published

GPUS = {"gpu_type": "a100_80gb", "gpu_num": 16}


@shows("create_run", "wait_for_run_status", on=ALL)
def test_a_run_is_created_and_waited_for(client: Published) -> None:
    name = client.create("echo hello")
    assert name.startswith("published-")
    assert len(name) == len("published-") + 6
    assert client("wait_for_run_status(name, 'COMPLETED', timeout=20).status", name=name) == "COMPLETED"
    uid, created, submitted = client("run.run_uid, run.created_at, run.submitted_config.name")
    assert submitted == "published"
    assert uid and created.endswith("+00:00")


@shows("RunConfig.from_file", "create_run(compute=…, metadata=…)")
def test_a_configuration_is_read_from_a_file_and_comes_back(client: Published) -> None:
    content = {
        "name": "published-file",
        "image": "bash",
        "command": 'echo "$GREETING"\ncat $PARAMETERS\n',
        "compute": {"cluster": "lab", "gpus": 8, "gpu_type": "a100_80gb"},
        "scheduling": {"priority": "low", "max_retries": 1, "max_duration": 2},
        "env_variables": [{"key": "GREETING", "value": "hi"}],
        "parameters": {"lr": 0.1, "layers": [1, {"deep": None}]},
        "metadata": {"team": "vision"},
    }
    path = client.file("run.yaml", content)
    client("run = create_run(RunConfig.from_file(path))", path=path)
    assert client("wait_for_run_status(run, 'COMPLETED', timeout=20).status") == "COMPLETED"
    assert client("''.join(get_run_logs(run))").startswith("hi\nlr: 0.1\n")
    client("run = get_run(run.name)")
    assert client("run.submitted_config.parameters") == content["parameters"]
    assert client("run.metadata") == content["metadata"]
    assert client("run.gpus, run.gpu_type, run.cluster, run.node_count") == [8, "a100_80gb", "lab", 1]
    assert client("run.max_retries, run.max_duration, run.priority.lower()") == [1, 2, "low"]


@shows("RunConfig.from_file", on=(V3,))
def test_the_first_configurations_are_still_read(client: Published) -> None:
    content = {
        "run_name": "published-first",
        "image": "bash",
        "gpu_type": "a100_80gb",
        "gpu_num": 8,
        "cluster": "lab",
        "env_variables": [{"key": "GREETING", "value": "hi"}],
        "parameters": {"lr": 0.1},
        "command": 'echo "$GREETING"; cat $PARAMETERS',
    }
    client("run = create_run(RunConfig.from_file(path))", path=client.file("run.yaml", content))
    assert client("''.join(follow_run_logs(run))") == "hi\nlr: 0.1\n"
    assert client("run.config.gpu_num, run.config.gpu_type, run.config.cluster") == [8, "a100_80gb", "lab"]


@shows("create_run(future=True)", on=ALL)
def test_many_runs_are_created_at_once_each_with_a_name_of_its_own(client: Published) -> None:
    names = client(
        """
        config = RunConfig(name='published-many', image='bash', command='true')
        futures = [create_run(config, future=True) for _ in range(10)]
        runs = [future.result(timeout=20) for future in futures]
        [run.name for run in runs]
        """
    )
    assert len(set(names)) == 10


@shows("get_run")
def test_a_runs_details_are_told(client: Published) -> None:
    client.finished("exit 3", scheduling={"max_retries": 1})
    client("run = get_run(run)")
    assert client("run.status, run.reason, run.resumption_count") == ["FAILED", "exit code 3", 2]
    assert client("[(r.index, r.status, r.reason) for r in run.resumptions]") == [
        [0, "FAILED", "exit code 3"],
        [1, "FAILED", "exit code 3"],
    ]
    assert client("run.nodes[0].rank, run.nodes[0].status") == [0, "FAILED"]
    assert client("run.image, run.created_by.count('@')") == ["bash", 1]
    steps = client("[step.status for step in run.lifecycle]")
    assert (steps[0], steps[-1]) == ("PENDING", "FAILED")
    assert steps.count("RUNNING") == 2
    assert client("run.cumulative_running_time >= 0 and run.completed_at >= run.started_at")


@shows("Run.events", on=LATEST)
def test_a_runs_history_is_told(client: Published) -> None:
    client.finished("true")
    types = client("[event.event_type for event in get_run(run).events]")
    assert types[0] == "CREATED"
    assert types[-1] == "COMPLETED"


@shows("get_run(include_details=False)")
def test_a_run_can_be_asked_for_in_short(client: Published) -> None:
    name = client.finished("true")
    assert client("short = get_run(run, include_details=False); short.name, short.status") == [
        name,
        "COMPLETED",
    ]


@shows("get_runs", on=ALL)
def test_runs_are_filtered(client: Published) -> None:
    small, failed = client.finished("true"), client.finished("exit 1")
    big = client.finished("true", **GPUS)
    clusters = "clusters" if client.version == V3 else "cluster_names"
    mine = f"runs={[small, failed, big]!r}"
    found = f"[r.name for r in get_runs({mine}, %s)]"
    assert client(found % "") == [big, failed, small]
    assert client(found % "statuses=['FAILED']") == [failed]
    assert client(found % "statuses=[RunStatus.COMPLETED, 'stopped']") == [big, small]
    assert client(found % "gpu_nums=[16]") == [big]
    assert client(found % "gpu_types=['A100_80GB']") == [big]
    assert client(found % f"{clusters}=['lab']") == [big, failed, small]
    assert client(found % f"{clusters}=['nowhere']") == []
    assert client(found % "after='2020-01-01'") == [big, failed, small]
    assert client(found % "before='2020-01-01'") == []


@shows("get_runs(limit=…)")
def test_a_list_has_a_limit(client: Published) -> None:
    last = client.finished("true")
    assert client("[r.name for r in get_runs(limit=1)]") == [last]


@shows("PaginatedObjectList.next_page", "get_runs(ended_after=…)", on=LATEST)
def test_pages_lead_from_one_to_the_next(client: Published) -> None:
    names = [client.finished("true") for _ in range(3)]
    client("page = get_runs(names, limit=2)", names=names)
    assert client("[r.name for r in page], page.has_next_page") == [names[:0:-1], True]
    assert client("page = page.next_page(); [r.name for r in page], page.has_next_page") == [names[:1], False]
    assert client("[r.name for r in get_runs(names, ended_after='2020-01-01', limit=9)]") == names[::-1]


@shows("get_runs(include_deleted=True)", on=LATEST)
def test_deleted_runs_can_still_be_listed(client: Published) -> None:
    name = client.finished("true")
    client("delete_run(run)")
    assert client("len(get_runs([name]))", name=name) == 0
    assert client("[(r.name, r.is_deleted) for r in get_runs([name], include_deleted=True)]") == [
        [name, True]
    ]


@shows("get_runs(user_emails=…)")
def test_runs_are_listed_by_user(client: Published) -> None:
    name = client.finished("true")
    email = client("get_run(run).created_by")
    assert client("[r.name for r in get_runs([name], user_emails=[email])]", name=name, email=email) == [name]
    assert client("len(get_runs([name], user_emails=['else@where']))") == 0


@shows("get_runs(run_types=…)")
def test_runs_are_listed_by_type(client: Published) -> None:
    name = client.finished("true")
    assert client("[r.name for r in get_runs([name], run_types=['TRAINING'])]", name=name) == [name]
    assert client("len(get_runs([name], run_types=['INTERACTIVE']))") == 0


@shows("get_runs(all_users=True)", on=LATEST)
def test_everybodys_runs_are_listed(client: Published) -> None:
    name = client.finished("true")
    assert client(
        "[r.name for r in get_runs([name], all_users=True, run_types=['TRAINING'])]", name=name
    ) == [name]


@shows("stop_run", "stop_runs", on=ALL)
def test_runs_are_stopped(client: Published) -> None:
    name = client.create("sleep 60")
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    client("stop_run(run)")
    client("statuses = [r.status for r in watch_run_status(run, timeout=20)]")
    assert client("statuses[-1]") == "STOPPED"
    client.create("sleep 60")
    assert client("[r.name for r in stop_runs([run])]") != [name]
    client("[r.status for r in watch_run_status(run, timeout=20)]")


@shows("stop_run(reason=…)")
def test_a_stop_has_a_reason(client: Published) -> None:
    client.create("sleep 60")
    client("wait_for_run_status(run, 'RUNNING', timeout=20); stop_run(run, reason='enough')")
    client("[r.status for r in watch_run_status(run, timeout=20)]")
    assert client("get_run(run).reason") == "enough"


@shows("start_run", "start_runs")
def test_an_ended_run_is_started_again(client: Published) -> None:
    client.finished("echo $RESUMPTION_INDEX")
    assert client("start_run(run).status") == "PENDING"
    client("[r.status for r in watch_run_status(run, timeout=20)]")
    client("start_runs([run])")
    client("[r.status for r in watch_run_status(run, timeout=20)]")
    assert client("get_run(run).resumption_count") == 3


@shows("delete_run", "delete_runs", on=ALL)
def test_runs_are_deleted_active_ones_too(client: Published) -> None:
    ended, active = client.finished("true"), client.create("sleep 60")
    assert client("delete_run(ended).name", ended=ended) == ended
    assert client("[r.name for r in delete_runs([active])]", active=active) == [active]
    assert client("len(get_runs([ended, active]))") == 0


@shows("update_run")
def test_an_active_run_is_updated(client: Published) -> None:
    client.create("sleep 60")
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    client("run = update_run(run, preemptible=True, priority='low', max_retries=3, max_duration=2.0)")
    assert client("run.preemptible, run.priority.lower(), run.max_retries") == [True, "low", 3]
    client("run = update_run(run, retry_on_system_failure=True)")
    assert client("run.retry_on_system_failure, get_run(run).max_duration") == [True, 2]
    assert client("get_run(run).resumptions[-1].estimated_end_time is not None")


@shows("update_run_metadata")
def test_metadata_is_merged(client: Published) -> None:
    client.finished("true", metadata={"team": "vision"})
    client("update_run_metadata(run, {'loss': 0.5}); update_run_metadata(run, {'nan': float('nan')})")
    assert client("get_run(run).metadata") == {"team": "vision", "loss": 0.5, "nan": "NaN"}


@shows("create_run_event")
def test_a_run_gets_an_event_of_its_own(client: Published) -> None:
    name = client.finished("true")
    event = client(
        "event = create_run_event(name, 'CHECKPOINT_SAVED', {'step': 7}); event.event_data", name=name
    )
    assert event == {"step": 7}


@shows("get_run_debug_info")
def test_debug_info_has_the_state_of_every_rank(client: Published) -> None:
    client.finished("exit 2", compute={"nodes": 2, "gpus": 8, "gpu_type": "a100_80gb"})
    client(
        "from mcli.api.runs.api_get_run_debug_info import get_run_debug_info; info = get_run_debug_info(run)"
    )
    assert "exit code 2" in client("repr(vars(info))") or "FAILED" in client("repr(vars(info))")


@shows("create_interactive_run", on=LATEST)
def test_an_interactive_run_holds_its_place(client: Published) -> None:
    client(
        "run = create_interactive_run(RunConfig(name='desk', image='bash', compute={'gpus': 0}), seconds=60)"
    )
    assert client("run.run_type") == "INTERACTIVE"
    client("wait_for_run_status(run, 'RUNNING', timeout=20); stop_run(run)")


@shows("Run.clone", "Run.refresh", "Run.stop", "Run.update", "Run.update_metadata", "Run.delete")
def test_a_run_object_does_what_the_calls_do(client: Published) -> None:
    original = client.create("sleep 60")
    client("run = get_run(run)")
    copy = client("copy = run.clone(name='copied'); copy.name")
    assert copy.startswith("copied-")
    assert client("copy.submitted_config.command") == "sleep 60"
    client("copy.update(max_retries=2); copy.update_metadata({'a': 1})")
    assert client("copy = copy.refresh() or copy; get_run(copy).metadata, get_run(copy).max_retries") == [
        {"a": 1},
        2,
    ]
    client("copy.stop()")
    client("[r.status for r in watch_run_status(copy, timeout=20)]; copy.delete()")
    assert client("[r.name for r in get_runs([original, copy.name])]", original=original) == [original]


@shows("watch_run_status", on=ALL)
def test_watching_tells_every_status_to_the_end(client: Published) -> None:
    client.create("sleep 0.2")
    seen = client("[r.status for r in watch_run_status(run, timeout=20)]")
    assert seen[-1] == "COMPLETED"
    assert "RUNNING" in seen
    assert client("[r.status for r in watch_run_status(run, timeout=20)]") == ["COMPLETED"]


@shows("wait_for_run_status", on=LATER)
def test_a_status_that_is_never_reached_is_an_error(client: Published) -> None:
    with pytest.raises(ClientError, match="Error 404"):
        client("wait_for_run_status('no-such-run', 'RUNNING', timeout=20)")


@shows("watch_run_status")
def test_a_client_never_sees_a_status_it_does_not_know(client: Published) -> None:
    client.create("sleep 60", **GPUS)
    waiting = client.create("true", **GPUS)
    client("wait_for_run_status(run, 'QUEUED', timeout=20)")
    assert client("[r.name for r in get_runs([waiting], statuses=['QUEUED'])]", waiting=waiting) == [waiting]
    client("history = [step.status for step in get_run(run).lifecycle]")
    assert client("history") == ["PENDING", "QUEUED"]
    assert "waiting for 16 GPUs" in client("get_run(run).reason")
