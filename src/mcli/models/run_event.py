"""What happened to a run: the kinds of events, and an event as it was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mcli.models.timestamp import Timestamp


class EventType(Enum):
    """The kinds of events the public API has names for; a platform may send others, which stay text."""

    CREATED = "CREATED"
    CHECK_PASSED = "CHECK_PASSED"
    CHECK_FAILED = "CHECK_FAILED"
    STARTED = "STARTED"
    DATA_VALIDATED = "DATA_VALIDATED"
    MODEL_INITIALIZED = "MODEL_INITIALIZED"
    TRAIN_STARTED = "TRAIN_STARTED"
    TRAIN_UPDATED = "TRAIN_UPDATED"
    TRAIN_FINISHED = "TRAIN_FINISHED"
    CHECKPOINT_SAVED = "CHECKPOINT_SAVED"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    CANCELED = "CANCELED"
    FAILED = "FAILED"
    FAILED_EXCEPTION = "FAILED_EXCEPTION"
    REQUEUED = "REQUEUED"

    @classmethod
    def from_string(cls, event_type: str) -> EventType | str:
        """Return the kind of that name, or the text itself where there is none."""
        return cls.__members__.get(event_type.upper(), event_type)

    def __str__(self) -> str:
        return self.value


@dataclass
class RunEvent:
    """An event somebody added to a run."""

    id: str
    run_id: str
    event_type: EventType | str
    event_data: dict[str, Any] = field(default_factory=dict)
    execution_id: str | None = None
    updated_at: Timestamp | None = None

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> RunEvent:
        """Read an event as the platform sends it."""
        return cls(
            id=answer["id"],
            run_id=answer["runId"],
            event_type=EventType.from_string(answer["eventType"]),
            event_data=answer["eventData"] or {},
            execution_id=answer["executionId"],
            updated_at=Timestamp.parse(answer["updatedAt"]),
        )


@dataclass
class FormattedRunEvent:
    """A line of a run's history, as a person reads it."""

    event_type: EventType | str
    event_time: Timestamp
    event_message: str
    resumption_index: int | None = None

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> FormattedRunEvent:
        """Read a line of the history as the platform sends it."""
        return cls(
            event_type=EventType.from_string(answer["eventType"]),
            event_time=Timestamp.parse(answer["eventTime"]),
            event_message=answer["eventMessage"] or "",
            resumption_index=answer.get("resumptionIndex"),
        )
