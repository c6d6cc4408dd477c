"""What a rank finds in its container: variables and files, and what its image is pulled with. Pure."""

from __future__ import annotations

import base64
import json

from mapi.clusters.base import Launch
from mapi.domain.runtime import PARAMETERS_FILE, PARAMETERS_MOUNT, File, rank_environment
from mcli.models.secret import SecretType

#: The port where rank 0 is met. Every pod has an address of its own, so it can be the same for all.
PORT = 29500

_DOCKER_HUB = "https://index.docker.io/v1/"


def environment(launch: Launch, address: str) -> dict[str, str]:
    """The variables that all ranks of an execution share, and NODE_RANK where the user has set it.

    Args:
        launch: what is to be started.
        address: where rank 0 is met.
    """
    allocation = launch.allocation
    user = {**launch.injection().env, **launch.env}
    found = rank_environment(
        run_name=launch.run_name,
        resumption=launch.execution.resumption,
        rank=0,
        nodes=allocation.nodes,
        gpus_per_node=allocation.gpus_per_node,
        master_addr=address,
        master_port=PORT,
        parameters_path=f"{PARAMETERS_MOUNT}/{PARAMETERS_FILE}",
        user=user,
    )
    if "NODE_RANK" not in user:
        del found["NODE_RANK"]
    if not allocation.gpus_per_node:  # images made for GPUs ask for all that their node has
        found["NVIDIA_VISIBLE_DEVICES"] = "void"
    return found


def files(launch: Launch) -> tuple[File, ...]:
    """The files of every rank."""
    parameters = File(f"{PARAMETERS_MOUNT}/{PARAMETERS_FILE}", launch.parameters, 0o644)
    return parameters, *launch.injection().files


def registries(launch: Launch) -> list[str]:
    """The credentials for images that the owner has, each as Docker writes them."""
    found = []
    for item in launch.secrets:
        if item.secret.type is SecretType.DOCKER_REGISTRY and isinstance(item.value, dict):
            user, password = item.value["username"], item.value["password"]
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            entry = {"username": user, "password": password, "auth": token}
            entry |= {"email": item.value["email"]} if item.value.get("email") else {}
            found.append(json.dumps({"auths": {item.value.get("server") or _DOCKER_HUB: entry}}))
    return found
