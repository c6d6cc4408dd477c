"""What a caller may ask of the run history."""

from __future__ import annotations

import msgspec

from mcli.models.run_status import RunStatus


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs are meant. `None` means any; an empty tuple matches nothing.

    Times in milliseconds since 1970: `before` is strict, `after` includes its moment.
    """

    names: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    statuses: tuple[RunStatus, ...] | None = None
    clusters: tuple[str, ...] | None = None
    gpu_types: tuple[str, ...] | None = None
    gpu_nums: tuple[int, ...] | None = None
    run_types: tuple[str, ...] | None = None
    created_before: int | None = None
    created_after: int | None = None
    ended_before: int | None = None
    ended_after: int | None = None


class Scope(msgspec.Struct, frozen=True):
    """Whose runs: the caller's own, unless e-mails or organizations are named (all users of those)."""

    emails: tuple[str, ...] | None = None
    user_ids: tuple[str, ...] | None = None
    organization_ids: tuple[str, ...] | None = None


class LogRequest(msgspec.Struct, frozen=True):
    """Which bytes of which log. `resumption` and `rank` None: the latest, the lowest there is.

    `offset`: absolute byte to start from. Where none is said: `tail`, start this many bytes before the end;
    `tail_lines`, this many lines; `since`, with what was written then (ms since 1970) or later.
    `failed`: the first rank that failed. `timestamps`: each line carries the time it was written.
    """

    run_name: str
    resumption: int | None = None
    rank: int | None = None
    offset: int = 0
    tail: int | None = None
    tail_lines: int | None = None
    since: int | None = None
    follow: bool = False
    failed: bool = False
    exception_only: bool = False
    timestamps: bool = False


class RunUpdate(msgspec.Struct, frozen=True):
    """Scheduling fields to change in an active run; `None` leaves one as it is."""

    preemptible: bool | None = None
    priority: str | None = None
    max_retries: int | None = None
    retry_on_system_failure: bool | None = None
    max_duration_seconds: int | None = None
