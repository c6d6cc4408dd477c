"""Watches: what changes of the objects that are selected, from a revision on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.kubernetes.emulation.faults import StreamCut
from tests.kubernetes.emulation.resources import ApiError, Object, Resource, bad_request, is_true
from tests.kubernetes.emulation.store import Change, Store

#: Seconds between bookmarks, for those who want them: a real server sends one a minute.
_BOOKMARK_EVERY = 0.2
_LONGEST = 1800


class Selection(NamedTuple):
    """Which objects somebody wants."""

    fits: Callable[[Object], bool]


class Watch:
    """One watch, as its query asks for it."""

    def __init__(
        self,
        store: Store,
        resource: Resource,
        namespace: str | None,
        selection: Selection,
        query: Mapping[str, str],
    ) -> None:
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._selection = selection
        self._bookmarks = is_true(query.get("allowWatchBookmarks"))
        self._initial = is_true(query.get("sendInitialEvents"))
        self._seconds = _whole(query.get("timeoutSeconds")) or _LONGEST
        self._from = query.get("resourceVersion", "")

    async def stream(self, cut: asyncio.Event) -> AsyncIterator[bytes]:
        """Yield events, a line each, until the time is over.

        Raises:
            StreamCut: it is to break.
        """
        cutting = asyncio.ensure_future(cut.wait())
        try:
            async for event in self._events(cutting):
                yield json.dumps(event, separators=(",", ":")).encode() + b"\n"
        except ApiError as error:
            yield json.dumps({"type": "ERROR", "object": error.status}).encode() + b"\n"
        finally:
            cutting.cancel()

    async def _events(self, cutting: asyncio.Task[Any]) -> AsyncIterator[Object]:
        revision = int(self._from) if self._from not in ("", "0") else self._store.revision
        if self._from in ("", "0") or self._initial:
            revision = self._store.revision
            for item in self._store.all(self._resource, self._namespace):
                if self._selection.fits(item):
                    yield {"type": "ADDED", "object": item}
            if self._initial:
                yield self._bookmark(revision, {"k8s.io/initial-events-end": "true"})
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        bookmark = loop.time() + _BOOKMARK_EVERY
        while True:
            waiting = self._store.next_change()
            for change in self._store.changes(revision):
                revision = change.revision
                for event in self._shown(change):
                    yield event
            due = min(end, bookmark) if self._bookmarks else end
            await asyncio.wait(
                (waiting, cutting), timeout=max(0.0, due - loop.time()), return_when=asyncio.FIRST_COMPLETED
            )
            if cutting.done():
                raise StreamCut
            if self._bookmarks and loop.time() >= due and not waiting.done():
                bookmark = loop.time() + _BOOKMARK_EVERY
                yield self._bookmark(revision)
            if loop.time() >= end:
                return

    def _shown(self, change: Change) -> Iterator[Object]:
        """An object that begins or ceases to be selected is added or deleted, whatever happened to it."""
        item = change.item
        if change.resource is not self._resource or self._namespace not in (
            None,
            item["metadata"].get("namespace"),
        ):
            return
        was = change.before is not None and self._selection.fits(change.before)
        is_ = change.after is not None and self._selection.fits(change.after)
        kind = {(False, True): "ADDED", (True, True): "MODIFIED", (True, False): "DELETED"}.get((was, is_))
        if kind:
            yield {"type": kind, "object": item}

    def _bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> Object:
        metadata: Object = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        kind = {"kind": self._resource.kind, "apiVersion": self._resource.group_version}
        return {"type": "BOOKMARK", "object": {**kind, "metadata": metadata}}


def _whole(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
