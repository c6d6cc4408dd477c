"""Bring a database to the newest schema."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from mapi.store import migrations


def migrate(engine: Engine) -> bool:
    """Run the migrations a database lacks; return True if there were any.

    Alembic is imported only when there is something to do: it costs a third of the server's start.

    Raises:
        RuntimeError: if the database was written by a newer version of the platform.
    """
    with engine.connect() as connection:
        if _version(connection) == migrations.HEAD:
            return False
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise RuntimeError(
                f"the database {engine.url.render_as_string()} has the schema {_version(connection)}, "
                f"which this version (schema {migrations.HEAD}) does not know: use a newer mcli-platform"
            ) from error
    return True


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version
