"""A real Kubernetes cluster, where there is one: MAPI_TEST_KUBECONFIG and MAPI_TEST_IMAGE name it.

The image needs /bin/sh and the usual small programs, and has to be on the nodes already, or to be had. Where
MAPI_TEST_ADDRESS says at which address its pods reach this machine, they are tried to.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mapi.clusters.kubernetes.client import Api
from mapi.clusters.kubernetes.settings import KubernetesSettings

KUBECONFIG, IMAGE, ADDRESS = (
    os.environ.get(f"MAPI_TEST_{name}", "") for name in ("KUBECONFIG", "IMAGE", "ADDRESS")
)

needs_cluster = pytest.mark.skipif(
    not (KUBECONFIG and IMAGE), reason="MAPI_TEST_KUBECONFIG and MAPI_TEST_IMAGE name no real cluster"
)


@contextmanager
def namespace_of_tests() -> Iterator[KubernetesSettings]:
    """Settings for a namespace that is there for as long as this is open."""
    name = f"mapi-test-{secrets.token_hex(4)}"
    settings = KubernetesSettings(
        kubeconfig=KUBECONFIG,
        namespace=name,
        default_image=IMAGE,
        image_pull_policy="IfNotPresent",
        ranks_share_nodes=True,
        rendezvous="address",
    )

    async def call(method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        api = Api.connect(settings)
        try:
            return await api.request(method, f"/api/v1/namespaces{path}", body)
        finally:
            await api.close()

    async def ready() -> None:
        await call("POST", "", {"metadata": {"name": name}})
        async with asyncio.timeout(20):  # pods are refused until the namespace has its account
            while not (await call("GET", f"/{name}/serviceaccounts"))["items"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    asyncio.run(ready())
    try:
        yield settings
    finally:
        asyncio.run(call("DELETE", f"/{name}"))
