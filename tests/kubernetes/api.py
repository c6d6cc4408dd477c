"""The Kubernetes API as tests of the emulation call it: HTTP and nothing else."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import yaml
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.conftest import wait_until

Json = dict[str, Any]

#: Resources of the namespace under test; paths with a slash in front are taken as they are.
PODS, SECRETS, JOBS, SERVICES, CONFIGMAPS = "pods", "secrets", "jobs", "services", "configmaps"


class Api:
    """A cluster as its kubeconfig shows it, and a namespace of it.

    `kubeconfig`: the text of the file. `image`: one that is there, with a shell.
    """

    def __init__(self, kubeconfig: str, namespace: str, image: str = "sh:1") -> None:
        config = yaml.safe_load(kubeconfig)
        self.kubeconfig = kubeconfig
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.namespace = namespace
        self.image = image
        self._address = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as file:
                for name in ("client-certificate-data", "client-key-data"):
                    file.write(base64.b64decode(user[name]))
                file.flush()
                self._context.load_cert_chain(file.name)

    def request(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: Any
    ) -> tuple[int, Json]:
        """Return the status and the JSON of an answer."""
        with self._open(method, path, body, kind, query) as (_, answer):
            data = answer.read()
            return answer.status, json.loads(data) if data else {}

    def get(self, path: str, **query: Any) -> Json:
        return self._ok(*self.request("GET", path, **query))

    def create(self, path: str, item: Json, **query: Any) -> Json:
        return self._ok(*self.request("POST", path, item, **query))

    def delete(self, path: str, **options: Any) -> Json:
        return self._ok(*self.request("DELETE", path, options))

    def patch(self, path: str, patch: Json) -> Json:
        return self._ok(*self.request("PATCH", path, patch, "application/merge-patch+json"))

    def watch(self, path: str, **query: Any) -> Iterator[Json]:
        """Yield the events of a watch until it ends; raises `IncompleteRead` where it breaks."""
        with self._open("GET", path, None, "", {"watch": "true", **query}) as (_, answer):
            rest = b""
            while data := answer.read1():  # `readline` would take a broken connection for the end
                *lines, rest = (rest + data).split(b"\n")
                yield from map(json.loads, lines)

    def log(self, pod: str, **query: Any) -> bytes:
        with self._open("GET", f"{PODS}/{pod}/log", None, "", query) as (_, answer):
            assert answer.status == 200, answer.read()
            return answer.read()

    def execute(
        self,
        pod: str,
        *command: str,
        typed: bytes = b"",
        tty: bool = False,
        size: tuple[int, int] | None = None,
    ) -> tuple[bytes, Json]:
        """Run a command in a pod; return what it printed and how it ended."""
        streams = {
            "stdin": "true",
            "stdout": "true",
            "stderr": "false" if tty else "true",
            "tty": str(tty).lower(),
        }
        query = urlencode([*streams.items(), *(("command", word) for word in command)])
        url = f"wss://{self._address.netloc}{self._path(PODS)}/{pod}/exec?{query}"
        protocols = [Subprotocol("v5.channel.k8s.io")]
        printed = b""
        with connect(
            url, ssl=self._context, additional_headers=self._headers, subprotocols=protocols
        ) as socket:
            if size:
                socket.send(b"\x04" + json.dumps({"Width": size[0], "Height": size[1]}).encode())
            socket.send(b"\x00" + typed)
            if not tty:
                socket.send(b"\xff\x00")
            for message in socket:
                assert isinstance(message, bytes)
                if message[0] == 3:
                    return printed, json.loads(message[1:])
                printed += message[1:]
        raise AssertionError("it ended without a status")

    def pod(self, name: str, command: str, **spec: Any) -> Json:
        """Create a pod of one container that runs a command of the shell."""
        return self.create(PODS, {"metadata": {"name": name}, "spec": self.pod_spec(command, **spec)})

    def job(self, name: str, command: str, **spec: Any) -> Json:
        """Create an Indexed Job of two pods."""
        template = {"spec": self.pod_spec(command, **spec.pop("pod", {}))}
        settings = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "template": template}
        return self.create(JOBS, {"metadata": {"name": name}, "spec": {**settings, **spec}})

    def pod_spec(self, command: str, **spec: Any) -> Json:
        container = {"name": "main", "image": self.image, "command": ["/bin/sh", "-c", command]}
        container.update(spec.pop("container", {}))
        return {"restartPolicy": "Never", "containers": [container], **spec}

    def until(self, path: str, condition: Callable[[Json], Any], what: str) -> Json:
        """Wait until an object is as it should be; return it."""

        def found() -> Json | None:
            item = self.get(path)
            return item if condition(item) else None

        return dict(wait_until(found, what))

    def ended(self, pod: str) -> Json:
        """Wait until a pod has ended; return how its container did."""

        def over() -> Any:
            status = self.get(f"{PODS}/{pod}")["status"]
            return status["phase"] in ("Succeeded", "Failed") and status["containerStatuses"][0]["state"]

        return dict(wait_until(over, f"{pod} has ended")["terminated"])

    def _open(self, method: str, path: str, body: Any, kind: str, query: Json) -> _Answer:
        assert self._address.port is not None
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._address.port, context=self._context, timeout=20
        )
        headers = {**self._headers, **({"Content-Type": kind} if kind else {})}
        data = None if body is None else json.dumps(body)
        connection.request(method, f"{quote(self._path(path))}?{urlencode(query)}", data, headers)
        return _Answer(connection)

    def _path(self, path: str) -> str:
        if path.startswith("/"):
            return path
        root = "/apis/batch/v1" if path.startswith(JOBS) else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{path}"

    def _ok(self, status: int, answer: Json) -> Json:
        assert status < 300, answer
        return answer


class _Answer:
    def __init__(self, connection: http.client.HTTPSConnection) -> None:
        self._connection = connection

    def __enter__(self) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        return self._connection, self._connection.getresponse()

    def __exit__(self, *_: object) -> None:
        self._connection.close()
