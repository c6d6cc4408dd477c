"""Events, as the scheduler, the Job controller and the kubelet write them."""

from __future__ import annotations

import secrets

from tests.kubernetes.emulation.registry import Registry
from tests.kubernetes.emulation.resources import EVENTS, NAMESPACES, Object, now


class Recorder:
    """Writes events; those of a component that come again are counted."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def scheduler(self, item: Object, type_: str, reason: str, message: str) -> None:
        at = now()
        self._write(
            item,
            {
                "type": type_,
                "reason": reason,
                "message": message,
                "action": "Scheduling" if type_ == "Warning" else "Binding",
                "eventTime": f"{at[:-1]}.000000Z",
                "firstTimestamp": None,
                "lastTimestamp": None,
                "reportingComponent": "default-scheduler",
                "reportingInstance": "default-scheduler-0",
                "source": {},
            },
        )

    def component(
        self, item: Object, component: str, type_: str, reason: str, message: str, host: str | None = None
    ) -> None:
        at = now()
        seen = self._seen(item, reason, message)
        if seen is not None:
            self._registry.store.put(EVENTS, {**seen, "count": seen["count"] + 1, "lastTimestamp": at})
            return
        self._write(
            item,
            {
                "type": type_,
                "reason": reason,
                "message": message,
                "count": 1,
                "eventTime": None,
                "firstTimestamp": at,
                "lastTimestamp": at,
                "reportingComponent": component,
                "reportingInstance": host or "",
                "source": {"component": component, **({"host": host} if host else {})},
            },
        )

    def _seen(self, item: Object, reason: str, message: str) -> Object | None:
        uid = item["metadata"]["uid"]
        for event in self._registry.store.all(EVENTS, item["metadata"].get("namespace") or "default"):
            same = (event["involvedObject"]["uid"], event["reason"], event["message"]) == (
                uid,
                reason,
                message,
            )
            if same and "count" in event:
                return event
        return None

    def _write(self, item: Object, event: Object) -> None:
        metadata = item["metadata"]
        namespace = metadata.get("namespace") or "default"
        if self._registry.store.find(NAMESPACES, "", namespace) is None:
            return
        involved = {
            "apiVersion": item["apiVersion"],
            "kind": item["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            **({"namespace": namespace} if "namespace" in metadata else {}),
        }
        name = f"{metadata['name']}.{secrets.token_hex(8)}"
        self._registry.create(
            EVENTS, namespace, {"metadata": {"name": name}, "involvedObject": involved, **event}
        )
