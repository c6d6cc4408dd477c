"""The run database: SQLite by default, PostgreSQL for a team."""

from mapi.store.rows import SealedSecret
from mapi.store.store import RunExists, Store, StoredPage

__all__ = ["RunExists", "SealedSecret", "Store", "StoredPage"]
