"""Secrets: created once, given to every later run of their owner, never shown again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

from mcli import calls, operations
from mcli.api.exceptions import InvalidArgument
from mcli.api.runs.arguments import each, name_of, text_of
from mcli.calls import Deadline
from mcli.models.naming import suggestion
from mcli.models.object_list import ObjectList
from mcli.models.secret import Secret, SecretType
from mcli.operations import Operation
from mcli.transport import execute

if TYPE_CHECKING:
    from concurrent.futures import Future

    Secrets = Iterable[str | Secret] | str | Secret


@overload
def create_secret(
    secret: Secret, *, timeout: float | None = 10, future: Literal[False] = False
) -> Secret: ...
@overload
def create_secret(secret: Secret, *, timeout: float | None = 10, future: Literal[True]) -> Future[Secret]: ...
def create_secret(
    secret: Secret, *, timeout: float | None = 10, future: bool = False
) -> Secret | Future[Secret]:
    """Keep a secret, for all later runs. It cannot be changed: delete it and create it again.

    Args:
        secret: one of the kinds of `mcli.models.secret`, with its value.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the secret at once.

    Returns:
        The secret as it is kept, without its value.

    Raises:
        KubernetesException: 409, there is one of this name already; 400, a field is missing or wrong.
        TimeoutError: the call took too long.
    """
    if not isinstance(secret, Secret) or type(secret) is Secret:
        raise InvalidArgument(
            f"secret: expected one of the classes in mcli.models.secret, such as MCLIEnvVarSecret; got "
            f"{type(secret).__name__}"
        )
    data = secret.to_wire()

    def work(deadline: Deadline) -> Secret:
        (answer,) = execute(operations.CREATE_SECRET, {"createSecretData": data}, deadline)
        return Secret.from_wire(answer)

    return calls.call(work, timeout, future)


@overload
def get_secrets(
    secrets: Secrets | None = None,
    *,
    secret_types: Iterable[str | SecretType] | str | SecretType | None = None,
    timeout: float | None = 10,
    future: Literal[False] = False,
) -> ObjectList[Secret]: ...
@overload
def get_secrets(
    secrets: Secrets | None = None,
    *,
    secret_types: Iterable[str | SecretType] | str | SecretType | None = None,
    timeout: float | None = 10,
    future: Literal[True],
) -> Future[ObjectList[Secret]]: ...
def get_secrets(
    secrets: Secrets | None = None,
    *,
    secret_types: Iterable[str | SecretType] | str | SecretType | None = None,
    timeout: float | None = 10,
    future: bool = False,
) -> ObjectList[Secret] | Future[ObjectList[Secret]]:
    """Get your secrets, without their values.

    Args:
        secrets: secrets, or their names; by default all.
        secret_types: only those of these kinds.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the list at once.

    Returns:
        The secrets, oldest first.

    Raises:
        MAPIException: the platform refused, or could not be reached.
        TimeoutError: the call took too long.
    """
    return _select(operations.GET_SECRETS, secrets, secret_types, timeout, future)


@overload
def delete_secrets(
    secrets: Secrets | None = None, *, timeout: float | None = 10, future: Literal[False] = False
) -> ObjectList[Secret]: ...
@overload
def delete_secrets(
    secrets: Secrets | None = None, *, timeout: float | None = 10, future: Literal[True]
) -> Future[ObjectList[Secret]]: ...
def delete_secrets(
    secrets: Secrets | None = None, *, timeout: float | None = 10, future: bool = False
) -> ObjectList[Secret] | Future[ObjectList[Secret]]:
    """Delete secrets. Runs that have started keep what they were given.

    Args:
        secrets: secrets, or their names. Without, the platform refuses: nothing deletes everything by chance.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the list at once.

    Returns:
        The secrets that were deleted.

    Raises:
        KubernetesException: 404, there is none of a name; then none is deleted. 400, none was named.
        TimeoutError: the call took too long.
    """
    return _select(operations.DELETE_SECRETS, secrets, None, timeout, future)


def _select(
    operation: Operation,
    secrets: Secrets | None,
    secret_types: Iterable[str | SecretType] | str | SecretType | None,
    timeout: float | None,
    future: bool,
) -> ObjectList[Secret] | Future[ObjectList[Secret]]:
    filters: dict[str, Any] = {}
    if secrets is not None:
        filters["name"] = {"in": each(secrets, name_of)}
    if secret_types is not None:
        filters["type"] = {"in": each(secret_types, type_of)}

    def work(deadline: Deadline) -> ObjectList[Secret]:
        if filters.get("name") == {"in": []}:
            return ObjectList()
        answer = execute(operation, {"getSecretsData": {"filters": filters}}, deadline)
        return ObjectList(map(Secret.from_wire, answer))

    return calls.call(work, timeout, future)


def type_of(value: str | SecretType) -> str:
    """Return what the platform calls a kind of secret: `git-ssh` is GIT_SSH.

    Raises:
        InvalidArgument: there is no such kind.
    """
    name = text_of(value).upper().replace("-", "_")
    if name not in SecretType.__members__:
        accepted = list(SecretType.__members__)
        hint = suggestion(name, accepted)
        raise InvalidArgument(f"secret_types: {value!r} is not one of {', '.join(accepted)}{hint}")
    return name
