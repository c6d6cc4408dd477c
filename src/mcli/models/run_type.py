"""What a run is for."""

from __future__ import annotations

from enum import Enum


class RunType(Enum):
    """What a run is for."""

    TRAINING = "TRAINING"
    INTERACTIVE = "INTERACTIVE"
    SECRET_TEST = "SECRET_TEST"
    HERO_RUN = "HERO_RUN"
    FINETUNING = "FINETUNING"
    PRETRAINING = "PRETRAINING"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def from_string(cls, run_type: str | RunType | None) -> RunType:
        """Convert a string to a RunType; anything unknown becomes `RunType.UNKNOWN`."""
        if isinstance(run_type, RunType):
            return run_type
        return cls.__members__.get(str(run_type).upper(), cls.UNKNOWN)

    def __str__(self) -> str:
        return self.value
