"""Publishes what was committed and not published: whoever wrote it may have died in between."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn
from uuid import UUID

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from resolvers import outbox
from resolvers.transaction import Transactions, Unavailable
from subscriptions.envelope import Envelope
from subscriptions.hub import Hub, NotPublished

log = logging.getLogger("gonggu.relay")

AT_ONCE = 1_000
LOOK_EVERY_S = 0.1
LOOK_EVERY_S_WHEN_DOWN = 1.0
MEASURE_EVERY_S = 1.0
STOP_WITHIN_S = 2.0
MOST_PUBLISHED = 100_000
"""Ids of published rows that wait to be dropped; more are left to the relay, which publishes them again."""


_AWAY = (Unavailable, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InternalClientError, OSError)
"""What a lost connection looks like; asyncpg's last one is neither of its own two families."""


@dataclass
class Relay:
    """Takes the rows of the outbox away: what this process has published, and what nobody has.

    Any number of relays share a database. One that does not `take` what others left still drops its own.
    """

    transactions: Transactions
    takes: bool = True
    #: How many rows wait, and for how many seconds the oldest has, as of the last look.
    backlog: int = 0
    lag_s: float = 0.0
    #: Rows published because whoever wrote them had not, since the start.
    relayed: int = 0
    _published: list[UUID] = field(default_factory=list[UUID])

    def published(self, envelopes: Sequence[Envelope]) -> None:
        """Take note of what the hub has published. Never waits."""
        if len(self._published) < MOST_PUBLISHED:
            self._published += [UUID(each.id) for each in envelopes]

    async def run(self, hub: Hub) -> NoReturn:
        """Work until canceled. What fails is tried again after a moment."""
        loop = asyncio.get_running_loop()
        measure_at = loop.time()
        try:
            while True:
                try:
                    await self._drop_published()
                    if loop.time() >= measure_at:
                        measure_at = loop.time() + MEASURE_EVERY_S
                        await self._measure()
                    left = await self._publish_left(hub) if self.takes else 0
                except _AWAY:
                    log.warning("The outbox could not be looked at", exc_info=True)
                    left = 0
                except NotPublished as problem:
                    log.warning("Nothing can be published: %s", problem)
                    left = 0
                if left < AT_ONCE:
                    await asyncio.sleep(LOOK_EVERY_S if hub.is_up else LOOK_EVERY_S_WHEN_DOWN)
        finally:
            # What was published in the last moment would else be published twice.
            with suppress(*_AWAY):
                async with asyncio.timeout(STOP_WITHIN_S):
                    await self._drop_published()

    async def _drop_published(self) -> None:
        while self._published:
            ids = self._published[:AT_ONCE]
            async with self.transactions.write() as tx:
                await outbox.drop(tx.session, ids)
            del self._published[: len(ids)]

    async def _publish_left(self, hub: Hub) -> int:
        """Publish, then drop, in one transaction: dying in between, it is published twice, never lost."""
        async with self.transactions.write() as tx:
            left = await outbox.take_left(tx.session, AT_ONCE)
            if left:
                await hub.send(left)
                await outbox.drop(tx.session, [UUID(each.id) for each in left])
                self.relayed += len(left)
        return len(left)

    async def _measure(self) -> None:
        async with self.transactions.write() as tx:
            await outbox.drop_needless(tx.session)
            self.backlog, self.lag_s = await outbox.backlog(tx.session)
