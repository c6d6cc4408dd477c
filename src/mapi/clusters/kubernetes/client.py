"""The API of a Kubernetes cluster: requests, watches, streams and terminals, and errors in words.

lightkube knows kubeconfigs, credentials that are renewed, and TLS; what travels is httpx2's, on which it is
built. Of its own calls none is used: its watches have no bookmarks and do not notice a connection that died
in silence, its logs are text and cannot be resumed, and its exec has no terminal.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Self

import httpx2
import msgspec
from httpx2.websockets import AsyncWebSocketSession, HTTPXWSException, WebSocketUpgradeError
from lightkube.core.exceptions import ConfigError

from mapi.clusters.kubernetes import queue as kueue
from mapi.clusters.kubernetes.kubeconfig import connection
from mapi.clusters.kubernetes.settings import KubernetesSettings

#: An object of the API, as JSON says it.
Json = dict[str, Any]

NODES, PODS, JOBS, SERVICES, SECRETS, EVENTS = "nodes", "pods", "jobs", "services", "secrets", "events"
WORKLOADS = "workloads"
_ROOTS = {JOBS: "/apis/batch/v1"}

#: Groups of resources that are no part of Kubernetes itself, in whatever version they are installed.
_INSTALLED = {WORKLOADS: kueue.GROUP}

_PATIENCE = 10.0

#: How long to wait at most before trying again, in seconds.
_LONGEST_PAUSE = 10.0

#: A watch is sent a bookmark about once a minute: when nothing comes for longer, its connection is dead.
_WATCH_SILENCE = 75.0

_PAGE = 500

#: The code of an answer that a version is too old to be watched from.
GONE = 410


class KubernetesError(OSError):
    """The API server did not do what was asked; the message says why."""


class Unreachable(KubernetesError):
    """There was no answer."""


class Refused(KubernetesError):
    """The answer was an error. `code`: of HTTP."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_denied(self) -> bool:
        """Whether somebody has to allow it first."""
        return self.code in (401, 403)

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code == 429 or self.code >= 500  # too many requests; trouble of the server's own


def backoff() -> Iterator[float]:
    """Yield how long to wait before each further try, in seconds."""
    pause = 0.1
    while True:
        yield pause * random.uniform(0.8, 1.2)
        pause = min(pause * 2, _LONGEST_PAUSE)


