"""Live events of one process: made with the other parts, running while something serves or works."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.cache import RedisClient
from app.relay import Relay
from resolvers.haversine import distance_m
from resolvers.live import LiveReads
from resolvers.penalty_counts import PenaltyCounts
from resolvers.penalty_views import ends_of
from resolvers.sessions import living_sessions
from resolvers.transaction import Transactions
from schema.live import Live
from subscriptions.batches import BatchReader
from subscriptions.hub import Hub
from subscriptions.presence import Presence
from subscriptions.regions import Regions
from subscriptions.session_ends import SessionEnds
from subscriptions.tasks import end


@dataclass(frozen=True)
class LiveEvents:
    """The hub with everything around it, and the relay that publishes what others left."""

    live: Live
    relay: Relay

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Let events come and go while the body runs; then end every task of it."""
        live = self.live
        async with AsyncExitStack() as stack:
            for part in (live.hub, live.messages, live.notifications, live.parties):
                await stack.enter_async_context(part)
            for part in (live.presence, live.regions, live.session_ends, live.penalty_counts):
                await stack.enter_async_context(part)
            relaying = asyncio.create_task(self.relay.run(live.hub), name="relay")
            try:
                yield
            finally:
                await end([relaying])


def make_live_events(hub: Hub, relay: Relay, transactions: Transactions, redis: RedisClient) -> LiveEvents:
    """Put the parts together; nothing runs yet."""
    reads = LiveReads(transactions)

    async def living(session_ids: Sequence[UUID]) -> set[UUID]:
        async with transactions.read() as tx:
            return await living_sessions(tx, session_ids)

    async def ends(user_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[datetime]]:
        async with transactions.read() as tx:
            return await ends_of(tx, user_ids)

    live = Live(
        hub=hub,
        messages=BatchReader(reads.messages),
        notifications=BatchReader(reads.notifications),
        parties=BatchReader(reads.parties),
        presence=Presence(redis, hub, transactions.clock),
        regions=Regions(hub, distance_m),
        session_ends=SessionEnds(hub, living),
        penalty_counts=PenaltyCounts(redis, ends, transactions),
    )
    return LiveEvents(live, relay)
