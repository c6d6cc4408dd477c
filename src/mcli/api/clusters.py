"""Looking clusters up."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, overload

from mcli import calls, operations
from mcli.api.exceptions import KubernetesException
from mcli.api.runs.arguments import each, name_of
from mcli.calls import Deadline
from mcli.models.cluster import ClusterDetails
from mcli.models.object_list import ObjectList
from mcli.transport import execute

if TYPE_CHECKING:
    from concurrent.futures import Future

    Clusters = Iterable[str | ClusterDetails] | str | ClusterDetails


@overload
def get_clusters(
    clusters: Clusters | None = None,
    timeout: float | None = 10,
    future: Literal[False] = False,
    *,
    include_utilization: bool = False,
    include_all: bool = False,
    submission_type_filter: str | None = None,
) -> ObjectList[ClusterDetails]: ...
@overload
def get_clusters(
    clusters: Clusters | None = None,
    timeout: float | None = 10,
    *,
    future: Literal[True],
    include_utilization: bool = False,
    include_all: bool = False,
    submission_type_filter: str | None = None,
) -> Future[ObjectList[ClusterDetails]]: ...
def get_clusters(
    clusters: Clusters | None = None,
    timeout: float | None = 10,
    future: bool = False,
    *,
    include_utilization: bool = False,
    include_all: bool = False,
    submission_type_filter: str | None = None,
) -> ObjectList[ClusterDetails] | Future[ObjectList[ClusterDetails]]:
    """Get the clusters runs can be submitted to.

    Args:
        clusters: clusters, or their names; by default all.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the list at once.
        include_utilization: also fetch who uses them, and who waits.
        include_all: also clusters one cannot submit to.
        submission_type_filter: only clusters for this kind of run, for example `TRAINING`.

    Returns:
        The clusters.

    Raises:
        MAPIException: the platform refused, or could not be reached.
        TimeoutError: the call took too long.
    """
    names = None if clusters is None else each(clusters, name_of)

    def work(deadline: Deadline) -> ObjectList[ClusterDetails]:
        return _fetch(names, include_utilization, include_all, submission_type_filter, deadline)

    return calls.call(work, timeout, future)


@overload
def get_cluster(
    cluster: str | ClusterDetails,
    timeout: float | None = 10,
    future: Literal[False] = False,
    *,
    include_utilization: bool = True,
    include_all: bool = False,
) -> ClusterDetails: ...
@overload
def get_cluster(
    cluster: str | ClusterDetails,
    timeout: float | None = 10,
    *,
    future: Literal[True],
    include_utilization: bool = True,
    include_all: bool = False,
) -> Future[ClusterDetails]: ...
def get_cluster(
    cluster: str | ClusterDetails,
    timeout: float | None = 10,
    future: bool = False,
    *,
    include_utilization: bool = True,
    include_all: bool = False,
) -> ClusterDetails | Future[ClusterDetails]:
    """Get a cluster.

    Args:
        cluster: the cluster, or its name.
        timeout: seconds the call may take; ignored if `future`.
        future: return a future of the cluster at once.
        include_utilization: also fetch who uses it, and who waits.
        include_all: also find it if one cannot submit to it.

    Returns:
        The cluster.

    Raises:
        KubernetesException: 404, there is no such cluster.
        TimeoutError: the call took too long.
    """
    name = name_of(cluster)

    def work(deadline: Deadline) -> ClusterDetails:
        found = _fetch([name], include_utilization, include_all, None, deadline)
        if not found:
            raise KubernetesException(HTTPStatus.NOT_FOUND, f"Cluster {name} not found")
        return found[0]

    return calls.call(work, timeout, future)


def _fetch(
    names: list[str] | None,
    include_utilization: bool,
    include_all: bool,
    submission_type: str | None,
    deadline: Deadline,
) -> ObjectList[ClusterDetails]:
    if names == []:
        return ObjectList()
    filters: dict[str, Any] = {}
    if names is not None:
        filters["name"] = {"in": names}
    if submission_type is not None:
        filters["allowedSubmissionTypes"] = {"has": submission_type}
    operation = operations.GET_CLUSTERS_WITH_UTILIZATION if include_utilization else operations.GET_CLUSTERS
    answer = execute(
        operation, {"getClustersData": {"filters": filters, "includeAll": include_all}}, deadline
    )
    return ObjectList(map(ClusterDetails.from_wire, answer))
