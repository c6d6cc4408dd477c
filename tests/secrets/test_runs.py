"""What a run sees of its owner's secrets, and where else they are to be seen: nowhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcli import (
    MCLIDatabricksSecret,
    MCLIDockerSecret,
    MCLIEnvVarSecret,
    MCLIGCPSecret,
    MCLIGitSSHSecret,
    MCLIMountedSecret,
    MCLIOCISecret,
    MCLIS3Secret,
    MCLISFTPSSHSecret,
    MCLISSHSecret,
    Run,
    RunConfig,
    Secret,
    create_run,
    create_secret,
    delete_secrets,
    get_run,
    get_run_logs,
    get_secrets,
    stop_run,
    wait_for_run_status,
)
from tests.conftest import PlatformOfTests, wait_until

#: In every value there is.
HIDDEN = "hunter2-hunter2"


def start(command: str, **fields: object) -> Run:
    return create_run(RunConfig(name="secrets", image="bash", command=command, **fields))  # type: ignore[arg-type]


def output(command: str, **fields: object) -> str:
    run = start(command, **fields)
    wait_for_run_status(run, "COMPLETED", timeout=20)
    return get_run_logs(run)


@pytest.fixture(autouse=True)
def _no_secrets(machine: PlatformOfTests) -> Iterator[None]:
    yield
    machine.running()
    delete_secrets(get_secrets())


@pytest.mark.parametrize(
    ("secret", "command", "seen"),
    [
        (MCLIEnvVarSecret("t", key="TOKEN", value=HIDDEN), "echo $TOKEN", HIDDEN),
        (
            MCLIMountedSecret("my.file", value=HIDDEN),
            "stat -c '%a %n' $SECRET_PATH_MY_FILE; cat /secrets/my.file/secret",
            f"644 /secrets/my.file/secret\n{HIDDEN}",
        ),
        (
            MCLIMountedSecret("a", mount_path="/licenses/of/model", value=HIDDEN),
            "stat -c '%a %n' $SECRET_PATH_A; cat /licenses/of/model/secret",
            f"644 /licenses/of/model/secret\n{HIDDEN}",
        ),
        (
            MCLISSHSecret("my-key", mount_path="/mnt/keys", value=HIDDEN),
            "stat -c '%a %n' $SECRET_PATH_MY_KEY; cat /mnt/keys/secret",
            f"400 /mnt/keys/secret\n{HIDDEN}",
        ),
        (
            MCLIGitSSHSecret("git", value=HIDDEN),
            "stat -c '%a %n' /secrets/git/secret; echo $GIT_SSH_COMMAND",
            "400 /secrets/git/secret\n"
            "ssh -i /secrets/git/secret -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        ),
        (
            MCLISFTPSSHSecret("sftp", value=HIDDEN),
            "stat -c '%a %n' $COMPOSER_SFTP_KEY_FILE $COMPOSER_SFTP_KNOWN_HOSTS_FILE",
            "400 /secrets/sftp/secret\n400 /secrets/sftp/known_hosts",
        ),
        (MCLIDockerSecret("d", username="me", password=HIDDEN), f"env | grep -c {HIDDEN} || true", "0"),
        (
            MCLIS3Secret("s3", config="[default]", credentials=HIDDEN),
            "stat -c '%a %n' $AWS_CONFIG_FILE $AWS_SHARED_CREDENTIALS_FILE; cat /secrets/s3/*",
            f"400 /secrets/s3/config\n400 /secrets/s3/credentials\n[default]{HIDDEN}",
        ),
        (
            MCLIGCPSecret("gcp", value=HIDDEN),
            "stat -c '%a %n' $GOOGLE_APPLICATION_CREDENTIALS; cat $SECRET_PATH_GCP",
            f"400 /secrets/gcp/secret\n{HIDDEN}",
        ),
        (
            MCLIOCISecret("oci", mount_directory="/oci", config="key_file=~/key\n", key_file=HIDDEN),
            "stat -c '%a %n' $OCI_CLI_KEY_FILE; cat $OCI_CONFIG_FILE",
            "400 /oci/key_file\nkey_file=/oci/key_file",
        ),
        (
            MCLIDatabricksSecret("dbx", host="https://dbx", token=HIDDEN),
            "echo $DATABRICKS_HOST $DATABRICKS_TOKEN",
            f"https://dbx {HIDDEN}",
        ),
    ],
    ids=lambda value: value.secret_type.value if isinstance(value, Secret) else "",
)
def test_a_run_gets_each_kind_where_its_programs_look_for_it(secret: Secret, command: str, seen: str) -> None:
    create_secret(secret)
    assert output(command).strip() == seen


def test_every_rank_gets_them() -> None:
    create_secret(MCLIMountedSecret("file", value=HIDDEN))
    run = start("cat $SECRET_PATH_FILE", compute={"nodes": 2, "gpus": 0})
    wait_for_run_status(run, "COMPLETED", timeout=20)
    assert [get_run_logs(run, rank=rank) for rank in (0, 1)] == [HIDDEN, HIDDEN]


def test_the_variables_of_a_run_win() -> None:
    create_secret(MCLIEnvVarSecret("t", key="TOKEN", value=HIDDEN))
    assert output("echo $TOKEN", env_variables=[{"key": "TOKEN", "value": "mine"}]) == "mine\n"


def test_a_deleted_secret_is_in_no_later_run_and_stays_in_those_that_have_it() -> None:
    create_secret(MCLIMountedSecret("file", value=HIDDEN))
    run = start("echo up; until [ -e go ]; do sleep 0.02; done; cat $SECRET_PATH_FILE")
    wait_until(lambda: "up" in get_run_logs(run) if get_run(run).started_at else False, "it runs")
    delete_secrets("file")
    assert output("echo ${SECRET_PATH_FILE:-none}; ls -d /secrets 2>&1 || true").startswith("none\n")
    (work_directory(run) / "go").touch()
    wait_for_run_status(run, "COMPLETED", timeout=20)
    assert get_run_logs(run).endswith(HIDDEN)


def work_directory(run: Run) -> Path:
    home = Path(os.environ["MCLI_CONFIG_DIR"]) / "platform"
    (found,) = home.glob(f"clusters/*/runs/{run.run_uid}/0/0/work")
    return found


def test_the_rest_of_the_machine_looks_as_before() -> None:
    create_secret(MCLIMountedSecret("file", value=HIDDEN))
    before = names_in("/")
    listed = output("ls -A /; cat /proc/self/stat > /dev/null")
    assert set(listed.split()) == before | {"secrets"}
    assert names_in("/") == before


def names_in(directory: str) -> set[str]:
    return {path.name for path in Path(directory).iterdir()}


def test_no_value_is_anywhere_but_in_the_run(machine: PlatformOfTests) -> None:
    """Not in the database, a log, an event, or a file: neither while the run goes on nor afterwards."""
    only = "of-this-test-only"  # other tests print theirs
    create_secret(MCLIEnvVarSecret("t", key="TOKEN", value=only))
    create_secret(MCLIMountedSecret("file", value=only))
    run = start("sha256sum < $SECRET_PATH_FILE; until [ -e go ]; do sleep 0.02; done")
    wait_until(lambda: "-" in get_run_logs(run) if get_run(run).started_at else False, "it runs")
    assert files_with(only, machine.home) == []
    (work_directory(run) / "go").touch()
    ended = wait_for_run_status(run, "COMPLETED", timeout=20)
    assert only not in repr(ended)
    assert only not in " ".join(event.event_message for event in ended.events)
    assert files_with(only, machine.home) == []


def files_with(text: str, home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_secret_that_would_hide_the_platform_itself_fails_its_runs_with_the_reason(
    machine: PlatformOfTests,
) -> None:
    create_secret(MCLIMountedSecret("file", mount_path=str(machine.home), value=HIDDEN))
    run = start("true")
    ended = wait_until(lambda: (now := get_run(run)).status.is_terminal() and now, "it has ended")
    assert f"a secret would hide {machine.home}" in str(ended.reason)


def test_a_secret_whose_key_is_gone_fails_its_runs_with_the_reason(machine: PlatformOfTests) -> None:
    create_secret(MCLIMountedSecret("file", value=HIDDEN))
    machine.kill()
    key = machine.home / "secret_key"
    assert key.stat().st_mode & 0o777 == 0o600
    kept = key.read_text()
    key.unlink()
    try:
        run = start("true")
        ended = wait_until(lambda: (now := get_run(run)).status.is_terminal() and now, "it has ended")
        assert "secret 'file' cannot be opened" in str(ended.reason)
    finally:
        machine.kill()
        key.write_text(kept)


NO_MOUNTS = 'echo 0 > /proc/sys/user/max_mnt_namespaces; exec "$0" -P -m mapi serve --home "$1"'


@pytest.fixture
def without_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: PlatformOfTests
) -> Iterator[Path]:
    """A platform on a system that allows no mounts."""
    platform = PlatformOfTests(tmp_path)
    platform.use(monkeypatch)
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", NO_MOUNTS]
    try:
        server = subprocess.Popen([*command, sys.executable, str(platform.home)])
    except FileNotFoundError:
        pytest.skip("unshare is not here")
    try:
        wait_until(
            lambda: (platform.home / "platform.json").exists() or server.poll() is not None, "it is up"
        )
        if server.poll() is not None:
            pytest.skip("this system allows no user namespaces")
        yield platform.home
    finally:
        server.terminate()
        server.wait(20)
        machine.use(monkeypatch)


def test_where_nothing_can_be_mounted_the_variables_name_the_real_files(without_mounts: Path) -> None:
    create_secret(MCLIMountedSecret("file", value=HIDDEN))
    create_secret(MCLIOCISecret("oci", config="key_file=~/key\n", key_file="k"))
    run = start(
        "cat $SECRET_PATH_FILE $OCI_CONFIG_FILE; echo $OCI_CLI_KEY_FILE; stat -c %a $OCI_CLI_KEY_FILE;"
        "stat -c %a ${SECRET_PATH_FILE%/secrets/*}; until [ -e go ]; do sleep 0.02; done"
    )
    wait_until(lambda: get_run_logs(run).endswith("\n700\n") if get_run(run).started_at else False, "it runs")
    private = work_directory(run).parent / "private"
    key = private / "secrets/oci/key_file"
    assert get_run_logs(run).splitlines() == [f"{HIDDEN}key_file={key}", str(key), "400", "700"]
    (work_directory(run) / "go").touch()
    wait_for_run_status(run, "COMPLETED", timeout=20)
    assert not private.exists()


def test_they_are_gone_also_when_the_supervisor_was_killed(without_mounts: Path) -> None:
    create_secret(MCLIMountedSecret("file", value=HIDDEN))
    run = start("echo $PPID; sleep 60")
    wait_until(lambda: get_run(run).started_at and get_run_logs(run), "it runs")
    assert len(files_with(HIDDEN, without_mounts)) == 1
    os.kill(int(get_run_logs(run)), signal.SIGKILL)
    wait_until(lambda: get_run(run).status.is_terminal(), "it has ended")
    assert files_with(HIDDEN, without_mounts) == []


def test_a_stopped_run_leaves_nothing(machine: PlatformOfTests) -> None:
    only = "of-this-test-alone"
    create_secret(MCLIMountedSecret("file", value=only))
    run = start("sleep 60")
    wait_for_run_status(run, "RUNNING", timeout=20)
    stop_run(run)
    wait_for_run_status(run, "STOPPED", timeout=20)
    assert files_with(only, machine.home) == []
