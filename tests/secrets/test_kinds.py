"""What each kind of secret puts into a run, and what may be submitted as one."""

from __future__ import annotations

from typing import Any

import pytest

from mapi.domain.errors import BadRequest
from mapi.domain.runtime import Injection
from mapi.domain.secret_input import NewSecret, parse_secret
from mapi.domain.secrets import KINDS, OpenSecret, Secret, injection
from mcli.models.secret import SecretType

HIDDEN = "hunter2"


def submitted(kind: str, value: Any, metadata: Any = None, name: str = "my-own.one") -> NewSecret:
    return parse_secret({kind: {"name": name, "metadata": metadata or {}, "value": value}})


def opened(new: NewSecret, id_: str = "1") -> OpenSecret:
    return OpenSecret(Secret(id_, "me", new.name, new.kind.type, new.metadata, 0), new.value)


def injected(kind: str, value: Any, metadata: Any = None, root: str = "") -> Injection:
    return injection([opened(submitted(kind, value, metadata))], root)


WHERE = "/secrets/my-own.one"
OWN = {"SECRET_PATH_MY_OWN_ONE": f"{WHERE}/secret"}
GIT = f"ssh -i {WHERE}/secret -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
AWS = {"AWS_CONFIG_FILE": f"{WHERE}/config", "AWS_SHARED_CREDENTIALS_FILE": f"{WHERE}/credentials"}
OCI = {
    "OCI_CONFIG_FILE": f"{WHERE}/config",
    "OCI_CLI_CONFIG_FILE": f"{WHERE}/config",
    "OCI_CLI_KEY_FILE": f"{WHERE}/key_file",
}


