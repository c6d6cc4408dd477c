"""Users of a platform, and the organizations they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Organization:
    """The users who share a platform."""

    id: str
    name: str

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> Organization:
        """Read an organization as the platform sends it."""
        return cls(answer["id"], answer["name"])


@dataclass
class User:
    """Someone who owns runs and secrets."""

    id: str
    name: str
    email: str
    organizations: list[Organization] = field(default_factory=list)

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> User:
        """Read a user as the platform sends it."""
        return cls(
            answer["id"],
            answer["name"],
            answer["email"],
            [Organization.from_wire(item) for item in answer["organizations"]],
        )
