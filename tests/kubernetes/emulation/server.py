"""The API server: requests over HTTP to the objects, their changes, the logs and the shells of pods."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.kubernetes.emulation import discovery, logs
from tests.kubernetes.emulation.execution import serve_exec
from tests.kubernetes.emulation.faults import Faults, until_cut, until_silent
from tests.kubernetes.emulation.nodes import Nodes
from tests.kubernetes.emulation.paths import Target, parse
from tests.kubernetes.emulation.registry import Registry
from tests.kubernetes.emulation.resources import (
    PODS,
    ApiError,
    Object,
    bad_request,
    forbidden,
    is_true,
)
from tests.kubernetes.emulation.running_pod import RunningPod
from tests.kubernetes.emulation.selectors import fields_match, matches, parse_fields, parse_labels
from tests.kubernetes.emulation.watches import Selection, Watch

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_REVIEW = f"/apis/{discovery.REVIEWS}/selfsubjectaccessreviews"


class ApiServer:
    """The application; `cut` ends all streams when it is set, `silence` has nothing more come of them."""

    def __init__(self, registry: Registry, nodes: Nodes, faults: Faults, token: str) -> None:
        self._registry = registry
        self._nodes = nodes
        self._faults = faults
        self._token = token
        self.cut, self.silence = asyncio.Event(), asyncio.Event()
        self.requests: list[tuple[str, str]] = []
        self.application = Starlette(
            routes=[
                WebSocketRoute("/api/v1/namespaces/{namespace}/pods/{name}/exec", self._exec),
                Route("/{path:path}", self._serve, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            ],
            exception_handlers={ApiError: _refused},
        )

    def cut_streams(self) -> None:
        """Break every watch, log and shell there is."""
        self.cut.set()
        self.cut = asyncio.Event()

    def silence_streams(self) -> None:
        """Let nothing more come of the watches and logs there are."""
        self.silence.set()
        self.silence = asyncio.Event()

    async def _serve(self, request: Request) -> Response:
        path = request.url.path
        if path in ("/healthz", "/readyz", "/livez"):
            return PlainTextResponse("ok")
        self._authenticate(request)
        if (document := discovery.document(path)) is not None:
            await self._faults.meet("get", path)
            return JSONResponse(document)
        if path == _REVIEW:
            return self._review(await _body(request))
        target = parse(path)
        if target is None:
            return PlainTextResponse("404 page not found\n", 404)
        verb = _VERBS[request.method]
        if verb == "get" and not target.name:
            verb = "watch" if is_true(request.query_params.get("watch")) else "list"
        if verb == "delete" and not target.name:
            verb = "deletecollection"
        await self._admit(verb, target)
        answer: Response = await getattr(self, f"_{verb}")(request, target)
        await self._faults.linger(verb, target.what)
        return answer

    async def _admit(self, verb: str, target: Target) -> None:
        self.requests.append((verb, target.what))
        if self._faults.is_denied(verb, target.what):
            raise forbidden(verb, target.what, target.resource.group, target.namespace)
        await self._faults.meet(verb, target.what)

    async def _get(self, request: Request, target: Target) -> Response:
        if target.subresource == "log":
            return self._log(request, target)
        return JSONResponse(self._registry.store.get(target.resource, target.namespace or "", target.name))

    async def _list(self, request: Request, target: Target) -> Response:
        store, query = self._registry.store, request.query_params
        wanted = query.get("resourceVersion", "")
        if wanted.isdigit() and int(wanted) > store.revision:
            raise ApiError(
                504,
                "Timeout",
                f"Timeout: Too large resource version: {wanted}, current: {store.revision}",
                {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
                retry_after=1,
            )
        metadata: Object = {"resourceVersion": str(store.revision)}
        items = [
            item for item in store.all(target.resource, target.namespace) if _selection(request).fits(item)
        ]
        if token := query.get("continue"):
            revision, place = _continued(token)
            store.changes(revision)
            items = [item for item in items if _place(item) > place]
            metadata["resourceVersion"] = str(revision)
        limit = int(query.get("limit") or 0)
        if limit and len(items) > limit:
            metadata["remainingItemCount"] = len(items) - limit
            items = items[:limit]
            said = {"rv": int(metadata["resourceVersion"]), "start": _place(items[-1])}
            metadata["continue"] = base64.urlsafe_b64encode(json.dumps(said).encode()).decode()
        kind = {"kind": f"{target.resource.kind}List", "apiVersion": target.resource.group_version}
        bare = [
            {name: value for name, value in item.items() if name not in ("kind", "apiVersion")}
            for item in items
        ]
        return JSONResponse({**kind, "metadata": metadata, "items": bare})

    async def _watch(self, request: Request, target: Target) -> Response:
        watch = Watch(
            self._registry.store, target.resource, target.namespace, _selection(request), request.query_params
        )
        return StreamingResponse(
            until_silent(watch.stream(self.cut), self.silence, self.cut), media_type="application/json"
        )

    async def _create(self, request: Request, target: Target) -> Response:
        item = await _body(request)
        if target.subresource == "eviction":
            self._nodes.evict_by_request(self._registry.store.get(PODS, target.namespace or "", target.name))
            return JSONResponse({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}, 201)
        dry = "dryRun" in request.query_params
        created = self._registry.create(target.resource, target.namespace or "", item, dry_run=dry)
        return JSONResponse(created, 201)

    async def _update(self, request: Request, target: Target) -> Response:
        item = await _body(request)
        written = self._registry.replace(
            target.resource, target.namespace or "", target.name, item, target.subresource
        )
        return JSONResponse(written)

    async def _patch(self, request: Request, target: Target) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0]
        patch = await _body(request)
        written = self._registry.patch(
            target.resource, target.namespace or "", target.name, patch, kind, target.subresource
        )
        return JSONResponse(written)

    async def _delete(self, request: Request, target: Target) -> Response:
        options = await _options(request)
        if "dryRun" in options:
            return JSONResponse(
                self._registry.store.get(target.resource, target.namespace or "", target.name)
            )
        return JSONResponse(
            self._registry.delete(target.resource, target.namespace or "", target.name, options)
        )

    async def _deletecollection(self, request: Request, target: Target) -> Response:
        options, selection = await _options(request), _selection(request)
        for item in self._registry.store.all(target.resource, target.namespace):
            metadata = item["metadata"]
            if selection.fits(item):
                self._registry.delete(
                    target.resource, metadata.get("namespace", ""), metadata["name"], options
                )
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    def _log(self, request: Request, target: Target) -> Response:
        query = request.query_params
        pod = self._registry.store.get(PODS, target.namespace or "", target.name)
        container = self._container(pod, query.get("container"))
        if not pod["spec"].get("nodeName"):
            return Response(status_code=204)
        running = self._nodes.running(pod)
        status = next(
            (each for each in pod["status"].get("containerStatuses", []) if each["name"] == container), None
        )
        state = status["state"] if status else {"waiting": {"reason": "ContainerCreating"}}
        if running is None or "waiting" in state:
            reason = state.get("waiting", {}).get("reason", "ContainerCreating")
            why = "trying and failing to pull image" if "ImagePull" in reason else reason
            raise bad_request(f'container "{container}" in pod "{target.name}" is waiting to start: {why}')
        running.kubelet.reach()
        if "terminated" in state and self._faults.logs_cleaned:  # the kubelet says so with code 200
            return Response("unable to retrieve container logs for containerd://0", media_type="text/plain")
        tail = query.get("tailLines")
        lines = running.logs[container].read(
            follow=is_true(query.get("follow")),
            since=logs.since_ns(query["sinceTime"]) if "sinceTime" in query else 0,
            tail=None if tail is None else int(tail),
            timestamps=is_true(query.get("timestamps")),
        )
        most = self._faults.log_cuts.pop(0) if self._faults.log_cuts else None
        heard = until_cut(running.kubelet.heard(lines), self.cut, most)
        return StreamingResponse(until_silent(heard, self.silence, self.cut), media_type="text/plain")

    async def _exec(self, websocket: WebSocket) -> None:
        try:
            self._authenticate(websocket)
            target = parse(websocket.url.path)
            assert target is not None
            for verb in ("get", "create"):
                await self._admit(verb, target)
            pod = self._registry.store.get(PODS, target.namespace or "", target.name)
            container = self._container(pod, websocket.query_params.get("container"))
            running: RunningPod | None = self._nodes.running(pod)
            if running is None or container not in running.processes:
                raise ApiError(500, "InternalError", f'container not found ("{container}")')
            running.kubelet.reach()
        except ApiError as error:
            await websocket.send_denial_response(JSONResponse(error.status, error.code))
            return
        await serve_exec(websocket, running, container, self.cut)

    def _container(self, pod: Object, name: str | None) -> str:
        names = [container["name"] for container in pod["spec"]["containers"]]
        pod_name = pod["metadata"]["name"]
        if name is None and len(names) > 1:
            raise bad_request(
                f"a container name must be specified for pod {pod_name}, choose one of: {names}"
            )
        if name is not None and name not in names:
            raise bad_request(f"container {name} is not valid for pod {pod_name}")
        return name or str(names[0])

    def _authenticate(self, connection: HTTPConnection) -> None:
        if connection.headers.get("authorization") != f"Bearer {self._token}":
            raise ApiError(401, "Unauthorized", "Unauthorized")

    def _review(self, review: Object) -> Response:
        asked = review["spec"]["resourceAttributes"]
        what = "/".join(filter(None, (asked.get("resource"), asked.get("subresource"))))
        allowed = not self._faults.is_denied(asked["verb"], what)
        return JSONResponse({**review, "metadata": {}, "status": {"allowed": allowed}}, 201)


async def _refused(_: Any, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return JSONResponse(error.status, error.code, headers)


async def _body(request: Request) -> Any:
    if "protobuf" in request.headers.get("content-type", ""):
        accepted = "accepted media types include: application/json, application/yaml"
        message = f"the body of the request was in an unknown format - {accepted}"
        raise ApiError(415, "UnsupportedMediaType", message)
    try:
        return yaml.load(await request.body(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise bad_request(f"the body is neither JSON nor YAML: {error}") from None


async def _options(request: Request) -> Object:
    """Options of a deletion come in the body or the query."""
    body = await request.body()
    query = {
        name: request.query_params[name] for name in ("propagationPolicy",) if name in request.query_params
    }
    if "gracePeriodSeconds" in request.query_params:
        return {**query, "gracePeriodSeconds": int(request.query_params["gracePeriodSeconds"])}
    return {**(json.loads(body) if body else {}), **query}


def _selection(request: Request) -> Selection:
    labels = parse_labels(request.query_params.get("labelSelector", ""))
    fields = parse_fields(request.query_params.get("fieldSelector", ""))
    return Selection(
        lambda item: matches(labels, item["metadata"].get("labels") or {}) and fields_match(fields, item)
    )


def _place(item: Object) -> str:
    return f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"


def _continued(token: str) -> tuple[int, str]:
    try:
        said = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise bad_request("invalid continue token: continue key is not valid") from None
    return int(said["rv"]), str(said["start"])
