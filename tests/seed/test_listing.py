"""Listing, stopping and deleting runs, as the public page describes it."""

import datetime as dt
import os
import sqlite3
import uuid
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any

import pytest

from mcli import get_run
from mcli.api.exceptions import KubernetesException
from mcli.api.kube.runs import (
    Run,
    RunConfig,
    RunStatus,
    create_run,
    delete_run,
    delete_runs,
    follow_run_logs,
    get_run_logs,
    get_runs,
    stop_run,
    stop_runs,
    wait_for_run_status,
)
from mcli.models.gpu_type import GPUType
from tests.conftest import PlatformOfTests, wait_until


def start(command: str, name: str = "listed", **fields: Any) -> Run:
    return create_run(RunConfig(name=name, image="bash", command=command, **fields))


def names(runs: list[Run]) -> list[str]:
    return [run.name for run in runs]


def ended(command: str = "true", name: str = "listed", **fields: Any) -> Run:
    run = start(command, name, **fields)
    wait_until(lambda: run.refresh().status.is_terminal(), "the run has ended")
    return run


def test_all_runs_that_were_not_deleted_are_listed_newest_first(machine: PlatformOfTests) -> None:
    first, second, third = (ended() for _ in range(3))
    delete_run(second)
    assert names(get_runs())[:2] == [third.name, first.name]
    assert second.name not in names(get_runs())


def test_more_runs_than_a_page_holds_are_all_listed(machine: PlatformOfTests) -> None:
    machine.running()
    origin = ended(name="many")
    with sqlite3.connect(machine.home / "platform.db") as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(runs)")]
        changed = {"id": ":id", "name": ":name", "cluster": "'archive'", "idempotency_key": "NULL"}
        copied = ", ".join(changed.get(column, column) for column in columns)
        for number in range(1200):
            database.execute(
                f"INSERT INTO runs ({', '.join(columns)}) SELECT {copied} FROM runs WHERE name = :origin",
                {"id": str(uuid.UUID(int=number)), "name": f"many-{number}", "origin": origin.name},
            )
    database.close()
    found = get_runs(cluster_names=["archive"], timeout=60)
    assert len(set(names(found))) == 1200


def test_every_filter_takes_strings_and_objects(lab: PlatformOfTests) -> None:
    gpu = ended(name="on-gpus", gpu_type="a100_80gb", gpu_num=8)
    cpu = ended("exit 1", name="on-cpus", gpu_type="none")
    only = {"runs": [gpu, cpu]}
    assert names(get_runs([gpu.name])) == names(get_runs([gpu])) == [gpu.name]
    assert names(get_runs(only["runs"], gpu_types=["a100_80gb"])) == [gpu.name]
    assert names(get_runs(only["runs"], gpu_types=[GPUType.A100_80GB])) == [gpu.name]
    assert names(get_runs(only["runs"], gpu_nums=[8, 16])) == [gpu.name]
    assert names(get_runs(only["runs"], statuses=["FAILED"])) == [cpu.name]
    assert names(get_runs(only["runs"], statuses=[RunStatus.COMPLETED])) == [gpu.name]
    assert names(get_runs(only["runs"], cluster_names=["lab"])) == [cpu.name, gpu.name]
    assert names(get_runs(only["runs"], clusters=["elsewhere"])) == []
    assert names(get_runs(only["runs"], before=cpu.created_at)) == [gpu.name]
    assert names(get_runs(only["runs"], after=cpu.created_at.isoformat())) == [cpu.name]
    assert get_runs([]) == []


def test_the_listed_runs_have_all_their_details(machine: PlatformOfTests) -> None:
    run = ended("exit 4", parameters={"lr": 0.1})
    (found,) = get_runs([run.name])
    assert found.config.parameters == {"lr": 0.1}
    assert found.reason == "exit code 4"
    assert [node.rank for node in found.nodes] == [0]
    assert found.lifecycle[0].status is RunStatus.PENDING


def test_listing_comes_as_a_future(machine: PlatformOfTests) -> None:
    run = ended()
    future = get_runs([run], future=True)
    assert isinstance(future, Future)
    assert names(future.result(timeout=20)) == [run.name]


def test_stopping_ends_every_process_and_says_stopped(machine: PlatformOfTests) -> None:
    runs = [start("(setsid sleep 300 &) ; echo $$; sleep 300") for _ in range(2)]
    shells = [int(next(iter(follow_run_logs(run)))) for run in runs]
    returned = stop_runs([runs[0], runs[1].name])
    assert names(returned) == names(runs)
    for run, shell in zip(runs, shells, strict=True):
        assert wait_for_run_status(run, "STOPPED", timeout=20).status is RunStatus.STOPPED
        with pytest.raises(ProcessLookupError):
            os.kill(shell, 0)


