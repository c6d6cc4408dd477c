"""A program in a run is who its owner is, for as long as the run goes on, and needs no set-up for it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from mcli import (
    MAPIException,
    Run,
    RunConfig,
    create_run,
    get_current_user,
    get_organizations,
    get_run,
    get_run_logs,
    get_runs,
    get_users,
    stop_run,
    wait_for_run_status,
)
from tests.conftest import PlatformOfTests, wait_until

MAPI = (sys.executable, "-m", "mapi")

#: Puts the token where the test finds it, and goes on until it is told to end.
WAITING = "cat $MOSAICML_ACCESS_TOKEN_FILE > token; echo up; until [ -e go ]; do sleep 0.02; done"


def start(command: str, **fields: object) -> Run:
    return create_run(RunConfig(name="inside", image="bash", command=command, **fields))  # type: ignore[arg-type]


def python(program: str) -> str:
    return f"{sys.executable} -c {shlex.quote(program)}"


def work_directory(run: Run, resumption: int = 0) -> Path:
    home = Path(os.environ["MCLI_CONFIG_DIR"]) / "platform"
    (found,) = home.glob(f"clusters/*/runs/{run.run_uid}/{resumption}/0/work")
    return found


def token_of(run: Run, resumption: int = 0) -> Path:
    """The file with the token of a run that waits, once it waits."""
    wait_until(lambda: len(get_run(run).resumptions) > resumption, "it is there")
    wait_for_run_status(run, "RUNNING", timeout=20)
    wait_until(lambda: "up" in get_run_logs(run, resumption=resumption), "it waits")
    return work_directory(run, resumption) / "token"


@contextmanager
def asking_with(machine: PlatformOfTests, **variables: object) -> Iterator[None]:
    """Be to the platform what a program with these variables is, as one in a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOSAICML_API_ENDPOINT", machine.running().endpoint)
        for name, value in variables.items():
            patch.setenv(f"MOSAICML_{name}", str(value))
        yield


def test_a_run_can_report_and_submit_without_any_set_up(machine: PlatformOfTests) -> None:
    program = """
import mcli, os
mcli.update_run_metadata(os.environ["RUN_NAME"], {"loss": 0.5})
child = mcli.create_run(mcli.RunConfig(name="child", image="bash", command="true"))
mcli.wait_for_run_status(child, "COMPLETED", timeout=20)
print(child.name, mcli.get_current_user().email)
"""
    run = start(f"export HOME=$PWD; {python(program)} && ls -A")
    ended = wait_for_run_status(run, "COMPLETED", timeout=30)
    assert ended.metadata == {"loss": 0.5}
    child, email = get_run_logs(run).split()  # and nothing else: no platform was started at home
    assert get_run(child).config.parent_name == run.name
    assert email == get_current_user().email


def test_a_key_in_a_file_that_happens_to_be_there_changes_nothing(machine: PlatformOfTests) -> None:
    run = start(
        "export HOME=$PWD; mkdir .mosaic; echo 'MOSAICML_API_KEY: another' > .mosaic/mcli_config; "
        + python("import mcli; print(mcli.get_current_user().name)")
    )
    wait_for_run_status(run, "COMPLETED", timeout=30)
    assert get_run_logs(run).strip() == get_current_user().name


def test_the_command_line_works_in_a_run(machine: PlatformOfTests) -> None:
    run = start(f"{Path(sys.executable).with_name('mcli')} describe run $RUN_NAME --no-yaml")
    wait_for_run_status(run, "COMPLETED", timeout=30)
    assert run.name in get_run_logs(run)


def test_the_token_is_a_file_for_the_run_only(machine: PlatformOfTests) -> None:
    run = start("stat -c '%a %n' $MOSAICML_ACCESS_TOKEN_FILE; echo $MOSAICML_MINT_ENDPOINT")
    wait_for_run_status(run, "COMPLETED", timeout=20)
    assert get_run_logs(run) == f"400 /mnt/access/token\n{machine.running().mint_endpoint}\n"
    assert not Path("/mnt/access").exists()


def test_the_token_is_refused_when_the_run_is_over(machine: PlatformOfTests) -> None:
    run = start(WAITING)
    token = token_of(run)
    with asking_with(machine, ACCESS_TOKEN_FILE=token):
        assert run.name in [found.name for found in get_runs()]
    (work_directory(run) / "go").touch()
    wait_for_run_status(run, "COMPLETED", timeout=20)
    with (
        asking_with(machine, ACCESS_TOKEN_FILE=token),
        pytest.raises(MAPIException, match="belongs to a run that is over") as caught,
    ):
        get_runs()
    assert caught.value.status == HTTPStatus.UNAUTHORIZED


def test_the_token_is_as_good_after_a_restart_of_the_platform(machine: PlatformOfTests) -> None:
    run = start(WAITING)
    token = token_of(run)
    before = machine.running().endpoint
    machine.kill()
    assert machine.running().endpoint == before
    with asking_with(machine, ACCESS_TOKEN_FILE=token):
        assert get_current_user().email
    (work_directory(run) / "go").touch()
    wait_for_run_status(run, "COMPLETED", timeout=20)


def test_each_resumption_has_a_token_of_its_own(machine: PlatformOfTests) -> None:
    run = start(f"{WAITING}; exit 1", scheduling={"max_retries": 1})
    first = token_of(run)
    (work_directory(run) / "go").touch()
    second = token_of(run, 1)
    with asking_with(machine, ACCESS_TOKEN_FILE=second):
        assert get_current_user().email
    with asking_with(machine, ACCESS_TOKEN_FILE=first), pytest.raises(MAPIException) as caught:
        get_current_user()
    assert caught.value.status == HTTPStatus.UNAUTHORIZED


def test_a_made_up_token_is_refused(machine: PlatformOfTests, tmp_path: Path) -> None:
    run = start(WAITING)
    real = token_of(run).read_text()
    made_up = tmp_path / "token"
    for text in (real[:-1], real.replace(".0.", ".1."), f"run.{run.run_uid}.0.", "run"):
        made_up.write_text(text)
        with asking_with(machine, ACCESS_TOKEN_FILE=made_up), pytest.raises(MAPIException) as caught:
            get_current_user()
        assert caught.value.status == HTTPStatus.UNAUTHORIZED


def test_a_run_of_one_user_cannot_touch_the_runs_of_another(machine: PlatformOfTests) -> None:
    mine = start("sleep 60")
    added = subprocess.run(
        [*MAPI, "user", "add", "eve", "--email", "eve@example.org", "--home", machine.home],
        capture_output=True,
        text=True,
        check=True,
    )
    with asking_with(machine, API_KEY=added.stdout.strip()):
        hers = start(WAITING)
        token = token_of(hers)
    with asking_with(machine, ACCESS_TOKEN_FILE=token):
        assert get_current_user().email == "eve@example.org"
        assert [run.name for run in get_runs()] == [hers.name]
        with pytest.raises(MAPIException) as caught:
            stop_run(mine)
        assert caught.value.status == HTTPStatus.NOT_FOUND
        assert [user.name for user in get_users(emails="eve@example.org")] == ["eve"]
        assert [organization.name for organization in get_organizations()] == ["default"]
        stop_run(hers)