@pytest.mark.parametrize(
    ("kind", "metadata", "value", "files", "env"),
    [
        ("envVarSecret", {"key": "HF_TOKEN"}, "v", [], {"HF_TOKEN": "v"}),
        ("mountedSecret", {}, "v", [("secret", "v", 0o644)], OWN),
        ("sshSecret", {}, "k\n", [("secret", "k\n", 0o400)], OWN),
        ("gitSSHSecret", {}, "k", [("secret", "k\n", 0o400)], {**OWN, "GIT_SSH_COMMAND": GIT}),
        (
            "sftpSSHSecret",
            {},
            "k",
            [("secret", "k\n", 0o400), ("known_hosts", "", 0o400)],
            {
                **OWN,
                "COMPOSER_SFTP_KEY_FILE": f"{WHERE}/secret",
                "COMPOSER_SFTP_KNOWN_HOSTS_FILE": f"{WHERE}/known_hosts",
            },
        ),
        (
            "dockerRegistrySecret",
            {},
            {"username": "u", "password": "p", "email": "e", "server": "s"},
            [],
            {},
        ),
        (
            "s3Secret",
            {},
            {"config": "c", "credentials": "x"},
            [("config", "c", 0o400), ("credentials", "x", 0o400)],
            AWS,
        ),
        (
            "s3Secret",
            {},
            {"config": "c", "credentials": "x", "profile": "lab"},
            [("config", "c", 0o400), ("credentials", "x", 0o400)],
            {**AWS, "AWS_PROFILE": "lab"},
        ),
        (
            "gcpSecret",
            {},
            "{}",
            [("secret", "{}", 0o400)],
            {**OWN, "GOOGLE_APPLICATION_CREDENTIALS": f"{WHERE}/secret"},
        ),
        (
            "ociSecret",
            {},
            {"config": "[DEFAULT]\nkey_file = ~/.oci/key.pem\n", "keyFile": "k"},
            [
                ("config", f"[DEFAULT]\nkey_file = {WHERE}/key_file\n", 0o400),
                ("key_file", "k", 0o400),
            ],
            OCI,
        ),
        (
            "databricksSecret",
            {},
            {"host": "https://dbx", "token": "t"},
            [],
            {"DATABRICKS_HOST": "https://dbx", "DATABRICKS_TOKEN": "t"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.endswith("Secret") else "",
)
def test_each_kind_becomes_its_files_and_variables(
    kind: str, metadata: Any, value: Any, files: list[tuple[str, str, int]], env: dict[str, str]
) -> None:
    found = injected(kind, value, metadata)
    assert [(file.path, file.text, file.mode) for file in found.files] == [
        (f"{WHERE}/{name}", text, mode) for name, text, mode in files
    ]
    assert found.env == env


def test_there_is_a_kind_for_every_type() -> None:
    assert [kind.type for kind in KINDS] == list(SecretType)


def test_where_nothing_can_be_mounted_everything_names_the_real_place() -> None:
    found = injected(
        "ociSecret", {"config": "key_file=x", "keyFile": "k"}, {"mountDirectory": "/oci/"}, "/real"
    )
    assert [file.path for file in found.files] == ["/real/oci/config", "/real/oci/key_file"]
    assert found.files[0].text == "key_file=/real/oci/key_file"
    assert found.env["OCI_CONFIG_FILE"] == "/real/oci/config"


def test_of_two_secrets_for_one_variable_the_younger_wins() -> None:
    both = [opened(submitted("envVarSecret", value, {"key": "TOKEN"}), value) for value in ("old", "new")]
    assert injection(both).env == {"TOKEN": "new"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "must have exactly one of envVarSecret"),
        ("envVarSecret", "must be an object"),
        ({"envVarSecret": {}, "sshSecret": {}}, "it has ['envVarSecret', 'sshSecret']"),
        (
            {"envSecret": {"name": "a", "value": HIDDEN}},
            "envSecret is no kind of secret; did you mean envVarSecret",
        ),
        ({"envVarSecret": HIDDEN}, "envVarSecret must be an object"),
        ({"mountedSecret": {"value": HIDDEN}}, "mountedSecret.name: None"),
        ({"mountedSecret": {"name": "Mine", "value": HIDDEN}}, "mountedSecret.name: 'Mine' is not accepted"),
        ({"mountedSecret": {"name": "a" * 254, "value": HIDDEN}}, "at most 253"),
        ({"mountedSecret": {"name": "a..b", "value": HIDDEN}}, "'a..b' is not accepted"),
        ({"mountedSecret": {"name": "a"}}, "mountedSecret.value must be a text"),
        ({"mountedSecret": {"name": "a", "value": {"x": HIDDEN}}}, "mountedSecret.value must be a text"),
        (
            {"mountedSecret": {"name": "a", "value": HIDDEN, "metadata": {"mountPath": "here"}}},
            "mountedSecret.metadata.mountPath: 'here' is no absolute path",
        ),
        (
            {"mountedSecret": {"name": "a", "value": HIDDEN, "metadata": {"mountPath": "/a/.."}}},
            "no absolute path",
        ),
        (
            {"mountedSecret": {"name": "a", "value": HIDDEN, "metadata": {"mountPath": "/x/../proc/self"}}},
            "has a use of its own in runs",
        ),
        (
            {"mountedSecret": {"name": "a", "value": HIDDEN, "metadata": {"mountPath": "/mnt/config/"}}},
            "'/mnt/config/' has a use of its own in runs",
        ),
        (
            {"envVarSecret": {"name": "a", "value": HIDDEN, "metadata": {"key": "A-B"}}},
            "envVarSecret.metadata.key: 'A-B' is no name of a variable",
        ),
        ({"envVarSecret": {"name": "a", "value": f"{HIDDEN}\0", "metadata": {"key": "A"}}}, "null character"),
        ({"s3Secret": {"name": "a", "value": {"config": HIDDEN}}}, "s3Secret.value lacks credentials"),
        ({"databricksSecret": {"name": "a", "value": HIDDEN}}, "databricksSecret.value lacks host, token"),
        (
            {"databricksSecret": {"name": "a", "value": {"host": HIDDEN, "token": 5}}},
            "databricksSecret.value: token must be text",
        ),
    ],
)
def test_a_mistake_is_named_and_no_value_is_repeated(data: Any, says: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_secret(data)
    assert says in caught.value.message
    assert HIDDEN not in caught.value.message


def test_nothing_that_carries_a_value_shows_it_when_it_is_printed() -> None:
    new = submitted("gcpSecret", HIDDEN)
    variable = submitted("envVarSecret", HIDDEN, {"key": "A"})
    for item in (new, opened(new), injection([opened(new), opened(variable)])):
        assert HIDDEN not in repr(item)
        assert HIDDEN not in f"{item}"
