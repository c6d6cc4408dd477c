"""A platform with a Kubernetes cluster and this machine, as users have it: a server process, and `mcli`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from mapi.clusters.kubernetes.client import JOBS, PODS, SECRETS, SERVICES, Api
from mapi.clusters.kubernetes.settings import KubernetesSettings
from mcli.models.run_status import RunStatus
from tests.cli.conftest import ACTIVE, Mcli
from tests.conftest import wait_until
from tests.kubernetes.emulation.cluster import EmulatedCluster
from tests.kubernetes.stage import image_of


class Site:
    """A platform with two clusters: `kube`, and this machine.

    `image`: one that is there, with a shell. `emulated`: the cluster behind `kube`, if it is no real one.
    """

    def __init__(
        self, directory: Path, settings: KubernetesSettings, emulated: EmulatedCluster | None = None
    ) -> None:
        self.settings = settings
        self.image = image_of(settings)
        self.emulated = emulated
        self.mcli = Mcli(directory)
        home = directory / "config" / "platform"
        home.mkdir(parents=True)
        clusters = {"kube": {"kind": "kubernetes", **self._settings()}, "here": {"kind": "local"}}
        port = self.settings.endpoint.rpartition(":")[2]
        bound = {"host": "0.0.0.0", "port": int(port)} if port else {}
        config = {"grace_seconds": 2, "clusters": clusters, **bound}
        (home / "mapi.yaml").write_text(yaml.safe_dump(config))
        self.info = home / "platform.json"

    def run(self, command: str, name: str = "test", *, cluster: str = "kube", **fields: Any) -> str:
        """Submit a run and return its name."""
        compute = {"cluster": cluster, "gpu_type": "none", **fields.pop("compute", {})}
        fields.setdefault("image", self.image)
        return self.mcli.submit(command, name, compute=compute, **fields)

    def ended(self, name: str, status: RunStatus = RunStatus.COMPLETED) -> dict[str, Any]:
        """Wait until a run has ended as it should; return what is known about it."""
        record = self.mcli.wait(name)
        assert record["status"] == status.value, (record, self.log(name))
        return record

    def log(self, name: str, *arguments: str) -> str:
        return self.mcli("logs", name, *arguments).stdout

    def prints(self, name: str, text: str, *arguments: str) -> None:
        """Wait until a run has printed something."""
        wait_until(lambda: text in self.log(name, *arguments), f"{name} prints {text!r}", 60)

    def events(self, name: str) -> list[str]:
        """What has happened to a run, by the types of its events."""
        return [
            each["type"]
            for each in json.loads(self.mcli("describe", "run", name, "-o", "json").stdout)["events"]
        ]

    def left(self) -> list[str]:
        """The names of what is in the namespace."""

        async def look() -> list[str]:
            api = Api.connect(self.settings)
            try:
                lists = [(await api.list(each))[0] for each in (JOBS, PODS, SERVICES, SECRETS)]
            finally:
                await api.close()
            return [item["metadata"]["name"] for each in lists for item in each]

        return asyncio.run(look())

    def kill(self) -> None:
        """End the server as a crash would."""
        os.kill(json.loads(self.info.read_text())["pid"], signal.SIGKILL)

    def away(self) -> None:
        """Let the API server of the emulated cluster be reached by nobody."""
        assert self.emulated is not None
        self.emulated.down()

    def back(self) -> None:
        """Let it be reached again, if it is one that can be away."""
        if self.emulated is not None:
            self.emulated.up()

    def stop_everything(self) -> None:
        names = self.mcli("get", "runs", "-s", ACTIVE, "--limit", "none", "-o", "name").stdout.split()
        if names:
            self.mcli("stop", "runs", *names, "-y")
        for name in names:
            self.mcli.wait(name)

    def _settings(self) -> dict[str, Any]:
        defaults = msgspec.to_builtins(KubernetesSettings())
        given = msgspec.to_builtins(self.settings)
        return {name: value for name, value in given.items() if value != defaults[name]}


def opened(site: Site) -> Iterator[Site]:
    """Yield a site, and end its server."""
    try:
        yield site
    finally:
        site.mcli("platform", "stop")
