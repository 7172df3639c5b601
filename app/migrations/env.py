"""Alembic's entry: it runs migrations on the connection that `app.database` hands over."""

from typing import Any

from alembic import context
from sqlalchemy import Connection

import models  # noqa: F401 - importing the rows fills the metadata  # pyright: ignore[reportUnusedImport]
from models.base import Row

IGNORED_SCHEMAS = {"jobs"}


def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
    """Leave out what belongs to somebody else's schema."""
    return not (type_ == "schema" and name in IGNORED_SCHEMAS)


def run(connection: Connection) -> None:
    """Bring the database up, in one transaction."""
    context.configure(connection=connection, target_metadata=Row.metadata, include_name=include_name)
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
