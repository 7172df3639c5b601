"""One field of the API, one transaction."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from models.errors import DomainError
from resolvers import events, outbox
from resolvers.job_rows import Claim
from resolvers.jobs import Jobs
from subscriptions.envelope import Envelope

log = logging.getLogger("gonggu.transactions")

AFTERWARDS_WITHIN_S = 1.0
"""For each deed after a commit."""

Clock = Callable[[], datetime]
"""Tells the time, with its offset. The only clock that anything of ours looks at."""


class Unavailable(Exception):
    """The database can't be reached, or every connection to it is busy."""

    def __str__(self) -> str:
        return "The service is busy. Try again in a moment."


Publish = Callable[[Envelope], None]
"""Publishes soon, perhaps: never waits and never fails. The relay publishes what is lost."""


class Collected(Protocol):
    """What a transaction collects of one kind, to write it in one go right before it commits."""

    async def write(self, tx: "Transaction") -> None:
        """Write what was collected."""
        ...


CollectedT = TypeVar("CollectedT", bound=Collected)

Deed = Callable[[], Awaitable[None]]


@dataclass
class Transaction:
    """What a resolver may touch: the rows, the time, the bells, and what is to happen later."""

    session: AsyncSession
    now: datetime
    #: The job that this transaction performs, if it performs one.
    claim: Claim | None = None
    #: To be published once it has committed.
    rings: list[Envelope] = field(default_factory=list[Envelope])
    #: To be done when everything is written, right before the commit. What fails undoes the transaction.
    beforehand: list[Deed] = field(default_factory=list[Deed])
    #: To be done once it has committed. What fails, or takes too long, is logged and changes nothing.
    afterwards: list[Deed] = field(default_factory=list[Deed])
    _collected: dict[type[Any], Collected] = field(default_factory=dict[type[Any], Collected], init=False)
    _stored: int = field(default=0, init=False)

    @cached_property
    def jobs(self) -> Jobs:
        """What is to happen later, if this transaction commits."""
        return Jobs(self.session, self.now, self.claim)

    async def publish(self, event: events.Event) -> None:
        """Say what has happened; whoever listens hears of it if this transaction commits."""
        await events.publish(self, event)

    def collected(self, kind: type[CollectedT]) -> CollectedT:
        """What this transaction has collected of a kind so far, to be added to."""
        found = self._collected.get(kind)
        if not isinstance(found, kind):
            found = self._collected[kind] = kind()
        return found

    def ring(self, envelope: Envelope) -> None:
        """Wake whoever listens to the channel, if this transaction commits."""
        self.rings.append(envelope)

    def ring_stored(self, envelope: Envelope) -> None:
        """The same, for what a statement has put into the outbox already."""
        self.rings.insert(self._stored, envelope)
        self._stored += 1

    async def finish(self) -> None:
        """Write what was collected, and the bells into the outbox: the last before the commit."""
        while self._collected:
            kind = next(iter(self._collected))
            await self._collected.pop(kind).write(self)
        await outbox.store(self.session, self.rings[self._stored :])
        self._stored = len(self.rings)


def left_to_the_relay(envelope: Envelope) -> None:
    """Publish nothing: no hub runs here."""


@dataclass(frozen=True)
class Transactions:
    """The means to open transactions; holds none itself, so that it may live as long as the process."""

    writers: async_sessionmaker[AsyncSession]
    #: Bound to autocommit: one SELECT then costs one round trip, not three.
    readers: async_sessionmaker[AsyncSession]
    clock: Clock
    publish: Publish = left_to_the_relay

    @asynccontextmanager
    async def write(self, claim: Claim | None = None) -> AsyncGenerator[Transaction, None]:
        """A transaction that commits at the end, or leaves nothing behind. It may perform a picked job.

        A refusal that `keeps_changes` (a stolen token ends its session) commits and is raised on.
        """
        with _reachable():
            async with self.writers() as session:
                tx = Transaction(session, self.clock(), claim)
                try:
                    yield tx
                except DomainError as refusal:
                    if refusal.keeps_changes:
                        await self._commit(tx)
                    raise
                await self._commit(tx)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Transaction, None]:
        """Statements that change nothing. Each sees what was committed when it began."""
        with _reachable():
            async with self.readers() as session:
                yield Transaction(session, self.clock())

    async def _commit(self, tx: Transaction) -> None:
        await tx.finish()
        for deed in tx.beforehand:
            await deed()
        await tx.session.commit()
        for envelope in tx.rings:
            self.publish(envelope)
        for deed in tx.afterwards:
            await _attempt(deed)


async def _attempt(deed: Deed) -> None:
    try:
        async with asyncio.timeout(AFTERWARDS_WITHIN_S):
            await deed()
    except Exception:
        log.exception("What was to be done after a commit has failed")


_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises of a connection that was cut, where SQLAlchemy has not wrapped it."""


@contextmanager
def _reachable() -> Generator[None, None, None]:
    try:
        yield
    except (PoolTimeout, OSError, *_LOST) as problem:
        raise Unavailable from problem
    except DBAPIError as problem:
        if problem.connection_invalidated:
            raise Unavailable from problem
        raise
