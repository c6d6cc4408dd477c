"""Secrets and users, from the command line. A value is given on stdin or in a file, and printed nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Mcli, mcli, offline

__all__ = ["mcli", "offline"]

HIDDEN = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def _no_secrets(mcli: Mcli) -> Iterator[None]:
    yield
    if mcli("get", "secrets", "-o", "name").stdout:
        mcli("delete", "secrets", "--all", "-y")


def file(mcli: Mcli, name: str, text: str = HIDDEN) -> str:
    path = mcli.directory / name
    path.write_text(text)
    return str(path)


def records(mcli: Mcli) -> dict[str, dict[str, object]]:
    printed = mcli("get", "secrets", "-o", "json").stdout
    assert HIDDEN not in printed
    return {record["name"]: record for record in json.loads(printed)}


def test_a_value_is_read_from_stdin_and_reaches_the_run(mcli: Mcli) -> None:
    name = mcli("create", "secret", "env", "MY_TOKEN", stdin=f"{HIDDEN}\n").stdout.strip()
    assert name.startswith("my-token-")
    assert records(mcli)[name]["key"] == "MY_TOKEN"
    run = mcli("run", "-f", mcli.config("echo $MY_TOKEN"), "--follow")
    assert run.stdout == f"{HIDDEN}\n"


def test_every_kind_is_created(mcli: Mcli) -> None:
    secret, config = (
        file(mcli, "secret.key"),
        file(mcli, "oci-config", f"key_file={mcli.directory}/secret.key\n"),
    )
    for arguments, stdin in (
        (["env", f"KEY={HIDDEN}", "--name", "env"], ""),
        (["hf"], HIDDEN),
        (["mounted", secret, "--name", "mounted", "--mount-path", "/mine"], ""),
        (["ssh", secret, "--name", "ssh"], ""),
        (["git-ssh", secret], ""),
        (["sftp-ssh", secret], ""),
        (["docker", "--username", "me", "--server", "https://images.example.org"], HIDDEN),
        (["s3", "--config-file", config, "--credentials-file", secret], ""),
        (["gcp", "--credentials-file", secret], ""),
        (["oci", "--config-file", config, "--mount-directory", "/oci"], ""),
        (["databricks", "--host", "https://dbx.example.org"], HIDDEN),
    ):
        mcli("create", "secret", *arguments, "--no-input", stdin=stdin)
    found = records(mcli)
    assert {name: record["type"] for name, record in found.items()} == {
        "env": "ENV_VAR",
        "hf-token": "ENV_VAR",
        "mounted": "MOUNTED",
        "ssh": "SSH",
        "git-ssh": "GIT_SSH",
        "sftp-ssh": "SFTP_SSH",
        "docker": "DOCKER_REGISTRY",
        "s3": "S3",
        "gcp": "GCP",
        "oci": "OCI",
        "databricks": "DATABRICKS",
    }
    assert found["hf-token"]["key"] == "HF_TOKEN"
    assert found["mounted"]["mount_path"] == "/mine"
    assert found["ssh"]["mount_path"] == "/secrets/ssh"


def test_a_file_names_its_secret(mcli: Mcli) -> None:
    name = mcli("create", "secret", "mounted", file(mcli, "Model License.txt")).stdout.strip()
    assert name.startswith("model-license-txt-")


def test_the_list_says_where_runs_find_them(mcli: Mcli) -> None:
    mcli("create", "secret", "env", f"KEY={HIDDEN}", "--name", "one")
    mcli("create", "secret", "mounted", file(mcli, "two"), "--name", "two")
    lines = mcli("get", "secrets").stdout.splitlines()
    assert lines[0].split()[:2] == ["NAME", "TYPE"]
    assert lines[1].split()[:3] == ["one", "env-var", "KEY"]
    assert lines[2].split()[:3] == ["two", "mounted", "/secrets/two"]
    assert mcli("get", "secrets", "t*", "-o", "name").stdout == "two\n"
    assert mcli("get", "secrets", "--type", "env-var", "-o", "name").stdout == "one\n"


def test_secrets_are_deleted_by_name_or_pattern(mcli: Mcli) -> None:
    for name in ("a-1", "a-2", "b"):
        mcli("create", "secret", "env", f"KEY={HIDDEN}", "--name", name)
    assert "say yes with -y" in mcli("delete", "secrets", "a-*", code=1).stderr
    assert mcli("delete", "secrets", "a-*", "-y").stdout == "a-1\na-2\n"
    assert mcli("delete", "secret", "b").stdout == "b\n"
    assert "Which secrets?" in mcli("delete", "secret", code=1).stderr


def test_mistakes_are_explained(mcli: Mcli) -> None:
    mcli("create", "secret", "env", f"KEY={HIDDEN}", "--name", "token")
    assert "Did you mean 'token'?" in mcli("delete", "secret", "tokne", code=1).stderr
    assert "exists already" in mcli("create", "secret", "env", "K=v", "--name", "token", code=1).stderr
    assert "the value of K is missing" in mcli("create", "secret", "env", "K", code=1).stderr
    assert "no-such-file: No such file" in mcli("create", "secret", "ssh", "no-such-file", code=1).stderr
    broken = mcli("create", "secret", "env", f"A-B={HIDDEN}", code=1).stderr
    assert "'A-B' is no name of a variable" in broken
    assert HIDDEN not in broken


def test_who_am_i_and_who_is_there(mcli: Mcli) -> None:
    me = json.loads(mcli("describe", "me", "-o", "json").stdout)
    assert me["email"] in mcli("describe", "me").stdout
    assert me["email"] in mcli("get", "users", "-o", "name").stdout.split()


def test_help_needs_no_platform(offline: Mcli) -> None:
    printed = offline("create", "secret", "--help").stdout
    assert "databricks" in printed
    assert not (Path(offline.directory) / "config").exists()
