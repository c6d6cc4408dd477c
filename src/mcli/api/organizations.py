"""Looking organizations up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from mcli import calls, operations
from mcli.calls import Deadline
from mcli.models.object_list import ObjectList
from mcli.models.user import Organization
from mcli.transport import execute

if TYPE_CHECKING:
    from concurrent.futures import Future


@overload
def get_organizations(
    *, timeout: float | None = 10, future: Literal[False] = False
) -> ObjectList[Organization]: ...
@overload
def get_organizations(
    *, timeout: float | None = 10, future: Literal[True]
) -> Future[ObjectList[Organization]]: ...
def get_organizations(
    *, timeout: float | None = 10, future: bool = False
) -> ObjectList[Organization] | Future[ObjectList[Organization]]:
    """Get the organizations you belong to.

    Args:
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the list at once.

    Returns:
        The organizations.

    Raises:
        MAPIException: the platform refused, or could not be reached.
        TimeoutError: the call took too long.
    """

    def work(deadline: Deadline) -> ObjectList[Organization]:
        answer = execute(
            operations.GET_ALL_ORGANIZATIONS, {"getOrganizationsData": {"filters": {}}}, deadline
        )
        return ObjectList(map(Organization.from_wire, answer))

    return calls.call(work, timeout, future)
