"""Secrets: what kinds there are, and what becomes of each in a run.

Pure: here it is decided which files and variables a run gets; clusters make them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable

import msgspec
from msgspec import structs

from mapi.domain.runtime import File, Injection
from mcli.models.secret import SecretType

#: A text, or texts by field: what is kept from everybody.
Value = str | dict[str, str]

#: Private keys and credentials are for their owner only; a mounted file is for every program of the run.
KEY_MODE, FILE_MODE = 0o400, 0o644


class Secret(msgspec.Struct, frozen=True):
    """What everybody may know of a secret. `metadata`: where a run finds it, in the protocol's words."""

    id: str
    owner_id: str
    name: str
    type: SecretType
    metadata: dict[str, str]
    created_at: int


class OpenSecret(msgspec.Struct, frozen=True):
    """A secret with its value, on its way into a run."""

    secret: Secret
    value: Value

    def __repr__(self) -> str:
        return f"OpenSecret({self.secret.name!r})"


class Kind(msgspec.Struct, frozen=True):
    """A kind of secret.

    `input`: its key in what creates it. `location`: the field of its metadata that says where a run finds
    it. `required` and `optional`: the fields of its value; without any, the value is one text. `single`: a
    user has one at most. `inject`: what it puts into a run.
    """

    type: SecretType
    input: str
    inject: Callable[[OpenSecret, str], Injection]
    location: str | None = None
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    single: bool = False


def injection(secrets: Iterable[OpenSecret], root: str = "") -> Injection:
    """Return what secrets put into a run: files, and the variables that hold or name them.

    Args:
        secrets: the owner's, oldest first; of two that set one variable, the younger wins.
        root: a directory that stands for `/`, where files cannot be shown at the paths they are meant for.
    """
    return sum((BY_TYPE[item.secret.type].inject(item, root) for item in secrets), Injection())


def _text(item: OpenSecret) -> str:
    assert isinstance(item.value, str)
    return item.value


def _part(item: OpenSecret, name: str) -> str:
    assert isinstance(item.value, dict)
    return item.value[name]


def _environment(item: OpenSecret, _: str) -> Injection:
    return Injection(env={item.secret.metadata["key"]: _text(item)})


def _file(item: OpenSecret, root: str, mode: int, *more_names: str) -> Injection:
    """The one file of a secret that is one text; `more_names`: variables that name it too."""
    path = f"{root}{item.secret.metadata['mountPath']}/secret"
    own = f"SECRET_PATH_{re.sub('[^A-Z0-9]', '_', item.secret.name.upper())}"
    return Injection((File(path, _text(item), mode),), dict.fromkeys((own, *more_names), path))


def _mounted(item: OpenSecret, root: str) -> Injection:
    return _file(item, root, FILE_MODE)


def _ssh(item: OpenSecret, root: str, *more_names: str) -> Injection:
    # OpenSSH does not read a key whose last line does not end
    ended = structs.replace(item, value=_text(item).rstrip("\n") + "\n")
    return _file(ended, root, KEY_MODE, *more_names)


def _git_ssh(item: OpenSecret, root: str) -> Injection:
    key = _ssh(item, root)
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    return key + Injection(env={"GIT_SSH_COMMAND": f"ssh -i {shlex.quote(key.files[0].path)} {options}"})


def _sftp_ssh(item: OpenSecret, root: str) -> Injection:
    # Which hosts are known, nobody has told; without the file, its reader would fail before it is asked
    hosts = File(f"{root}{item.secret.metadata['mountPath']}/known_hosts", "", KEY_MODE)
    key = _ssh(item, root, "COMPOSER_SFTP_KEY_FILE")
    return key + Injection((hosts,), {"COMPOSER_SFTP_KNOWN_HOSTS_FILE": hosts.path})


def _gcp(item: OpenSecret, root: str) -> Injection:
    return _file(item, root, KEY_MODE, "GOOGLE_APPLICATION_CREDENTIALS")


def _s3(item: OpenSecret, root: str) -> Injection:
    directory = root + item.secret.metadata["mountDirectory"]
    config = File(f"{directory}/config", _part(item, "config"), KEY_MODE)
    credentials = File(f"{directory}/credentials", _part(item, "credentials"), KEY_MODE)
    assert isinstance(item.value, dict)
    profile = {"AWS_PROFILE": item.value["profile"]} if "profile" in item.value else {}
    env = {"AWS_CONFIG_FILE": config.path, "AWS_SHARED_CREDENTIALS_FILE": credentials.path}
    return Injection((config, credentials), {**env, **profile})


def _oci(item: OpenSecret, root: str) -> Injection:
    directory = root + item.secret.metadata["mountDirectory"]
    key = File(f"{directory}/key_file", _part(item, "keyFile"), KEY_MODE)
    named = re.sub(r"(?m)^(\s*key_file\s*=\s*).*$", lambda found: found[1] + key.path, _part(item, "config"))
    config = File(f"{directory}/config", named, KEY_MODE)
    env = {
        "OCI_CONFIG_FILE": config.path,
        "OCI_CLI_CONFIG_FILE": config.path,
        "OCI_CLI_KEY_FILE": key.path,
    }
    return Injection((config, key), env)


def _databricks(item: OpenSecret, _: str) -> Injection:
    return Injection(env={"DATABRICKS_HOST": _part(item, "host"), "DATABRICKS_TOKEN": _part(item, "token")})


def _nothing(_: OpenSecret, __: str) -> Injection:
    """For whoever pulls images, which are no part of a process."""
    return Injection()


#: Every kind there is.
KINDS = (
    Kind(SecretType.ENV_VAR, "envVarSecret", _environment, "key"),
    Kind(SecretType.MOUNTED, "mountedSecret", _mounted, "mountPath"),
    Kind(SecretType.SSH, "sshSecret", _ssh, "mountPath"),
    Kind(SecretType.GIT_SSH, "gitSSHSecret", _git_ssh, "mountPath", single=True),
    Kind(SecretType.SFTP_SSH, "sftpSSHSecret", _sftp_ssh, "mountPath", single=True),
    Kind(
        SecretType.DOCKER_REGISTRY,
        "dockerRegistrySecret",
        _nothing,
        required=("username", "password"),
        optional=("email", "server"),
    ),
    Kind(SecretType.S3, "s3Secret", _s3, "mountDirectory", ("config", "credentials"), ("profile",)),
    Kind(SecretType.GCP, "gcpSecret", _gcp, "mountPath"),
    Kind(SecretType.OCI, "ociSecret", _oci, "mountDirectory", ("config", "keyFile")),
    Kind(SecretType.DATABRICKS, "databricksSecret", _databricks, required=("host", "token")),
)
BY_TYPE = {kind.type: kind for kind in KINDS}
BY_INPUT = {kind.input: kind for kind in KINDS}
