"""Whether a cluster answers: a moment's trouble is nobody's business, a longer one is everybody's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from mapi.clusters.kubernetes.client import KubernetesError

log = logging.getLogger(__name__)

#: How long it may take to reach the API server again before runs are told, in seconds.
_PATIENCE = 3.0


class Reachability:
    """What is known of whether the API server answers.

    `silent`: why it does not; None while it does.
    """

    def __init__(self, cluster: str, changed: Callable[[], None]) -> None:
        """Begin with no trouble.

        Args:
            cluster: what users call it.
            changed: called when `silent` has changed.
        """
        self.silent: str | None = None
        self._cluster = cluster
        self._changed = changed
        self._troubles: dict[str, KubernetesError] = {}

    def heard(self, who: str, error: KubernetesError | None) -> None:
        """Note that a watch or an execution was answered, or what went wrong."""
        if error is None:
            self._troubles.pop(who, None)
            if self.silent is not None and not self._troubles:
                self._become(None)
            return
        before = self._troubles.get(who)
        self._troubles[who] = error
        if type(error) is not type(before):
            asyncio.get_running_loop().call_later(_PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        trouble = next(iter(self._troubles.values()), None)
        if trouble is not None and str(trouble) != self.silent:
            self._become(str(trouble))

    def _become(self, silent: str | None) -> None:
        self.silent = silent
        log.warning("cluster %s: %s", self._cluster, silent or "it answers again")
        self._changed()
