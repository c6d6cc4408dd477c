"""Secrets through the Python API: kept, listed without values, unique, deleted."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest

import mcli
from mcli import (
    MAPIException,
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
    Secret,
    SecretType,
    create_secret,
    delete_secrets,
    get_secrets,
)
from tests.conftest import PlatformOfTests

HIDDEN = "hunter2-hunter2"

EVERY_KIND = [
    MCLIEnvVarSecret("env", key="TOKEN", value=HIDDEN),
    MCLIMountedSecret("mounted", value=HIDDEN),
    MCLISSHSecret("ssh", value=HIDDEN),
    MCLIGitSSHSecret("git-ssh", value=HIDDEN),
    MCLISFTPSSHSecret("sftp-ssh", value=HIDDEN),
    MCLIDockerSecret("docker", username="me", password=HIDDEN),
    MCLIS3Secret("s3", config="[default]", credentials=HIDDEN),
    MCLIGCPSecret("gcp", value=HIDDEN),
    MCLIOCISecret("oci", config="[DEFAULT]", key_file=HIDDEN),
    MCLIDatabricksSecret("databricks", host="https://dbx", token=HIDDEN),
]


@pytest.fixture(autouse=True)
def _no_secrets(machine: PlatformOfTests) -> Iterator[None]:
    yield
    delete_secrets(get_secrets())


def test_every_kind_is_kept_and_comes_back_without_its_value() -> None:
    for secret in EVERY_KIND:
        created = create_secret(secret)
        assert type(created) is type(secret)
        assert created.id
        assert created.created_at
        assert HIDDEN not in repr(created)
        assert all(getattr(created, name) is None for name in secret.HIDDEN)
    found = get_secrets()
    assert [secret.name for secret in found] == [secret.name for secret in EVERY_KIND]
    assert {secret.secret_type for secret in found} == set(SecretType)


def test_where_a_run_finds_it_is_told() -> None:
    create_secret(MCLIEnvVarSecret("env", key="TOKEN", value=HIDDEN))
    create_secret(MCLISSHSecret("key", value=HIDDEN))
    create_secret(MCLIOCISecret("oci", mount_directory="/oci", config="c", key_file=HIDDEN))
    variable, key, oci = get_secrets()
    assert isinstance(variable, MCLIEnvVarSecret)
    assert isinstance(key, MCLISSHSecret)
    assert isinstance(oci, MCLIOCISecret)
    assert (variable.key, key.mount_path, oci.mount_directory) == ("TOKEN", "/secrets/key", "/oci")


def test_secrets_are_found_by_name_and_by_kind() -> None:
    for secret in EVERY_KIND:
        create_secret(secret)
    assert [secret.name for secret in get_secrets(["ssh", "gcp", "nobody"])] == ["ssh", "gcp"]
    assert [secret.name for secret in get_secrets(secret_types=["git-ssh", SecretType.S3])] == [
        "git-ssh",
        "s3",
    ]
    assert get_secrets([]) == []
    assert get_secrets("ssh", future=True).result(10)[0].name == "ssh"
    with pytest.raises(ValueError, match=r"'gitssh' is not one of .*; did you mean 'GIT_SSH'"):
        get_secrets(secret_types="gitssh")


def test_a_name_is_given_once() -> None:
    create_secret(MCLIEnvVarSecret("token", key="TOKEN", value=HIDDEN))
    with pytest.raises(MAPIException, match="'token' exists already") as caught:
        create_secret(MCLIMountedSecret("token", value=HIDDEN))
    assert caught.value.status == HTTPStatus.CONFLICT


@pytest.mark.parametrize("kind", [MCLIGitSSHSecret, MCLISFTPSSHSecret])
def test_there_is_one_key_for_git_and_one_for_sftp(kind: type[MCLISSHSecret]) -> None:
    create_secret(kind("first", value=HIDDEN))
    with pytest.raises(
        MAPIException, match=r"only one .* secret is accepted, and there is 'first'"
    ) as caught:
        create_secret(kind("second", value=HIDDEN))
    assert caught.value.status == HTTPStatus.CONFLICT
    delete_secrets("first")
    create_secret(kind("second", value=HIDDEN))


def test_two_secrets_cannot_have_the_same_place() -> None:
    create_secret(MCLIMountedSecret("first", mount_path="/licenses/", value=HIDDEN))
    with pytest.raises(MAPIException, match="/licenses is taken by secret 'first'"):
        create_secret(MCLISSHSecret("second", mount_path="/licenses", value=HIDDEN))


def test_what_is_wrong_is_a_400_that_does_not_repeat_the_value() -> None:
    for secret in (
        MCLIEnvVarSecret("No", key="TOKEN", value=HIDDEN),
        MCLIEnvVarSecret("no", key="1", value=HIDDEN),
        MCLIS3Secret("no", config=HIDDEN),
        MCLIMountedSecret("no"),
    ):
        with pytest.raises(MAPIException) as caught:
            create_secret(secret)
        assert caught.value.status == HTTPStatus.BAD_REQUEST
        assert HIDDEN not in str(caught.value)
    with pytest.raises(ValueError, match="such as MCLIEnvVarSecret; got str"):
        create_secret("token")  # type: ignore[call-overload]


def test_deleting_takes_all_that_are_named_or_none() -> None:
    create_secret(MCLIEnvVarSecret("token", key="TOKEN", value=HIDDEN))
    with pytest.raises(MAPIException, match="Secret nobody not found") as caught:
        delete_secrets(["token", "nobody"])
    assert caught.value.status == HTTPStatus.NOT_FOUND
    deleted = delete_secrets(["token"])
    assert [secret.name for secret in deleted] == ["token"]
    assert get_secrets() == []


def test_deleting_needs_to_be_told_what() -> None:
    create_secret(MCLIEnvVarSecret("token", key="TOKEN", value=HIDDEN))
    with pytest.raises(MAPIException, match="selects no secret in particular") as caught:
        delete_secrets()
    assert caught.value.status == HTTPStatus.BAD_REQUEST
    assert delete_secrets([]) == []
    assert len(get_secrets()) == 1


def test_secrets_outlive_the_server(machine: PlatformOfTests) -> None:
    create_secret(MCLIEnvVarSecret("token", key="TOKEN", value=HIDDEN))
    machine.kill()
    (found,) = get_secrets()
    assert isinstance(found, Secret)
    run = mcli.create_run(
        mcli.RunConfig(name="later", image="bash", command='[ "$TOKEN" = hunter2-hunter2 ]')
    )
    mcli.wait_for_run_status(run, "COMPLETED", timeout=20)
