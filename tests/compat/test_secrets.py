"""Secrets of every kind, made, listed and deleted by the published clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.calls import shows
from tests.compat.published import Published

FILES = {
    "key": "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n",
    "config": "[default]\nregion = nowhere\nkey_file=~/.oci/key.pem\n",
    "credentials": "[default]\naws_access_key_id = a\naws_secret_access_key = b\n",
    "gcp.json": '{"type": "service_account"}\n',
}

#: What comes after `mcli create secret`, by kind. `{}` stands for the folder of the files.
KINDS = {
    "env": "env GREETING=hello",
    "mounted": "mounted {}/key --mount-path /secrets/here",
    "docker": "docker --username u --password p --email e@x --server https://registry.example",
    "ssh": "ssh {}/key --mount-path /secrets/ssh",
    "git-ssh": "git-ssh {}/key --mount-path /secrets/git",
    "sftp-ssh": "sftp-ssh {}/key --mount-path /secrets/sftp --host-name sftp.example --no-host-check",
    "s3": "s3 --config-file {0}/config --credentials-file {0}/credentials --mount-directory /secrets/s3",
    "gcp": "gcp --credentials-file {}/gcp.json --mount-path /secrets/gcp",
    "oci": "oci --config-file {0}/config --key-file {0}/key --mount-directory /secrets/oci",
    "databricks": "databricks --host https://dbc.example --token t",
    "hf": f"hf --token hf_{'a' * 34}",
}


@shows("mcli create secret", "mcli get secrets", "mcli delete secret", "get_secrets")
@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_made_listed_and_deleted(
    client: Published, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    # The client asks the host for its key with this program; there is no host, so its answer is ours.
    keyscan = tmp_path / "ssh-keyscan"
    keyscan.write_text("#!/bin/sh\necho sftp.example ssh-ed25519 AAAA\n")
    keyscan.chmod(0o755)
    client = client.with_environment(tmp_path, PATH=f"{tmp_path}:{client.path}")
    request.addfinalizer(client.close)
    words = KINDS[kind].format(tmp_path).split()
    made = client.cli("create", "secret", *words, "--name", "published-secret", "--no-input")
    assert made.code == 0, made
    listed = client.cli("get", "secrets")
    assert "published-secret" in listed.out
    (name,) = client("[s.name for s in mcli.get_secrets()]")
    assert name.startswith("published-secret")  # some kinds of some clients add to what they are given
    deleted = client.cli("delete", "secret", name, "-y")
    assert deleted.code == 0, deleted
    assert client("len(mcli.get_secrets())") == 0


@shows("mcli create secret")
def test_a_name_is_taken_once(client: Published) -> None:
    create = ("create", "secret", "env", "A=1", "--name", "taken", "--no-input")
    assert client.cli(*create).code == 0
    assert "409" in client.cli(*create).text
    assert client.cli("delete", "secret", "taken", "-y").code == 0


@shows("mcli create secret")
def test_a_run_is_given_the_secret(client: Published) -> None:
    assert (
        client.cli("create", "secret", "env", "GREETING=hello", "--name", "greeting", "--no-input").code == 0
    )
    client.finished("echo ${#GREETING} characters")
    assert client("''.join(get_run_logs(run))") == "5 characters\n"
    assert client.cli("delete", "secret", "greeting", "-y").code == 0
