"""What would happen to a run that has not been submitted."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mapi.scheduling.capacity import InventoryView, Placed, Waiting
from mapi.scheduling.explain import Wait, explain
from mapi.scheduling.plan import plan


def forecast(
    run: Waiting,
    queue: Sequence[Waiting],
    running: Sequence[Placed],
    inventory: InventoryView,
    cluster: str,
    *,
    now: int,
) -> Wait | None:
    """Say why a run would wait if it were put in line now; None if it would start at once.

    Args:
        run: the run, which is not in `queue`.
        queue: what waits already.
        running: what holds room.
        inventory: what there is.
        cluster: what users call it.
        now: ms since 1970.
    """
    line = [*queue, run]
    decided = plan(line, running, inventory, now)
    if any(key == run.key for key, _ in decided.starts):
        return None
    ending = {victim for victim, for_key in decided.preempts if for_key == run.key}
    after = [replace(placed, ending_for=run.key) if placed.key in ending else placed for placed in running]
    return explain(run.key, line, after, inventory, cluster)
