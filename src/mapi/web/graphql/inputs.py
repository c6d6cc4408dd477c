"""What the protocol's inputs mean: filters, updates and log requests, checked.

Types and field names were checked against the schema before; here it is about values.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mapi.domain.errors import BadRequest
from mapi.domain.query import LogRequest, RunFilter, RunUpdate, Scope
from mcli.models.run_status import RunStatus
from mcli.models.secret import SecretType

Input = Mapping[str, Any]

RUN_TYPES = ("TRAINING", "SECRET_TEST", "INTERACTIVE", "HERO_RUN", "FINETUNING", "PRETRAINING", "UNKNOWN")

#: The one container a run has here.
MAIN_CONTAINER = "MAIN"


def moment(text: Any, field: str) -> int:
    """Return an ISO 8601 moment or date as milliseconds since 1970; UTC unless it says otherwise."""
    try:
        parsed = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise BadRequest(
            f"{field}: {text!r} is no moment; accepted: ISO 8601, as 2030-01-31 or 2030-01-31T12:00:00Z"
        ) from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return round(parsed.timestamp() * 1000)


def _one_of(text: str, field: str, accepted: Iterable[str]) -> str:
    name, accepted = text.upper(), list(accepted)
    if name not in accepted:
        close = difflib.get_close_matches(name, accepted, n=1)
        hint = f"did you mean {close[0]}?" if close else f"accepted: {', '.join(accepted)}"
        raise BadRequest(f"{field}: {text!r} is not known; {hint}")
    return name


def statuses(names: Iterable[str] | None) -> frozenset[RunStatus] | None:
    """Return the statuses that are named; None for any."""
    return None if names is None else frozenset(_status(name, "statuses") for name in names)


def _status(text: str, field: str) -> RunStatus:
    status = RunStatus.from_string(text)
    if status is RunStatus.UNKNOWN:
        _one_of(text, field, RunStatus.__members__)
    return status


def _text(value: str, _: str) -> str:
    return value


#: Fields of a filter that list values: what they are called here, and how one value is read.
_LISTS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "id": ("ids", _text),
    "name": ("names", _text),
    "status": ("statuses", _status),
    "cluster": ("clusters", _text),
    "clusterName": ("clusters", _text),
    "gpuType": ("gpu_types", lambda value, _: value.lower()),
    "gpuNum": ("gpu_nums", lambda value, _: value),
    "runType": ("run_types", lambda value, field: _one_of(value, field, RUN_TYPES)),
}

#: Fields of a filter that are a span of time: what its ends are called here.
_SPANS = {
    "createdAt": ("created_before", "created_after"),
    "endedAt": ("ended_before", "ended_after"),
}


def run_filter(filters: Input | None) -> RunFilter:
    """Return the filter that a `filters` input asks for. Nulls ask for nothing.

    Raises:
        BadRequest: naming the field and the value that is not understood.
    """
    found: dict[str, Any] = {}
    for field, given in (filters or {}).items():
        if given is None:
            continue
        if field in _SPANS:
            for operator, name in zip(("lt", "gte"), _SPANS[field], strict=True):
                if given.get(operator) is not None:
                    found[name] = moment(given[operator], f"filters.{field}.{operator}")
        elif given.get("in") is not None:
            name, read = _LISTS[field]
            found[name] = tuple(read(value, f"filters.{field}") for value in given["in"])
    return RunFilter(**found)


def selecting_filter(data: Input, operation: str) -> RunFilter:
    """Return the filter of an operation that changes runs: it has to select something.

    Clients turn an empty list of names into no filter at all, which must not mean every run.

    Raises:
        BadRequest: if nothing is asked for, or somebody else's runs.
    """
    refuse_entity(data, operation)
    selected = run_filter(data.get("filters"))
    if selected == RunFilter():
        accepted = ", ".join(_LISTS | _SPANS)
        raise BadRequest(
            f"{operation}: filters selects no run in particular; give at least one of {accepted}"
        )
    return selected


def refuse_entity(data: Input, operation: str) -> None:
    """Refuse to act for others: only lists of runs can be asked for on their behalf."""
    entity = data.get("entity") or {}
    if any(entity.values()):
        raise BadRequest(f"{operation}: entity is accepted in lists of runs only; it was {dict(entity)!r}")


def scope(entity: Input | None) -> Scope | None:
    """Return whose runs are asked for; None for the caller's own."""
    if not entity or not any(entity.values()):
        return None
    emails, user_ids, organization_ids = (
        tuple(entity[key]) if entity.get(key) else None for key in ("emails", "userIds", "organizationIds")
    )
    return Scope(emails=emails, user_ids=user_ids, organization_ids=organization_ids)


def values_in(filters: Input | None, field: str) -> tuple[str, ...] | None:
    """Return the values of one `{in: […]}` of a filter; None if it is not there."""
    given = (filters or {}).get(field) or {}
    values = given.get("in")
    return None if values is None else tuple(values)


def secret_types(filters: Input | None) -> tuple[SecretType, ...] | None:
    """Return the kinds of secrets a filter lists; None for all of them."""
    names = values_in(filters, "type")
    if names is None:
        return None
    return tuple(SecretType(_one_of(name, "filters.type", SecretType.__members__)) for name in names)


def page_limit(limit: int | None) -> int | None:
    """Return the size of a page; None for everything."""
    if limit is not None and limit < 1:
        raise BadRequest(f"limit must be at least 1, or null for all runs; it was {limit}")
    return limit


def json_object(value: Any, field: str) -> dict[str, Any]:
    """Return a JSON value that has to be an object."""
    if not isinstance(value, dict):
        raise BadRequest(f"{field} must be an object of names and values, not {value!r}")
    return value


def run_update(data: Input) -> RunUpdate:
    """Return the scheduling fields to change."""
    update = RunUpdate(
        preemptible=data.get("preemptible"),
        priority=data.get("priority"),
        max_retries=_count(data, "maxRetries"),
        retry_on_system_failure=data.get("retryOnSystemFailure"),
        max_duration_seconds=_count(data, "maxDurationSeconds", least=1),
    )
    if update == RunUpdate():
        raise BadRequest(
            "updateRunData changes nothing; give at least one of preemptible, priority, maxRetries, "
            "retryOnSystemFailure, maxDurationSeconds"
        )
    return update


def log_request(data: Input) -> LogRequest:
    """Return which part of which log is asked for."""
    container = data.get("containerName")
    if container and container.upper() != MAIN_CONTAINER:
        raise BadRequest(
            f"containerName: {container!r} is not known; a run has the container {MAIN_CONTAINER}"
        )
    for field in ("localGpuRank", "globalGpuRank"):
        if data.get(field) is not None:
            raise BadRequest(
                f"{field}: {data[field]!r}: logs are kept for each node, not for each GPU; use nodeRank"
            )
    return LogRequest(
        run_name=data["name"],
        resumption=_count(data, "attemptIndex"),
        rank=_count(data, "nodeRank"),
        offset=_count(data, "offset") or 0,
        tail=_count(data, "tail"),
        tail_lines=_count(data, "tailLines"),
        since=None if data.get("since") is None else moment(data["since"], "since"),
        follow=bool(data.get("follow")),
        failed=bool(data.get("failed")),
        exception_only=bool(data.get("exceptionOnly")),
        timestamps=bool(data.get("timestamps")),
    )


def _count(data: Input, field: str, *, least: int = 0) -> int | None:
    value = data.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadRequest(f"{field} must be a whole number, at least {least}, not {value!r}")
    return value
