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
