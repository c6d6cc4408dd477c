"""The emulated cluster as tests handle it: it runs in a thread, and does what it is told."""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import uvicorn
import yaml

from tests.kubernetes.emulation.certificates import write_certificate
from tests.kubernetes.emulation.faults import Faults
from tests.kubernetes.emulation.jobs import JobController
from tests.kubernetes.emulation.names import write_hosts
from tests.kubernetes.emulation.nodes import Nodes
from tests.kubernetes.emulation.recorder import Recorder
from tests.kubernetes.emulation.registry import Registry
from tests.kubernetes.emulation.resources import BY_KIND, NAMESPACES, PODS, Object
from tests.kubernetes.emulation.scheduler import Scheduler
from tests.kubernetes.emulation.server import ApiServer
from tests.kubernetes.emulation.store import Change, Store

T = TypeVar("T")

TOKEN = "a-token-of-tests"


class EmulatedCluster:
    """A cluster with the namespaces `default` and `runs`, and no nodes until some are added.

    `url`, `token`, `kubeconfig`: how to reach it. `faults`: what it is to do wrong.
    """

    token = TOKEN
    namespace = "runs"

    def __init__(self, home: Path) -> None:
        self._home = home
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="emulated-kubernetes", daemon=True
        )
        self._socket = _listen(0)
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self.certificate, self._key = home / "certificate.pem", home / "key.pem"
        home.mkdir(parents=True, exist_ok=True)
        write_certificate(self.certificate, self._key)
        self.faults = Faults()
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)  # streams that are cut are no news

    @property
    def kubeconfig(self) -> str:
        """The text of a kubeconfig file."""
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "emulated", "cluster": cluster}],
                "users": [{"name": "tester", "user": {"token": self.token}}],
                "contexts": [
                    {
                        "name": "emulated",
                        "context": {"cluster": "emulated", "user": "tester", "namespace": self.namespace},
                    }
                ],
                "current-context": "emulated",
            }
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # Looking at it, and changing it, past its API

    def objects(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Return the objects of a kind."""
        return self._do(lambda: self._store.all(BY_KIND[kind], namespace))

    def create(self, kind: str, item: Object, namespace: str = "runs") -> Object:
        return self._do(lambda: self._registry.create(BY_KIND[kind], namespace, item))

    def delete(self, kind: str, name: str, namespace: str = "runs") -> None:
        """Delete an object, and what it owns in the background."""
        options = {"propagationPolicy": "Background"}
        self._do(lambda: self._registry.delete(BY_KIND[kind], namespace, name, options))

    def patch(self, kind: str, name: str, patch: Object, namespace: str = "runs") -> Object:
        """Change an object by a merge patch, its status as well."""
        kind_ = "application/merge-patch+json"

        def change() -> Object:
            self._registry.patch(BY_KIND[kind], namespace, name, patch, kind_, "status")
            return self._registry.patch(BY_KIND[kind], namespace, name, patch, kind_)

        return self._do(change)

    @property
    def requests(self) -> list[tuple[str, str]]:
        """The verb and the resource of every request so far."""
        return list(self._server.requests)

    # What can happen to a cluster

    def add_node(self, name: str, **what: Any) -> None:
        """See `Nodes.add`."""
        self._do(lambda: self._nodes.add(name, **what))

    def cordon(self, name: str, value: bool = True) -> None:
        self._do(lambda: self._nodes.cordon(name, value))

    def lose_node(self, name: str, *, dead: bool = True) -> None:
        self._do(lambda: self._nodes.lose(name, dead=dead))

    def evict_lost(self, name: str) -> None:
        self._do(lambda: self._nodes.evict_lost(name))

    def restore_node(self, name: str) -> None:
        self._do(lambda: self._nodes.restore(name))

    def remove_node(self, name: str) -> None:
        self._do(lambda: self._nodes.remove(name))

    def evict(self, pod: str, namespace: str = "runs") -> None:
        self._do(lambda: self._nodes.evict(self._store.get(PODS, namespace, pod)))

    def out_of_memory(self, pod: str, namespace: str = "runs") -> None:
        """Kill the first container of a pod as the kernel does when memory runs out."""

        def kill() -> None:
            running = self._nodes.running(self._store.get(PODS, namespace, pod))
            assert running is not None
            running.out_of_memory(next(iter(running.processes)))

        self._do(kill)

    def rotate_log(self, pod: str, last: bytes, namespace: str = "runs") -> None:
        """Throw away the log of a pod's first container up to a line, once it is there."""

        async def rotate() -> None:
            running = self._nodes.running(self._store.get(PODS, namespace, pod))
            assert running is not None
            await next(iter(running.logs.values())).rotate(last)

        self._wait(rotate())

    def pull_slowly(self, seconds: float) -> None:
        """Have every image pulled for a while, on the nodes there are."""

        def slow() -> None:
            for kubelet in self._nodes.kubelets.values():
                kubelet.pull_seconds = seconds

        self._do(slow)

    def drop_streams(self) -> None:
        """Break every watch, log and shell there is."""
        self._do(lambda: self._server.cut_streams())

    def silence_streams(self) -> None:
        """Let nothing more come of the watches and logs there are, as where packets are lost."""
        self._do(lambda: self._server.silence_streams())

    def expire(self) -> None:
        """Forget old revisions, and break watches: who comes back with one of those is answered 410."""
        self._do(self._store.forget_history)
        self.drop_streams()

    def down(self) -> None:
        """Let nobody reach the API; what runs on the nodes goes on."""
        self._wait(self._close_door())

    def up(self) -> None:
        """Let the API be reached again, at the same address."""
        self._wait(self._open_door())

    # Inside

    async def _start(self) -> None:
        hosts = self._home / "hosts"
        hosts.mkdir(parents=True)
        self._hosts = hosts
        self._store = Store()
        self._registry = Registry(self._store)
        recorder = Recorder(self._registry)
        self._nodes = Nodes(self._registry, recorder, self._home / "pods", hosts)
        self._scheduler = Scheduler(self._registry, recorder)
        self._jobs = JobController(self._registry, recorder)
        self._server = ApiServer(self._registry, self._nodes, self.faults, self.token)
        self._ending = False
        self._syncing: asyncio.Handle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._store.listen(self._noted)
        for name in ("default", self.namespace):
            self._registry.create(NAMESPACES, "", {"metadata": {"name": name}, "status": {"phase": "Active"}})
        await self._open_door()

    async def _stop(self) -> None:
        await self._close_door()
        self._ending = True
        for handle in (self._syncing, self._deadline):
            if handle is not None:
                handle.cancel()
        for kubelet in self._nodes.kubelets.values():
            await kubelet.close()

    async def _open_door(self) -> None:
        if self._socket.fileno() < 0:
            self._socket = _listen(int(self.url.rpartition(":")[2]))
        self._web = uvicorn.Server(
            uvicorn.Config(
                self._server.application,
                lifespan="off",
                access_log=False,
                log_config=None,
                ws="websockets-sansio",
                ssl_certfile=self.certificate,
                ssl_keyfile=self._key,
            )
        )
        self._serving = asyncio.create_task(self._web.serve(sockets=[self._socket]))
        while not self._web.started:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def _close_door(self) -> None:
        if self._serving.done():
            return
        self._web.should_exit = self._web.force_exit = True
        self._server.cut_streams()
        await self._serving
        self._socket.close()
        # Those in the midst of a handshake or a farewell are known to nobody but the loop
        for transport in list(self._loop._transports.values()):  # type: ignore[attr-defined]
            transport.abort()

    def _noted(self, change: Change) -> None:
        self._jobs.note(change)
        if self._syncing is None and not self._ending:
            self._syncing = asyncio.get_running_loop().call_soon(self._sync)

    def _sync(self) -> None:
        """Have every controller look once at all that has changed."""
        self._syncing = None
        write_hosts(self._store, self._hosts)
        self._jobs.sync()
        self._scheduler.sync()
        self._nodes.sync()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if (seconds := self._jobs.due()) is not None:
            self._deadline = asyncio.get_running_loop().call_later(max(seconds, 0.01), self._sync)

    def _do(self, function: Callable[[], T]) -> T:
        async def done() -> T:
            return function()

        return self._wait(done())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener
