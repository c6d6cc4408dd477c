"""What callers may pass, made into what the wire takes: names or objects, enums or text, one or many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from mcli.api.exceptions import InvalidArgument
from mcli.models.naming import suggestion
from mcli.models.run_status import RunStatus

if TYPE_CHECKING:
    from mcli.models.cluster import ClusterDetails
    from mcli.models.run import Run

T = TypeVar("T")

#: A moment: naive means local time, text is ISO 8601.
Moment = datetime | date | str


def name_of(thing: str | Run | ClusterDetails) -> str:
    """Return the name of a run or cluster given by name or as an object.

    Raises:
        InvalidArgument: it is neither, or the name is empty.
    """
    name = thing if isinstance(thing, str) else getattr(thing, "name", None)
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"expected a name, or an object that has one; got {thing!r}")
    return name


def each(value: Any, convert: Callable[[Any], T]) -> list[T]:
    """Return every item of `value` converted; a single item counts as a list of one."""
    single = isinstance(value, str | int | Enum) or hasattr(value, "name")
    return [convert(item) for item in ([value] if single or not isinstance(value, Iterable) else value)]


def status_of(value: str | RunStatus) -> RunStatus:
    """Return the status of that name.

    Raises:
        InvalidArgument: there is none.
    """
    status = RunStatus.from_string(value)
    if status is RunStatus.UNKNOWN:
        accepted = [each.value for each in RunStatus if each is not RunStatus.UNKNOWN]
        hint = suggestion(str(value).upper(), accepted)
        raise InvalidArgument(f"status: {value!r} is not one of {', '.join(accepted)}{hint}")
    return status


def text_of(value: str | int | Enum) -> str:
    """Return the text an enum or a plain value stands for."""
    return str(value.value if isinstance(value, Enum) else value)


def moment_of(value: Moment, argument: str) -> str:
    """Return a moment as ISO 8601 with an offset; `argument` is what messages call it.

    Raises:
        InvalidArgument: the text is no moment.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidArgument(
                f"{argument}: {value!r} is not a date such as 2026-01-31 or 2026-01-31T12:00:00+00:00"
            ) from None
    elif not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return (value if value.tzinfo else value.astimezone()).isoformat()


def between(before: Moment | None, after: Moment | None, names: tuple[str, str]) -> dict[str, str] | None:
    """Return the filter for moments before one and not before another, or None if neither is given."""
    bounds = {}
    if before is not None:
        bounds["lt"] = moment_of(before, names[0])
    if after is not None:
        bounds["gte"] = moment_of(after, names[1])
    return bounds or None
