"""The connection to PostgreSQL, and the migrations that bring its tables up."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

MIGRATIONS = Path(__file__).parent / "migrations"


def make_engine(
    url: str, *, pool_size: int = 10, connect_within_s: float = 5, statement_within_s: float = 30
) -> AsyncEngine:
    """A pool of connections. Each wait is bounded: for a connection, a place in the pool, an answer."""
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=connect_within_s,
        # What people write stays out of logs and errors.
        hide_parameters=True,
        connect_args={
            "timeout": connect_within_s,
            "command_timeout": statement_within_s,
            "server_settings": {
                "application_name": "gonggu",
                "timezone": "UTC",
                # Inside each query the compiler costs more than it saves: ours take a millisecond.
                "jit": "off",
                "idle_in_transaction_session_timeout": "60000",
            },
        },
    )


async def migrate(engine: AsyncEngine) -> None:
    """Run every migration that the database has not seen. One process at a time does it; others wait."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


async def pending_migrations(engine: AsyncEngine) -> Sequence[str]:
    """Revisions that the code needs and the database lacks; empty when all is well."""
    async with engine.connect() as connection:
        return await connection.run_sync(_pending)


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings without a file: the place of the scripts, and a connection of ours."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    # Two processes that start at once must not both create the tables.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('gonggu migrations'))")
    command.upgrade(alembic_config(connection), "head")


def _pending(connection: Connection) -> Sequence[str]:
    script = ScriptDirectory.from_config(alembic_config())
    current = MigrationContext.configure(connection).get_current_heads()
    known = {revision.revision for head in current for revision in script.iterate_revisions(head, "base")}
    return [revision.revision for revision in script.walk_revisions() if revision.revision not in known][::-1]
