"""The line of one cluster: its runs that wait, those that hold room, and why the former wait.

A cluster may have a queue of its own. Then every run is handed over as it comes, that queue decides, and what
it says is passed on.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from mapi.clusters.base import Cluster
from mapi.domain.run import Run, now_ms
from mapi.scheduling import PRIORITIES, Placed, Plan, Wait, Waiting, explain_all, forecast, order, plan

#: The code of a wait that is the cluster's own decision.
_QUEUE = "QUEUE"


class Line:
    """Who waits, and who holds a place."""

    def __init__(self, cluster: Cluster, *, grace_seconds: float) -> None:
        self._cluster = cluster
        self._grace_ms = int(grace_seconds * 1000)
        self._waiting: dict[str, Waiting] = {}
        self._placed: dict[str, Placed] = {}
        self._said: dict[str, str] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def waiting(self) -> Collection[str]:
        """The ids of the runs that wait."""
        return self._waiting.keys()

    def holds(self, run_id: str) -> bool:
        """Whether a run holds a place."""
        return run_id in self._placed

    def join(self, run: Run) -> None:
        """Put a run in line, or note what has changed of one that is."""
        self._waiting[run.id] = _waiting(run)

    def leave(self, run_id: str) -> None:
        """Forget a run, wherever it is."""
        for each in (self._waiting, self._placed, self._said):
            each.pop(run_id, None)

    def hold(self, run: Run) -> None:
        """Note the place a run holds."""
        latest, scheduling = run.latest, run.spec.scheduling
        known = self._placed.get(run.id)
        limit = limit_of(run)
        self.leave(run.id)
        self._placed[run.id] = Placed(
            key=run.id,
            allocation=latest.allocation,
            placement=tuple(rank.node for rank in latest.ranks),
            priority=PRIORITIES[scheduling.priority],
            preemptible=scheduling.preemptible,
            started_at=started_at(run),
            ends_at=None if limit is None else limit + self._grace_ms,
            ending_for=known.ending_for if known else None,
        )

    def make_room(self, victim_id: str, for_id: str) -> None:
        """Note for which waiting run another one ends."""
        self._placed[victim_id] = replace(self._placed[victim_id], ending_for=for_id)

    def say(self, run_id: str, reason: str) -> None:
        """Note why the cluster's own queue does not start a run yet."""
        if run_id in self._waiting:
            self._said[run_id] = reason

    def plan(self) -> Plan:
        """Decide who starts now, and who has to make room; nothing where that is the cluster's to decide."""
        if self._cluster.inventory.queue:
            return Plan((), ())
        return plan(
            list(self._waiting.values()), list(self._placed.values()), self._cluster.inventory, now_ms()
        )

    def waits(self) -> dict[str, Wait]:
        """Why each waiting run waits, as things stand, by run id in the order of the line."""
        waiting = list(self._waiting.values())
        if self._cluster.inventory.queue:
            return {
                each.key: Wait(self._words(each.key), place, _QUEUE)
                for place, each in enumerate(sorted(waiting, key=order), 1)
            }
        return explain_all(waiting, list(self._placed.values()), self._cluster.inventory, self._cluster.name)

    def forecast(self, run: Run) -> Wait | None:
        """Why a run that is not in line would wait there; None if it would start at once."""
        new, waiting = _waiting(run), list(self._waiting.values())
        if self._cluster.inventory.queue:
            ahead = sum(order(each) <= order(new) for each in waiting)
            return Wait(self._words(run.id), ahead + 1, _QUEUE)
        inventory, cluster = self._cluster.inventory, self._cluster.name
        return forecast(new, waiting, list(self._placed.values()), inventory, cluster, now=now_ms())

    def _words(self, run_id: str) -> str:
        queue = self._cluster.inventory.queue
        return self._said.get(run_id) or f"waiting in queue {queue} of {self._cluster.name}"


def _waiting(run: Run) -> Waiting:
    scheduling = run.spec.scheduling
    return Waiting(
        key=run.id,
        allocation=run.latest.allocation,
        priority=PRIORITIES[scheduling.priority],
        preemptible=scheduling.preemptible,
        queued_at=run.latest.created_at,
        max_duration_seconds=scheduling.max_duration_seconds,
    )


def started_at(run: Run) -> int:
    """When a run began to run; for one that is starting, when it got its place."""
    return run.latest.started_at or run.updated_at


def limit_of(run: Run) -> int | None:
    """When a run's maximum duration is over, in milliseconds; None if it has none."""
    duration = run.spec.scheduling.max_duration_seconds
    return None if duration is None else started_at(run) + duration * 1000
