"""Whether the cluster's own queue has let an execution in, as its Job says."""

from __future__ import annotations

from collections.abc import Callable

from mapi.clusters.base import Admitted, Evicted, Queued, Report
from mapi.clusters.kubernetes.client import JOBS, WORKLOADS
from mapi.clusters.kubernetes.queue import JOB_UID, eviction
from mapi.clusters.kubernetes.rank import Site
from mapi.clusters.kubernetes.requests import Requests
from mapi.domain.run import ExecutionId, now_ms


class Admission:
    """An execution in the queue of a cluster."""

    def __init__(
        self,
        site: Site,
        identity: ExecutionId,
        job_name: str,
        requests: Requests,
        tell: Callable[[Report], None],
        *,
        admitted: bool,
    ) -> None:
        """Begin to look at it.

        Args:
            site: the cluster.
            identity: of the execution.
            job_name: of its Job.
            requests: where to ask.
            tell: called with what happens.
            admitted: whether it is known to have been let in.
        """
        self._site = site
        self._identity = identity
        self._job_name = job_name
        self._requests = requests
        self._tell = tell
        self._admitted = admitted

    def waits_for(self, reason: str) -> None:
        """Take why it is not let in."""
        if not self._admitted:
            self._tell(Queued(self._identity, now_ms(), reason))

    def seen(self, *, suspended: bool, ending: bool) -> None:
        """Take what its Job says.

        Args:
            suspended: whether it is not to run.
            ending: whether the platform wants it to end.
        """
        if not suspended and not self._admitted:
            self._admitted = True
            self._tell(Admitted(self._identity, now_ms()))
        elif suspended and self._admitted and not ending:
            self._admitted = False
            self._requests.ask(self._tell_eviction)

    async def _tell_eviction(self) -> None:
        uid = (await self._site.api.get(JOBS, self._job_name))["metadata"]["uid"]
        found, _ = await self._site.api.list(WORKLOADS, labelSelector=f"{JOB_UID}={uid}")
        said, comes_back = next(filter(None, map(eviction, found)), ("its Job was suspended", True))
        reason = f"queue {self._site.queue} took its place: {said}"
        self._tell(Evicted(self._identity, now_ms(), reason, comes_back))
