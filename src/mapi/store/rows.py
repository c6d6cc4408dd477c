"""Between records and rows: what a run looks like as columns, and back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row

from mapi.domain.run import Event, Json, Resumption, Run, RunSpec
from mapi.domain.secrets import Secret
from mcli.models.run_status import RunStatus
from mcli.models.secret import SecretType

_encode = msgspec.json.Encoder().encode
_spec = msgspec.json.Decoder(RunSpec).decode
_resumptions = msgspec.json.Decoder(tuple[Resumption, ...]).decode
_mapping = msgspec.json.Decoder(dict[str, Json]).decode
_texts = msgspec.json.Decoder(dict[str, str]).decode


class SealedSecret(msgspec.Struct, frozen=True):
    """A secret as it is kept: its value encrypted, with the key of that id."""

    secret: Secret
    key_id: str
    sealed: bytes


def run_columns(run: Run) -> dict[str, Any]:
    """Every column of a new run."""
    return {
        "id": run.id,
        "name": run.name,
        "owner_id": run.owner_id,
        "run_type": run.spec.run_type,
        "created_at": run.created_at,
        "submitted": _encode(run.submitted).decode(),
        "idempotency_key": None,
        **spec_columns(run),
        **state_columns(run),
    }


def state_columns(run: Run) -> dict[str, Any]:
    """The columns that change as a run goes on."""
    latest = run.latest
    return {
        "status": latest.status.value,
        "cluster": latest.allocation.cluster,
        "gpu_type": (latest.allocation.gpu_type or "none").lower(),
        "gpus": latest.allocation.gpus,
        "updated_at": run.updated_at,
        "ended_at": latest.ended_at,
        "is_deleted": run.is_deleted,
        "metadata": _encode(run.metadata).decode(),
        "resumptions": _encode(run.resumptions).decode(),
        "failures": run.failures,
        "event_count": run.event_count,
    }


def spec_columns(run: Run) -> dict[str, Any]:
    """The configuration, which changes only when a person updates it."""
    return {"spec": _encode(run.spec).decode()}


def run_of(row: Row[Any]) -> Run:
    """The run a row holds."""
    return Run(
        id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        spec=_spec(row.spec),
        submitted=_mapping(row.submitted),
        metadata=_mapping(row.metadata),
        created_at=row.created_at,
        updated_at=row.updated_at,
        resumptions=_resumptions(row.resumptions),
        failures=row.failures,
        is_deleted=row.is_deleted,
        event_count=row.event_count,
    )


def event_columns(event: Event) -> dict[str, Any]:
    """An event as a row."""
    return {
        "run_id": event.run_id,
        "seq": event.seq,
        "resumption": event.resumption,
        "type": event.type,
        "at": event.at,
        "message": event.message,
        "status": event.status.value if event.status else None,
        "data": None if event.data is None else _encode(event.data).decode(),
    }


def event_of(row: Row[Any]) -> Event:
    """The event a row holds."""
    return Event(
        run_id=row.run_id,
        seq=row.seq,
        resumption=row.resumption,
        type=row.type,
        at=row.at,
        message=row.message,
        status=RunStatus(row.status) if row.status else None,
        data=None if row.data is None else _mapping(row.data),
    )


def secret_columns(item: SealedSecret) -> dict[str, Any]:
    """A secret as a row."""
    secret = item.secret
    return {
        "id": secret.id,
        "owner_id": secret.owner_id,
        "name": secret.name,
        "type": secret.type.value,
        "metadata": _encode(secret.metadata).decode(),
        "created_at": secret.created_at,
        "key_id": item.key_id,
        "sealed": item.sealed,
    }


def secret_of(row: Row[Any]) -> SealedSecret:
    """The secret a row holds."""
    secret = Secret(
        row.id, row.owner_id, row.name, SecretType(row.type), _texts(row.metadata), row.created_at
    )
    return SealedSecret(secret, row.key_id, row.sealed)
