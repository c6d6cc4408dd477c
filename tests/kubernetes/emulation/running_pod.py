"""A pod on its node: its containers run, its status is reported, its output is kept."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kubernetes.emulation import pods, processes
from tests.kubernetes.emulation.logs import Log
from tests.kubernetes.emulation.quantities import quantity
from tests.kubernetes.emulation.resources import PODS, Object, now

if TYPE_CHECKING:
    from tests.kubernetes.emulation.kubelet import Kubelet

#: Seconds between looks at the memory of a container with a limit, and at images that could not be pulled.
_MEMORY_EVERY = 0.05
_PULL_AGAIN = 0.2


class RunningPod:
    """A pod on its node, until it has ended."""

    def __init__(self, kubelet: Kubelet, pod: Object) -> None:
        self.kubelet = kubelet
        self.pod = pod
        self.logs = {container["name"]: Log() for container in pod["spec"]["containers"]}
        self.processes: dict[str, processes.Process] = {}
        self.specs: dict[str, Object] = {}
        self._states = {name: pods.waiting("ContainerCreating") for name in self.logs}
        self._reasons: dict[str, str] = {}
        self._verdict: Object = {}
        self._phase = "Pending"
        self.over = False
        self._sandbox = False
        self._ending: asyncio.TimerHandle | None = None
        self._grace: float | None = None
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def end(self, grace: float, verdict: Object | None = None) -> None:
        """Signal every container, and kill what is left after its grace; asked again, only sooner counts.

        Args:
            grace: seconds.
            verdict: what the status says of it: reason and message.
        """
        if self._grace is not None and grace >= self._grace:
            return
        if verdict:
            self._verdict = verdict
        first, self._grace = self._grace is None, grace
        if first:
            self._ended.set()
            for name, process in self.processes.items():
                self._record("Normal", "Killing", f"Stopping container {name}")
                process.signal(signal.SIGTERM)
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().call_later(grace, self.kill)

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()

    def out_of_memory(self, container: str) -> None:
        """Kill a container as the kernel does."""
        self._reasons[container] = "OOMKilled"
        self.processes[container].kill()

    async def close(self) -> None:
        self._ended.set()
        self.kill()
        await self._task

    async def _run(self) -> None:
        uid = self.pod["metadata"]["uid"]
        try:
            with self.kubelet.directory(uid) as directory:
                self._report("Pending")
                if await self._images():
                    self._sandbox = True
                    self._report("Pending")
                    await self._containers(directory)
                for log in self.logs.values():
                    log.end()
                self._finish()
        finally:
            self.over = True
            if self._ending is not None:
                self._ending.cancel()
        self.kubelet.sync()

    async def _images(self) -> bool:
        """Have every image here; return False where the pod was deleted meanwhile."""
        store = self.kubelet.registry.store
        for container in self.pod["spec"]["containers"]:
            image, name = container["image"], container["name"]
            if problem := pods.name_problem(image):
                self._record("Warning", "Failed", f"Error: InvalidImageName: {problem}")
                self._states[name] = pods.waiting("InvalidImageName", problem)
                self._sandbox = True
                self._report("Pending")
                await self._ended.wait()
                return False
            reasons = iter(("ErrImagePull", "ImagePullBackOff"))
            while problem := pods.image_problem(store, self.pod, container):
                reason = next(reasons, "ImagePullBackOff")
                self._record("Normal", "Pulling", f'Pulling image "{image}"')
                self._record("Warning", "Failed", f'Failed to pull image "{image}": {problem}')
                self._record("Warning", "Failed", f"Error: {reason}")
                message = (
                    problem
                    if reason == "ErrImagePull"
                    else f'Back-off pulling image "{image}": ErrImagePull: {problem}'
                )
                self._states[name] = pods.waiting(reason, message)
                self._sandbox = True
                self._report("Pending")
                if await self._told_to_end(_PULL_AGAIN):
                    return False
            if self.kubelet.pull_seconds:
                self._record("Normal", "Pulling", f'Pulling image "{image}"')
                if await self._told_to_end(self.kubelet.pull_seconds):
                    return False
            present = f'Container image "{image}" already present on machine and can be accessed by the pod'
            self._record("Normal", "Pulled", present)
        return not self._ended.is_set()

    async def _containers(self, directory: Path) -> None:
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        timer = (
            asyncio.get_running_loop().call_later(deadline, self._deadline) if deadline is not None else None
        )
        async with asyncio.TaskGroup() as group:
            for container in self.pod["spec"]["containers"]:
                group.create_task(self._container(container, directory))
        if timer is not None:
            timer.cancel()

    def _deadline(self) -> None:
        message = "Pod was active on the node longer than the specified deadline"
        self._record("Normal", "DeadlineExceeded", message)
        grace = self.pod["spec"]["terminationGracePeriodSeconds"]
        self.end(grace, {"reason": "DeadlineExceeded", "message": message})

    async def _container(self, container: Object, directory: Path) -> None:
        name = container["name"]
        while True:
            try:
                spec = self._specify(container, directory / name)
                break
            except pods.ConfigError as error:
                self._record("Warning", "Failed", f"Error: {error}")
                self._states[name] = pods.waiting("CreateContainerConfigError", str(error))
                self._report("Pending")
                shutil.rmtree(directory / name, ignore_errors=True)
                if await self._told_to_end(_PULL_AGAIN):
                    return
        try:
            process = await processes.start(spec, directory / name)
        except processes.StartError as error:
            why = f"failed to create containerd task: unable to start container process: {error}: unknown"
            self._record("Warning", "Failed", f"Error: {why}")
            self._states[name] = pods.terminated(
                128, "1970-01-01T00:00:00Z", reason="StartError", message=why
            )
            self._report("Pending")
            return
        self.specs[name], self.processes[name] = spec, process
        started = now()
        self._states[name] = {"running": {"startedAt": started}}
        self._record("Normal", "Created", "Container created")
        self._record("Normal", "Started", "Container started")
        self._report("Running")
        if self._ended.is_set():
            process.signal(signal.SIGTERM)
            if not self._grace:
                process.kill()
        log, supervisor = self.logs[name], process.supervisor
        assert supervisor.stdout is not None and supervisor.stderr is not None
        watch = asyncio.create_task(self._watch_memory(container))
        await asyncio.gather(log.collect(supervisor.stdout), log.collect(supervisor.stderr))
        code = await process.wait()
        watch.cancel()
        log.end()
        del self.processes[name]
        self._states[name] = pods.terminated(code, started, reason=self._reasons.get(name))
        self._report("Running")

    def _specify(self, container: Object, directory: Path) -> Object:
        """Return what `container.py` is told.

        Raises:
            ConfigError: something that the container's spec names is not there.
        """
        store, spec = self.kubelet.registry.store, self.pod["spec"]
        home = directory / "home"
        home.mkdir(parents=True)
        env = pods.environment(store, self._now(), container, pods.base_environment(self.pod, home))
        volumes = {volume["name"]: volume for volume in spec.get("volumes") or []}
        shared = directory.parent / "volumes"
        mounts, read_only = [], []
        for mount in container.get("volumeMounts") or []:
            place = shared / mount["name"]
            only = (
                pods.write_volume(store, self.pod, volumes[mount["name"]], place)
                if not place.exists()
                else True
            )
            mounts.append((str(place / mount.get("subPath", "")), mount["mountPath"]))
            if (only and "emptyDir" not in volumes[mount["name"]]) or mount.get("readOnly"):
                read_only.append(mount["mountPath"])
        words = [*(container.get("command") or ["/bin/sh"]), *(container.get("args") or [])]
        return {
            "hostname": pods.hostname(self.pod),
            "shared": bool(spec.get("shareProcessNamespace")),
            "mounts": mounts,
            "read_only": read_only,
            "scratch": str(directory / "scratch"),
            "hosts": str(self.kubelet.hosts / self.pod["metadata"]["namespace"]),
            "directory": container.get("workingDir") or str(home),
            "command": [pods.expanded(word, env) for word in words],
            "env": env,
        }

    async def _watch_memory(self, container: Object) -> None:
        limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
        while limit is not None and (process := self.processes.get(container["name"])):
            if process.memory() > quantity(limit):
                self.out_of_memory(container["name"])
                return
            await asyncio.sleep(_MEMORY_EVERY)

    async def _told_to_end(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    def _finish(self) -> None:
        """Report the end, and let go of an object that was only waiting for it."""
        for name, state in self._states.items():
            if "terminated" not in state:
                self._states[name] = pods.terminated(137, now(), reason="ContainerStatusUnknown")
        codes = [state["terminated"]["exitCode"] for state in self._states.values()]
        self._sandbox = False
        self._report("Failed" if any(codes) or self._verdict else "Succeeded")

    @property
    def _name(self) -> tuple[str, str]:
        return self.pod["metadata"]["namespace"], self.pod["metadata"]["name"]

    def _now(self) -> Object:
        return self.kubelet.registry.store.find(PODS, *self._name) or self.pod

    def _report(self, phase: str) -> None:
        self._phase = phase
        self.report()

    def report(self) -> None:
        """Write the status as it is now."""
        if self.kubelet.silent:
            return
        status = pods.status_of(
            self._now(),
            self._states,
            phase=self._phase,
            ip=_address(self.pod),
            host_ip=self.kubelet.address,
            sandbox=self._sandbox,
        )
        self.kubelet.registry.write_status(PODS, self.pod, {**status, **self._verdict})

    def _record(self, type_: str, reason: str, message: str) -> None:
        self.kubelet.recorder.component(self.pod, "kubelet", type_, reason, message, self.kubelet.node)


def _address(pod: Object) -> str:
    """An address of its own on this machine's loopback."""
    number = int(pod["metadata"]["uid"].replace("-", "")[:6], 16)
    return f"127.{64 + (number >> 16) % 128}.{number >> 8 & 255}.{1 + number % 254}"
