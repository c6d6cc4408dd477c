"""What the objects of an execution are called, and the labels by which they are found. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from mapi.clusters.base import Launch
from mapi.domain.run import ExecutionId

Json = dict[str, Any]

PLATFORM, RUN, RESUMPTION = "mapi/platform", "mapi/run", "mapi/resumption"
RUN_NAME, OWNER = "mapi/run-name", "mapi/owner"


class Names(msgspec.Struct, frozen=True):
    """What the objects of an execution are called, and how they are found."""

    job: str
    labels: dict[str, str]

    @property
    def secret(self) -> str:
        """The Secret with its variables and files."""
        return self.job

    @property
    def service(self) -> str:
        """The Service by which its ranks are found."""
        return self.job

    @property
    def own_labels(self) -> dict[str, str]:
        """The labels that nothing but this execution has."""
        return {label: self.labels[label] for label in (PLATFORM, RUN, RESUMPTION)}

    def pull_secret(self, number: int) -> str:
        """One of the Secrets its images are pulled with."""
        return f"{self.job}-pull-{number}"


def names(platform: str, launch: Launch) -> Names:
    """Name the objects of an execution: legal whatever its run is called, and nobody else's.

    Args:
        platform: the id of this platform.
        launch: what is to be started.
    """
    execution = launch.execution
    stem = re.sub("[^a-z0-9-]", "-", launch.run_name.lower()).strip("-")[:38].strip("-") or "run"
    if not stem[0].isalpha():  # a Service's name begins with a letter
        stem = f"r-{stem}"
    unique = hashlib.sha256(f"{platform}/{execution}".encode()).hexdigest()[:8]
    labels = {
        "app.kubernetes.io/managed-by": "mapi",
        **execution_labels(platform, execution),
        RUN_NAME: label_value(launch.run_name),
        OWNER: label_value(launch.owner),
    }
    return Names(f"{stem}-{execution.resumption}-{unique}", labels)


def execution_labels(platform: str, execution: ExecutionId) -> dict[str, str]:
    """Labels by which everything of an execution is found."""
    return {
        PLATFORM: platform,
        RUN: label_value(execution.run_id),
        RESUMPTION: str(execution.resumption),
    }


def execution_of(item: Json) -> ExecutionId:
    """Whose an object is."""
    labels = item["metadata"]["labels"]
    return ExecutionId(labels[RUN], int(labels[RESUMPTION]))


def label_value(text: str) -> str:
    """The nearest text that a label may have."""
    return re.sub("[^A-Za-z0-9_.-]", "-", text)[:63].strip("_.-")
