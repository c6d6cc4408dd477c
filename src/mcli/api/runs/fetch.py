"""Looking runs up."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, overload

from mcli import calls, operations
from mcli.api.exceptions import InvalidArgument, KubernetesException
from mcli.api.runs.arguments import Moment, between, each, name_of, status_of, text_of
from mcli.calls import Deadline
from mcli.models.object_list import PaginatedObjectList
from mcli.models.run import Run
from mcli.transport import execute

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mcli.models.cluster import ClusterDetails
    from mcli.models.gpu_type import GPUType
    from mcli.models.run_status import RunStatus
    from mcli.models.run_type import RunType

    Runs = Iterable[str | Run] | str | Run
    Clusters = Iterable[str | ClusterDetails] | str | ClusterDetails

#: Runs asked for at once when all are wanted: enough to be fast, few enough to answer quickly.
_PAGE = 500


@overload
def get_run(
    run: str | Run,
    timeout: float | None = 10,
    future: Literal[False] = False,
    include_details: bool = True,
) -> Run: ...
@overload
def get_run(
    run: str | Run,
    timeout: float | None = 10,
    *,
    future: Literal[True],
    include_details: bool = True,
) -> Future[Run]: ...
def get_run(
    run: str | Run, timeout: float | None = 10, future: bool = False, include_details: bool = True
) -> Run | Future[Run]:
    """Get a run.

    Args:
        run: the run, or its name.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the run at once.
        include_details: also fetch its configuration, metadata, lifecycle, nodes and events.

    Returns:
        The run as it is now.

    Raises:
        KubernetesException: 404, there is no such run.
        TimeoutError: the call took too long.
    """
    name = name_of(run)
    return calls.call(lambda deadline: fetch_run(name, deadline, include_details), timeout, future)


@overload
def get_runs(
    runs: Runs | None = None,
    cluster_names: Clusters | None = None,
    before: Moment | None = None,
    after: Moment | None = None,
    gpu_types: Iterable[str | GPUType] | str | GPUType | None = None,
    gpu_nums: Iterable[int] | int | None = None,
    statuses: Iterable[str | RunStatus] | str | RunStatus | None = None,
    timeout: float | None = 10,
    future: Literal[False] = False,
    clusters: Clusters | None = None,
    *,
    user_emails: Iterable[str] | str | None = None,
    run_types: Iterable[str | RunType] | str | RunType | None = None,
    include_details: bool = True,
    include_deleted: bool = False,
    ended_before: Moment | None = None,
    ended_after: Moment | None = None,
    limit: int | None = None,
    all_users: bool = False,
) -> PaginatedObjectList[Run]: ...
@overload
def get_runs(
    runs: Runs | None = None,
    cluster_names: Clusters | None = None,
    before: Moment | None = None,
    after: Moment | None = None,
    gpu_types: Iterable[str | GPUType] | str | GPUType | None = None,
    gpu_nums: Iterable[int] | int | None = None,
    statuses: Iterable[str | RunStatus] | str | RunStatus | None = None,
    timeout: float | None = 10,
    *,
    future: Literal[True],
    clusters: Clusters | None = None,
    user_emails: Iterable[str] | str | None = None,
    run_types: Iterable[str | RunType] | str | RunType | None = None,
    include_details: bool = True,
    include_deleted: bool = False,
    ended_before: Moment | None = None,
    ended_after: Moment | None = None,
    limit: int | None = None,
    all_users: bool = False,
) -> Future[PaginatedObjectList[Run]]: ...
def get_runs(  # noqa: PLR0917 - the order its users know
    runs: Runs | None = None,
    cluster_names: Clusters | None = None,
    before: Moment | None = None,
    after: Moment | None = None,
    gpu_types: Iterable[str | GPUType] | str | GPUType | None = None,
    gpu_nums: Iterable[int] | int | None = None,
    statuses: Iterable[str | RunStatus] | str | RunStatus | None = None,
    timeout: float | None = 10,
    future: bool = False,
    clusters: Clusters | None = None,
    *,
    user_emails: Iterable[str] | str | None = None,
    run_types: Iterable[str | RunType] | str | RunType | None = None,
    include_details: bool = True,
    include_deleted: bool = False,
    ended_before: Moment | None = None,
    ended_after: Moment | None = None,
    limit: int | None = None,
    all_users: bool = False,
) -> PaginatedObjectList[Run] | Future[PaginatedObjectList[Run]]:
    """Get a filtered list of runs, the newest first.

    Filters add up; one that is an empty list matches nothing. A single value counts as a list of one.

    Args:
        runs: runs, or their names.
        cluster_names: clusters, or their names: only runs submitted to these.
        before: only runs created before this moment; naive means local time, text is ISO 8601.
        after: only runs created at this moment or later.
        gpu_types: only runs on these types of GPU.
        gpu_nums: only runs with one of these numbers of GPUs.
        statuses: only runs that are in one of these statuses now.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the list at once.
        clusters: the same as `cluster_names`.
        user_emails: runs of these users, instead of one's own.
        run_types: only runs of these types.
        include_details: also fetch configurations, metadata, lifecycles, nodes and events.
        include_deleted: also runs that were deleted.
        ended_before: only runs that ended before this moment.
        ended_after: only runs that ended at this moment or later.
        limit: fetch one page of at most so many runs; by default all that match.
        all_users: runs of everybody in one's organization, instead of one's own.

    Returns:
        The runs: all of them, or a page whose `next_page()` fetches the next.

    Raises:
        InvalidArgument: a filter is not what it should be.
        MAPIException: the platform refused, or could not be reached.
        TimeoutError: the call took too long.
    """
    if limit is not None and limit < 1:
        raise InvalidArgument(f"limit: expected a positive number, or None for all; got {limit!r}")
    names = [each(value, name_of) for value in (cluster_names, clusters) if value is not None]
    filters: dict[str, Any] = {
        "name": None if runs is None else each(runs, name_of),
        "clusterName": [name for group in names for name in group] if names else None,
        "gpuType": None if gpu_types is None else each(gpu_types, text_of),
        "gpuNum": None if gpu_nums is None else each(gpu_nums, int),
        "status": None if statuses is None else each(statuses, lambda value: status_of(value).value),
        "runType": None if run_types is None else each(run_types, lambda value: text_of(value).upper()),
    }
    emails = None if user_emails is None else each(user_emails, text_of)
    nothing = [] in filters.values() or emails == []
    wire: dict[str, Any] = {key: {"in": values} for key, values in filters.items() if values is not None}
    for key, bounds in (
        ("createdAt", between(before, after, ("before", "after"))),
        ("endedAt", between(ended_before, ended_after, ("ended_before", "ended_after"))),
    ):
        if bounds:
            wire[key] = bounds

    def work(deadline: Deadline) -> PaginatedObjectList[Run]:
        if nothing:
            return PaginatedObjectList()
        query: dict[str, Any] = {"filters": wire, "includeDeleted": include_deleted, "limit": limit or _PAGE}
        entity: dict[str, Any] = {"emails": emails} if emails else {}
        if all_users:
            entity["organizationIds"] = [_organization(deadline)]
        if entity:
            query["entity"] = entity
        page = _fetch_page(query, timeout, include_details, deadline)
        if limit is not None:
            return page
        everything = list(page)
        while page.has_next_page:
            page = _fetch_page({**query, "cursor": page.cursor}, timeout, include_details, deadline)
            everything += page
        return PaginatedObjectList(everything)

    return calls.call(work, timeout, future)


def fetch_run(name: str, deadline: Deadline, include_details: bool = True) -> Run:
    """Return the run of that name.

    Raises:
        KubernetesException: 404, there is none.
    """
    query = {"filters": {"name": {"in": [name]}}, "includeDeleted": False, "limit": 1}
    found = _fetch_page(query, None, include_details, deadline)
    if not found:
        raise KubernetesException(HTTPStatus.NOT_FOUND, f"Run {name} not found")
    return found[0]


def _fetch_page(
    query: dict[str, Any], timeout: float | None, include_details: bool, deadline: Deadline
) -> PaginatedObjectList[Run]:
    operation = operations.GET_RUNS_WITH_DETAILS if include_details else operations.GET_RUNS
    answer = execute(operation, {"getRunsPaginatedData": query}, deadline)

    def fetch(cursor: str, limit: int | None) -> PaginatedObjectList[Run]:
        following = {**query, "cursor": cursor, "limit": limit or query["limit"]}
        within = Deadline(calls.effective_timeout(timeout))
        return _fetch_page(following, timeout, include_details, within)

    return PaginatedObjectList(
        map(Run.from_wire, answer["runs"]),
        cursor=answer["cursor"],
        has_next_page=answer["hasNextPage"],
        fetch=fetch,
    )


def _organization(deadline: Deadline) -> str:
    users = execute(operations.GET_USERS, {"getUsersData": {"filters": {}}}, deadline)
    if not users or not users[0]["organizations"]:
        raise KubernetesException(
            HTTPStatus.FORBIDDEN, "all_users: you belong to no organization whose runs you could see"
        )
    identifier: str = users[0]["organizations"][0]["id"]
    return identifier
