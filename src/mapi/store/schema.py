"""The tables of the run database.

A run is one row: what it asked for (`spec`, `submitted`), what became of it (`resumptions`, `metadata`), and
beside these the columns that questions are asked by, each derived from the record when it is written. Events
are rows that are only ever added; those with a status are the run's lifecycle.

Ids sort by time: "newest first" is the order of the primary key, and a page starts where the last one ended.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

organizations = Table(
    "organizations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
)

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", String(36), nullable=False),
    Column("name", String(200), nullable=False),
    Column("email", String(320), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # SHA-256 of a key with 256 random bits
    Column("user_id", String(36), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("owner_id", String(36), nullable=False),
    Column("status", String(16), nullable=False),
    Column("run_type", String(20), nullable=False),
    Column("cluster", String(200), nullable=False),
    Column("gpu_type", String(64), nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("is_deleted", Boolean, nullable=False),
    Column("idempotency_key", String(100), unique=True),
    Column("spec", Text, nullable=False),
    Column("submitted", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("resumptions", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("event_count", Integer, nullable=False),
    # One index for each filter of the API, in the order pages are read
    Index("runs_by_owner", "owner_id", "id"),
    Index("runs_by_status", "status", "id"),
    Index("runs_by_cluster", "cluster", "id"),
    Index("runs_by_gpu_type", "gpu_type", "id"),
    Index("runs_by_gpus", "gpus", "id"),
    Index("runs_by_end", "ended_at", "id"),
)

events = Table(
    "events",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("resumption", Integer, nullable=False),
    Column("type", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
    Column("status", String(16)),
    Column("data", Text),
)

secrets = Table(
    "secrets",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner_id", String(36), nullable=False),
    Column("name", String(253), nullable=False),
    Column("type", String(20), nullable=False),
    Column("metadata", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("key_id", String(16), nullable=False),  # which key of the keyring opens `sealed`
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("owner_id", "name"),
)
