"""The nodes of a cluster, watched: what there is now, and which of them do not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from mapi.clusters.base import Launch
from mapi.clusters.kubernetes.client import NODES, Api, Json, KubernetesError
from mapi.clusters.kubernetes.home import Home
from mapi.clusters.kubernetes.inventory import inventory, is_ready
from mapi.clusters.kubernetes.place import Place, place_of
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mapi.clusters.kubernetes.watch import Watch


class Nodes:
    """The nodes that the settings select. `inventory`: what they have."""

    def __init__(
        self,
        api: Api,
        settings: KubernetesSettings,
        home: Home,
        changed: Callable[[], None],
        heard: Callable[[str, KubernetesError | None], None],
    ) -> None:
        """Begin with those that were there the last time; whether they still are is not known.

        Args:
            api: the cluster.
            settings: of the cluster.
            home: where those of the last time are known.
            changed: called when something was heard of them, once for all that is heard at the same time.
            heard: see `Watch`.
        """
        self.watch = Watch(api, NODES, self._seen, heard, labelSelector=settings.node_labels)
        known = tuple(replace(node, alive=False) for node in home.nodes())
        self.inventory = replace(inventory((), settings), nodes=known)
        self._settings = settings
        self._home = home
        self._changed = changed
        self._to_tell = False

    def recount(self, *, lost: bool) -> bool:
        """Learn the inventory anew; returns whether it is another.

        Args:
            lost: whether the cluster cannot be reached.
        """
        if not self.watch.synced.is_set():
            return False
        before = self.inventory
        self.inventory = inventory(self.watch.items.values(), self._settings, lost=lost)
        if self.inventory == before:
            return False
        self._home.remember(self.inventory.nodes)
        return True

    def is_lost(self, name: str | None) -> bool:
        """Whether a node is known not to answer."""
        if name is None or not self.watch.synced.is_set():
            return False
        item = self.watch.items.get(name)
        return item is None or not is_ready(item)

    def place(self, launch: Launch) -> Place:
        """What the ranks of a launch may count on."""
        return place_of(launch, self.watch.items, self.inventory, self._settings.memory_share)

    def _seen(self, item: Json, gone: bool) -> None:
        if not self._to_tell:
            self._to_tell = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._to_tell = False
        self._changed()
