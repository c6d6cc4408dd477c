from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mapi.clusters.base import LaunchFailed
from mapi.clusters.local.cluster import LocalCluster
from mapi.clusters.local.rank import RankFiles
from mapi.clusters.local.settings import LocalSettings
from tests.clusters.suite import ClusterSuite, LogFiles, Stage, play


class TestLocal(ClusterSuite):
    """The promises of every cluster, on this machine."""


def test_the_parameters_are_mounted_for_the_run_and_for_nobody_else(new_stage: Callable[[], Stage]) -> None:
    before = sorted(Path("/mnt").iterdir())

    async def scene(stage: Stage) -> None:
        command = "echo $PARAMETERS; cat /mnt/config/parameters.yaml; echo up; sleep 1000"
        launches = [await stage.launch(command, parameters=f"lr: {number}\n") for number in (1, 2)]
        for number, launch in enumerate(launches, 1):
            await stage.logged(launch, b"up")
            log = stage.read_log(launch.execution, 0).decode()
            assert log == f"/mnt/config/parameters.yaml\nlr: {number}\nup\n"
        assert sorted(Path("/mnt").iterdir()) == before
        _, listed = await stage.run("ls -A /mnt")
        assert set(listed.decode().split()) == {path.name for path in before} | {"config"}

    play(new_stage, scene)


def test_a_command_starts_in_an_empty_directory_of_its_own(
    tmp_path: Path, new_stage: Callable[[], Stage]
) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("ls -A; pwd; touch result")
        await stage.exited(launch)
        work = RankFiles(tmp_path, launch.execution, 0).directory / "work"
        assert stage.read_log(launch.execution, 0).decode() == f"{work}\n"
        assert (work / "result").exists()
        await stage.cluster.forget(launch.execution.run_id)
        assert not (tmp_path / "runs" / launch.execution.run_id).exists()

    play(new_stage, scene)


def test_a_command_starts_with_signals_and_descriptors_as_a_shell_expects(
    new_stage: Callable[[], Stage],
) -> None:
    async def scene(stage: Stage) -> None:
        _, log = await stage.run(
            "grep -E '^Sig(Blk|Ign)' /proc/self/status; "
            "ls -l /proc/$$/fd | grep -c -- '->'; readlink /proc/$$/fd/0"
        )
        _, blocked, _, ignored, descriptors, stdin = log.decode().split()
        assert int(blocked, 16) == 0
        assert int(ignored, 16) & 0x7FFFFFFF == 0  # above are the C library's own
        assert descriptors == "3"
        assert stdin == "/dev/null"

    play(new_stage, scene)


def test_the_platforms_own_settings_are_not_in_a_runs_environment(
    monkeypatch: pytest.MonkeyPatch, new_stage: Callable[[], Stage]
) -> None:
    names = ("MOSAICML_API_KEY", "MCLI_CONFIG", "MAPI_DATABASE", "RANK", "LOCAL_RANK")
    for name in names:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("SHARED", "kept")

    async def scene(stage: Stage) -> None:
        _, log = await stage.run("env", env={"MAPI_TOKEN": "the user's own"})
        found = dict(line.split("=", 1) for line in log.decode().splitlines())
        assert not found.keys() & set(names)
        assert found["SHARED"] == "kept"
        assert found["MAPI_TOKEN"] == "the user's own"
        assert found["MOSAICML_PLATFORM"] == "true"

    play(new_stage, scene)


def test_secrets_of_the_environment_are_on_no_disk(tmp_path: Path, new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("echo up; sleep 1000", env={"TOKEN": "hunter2"})
        await stage.logged(launch, b"up")
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) >= 4
        assert not [path for path in files if b"hunter2" in path.read_bytes()]

    play(new_stage, scene)


def test_an_image_is_ignored_with_a_notice(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        launch = await stage.launch("true", image="mosaicml/composer:latest", nodes=2)
        notice = await stage.noticed(launch, "IMAGE_IGNORED")
        assert "mosaicml/composer:latest" in notice.message

    play(new_stage, scene)


def test_a_command_the_system_cannot_start_fails_as_in_a_shell(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        exited, _ = await stage.run(": " + "x" * 200_000)
        assert (exited.exit_code, exited.system) == (126, False)
        assert "Argument list too long" in (exited.reason or "")

    play(new_stage, scene)


def test_a_log_that_cannot_be_written_is_no_fault_of_the_run(tmp_path: Path) -> None:
    nowhere = LogFiles(tmp_path / "missing")

    async def scene(stage: Stage) -> None:
        launch = await stage.launch("true")
        exited = await stage.exited(launch)
        assert exited.system
        assert "missing/run-0-0-0.log" in (exited.reason or "")
        assert not stage.of(LaunchFailed, launch)

    play(lambda: Stage(lambda: LocalCluster("here", tmp_path, LocalSettings(), nowhere), nowhere), scene)


def test_a_run_id_cannot_lead_out_of_the_home(new_stage: Callable[[], Stage]) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(ValueError, match=r"run id '\.\./\.\.' is not a name"):
            await stage.cluster.forget("../..")

    play(new_stage, scene)
