"""The statuses of a run, and the order they usually come in."""

from __future__ import annotations

import re
from enum import Enum


class RunStatus(Enum):
    """Possible statuses of a run, as the public API names them.

    Statuses compare by how far a run has come: `RunStatus.PENDING < RunStatus.RUNNING`.
    """

    #: A valid run status cannot be found
    UNKNOWN = "UNKNOWN"
    #: The run has been dispatched and is waiting to be received
    PENDING = "PENDING"
    #: The run has been scheduled and is waiting to be queued
    SCHEDULED = "SCHEDULED"
    #: The run is queued and is awaiting execution
    QUEUED = "QUEUED"
    #: The run is starting up and preparing to run
    STARTING = "STARTING"
    #: The run is actively running
    RUNNING = "RUNNING"
    #: The run is in the process of being terminated
    TERMINATING = "TERMINATING"
    #: The run is in the process of being stopped
    STOPPING = "STOPPING"
    #: The run has finished without any errors
    COMPLETED = "COMPLETED"
    #: The run has stopped
    STOPPED = "STOPPED"
    #: The run could not start because its image could not be pulled
    FAILED_PULL = "FAILED_PULL"
    #: The run has failed due to an issue at runtime
    FAILED = "FAILED"

    def before(self, other: RunStatus | str, inclusive: bool = False) -> bool:
        """Return True if this state usually comes "before" the other.

        Args:
            other: Another RunStatus, or its name.
            inclusive: If True, equality evaluates to True.
        """
        mine, theirs = _ORDER[self], _ORDER[RunStatus.from_string(other)]
        return mine < theirs or (inclusive and mine == theirs)

    def after(self, other: RunStatus | str, inclusive: bool = False) -> bool:
        """Return True if this state usually comes "after" the other.

        Args:
            other: Another RunStatus, or its name.
            inclusive: If True, equality evaluates to True.
        """
        mine, theirs = _ORDER[self], _ORDER[RunStatus.from_string(other)]
        return mine > theirs or (inclusive and mine == theirs)

    def is_terminal(self) -> bool:
        """Return True if an execution in this status has ended for good."""
        return self in TERMINAL

    @property
    def display_name(self) -> str:
        """The status as a person reads it, for example `Running` or `FailedPull`."""
        return "".join(word.capitalize() for word in self.value.split("_"))

    @classmethod
    def from_string(cls, run_status: str | RunStatus | None) -> RunStatus:
        """Convert a string to a valid RunStatus; anything unknown becomes `RunStatus.UNKNOWN`.

        Case and camel case do not matter: `running`, `RUNNING` and `FailedPull` are understood.
        """
        if isinstance(run_status, RunStatus):
            return run_status
        if not isinstance(run_status, str):
            return cls.UNKNOWN
        text = run_status.strip()
        known = cls.__members__.get(text.upper())
        if known is None:
            known = cls.__members__.get(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).upper())
        return known or cls.UNKNOWN

    def __lt__(self, other: object) -> bool:
        return self.before(other) if isinstance(other, RunStatus) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.before(other, inclusive=True) if isinstance(other, RunStatus) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.after(other) if isinstance(other, RunStatus) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.after(other, inclusive=True) if isinstance(other, RunStatus) else NotImplemented

    def __str__(self) -> str:
        return self.value


_ORDER = {status: place for place, status in enumerate(RunStatus)}

#: An execution in one of these has ended.
TERMINAL = frozenset({RunStatus.COMPLETED, RunStatus.STOPPED, RunStatus.FAILED_PULL, RunStatus.FAILED})

#: A run that ended in one of these did not do what it was asked to.
FAILED_STATES = frozenset({RunStatus.FAILED, RunStatus.FAILED_PULL, RunStatus.STOPPED})