def test_a_stopped_run_keeps_its_logs(machine: PlatformOfTests) -> None:
    run = start("echo kept; sleep 300")
    next(iter(follow_run_logs(run)))
    stop_run(run.name)
    wait_for_run_status(run, "STOPPED", timeout=20)
    assert get_run_logs(run) == "kept\n"


def test_a_command_is_asked_gently_first(machine: PlatformOfTests) -> None:
    run = start("trap 'echo saving; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    lines = follow_run_logs(run)
    assert next(lines) == "ready"
    stop_run(run)
    assert "saving" in list(lines)


def test_a_command_that_will_not_listen_is_ended_by_force(machine: PlatformOfTests) -> None:
    run = start("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    assert next(iter(follow_run_logs(run))) == "ready"
    stop_run(run)
    assert wait_for_run_status(run, "STOPPED", timeout=20).status is RunStatus.STOPPED


def test_stopping_can_be_retried_freely(machine: PlatformOfTests) -> None:
    run = start("sleep 300")
    stop_run(run)
    wait_for_run_status(run, "STOPPED", timeout=20)
    assert stop_runs([run])[0].status is RunStatus.STOPPED
    assert stop_runs([]) == []


def test_stopping_or_deleting_what_does_not_exist_names_it(machine: PlatformOfTests) -> None:
    run = start("sleep 300")
    for call in (stop_runs, delete_runs):
        with pytest.raises(KubernetesException, match="no-such-run") as caught:
            call(["no-such-run", run.name])
        assert caught.value.status == HTTPStatus.NOT_FOUND
    assert not run.refresh().status.is_terminal()
    stop_run(run)


def test_deleting_stops_first_and_drops_run_and_logs(machine: PlatformOfTests) -> None:
    run = start("echo $$; sleep 300")
    shell = int(next(iter(follow_run_logs(run))))
    (deleted,) = delete_runs([run.name])
    assert deleted.name == run.name

    def gone() -> bool:
        try:
            os.kill(shell, 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(gone, "its process has ended")
    assert get_runs([run.name]) == []
    with pytest.raises(KubernetesException) as caught:
        get_run_logs(run.name)
    assert caught.value.status == HTTPStatus.NOT_FOUND
    assert get_runs([run.name], include_deleted=True)[0].is_deleted
    wait_until(lambda: not (machine.home / "logs" / run.run_uid).exists(), "its logs are gone")


def test_a_run_is_deleted_by_name(machine: PlatformOfTests) -> None:
    run = ended(name="delete-this-run")
    delete_run(run.name)
    with pytest.raises(KubernetesException):
        get_run(run.name)


def test_failed_runs_on_a_cluster_are_deleted_by_their_gpus(lab: PlatformOfTests) -> None:
    run = ended("exit 1", name="failing", gpu_type="a100_80gb", gpu_num=2)
    kept = ended("exit 1", name="failing", gpu_type="a100_80gb", gpu_num=4)

    failed_runs = get_runs(statuses=["FAILED"], cluster_names=["lab"], gpu_nums=[1, 2])
    delete_runs(failed_runs)

    assert run.name in names(failed_runs)
    assert names(get_runs([run, kept])) == [kept.name]


def test_completed_runs_older_than_a_month_are_deleted_by_name_pattern(machine: PlatformOfTests) -> None:
    old, new = ended(name="experiment1"), ended(name="experiment1")
    age = dt.timedelta(days=31) // dt.timedelta(milliseconds=1)
    with sqlite3.connect(machine.home / "platform.db") as database:
        database.execute("UPDATE runs SET created_at = created_at - ? WHERE name = ?", (age, old.name))
    database.close()

    completed = get_runs(statuses=["COMPLETED"])
    ref_date = dt.datetime.now() - dt.timedelta(days=30)
    old_runs = [r for r in completed if "experiment1" in r.name and r.created_at < ref_date]
    delete_runs(old_runs)

    assert names(old_runs) == [old.name]
    assert names(get_runs([old, new])) == [new.name]


def test_runs_go_on_while_the_server_is_dead_and_their_exit_codes_are_known(machine: PlatformOfTests) -> None:
    quick, slow = start("sleep 0.3; echo done; exit 5"), start("sleep 1.5; echo done; exit 6")
    for run in (quick, slow):
        wait_for_run_status(run, "RUNNING", timeout=20)
    machine.kill()
    log = machine.home / "logs" / quick.run_uid / "0" / "0.log"
    wait_until(lambda: log.read_text() == "done\n", "the first one ends while nobody looks")
    machine.running()
    for run, code in ((quick, 5), (slow, 6)):
        found = wait_for_run_status(run, "FAILED", timeout=20)
        assert found.reason == f"exit code {code}"
        assert get_run_logs(run) == "done\n"


def test_a_killed_process_is_told_as_such(machine: PlatformOfTests) -> None:
    run = start("kill -KILL $$")
    found = wait_for_run_status(run, "FAILED", timeout=20)
    assert "signal 9" in str(found.reason)
