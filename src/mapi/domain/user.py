"""Who uses the platform, and who is asking."""

from __future__ import annotations

import msgspec


class Organization(msgspec.Struct, frozen=True):
    """The users who share one platform."""

    id: str
    name: str


class User(msgspec.Struct, frozen=True):
    """Someone who owns runs."""

    id: str
    name: str
    email: str
    organization_id: str


class Caller(msgspec.Struct, frozen=True):
    """The user a request comes from, known by its key."""

    user_id: str
    name: str
    email: str
    organization_id: str
