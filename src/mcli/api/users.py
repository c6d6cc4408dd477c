"""Looking users up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

from mcli import calls, operations
from mcli.api.runs.arguments import each, text_of
from mcli.calls import Deadline
from mcli.models.object_list import ObjectList
from mcli.models.user import User
from mcli.transport import execute

if TYPE_CHECKING:
    from concurrent.futures import Future


@overload
def get_users(
    ids: Iterable[str] | str | None = None,
    *,
    emails: Iterable[str] | str | None = None,
    timeout: float | None = 10,
    future: Literal[False] = False,
) -> ObjectList[User]: ...
@overload
def get_users(
    ids: Iterable[str] | str | None = None,
    *,
    emails: Iterable[str] | str | None = None,
    timeout: float | None = 10,
    future: Literal[True],
) -> Future[ObjectList[User]]: ...
def get_users(
    ids: Iterable[str] | str | None = None,
    *,
    emails: Iterable[str] | str | None = None,
    timeout: float | None = 10,
    future: bool = False,
) -> ObjectList[User] | Future[ObjectList[User]]:
    """Get the users of your organization.

    Args:
        ids: only users with these ids.
        emails: only users with these e-mail addresses.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the list at once.

    Returns:
        The users.

    Raises:
        MAPIException: the platform refused, or could not be reached.
        TimeoutError: the call took too long.
    """
    filters: dict[str, Any] = {
        name: {"in": each(values, text_of)}
        for name, values in (("id", ids), ("email", emails))
        if values is not None
    }

    def work(deadline: Deadline) -> ObjectList[User]:
        answer = execute(operations.GET_ALL_USERS, {"getAllUsersData": {"filters": filters}}, deadline)
        return ObjectList(map(User.from_wire, answer))

    return calls.call(work, timeout, future)


@overload
def get_current_user(*, timeout: float | None = 10, future: Literal[False] = False) -> User: ...
@overload
def get_current_user(*, timeout: float | None = 10, future: Literal[True]) -> Future[User]: ...
def get_current_user(*, timeout: float | None = 10, future: bool = False) -> User | Future[User]:
    """Get the user that the API key, or the token of this run, belongs to.

    Args:
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the user at once.

    Returns:
        The user.

    Raises:
        KubernetesException: 401, the key is not known, or the run that the token belongs to is over.
        TimeoutError: the call took too long.
    """

    def work(deadline: Deadline) -> User:
        (answer,) = execute(operations.GET_USERS, {"getUsersData": {"filters": {}}}, deadline)
        return User.from_wire(answer)

    return calls.call(work, timeout, future)
