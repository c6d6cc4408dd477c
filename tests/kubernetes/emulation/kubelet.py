"""A node's kubelet: has the pods that are bound to it run, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from tests.kubernetes.emulation.recorder import Recorder
from tests.kubernetes.emulation.registry import Registry
from tests.kubernetes.emulation.resources import PODS, ApiError, Object
from tests.kubernetes.emulation.running_pod import RunningPod


class Kubelet:
    """The pods of one node, by uid. `silent`: it reports nothing, as from behind a broken network."""

    def __init__(
        self, node: str, address: str, registry: Registry, recorder: Recorder, home: Path, hosts: Path
    ) -> None:
        self.node = node
        self.address = address
        self.silent = False
        self.closed = False
        self.pull_seconds = 0.0
        self.registry = registry
        self.recorder = recorder
        self._home = home
        self.hosts = hosts
        self._pods: dict[str, RunningPod] = {}

    def sync(self) -> None:
        """Start what is new here, end what is to be deleted or is gone."""
        if self.closed:
            return
        bound = {
            pod["metadata"]["uid"]: pod
            for pod in self.registry.store.all(PODS)
            if pod["spec"].get("nodeName") == self.node
        }
        for uid, pod in bound.items():
            if uid not in self._pods and pod["status"]["phase"] not in ("Succeeded", "Failed"):
                self._pods[uid] = RunningPod(self, pod)
            if "deletionTimestamp" in pod["metadata"]:
                grace = pod["metadata"].get("deletionGracePeriodSeconds") or 0
                if (running := self._pods.get(uid)) and not running.over:
                    running.end(grace)
                else:
                    self._remove(pod)
        for uid in self._pods.keys() - bound.keys():
            self._pods[uid].end(0)
            if self._pods[uid].over:  # its log was there for as long as the object was
                del self._pods[uid]

    def find(self, pod: Object) -> RunningPod | None:
        return self._pods.get(pod["metadata"]["uid"])

    def speak(self) -> None:
        """Report again, and first what was not reported."""
        self.silent = False
        for running in self._pods.values():
            running.report()
        self.sync()

    def reach(self) -> None:
        """Answer the API server, which passes on requests for logs and shells.

        Raises:
            ApiError: there is no answer.
        """
        if self.silent:
            where = f"{self.address}:10250"
            message = f'Get "https://{where}": dial tcp {where}: connect: no route to host'
            raise ApiError(500, "InternalError", message)

    async def heard(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass on what it sends; while it is silent nothing comes, not even the end."""
        async for data in stream:
            await self._speaking()
            yield data
        await self._speaking()

    async def _speaking(self) -> None:
        while self.silent:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        self.closed = True
        for running in list(self._pods.values()):
            await running.close()

    def _remove(self, pod: Object) -> None:
        """Say that nothing of a deleted pod is left."""
        store, metadata = self.registry.store, pod["metadata"]
        current = store.find(PODS, metadata["namespace"], metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"] or self.silent:
            return
        if (
            "deletionTimestamp" in current["metadata"]
            and current["metadata"].get("deletionGracePeriodSeconds") != 0
        ):
            self.registry.delete(PODS, metadata["namespace"], metadata["name"], {"gracePeriodSeconds": 0})

    @contextlib.contextmanager
    def directory(self, uid: str) -> Iterator[Path]:
        directory = self._home / uid
        directory.mkdir(parents=True)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
