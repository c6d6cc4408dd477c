"""Runs as a table: a line for each resumption, the newest first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mcli.cli.output import Table, moment
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.resumption import Resumption
    from mcli.models.run import Run

#: Resumptions of a run that are shown unless all are asked for.
_SHOWN_RESUMPTIONS = 3

#: Squares of a progress bar.
_SQUARES = 10


def table(
    runs: Sequence[Run], *, ids: bool, users: bool, clusters: bool, expanded: bool, metadata: Sequence[str]
) -> Table:
    """Return the table of runs.

    Args:
        runs: what is shown.
        ids: show their ids.
        users: show whose they are.
        clusters: show where they are.
        expanded: show all resumptions of each.
        metadata: keys whose values are shown.
    """
    shown = [(run, resumption) for run in runs for resumption in _shown(run, expanded)]
    resumed = any(len(run.resumptions) > 1 for run in runs)
    titles = (
        *("NAME", "ID", "USER", "CLUSTER", "NODES", "INSTANCE", "RESUMPTION", "STATUS", "START TIME"),
        _end_title([resumption for _, resumption in shown]),
        *metadata,
    )
    rows = [
        [
            run.name,
            run.run_uid if ids else None,
            run.created_by if users else None,
            resumption.cluster if clusters else None,
            str(resumption.node_count),
            instance(resumption.gpus, resumption.gpu_type),
            str(resumption.index) if resumed else None,
            _status(resumption),
            moment(resumption.started_at),
            moment(resumption.ended_at or resumption.estimated_end_time),
            *(_text(run.metadata.get(key)) for key in metadata),
        ]
        for run, resumption in shown
    ]
    return Table(titles, rows)


def instance(gpus: int | None, gpu_type: str | None) -> str:
    """Return the compute of a run in short: `8x a100_80gb`, or `cpu`."""
    return f"{gpus}x {gpu_type}" if gpus else "cpu"


def _shown(run: Run, expanded: bool) -> Iterator[Resumption]:
    newest_first = list(reversed(run.resumptions))
    yield from newest_first if expanded else newest_first[:_SHOWN_RESUMPTIONS]


def _end_title(resumptions: Sequence[Resumption]) -> str:
    """Return what the times in the last column are: when it ended, when it is expected to, or both."""
    if not any(resumption.estimated_end_time for resumption in resumptions):
        return "END TIME"
    return "END TIME / ETA" if any(resumption.ended_at for resumption in resumptions) else "ETA"


def _status(resumption: Resumption) -> str:
    """Return the status with what matters about it: why, or how far."""
    name = resumption.status.display_name
    begin, end = resumption.started_at, resumption.estimated_end_time
    if resumption.status is RunStatus.RUNNING and begin and end:
        done = min((dt.datetime.now(dt.UTC) - begin) / (end - begin), 1.0)
        full = int(done * _SQUARES)
        return f"{name} {'■' * full}{'□' * (_SQUARES - full)} ({done:.0%})"
    return f"{name} ({resumption.reason})" if resumption.reason else name


def _text(value: Any) -> str:
    return "-" if value is None else str(value)
