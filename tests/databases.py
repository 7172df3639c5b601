"""Databases for tests: one template made by the real migrations, and clones of it in 35 ms."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.database import make_engine, migrate

TEMPLATE = "gonggu_test_template"


def beside(url: str, database: str) -> str:
    """The address of another database on the same server."""
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def make_template(url: str) -> None:
    """Build the template anew: an empty database, brought up by every migration."""
    async with _maintenance(url) as server:
        await _drop(server, TEMPLATE)
        await _execute(server, f'CREATE DATABASE "{TEMPLATE}" ENCODING UTF8 TEMPLATE template0')
    engine = make_engine(beside(url, TEMPLATE))
    await migrate(engine)
    await engine.dispose()


@asynccontextmanager
async def cloned(url: str, template: str | None = TEMPLATE) -> AsyncGenerator[str, None]:
    """A database of one's own: a copy of the template, or an empty one; dropped at the end."""
    name = f"gonggu_test_{uuid4().hex[:12]}"
    async with _maintenance(url) as server:
        source = f'TEMPLATE "{template}" STRATEGY file_copy' if template else "TEMPLATE template0"
        await _execute(server, f'CREATE DATABASE "{name}" {source}')
        try:
            yield beside(url, name)
        finally:
            await _drop(server, name)


@asynccontextmanager
async def _maintenance(url: str) -> AsyncGenerator[AsyncEngine, None]:
    address: URL = make_url(url).set(database="postgres")
    engine = create_async_engine(address, isolation_level="AUTOCOMMIT", pool_size=1)
    try:
        yield engine
    finally:
        await engine.dispose()


async def _execute(server: AsyncEngine, statement: str) -> None:
    async with server.connect() as connection:
        await connection.execute(text(statement))


async def _drop(server: AsyncEngine, name: str) -> None:
    await _execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
