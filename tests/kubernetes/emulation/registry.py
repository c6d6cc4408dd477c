"""What requests do to objects: create, change, delete with everything that hangs on them."""

from __future__ import annotations

import copy
import secrets
import uuid
from typing import Any

from tests.kubernetes.emulation import patches, validation
from tests.kubernetes.emulation.resources import (
    JOBS,
    LIMIT_RANGES,
    NAMESPACES,
    NODES,
    PODS,
    Object,
    Resource,
    after,
    already_exists,
    bad_request,
    conflict,
    not_found,
    now,
)
from tests.kubernetes.emulation.store import Change, Store

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class Registry:
    """The objects as the API offers them, over the store that keeps them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.listen(self._collect)

    def create(self, resource: Resource, namespace: str, item: Object, *, dry_run: bool = False) -> Object:
        item = copy.deepcopy(item)
        metadata = item.setdefault("metadata", {})
        if resource.namespaced:
            if metadata.setdefault("namespace", namespace) != namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            if self.store.find(NAMESPACES, "", namespace) is None:
                raise not_found(NAMESPACES, namespace)
        if "generateName" in metadata and not metadata.get("name"):
            metadata["name"] = metadata["generateName"] + "".join(secrets.choice(_LETTERS) for _ in range(5))
        item.update(kind=resource.kind, apiVersion=resource.group_version)
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=now(), generation=1)
        for name in ("resourceVersion", "managedFields", "deletionTimestamp"):
            metadata.pop(name, None)
        validation.check(resource, item)
        if self.store.find(resource, namespace, metadata["name"]) is not None:
            raise already_exists(resource, metadata["name"])
        limits = self.store.all(LIMIT_RANGES, namespace) if resource is PODS else []
        item = validation.complete(resource, validation.limited(item, limits))
        if dry_run:
            return item
        created = self.store.put(resource, item)
        self._collect_orphan(resource, created)
        return created

    def replace(
        self, resource: Resource, namespace: str, name: str, item: Object, subresource: str = ""
    ) -> Object:
        """Write an object anew: all of it but its status, or its status only."""
        before = self.store.get(resource, namespace, name)
        version = item.get("metadata", {}).get("resourceVersion")
        if version and version != before["metadata"]["resourceVersion"]:
            why = (
                "the object has been modified; please apply your changes to the latest version and try again"
            )
            raise conflict(resource, name, why)
        if subresource == "status":
            return self.store.put(resource, {**before, "status": item.get("status", {})})
        kept = {
            field: before["metadata"][field] for field in ("uid", "creationTimestamp", "name", "generation")
        }
        metadata = {**item["metadata"], **kept}
        for field in ("namespace", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if field in before["metadata"]:
                metadata[field] = before["metadata"][field]
        written = {**item, "metadata": metadata}
        if "status" in before:
            written["status"] = before["status"]
        if written.get("spec") != before.get("spec"):
            metadata["generation"] += 1
        validation.check(resource, written)
        after_ = self.store.put(resource, written)
        return self._finish(resource, after_) if _may_go(after_) else after_

    def patch(
        self, resource: Resource, namespace: str, name: str, patch: Any, kind: str, subresource: str = ""
    ) -> Object:
        before = self.store.find(resource, namespace, name)
        if before is None and kind == patches.APPLY:
            return self.create(resource, namespace, patch)
        before = self.store.get(resource, namespace, name)
        if kind == patches.JSON:
            changed = patches.operated(copy.deepcopy(before), patch)
        else:
            changed = patches.merged(before, patch, strategic=kind != patches.MERGE)
        if before["metadata"]["resourceVersion"] == changed["metadata"].get("resourceVersion"):
            changed = {**changed, "metadata": {**changed["metadata"], "resourceVersion": None}}
        return self.replace(resource, namespace, name, changed, subresource)

    def delete(self, resource: Resource, namespace: str, name: str, options: Object | None = None) -> Object:
        options = options or {}
        item = self.store.get(resource, namespace, name)
        metadata = copy.deepcopy(item["metadata"])
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted and wanted != metadata["uid"]:
            why = f"UID in precondition: {wanted}, UID in object meta: {metadata['uid']}"
            raise conflict(resource, name, f"Precondition failed: {why}")
        grace = self._grace(resource, item, options)
        left = metadata.get("deletionGracePeriodSeconds")
        if left is not None and grace >= left and not _may_go(item):
            return item
        policy = options.get("propagationPolicy") or ("Orphan" if resource is JOBS else "Background")
        finalizers = metadata.get("finalizers") or []
        if policy == "Foreground" and FOREGROUND not in finalizers and self.dependents(item):
            finalizers = [*finalizers, FOREGROUND]
        if policy == "Orphan":
            self._disown(item)
        if finalizers or grace > 0:
            metadata.setdefault("deletionTimestamp", after(grace))
            metadata.update(deletionGracePeriodSeconds=grace, generation=metadata.get("generation", 1) + 1)
            if finalizers:
                metadata["finalizers"] = finalizers
            item = self.store.put(resource, {**item, "metadata": metadata})
            if FOREGROUND in finalizers:
                self._delete_dependents(item)
            return item
        return self._finish(resource, item)

    def write_status(self, resource: Resource, item: Object, status: Object) -> Object | None:
        """Write the status of an object, if that is still there."""
        metadata = item["metadata"]
        current = self.store.find(resource, metadata.get("namespace", ""), metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"]:
            return None
        return self.store.put(resource, {**current, "status": status})

    def remove_finalizer(self, resource: Resource, item: Object, finalizer: str) -> None:
        metadata = item["metadata"]
        kept = [name for name in metadata.get("finalizers") or [] if name != finalizer]
        written = {name: value for name, value in metadata.items() if name != "finalizers"}
        if kept:
            written["finalizers"] = kept
        item = self.store.put(resource, {**item, "metadata": written})
        if _may_go(item):
            self._finish(resource, item)

    def dependents(self, owner: Object) -> list[tuple[Resource, Object]]:
        uid = owner["metadata"]["uid"]
        return [
            (resource, item)
            for resource, item in self.store.everything()
            if any(each["uid"] == uid for each in item["metadata"].get("ownerReferences") or [])
        ]

    def _grace(self, resource: Resource, item: Object, options: Object) -> int:
        """A pod that runs on a node has a grace period; nothing else has."""
        if resource is not PODS or not item["spec"].get("nodeName"):
            return 0
        if item["status"].get("phase") in ("Succeeded", "Failed"):
            return 0
        asked = options.get("gracePeriodSeconds")
        return int(item["spec"]["terminationGracePeriodSeconds"] if asked is None else asked)

    def _finish(self, resource: Resource, item: Object) -> Object:
        """Take an object that nothing holds any more out of the store."""
        self.store.remove(resource, item)
        return item

    def _collect(self, change: Change) -> None:
        """Delete what the deleted object owned, or held; let go of an owner that waited for it."""
        if change.after is not None or change.before is None:
            return
        self._delete_dependents(change.before)
        if change.resource is NAMESPACES:
            name = change.before["metadata"]["name"]
            for resource, item in list(self.store.everything()):
                if item["metadata"].get("namespace") == name:
                    self.delete(resource, name, item["metadata"]["name"], {"propagationPolicy": "Background"})
        for resource, owner in list(self.store.everything()):
            if FOREGROUND in (owner["metadata"].get("finalizers") or []) and not self.dependents(owner):
                self.remove_finalizer(resource, owner, FOREGROUND)

    def _collect_orphan(self, resource: Resource, item: Object) -> None:
        """Delete what names only owners that are not there."""
        owners = item["metadata"].get("ownerReferences") or []
        there = {each["metadata"]["uid"] for _, each in self.store.everything()}
        if owners and resource is not NODES and not any(owner["uid"] in there for owner in owners):
            metadata = item["metadata"]
            self.delete(resource, metadata.get("namespace", ""), metadata["name"])

    def _delete_dependents(self, owner: Object) -> None:
        for resource, item in self.dependents(owner):
            metadata = item["metadata"]
            if not metadata.get("deletionTimestamp"):
                options = {"propagationPolicy": "Background"}
                self.delete(resource, metadata.get("namespace", ""), metadata["name"], options)

    def _disown(self, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        for resource, item in self.dependents(owner):
            owners = [each for each in item["metadata"]["ownerReferences"] if each["uid"] != uid]
            self.store.put(resource, {**item, "metadata": {**item["metadata"], "ownerReferences": owners}})


def _may_go(item: Object) -> bool:
    """Whether an object is being deleted, and neither a finalizer nor a grace period holds it."""
    metadata = item["metadata"]
    return bool(metadata.get("deletionTimestamp")) and not (
        metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
    )
