"""Statements in PostgreSQL's own words, where one statement does what the toolkit would need several for."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection


async def run(connection: AsyncConnection, statement: str, *values: object) -> Sequence[Any]:
    """Run a statement with `$1` and so on for its values, arrays as lists; give its rows, if it has any."""
    result = await connection.exec_driver_sql(statement, values)
    return result.all() if result.returns_rows else []