class Api:
    """One cluster, seen from one namespace."""

    def __init__(self, http: httpx2.AsyncClient, namespace: str) -> None:
        self.namespace = namespace
        self._http = http
        self._roots = dict(_ROOTS)

    @classmethod
    def connect(cls, settings: KubernetesSettings) -> Self:
        """Prepare to call the cluster that the settings name; nothing is sent yet.

        Raises:
            ValueError: the settings, or the kubeconfig they name, cannot be used.
        """
        options, namespace = connection(settings, _PATIENCE)
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
        return cls(httpx2.AsyncClient(**options, limits=limits), namespace)

    @property
    def address(self) -> str:
        """Where the API server is."""
        return str(self._http.base_url)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def path(self, resource: str, name: str = "", subresource: str = "") -> str:
        """Return where a resource of the namespace is, or one object of it."""
        place = "" if resource == NODES else f"/namespaces/{self.namespace}"
        parts = [f"{self._roots.get(resource, '/api/v1')}{place}/{resource}", name, subresource]
        return "/".join(part for part in parts if part)

    async def request(self, method: str, path: str, body: Json | None = None, **query: Any) -> Json:
        """Return the answer to a request.

        Args:
            method: of HTTP.
            path: what is asked, below the server's address.
            body: of the request.
            query: what follows the `?`; None is left out.

        Raises:
            Refused: the answer is an error.
            Unreachable: there is no answer.
        """
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        with _explained():
            answer = await self._http.request(
                method,
                path,
                params=_query(query),
                content=None if body is None else msgspec.json.encode(body),
                headers={"Content-Type": kind},
            )
        _check(answer.status_code, answer.content)
        return _object(answer.content)

    async def get(self, resource: str, name: str) -> Json:
        """Return an object."""
        return await self.request("GET", self.path(resource, name))

    async def create(self, resource: str, item: Json) -> Json:
        """Return the object that was created, or the one of that name that was there."""
        try:
            return await self.request("POST", self.path(resource), item)
        except Refused as error:
            if error.code != 409:
                raise
            return await self.get(resource, item["metadata"]["name"])

    async def patch(self, resource: str, name: str, change: Json) -> Json:
        """Merge a change into an object."""
        return await self.request("PATCH", self.path(resource, name), change)

    async def delete(self, resource: str, name: str, grace_seconds: int | None = None) -> None:
        """Delete an object and what it owns; one that is not there is no error."""
        options: Json = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self.request("DELETE", self.path(resource, name), options)
        except Refused as error:
            if error.code != 404:
                raise

    async def list(self, resource: str, **query: Any) -> tuple[list[Json], str]:
        """Return all objects that fit, and the version from which to watch them."""
        if resource in _INSTALLED:
            self._roots[resource] = f"/apis/{await self.version_of(_INSTALLED[resource])}"
        items: list[Json] = []
        more = None
        while True:
            page = await self.request("GET", self.path(resource), limit=_PAGE, **{"continue": more}, **query)
            items += page["items"]
            more = page["metadata"].get("continue")
            if not more:
                return items, page["metadata"]["resourceVersion"]

    async def version_of(self, group: str) -> str:
        """Return the version in which a group of resources is there, with its group.

        Raises:
            Refused: with code 404, it is not there.
        """
        return str((await self.request("GET", f"/apis/{group}"))["preferredVersion"]["groupVersion"])

    async def watch(
        self, resource: str, version: str, opened: Callable[[], None], **query: Any
    ) -> AsyncIterator[Json]:
        """Yield what happens to the objects that fit, until the server ends it.

        Args:
            resource: what to watch.
            version: what is known already.
            opened: called when the server has begun to answer.
            query: which of them.

        Raises:
            Refused: with code 410, that version is too old.
            Unreachable: the connection is gone.
        """
        query |= {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        rest = b""
        async for data in self.stream(self.path(resource), _WATCH_SILENCE, opened, **query):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                event = _object(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise Refused(status.get("code", GONE), status.get("message", "the watch failed"))
                yield event

    async def stream(
        self,
        path: str,
        silence: float,
        opened: Callable[[], None] = lambda: None,
        **query: Any,
    ) -> AsyncIterator[bytes]:
        """Yield what comes in answer to a request, as it comes.

        Args:
            path: what is asked.
            silence: how long nothing may come before the connection is taken for dead, in seconds.
            opened: called when the server has begun to answer.
            query: what follows the `?`; None is left out.
        """
        timeout = httpx2.Timeout(_PATIENCE, read=silence)
        with _explained():
            async with self._http.stream("GET", path, params=_query(query), timeout=timeout) as answer:
                if answer.is_error:
                    _check(answer.status_code, await answer.aread())
                opened()
                async for data in answer.aiter_bytes():
                    yield data

    def terminal(
        self, pod: str, container: str, command: Sequence[str]
    ) -> AbstractAsyncContextManager[AsyncWebSocketSession]:
        """Run a command on a terminal in a container.

        Args:
            pod: its name.
            container: which of its containers.
            command: the program and its arguments.
        """
        streams = dict.fromkeys(("stdin", "stdout", "tty"), "true")
        query = [*streams.items(), ("container", container), *(("command", word) for word in command)]
        return self._http.websocket(
            self.path(PODS, pod, "exec"),
            params=tuple(query),
            subprotocols=["v5.channel.k8s.io", "v4.channel.k8s.io"],
            # Answers wait behind what a slow reader leaves unread, and would be taken for missing
            keepalive_ping_interval_seconds=None,
        )


def explain(error: BaseException) -> KubernetesError:
    """Put what went wrong under a request into words."""
    if isinstance(error, KubernetesError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return explain(error.exceptions[0])
    if isinstance(error, WebSocketUpgradeError):
        code = error.response.status_code  # its words are not read by then
        why = "get and create of pods/exec are not both allowed" if code == 403 else f"HTTP {code}"
        return Refused(code, f"no terminal: {why}")
    if isinstance(error, httpx2.TimeoutException):
        return Unreachable("the API server does not answer")
    while error.__cause__ or error.__context__:  # what is around it says less
        error = error.__cause__ or error.__context__ or error
    return Unreachable(f"the API server cannot be reached: {error or type(error).__name__}")


#: What httpx2 raises when there is no answer, and lightkube when there are no credentials: the program that
#: a kubeconfig gets them from may be missing.
NO_ANSWER = (httpx2.HTTPError, httpx2.StreamError, HTTPXWSException, ConfigError, OSError)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except NO_ANSWER as error:
        raise explain(error) from None


def _check(code: int, content: bytes) -> None:
    """Raise what an answer says went wrong."""
    if code < 400:
        return
    try:
        message = str(_object(content)["message"])
    except (Unreachable, KeyError):
        message = content.decode(errors="replace").strip()
    raise Refused(code, message or f"HTTP {code}")


def _object(content: bytes) -> Json:
    try:
        return msgspec.json.decode(content, type=Json)
    except msgspec.DecodeError:
        said = content[:40].decode(errors="replace")
        raise Unreachable(f"what answers is no API server of Kubernetes: {said!r}") from None


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}
