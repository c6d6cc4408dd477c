"""Where objects are kept: each change has a revision, and can be watched from any that is remembered."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.kubernetes.emulation.resources import Object, Resource, expired, not_found

Key = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """One object changed. `before` and `after`: None where there was, or is, none."""

    revision: int
    resource: Resource
    before: Object | None
    after: Object | None

    @property
    def item(self) -> Object:
        """The object as watchers are shown it: a deleted one as it was, at the revision of its end."""
        if self.after is not None:
            return self.after
        assert self.before is not None
        metadata = {**self.before["metadata"], "resourceVersion": str(self.revision)}
        return {**self.before, "metadata": metadata}


class Store:
    """Objects by kind, namespace and name. What it hands out is not to be changed, but by `put`."""

    def __init__(self) -> None:
        self.revision = 1
        self._floor = 1
        self._history: list[Change] = []
        self._objects: dict[Resource, dict[Key, Object]] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._waiting: list[asyncio.Future[None]] = []

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Have `listener` called with every change, right when it is made."""
        self._listeners.append(listener)

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self.find(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self._objects.get(resource, {}).get((namespace, name))

    def all(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """Return the objects of a kind, of one namespace or of all, in the order of their names."""
        found = self._objects.get(resource, {})
        return [item for (where, _), item in sorted(found.items()) if namespace in (None, where)]

    def everything(self) -> Iterator[tuple[Resource, Object]]:
        for resource, objects in self._objects.items():
            for item in list(objects.values()):
                yield resource, item

    def put(self, resource: Resource, item: Object) -> Object:
        """Write an object, new or changed; nothing happens where nothing differs."""
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self._objects.get(resource, {}).get(key)
        if before is not None and _same(before, item):
            return before
        after = copy.deepcopy(item)
        after["metadata"]["resourceVersion"] = str(self.revision + 1)
        self._objects.setdefault(resource, {})[key] = after
        self._changed(resource, before, after)
        return after

    def remove(self, resource: Resource, item: Object) -> None:
        metadata = item["metadata"]
        before = self._objects[resource].pop((metadata.get("namespace", ""), metadata["name"]))
        self._changed(resource, before, None)

    def changes(self, after: int) -> list[Change]:
        """Return what changed after a revision.

        Raises:
            ApiError: 410, that is no longer remembered.
        """
        if after < self._floor:
            raise expired(after, self._floor)
        return self._history[max(after - self._floor, 0) :]

    def forget_history(self) -> None:
        """Compact: only what changes from now on can be watched."""
        self._history.clear()
        self._floor = self.revision

    def next_change(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def _changed(self, resource: Resource, before: Object | None, after: Object | None) -> None:
        self.revision += 1
        change = Change(self.revision, resource, before, after)
        self._history.append(change)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for listener in self._listeners:
            listener(change)


def _same(one: Object, other: Object) -> bool:
    version = one["metadata"]["resourceVersion"]
    return one == {**other, "metadata": {**other["metadata"], "resourceVersion": version}}
