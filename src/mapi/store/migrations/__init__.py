"""Alembic owns the tables: every change of `schema.py` is a numbered script in `versions/`."""

#: The newest script: a database at it needs no migration, and no import of Alembic.
HEAD = "0002"
