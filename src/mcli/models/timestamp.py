"""Moments as the platform reports them: aware, and comparable with what `datetime.now()` returns.

Scripts ask `run.created_at < datetime.now() - timedelta(days=30)`. A plain aware datetime refuses that; here
a naive other side means local time. Equality is left alone: a naive and an aware datetime are never equal,
which keeps equality and hash consistent.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Self


class Timestamp(datetime):
    """An aware datetime that orders and subtracts with naive ones, taken as local time."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ISO 8601 moment; without an offset it is UTC, as everything the platform sends."""
        moment = cls.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def __lt__(self, other: date) -> bool:
        return super().__lt__(_beside(self, other))

    def __le__(self, other: date) -> bool:
        return super().__le__(_beside(self, other))

    def __gt__(self, other: date) -> bool:
        return super().__gt__(_beside(self, other))

    def __ge__(self, other: date) -> bool:
        return super().__ge__(_beside(self, other))

    def __sub__(self, other: Any) -> Any:
        return super().__sub__(_beside(self, other))

    def __rsub__(self, other: Any) -> timedelta:
        if not isinstance(other, datetime):
            return NotImplemented
        earlier: timedelta = self - other
        return -earlier


def _beside(moment: datetime, other: Any) -> Any:
    """Return `other`, made aware if it is naive and `moment` is not."""
    if isinstance(other, datetime) and other.tzinfo is None and moment.tzinfo is not None:
        return other.astimezone()
    return other
