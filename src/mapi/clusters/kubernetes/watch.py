"""A copy of some objects of a cluster, kept up to date by a watch.

A list says what there is; the watch goes on from its version, over reconnects. Only when the server has
forgotten that version (410) is there another list, and what vanished meanwhile is told like a deletion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mapi.clusters.kubernetes.client import GONE, Api, Json, KubernetesError, Refused, backoff

#: How long the server keeps a watch open, in seconds.
_SPELL = 240


class Watch:
    """Objects of one resource that fit.

    `items`: by name. `synced`: set once it is known what there is.
    """

    def __init__(
        self,
        api: Api,
        resource: str,
        changed: Callable[[Json, bool], None],
        heard: Callable[[str, KubernetesError | None], None] = lambda _, __: None,
        **query: Any,
    ) -> None:
        """Prepare; `run` watches.

        Args:
            api: the cluster.
            resource: what to watch.
            changed: called with each object that is new or changed, or (and True) gone.
            heard: called with the resource when the server was heard (None), or why it was not.
            query: which objects.
        """
        self.items: dict[str, Json] = {}
        self.synced = asyncio.Event()
        self._api = api
        self.resource = resource
        self._changed = changed
        self._heard = heard
        self._query = query
        self._version: str | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        pauses = backoff()
        while True:
            try:
                if self._version is None:
                    self._version = await self._list()
                async for event in self._api.watch(
                    self.resource,
                    self._version,
                    lambda: self._heard(self.resource, None),
                    timeoutSeconds=_SPELL,
                    **self._query,
                ):
                    self._take(event)
                    pauses = backoff()
            except KubernetesError as error:
                if isinstance(error, Refused) and error.code == GONE:
                    self._version = None
                else:
                    self._heard(self.resource, error)
            await asyncio.sleep(next(pauses))

    async def _list(self) -> str:
        found, version = await self._api.list(self.resource, **self._query)
        before, self.items = self.items, {item["metadata"]["name"]: item for item in found}
        self.synced.set()
        for name, item in before.items():
            now = self.items.get(name)
            if now is None or now["metadata"]["uid"] != item["metadata"]["uid"]:
                self._changed(item, True)
        for item in found:
            self._changed(item, False)
        return version

    def _take(self, event: Json) -> None:
        item = event["object"]
        self._version = item["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            return
        gone = event["type"] == "DELETED"
        if gone:
            self.items.pop(item["metadata"]["name"], None)
        else:
            self.items[item["metadata"]["name"]] = item
        self._changed(item, gone)
