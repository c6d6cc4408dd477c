"""Secrets: what runs need and nobody may read. The platform keeps a value, gives it to runs, never back.

Each kind is a class with its fields: those that say where a run finds it (`KEPT`), which anybody may
see, and those that are the value (`HIDDEN`), no part of a `repr`, and `None` in what the platform returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar

from mcli.models.naming import camel
from mcli.models.resumption import moment
from mcli.models.timestamp import Timestamp


class SecretType(Enum):
    """The kinds of secrets, by the names the platform knows them."""

    ENV_VAR = "ENV_VAR"
    MOUNTED = "MOUNTED"
    SSH = "SSH"
    GIT_SSH = "GIT_SSH"
    SFTP_SSH = "SFTP_SSH"
    DOCKER_REGISTRY = "DOCKER_REGISTRY"
    S3 = "S3"
    GCP = "GCP"
    OCI = "OCI"
    DATABRICKS = "DATABRICKS"


def _hidden() -> Any:
    return field(default=None, repr=False)


@dataclass(kw_only=True)
class Secret:
    """A secret by name: unique among its owner's, lower-case letters, digits, `-` and `.`."""

    #: Which kind this class is, and what the platform calls its input.
    secret_type: ClassVar[SecretType]
    INPUT: ClassVar[str]
    #: Fields that everybody may see, and fields that are the value. One field `value` is the value itself.
    KEPT: ClassVar[tuple[str, ...]] = ()
    HIDDEN: ClassVar[tuple[str, ...]] = ("value",)

    name: str = field(kw_only=False)
    id: str | None = None
    created_at: Timestamp | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the input that creates this secret; fields that are not set are left out."""
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        kept = {camel(name): given[name] for name in self.KEPT if given[name] is not None}
        hidden = {camel(name): given[name] for name in self.HIDDEN if given[name] is not None}
        value = hidden.get("value") if self.HIDDEN == ("value",) else hidden
        return {self.INPUT: {"name": self.name, "metadata": kept, "value": value}}

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> Secret:
        """Read a secret as the platform sends it: without its value."""
        kind = _KINDS[SecretType(answer["type"])]
        kept = {name: answer["metadata"].get(camel(name)) for name in kind.KEPT}
        return kind(answer["name"], id=answer.get("id"), created_at=moment(answer.get("createdAt")), **kept)


@dataclass(kw_only=True)
class MCLIEnvVarSecret(Secret):
    """An environment variable: `key` is its name."""

    secret_type = SecretType.ENV_VAR
    INPUT = "envVarSecret"
    KEPT = ("key",)

    key: str
    value: str | None = _hidden()


@dataclass(kw_only=True)
class MCLIMountedSecret(Secret):
    """A file: `secret` in the directory `mount_path`."""

    secret_type = SecretType.MOUNTED
    INPUT = "mountedSecret"
    KEPT = ("mount_path",)

    mount_path: str | None = None
    value: str | None = _hidden()


@dataclass(kw_only=True)
class MCLISSHSecret(MCLIMountedSecret):
    """A private key, in a file that only its owner can read."""

    secret_type = SecretType.SSH
    INPUT = "sshSecret"


@dataclass(kw_only=True)
class MCLIGitSSHSecret(MCLISSHSecret):
    """The private key that git uses. A user has one at most."""

    secret_type = SecretType.GIT_SSH
    INPUT = "gitSSHSecret"


@dataclass(kw_only=True)
class MCLISFTPSSHSecret(MCLISSHSecret):
    """The private key that Composer uses for SFTP. A user has one at most."""

    secret_type = SecretType.SFTP_SSH
    INPUT = "sftpSSHSecret"


@dataclass(kw_only=True)
class MCLIDockerSecret(Secret):
    """Credentials of an image registry; `server` is its URL."""

    secret_type = SecretType.DOCKER_REGISTRY
    INPUT = "dockerRegistrySecret"
    HIDDEN = ("username", "password", "email", "server")

    username: str | None = _hidden()
    password: str | None = _hidden()
    email: str | None = _hidden()
    server: str | None = _hidden()


@dataclass(kw_only=True)
class MCLIS3Secret(Secret):
    """The two files of the AWS command line: `config` and `credentials` in `mount_directory`."""

    secret_type = SecretType.S3
    INPUT = "s3Secret"
    KEPT = ("mount_directory",)
    HIDDEN = ("config", "credentials", "profile")

    mount_directory: str | None = None
    config: str | None = _hidden()
    credentials: str | None = _hidden()
    profile: str | None = _hidden()


@dataclass(kw_only=True)
class MCLIGCPSecret(MCLIMountedSecret):
    """The credentials of a Google Cloud service account, as JSON."""

    secret_type = SecretType.GCP
    INPUT = "gcpSecret"


@dataclass(kw_only=True)
class MCLIOCISecret(Secret):
    """The two files of the OCI command line: `config` and `key_file` in `mount_directory`."""

    secret_type = SecretType.OCI
    INPUT = "ociSecret"
    KEPT = ("mount_directory",)
    HIDDEN = ("config", "key_file")

    mount_directory: str | None = None
    config: str | None = _hidden()
    key_file: str | None = _hidden()


@dataclass(kw_only=True)
class MCLIDatabricksSecret(Secret):
    """The host and the token of a Databricks workspace."""

    secret_type = SecretType.DATABRICKS
    INPUT = "databricksSecret"
    HIDDEN = ("host", "token")

    host: str | None = _hidden()
    token: str | None = _hidden()


_CLASSES: tuple[type[Secret], ...] = (
    MCLIEnvVarSecret,
    MCLIMountedSecret,
    MCLISSHSecret,
    MCLIGitSSHSecret,
    MCLISFTPSSHSecret,
    MCLIDockerSecret,
    MCLIS3Secret,
    MCLIGCPSecret,
    MCLIOCISecret,
    MCLIDatabricksSecret,
)
_KINDS: dict[SecretType, type[Secret]] = {kind.secret_type: kind for kind in _CLASSES}
