"""One field of the API, one transaction."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from models.errors import DomainError
from resolvers import events
from resolvers.job_rows import Claim
from resolvers.jobs import Jobs

Clock = Callable[[], datetime]
"""Tells the time, with its offset. The only clock that anything of ours looks at."""


class Unavailable(Exception):
    """The database can't be reached, or every connection to it is busy."""

    def __str__(self) -> str:
        return "The service is busy. Try again in a moment."


@dataclass
class Transaction:
    """What a resolver may touch: the rows, the time, and what is to happen later."""

    session: AsyncSession
    now: datetime
    #: The job that this transaction performs, if it performs one.
    claim: Claim | None = None

    @cached_property
    def jobs(self) -> Jobs:
        """What is to happen later, if this transaction commits."""
        return Jobs(self.session, self.now, self.claim)

    async def publish(self, event: events.Event) -> None:
        """Say what has happened; whoever listens hears of it if this transaction commits."""
        await events.publish(self, event)


@dataclass(frozen=True)
class Transactions:
    """The means to open transactions; holds none itself, so that it may live as long as the process."""

    writers: async_sessionmaker[AsyncSession]
    #: Bound to autocommit: one SELECT then costs one round trip, not three.
    readers: async_sessionmaker[AsyncSession]
    clock: Clock

    @asynccontextmanager
    async def write(self, claim: Claim | None = None) -> AsyncGenerator[Transaction, None]:
        """A transaction that commits at the end, or leaves nothing behind. It may perform a picked job.

        A refusal that `keeps_changes` (a stolen token ends its session) commits and is raised on.
        """
        with _reachable():
            async with self.writers() as session:
                try:
                    yield Transaction(session, self.clock(), claim)
                except DomainError as refusal:
                    if refusal.keeps_changes:
                        await session.commit()
                    raise
                await session.commit()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Transaction, None]:
        """Statements that change nothing. Each sees what was committed when it began."""
        with _reachable():
            async with self.readers() as session:
                yield Transaction(session, self.clock())


@contextmanager
def _reachable() -> Generator[None, None, None]:
    try:
        yield
    except (PoolTimeout, OSError) as problem:
        raise Unavailable from problem
    except DBAPIError as problem:
        if problem.connection_invalidated:
            raise Unavailable from problem
        raise
