"""What has been committed and is still to be published: written with its cause, taken away when it is."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.base import table_of
from models.outbox import OutboxRow
from subscriptions.envelope import Envelope

LEFT_AFTER = timedelta(milliseconds=300)
"""What is older than this was not published by whoever wrote it."""

NEEDED_FOR = timedelta(minutes=10)
"""After so long without Redis, readers have read the database anyway."""


async def store(session: AsyncSession, envelopes: Sequence[Envelope]) -> None:
    """Write down what is to be published, in the transaction of its cause."""
    if envelopes:
        rows: list[dict[str, Any]] = [
            {
                "id": UUID(each.id),
                "channel": each.channel,
                "kind": each.kind,
                "number": each.number,
                # What is numbered is read from its own table, should this copy be published.
                "data": each.data if each.number is None else None,
            }
            for each in envelopes
        ]
        await session.execute(insert(table_of(OutboxRow)), rows)


async def take_left(session: AsyncSession, at_most: int) -> list[Envelope]:
    """What nobody has published in time, the oldest first, locked against other relays."""
    statement = (
        select(OutboxRow)
        .where(col(OutboxRow.created_at) < func.now() - LEFT_AFTER)
        # What one transaction rang has one time: by the numbers, no reader sees a jump.
        .order_by(col(OutboxRow.created_at), col(OutboxRow.number), col(OutboxRow.id))
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    return [
        Envelope(row.kind, row.channel, row.number, row.data, row.id.hex, row.created_at.timestamp())
        for row in await session.scalars(statement)
    ]


async def drop(session: AsyncSession, ids: Iterable[UUID]) -> None:
    """Forget what has been published."""
    await session.execute(delete(OutboxRow).where(col(OutboxRow.id).in_(ids)))


async def drop_needless(session: AsyncSession) -> None:
    """Forget what waits for Redis so long that everybody will read the database when it is back."""
    await session.execute(delete(OutboxRow).where(col(OutboxRow.created_at) < func.now() - NEEDED_FOR))


async def backlog(session: AsyncSession) -> tuple[int, float]:
    """How many rows wait to be published, and for how many seconds the oldest has."""
    age = func.extract("epoch", func.clock_timestamp() - func.min(col(OutboxRow.created_at)))
    count, oldest_s = (
        await session.execute(select(func.count(), func.coalesce(age, 0.0)).select_from(OutboxRow))
    ).one()
    return count, max(0.0, float(oldest_s))
