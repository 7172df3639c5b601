"""Penalty counts as a process has them, on the real table."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from redis.asyncio import Redis

from resolvers.penalty_counts import PenaltyCounts
from resolvers.penalty_tempo import Tempo
from resolvers.penalty_views import ends_of
from resolvers.transaction import Transactions


def counts_on(redis: Redis, transactions: Transactions, tempo: Tempo | None = None) -> PenaltyCounts:
    """Nothing runs yet."""

    async def ends(user_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[datetime]]:
        async with transactions.read() as tx:
            return await ends_of(tx, user_ids)

    return PenaltyCounts(redis, ends, transactions, tempo=tempo)
