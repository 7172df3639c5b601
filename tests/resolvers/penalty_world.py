"""Penalties in a table of their own, processes that count them, and a judge of what they say.

A read may say what was so at any moment while it ran: what was committed before it began counts, what began
to be committed after it ended doesn't.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import Any
from uuid import UUID, uuid4

from redis.asyncio import Redis
from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cache import make_redis
from resolvers.penalty_counts import PenaltyCounts
from resolvers.penalty_tempo import Tempo
from resolvers.transaction import Transactions
from subscriptions.broadcaster import PREFIX
from tests.conftest import MovableClock, transactions_on
from tests.subscriptions.redis_server import WITHIN_S, until

TEMPO = Tempo(believe_s=0.4)

_ENDS = text(
    "SELECT user_id, ends_at FROM given WHERE user_id IN :ids AND NOT is_revoked AND ends_at > :now"
).bindparams(bindparam("ids", expanding=True))


@dataclass
class Span:
    """When something was committed, by the judge's count: between two ticks."""

    began: float = inf
    ended: float = inf


@dataclass
class Given:
    """A penalty."""

    user_id: UUID
    ends_at: datetime
    id: UUID = field(default_factory=uuid4)
    given: Span = field(default_factory=Span)
    revoked: Span = field(default_factory=Span)


class World:
    """One database; what it holds is known here too."""

    def __init__(self, engine: AsyncEngine, clock: MovableClock) -> None:
        self.transactions: Transactions = transactions_on(engine, clock)
        self.clock = clock
        self.penalties: dict[UUID, list[Given]] = {}
        self.statements: list[int] = []
        #: Held up while this is not set: before the statement, and after it.
        self.may_read = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_read.set()
        self.may_answer.set()
        #: What was read and can't be right, and the longest that a change has taken to block and commit.
        self.wrong: list[str] = []
        self.slowest_s = 0.0
        self._ticks = itertools.count()

    async def expiries(self, ids: Sequence[UUID]) -> Mapping[UUID, Sequence[datetime]]:
        await self.may_read.wait()
        found: dict[UUID, list[datetime]] = {}
        self.statements.append(len(ids))
        async with self.transactions.read() as tx:
            for user_id, end in await tx.session.execute(_ENDS, {"ids": list(ids), "now": tx.now}):
                found.setdefault(user_id, []).append(end)
        await self.may_answer.wait()
        return found

    async def pause(self) -> None:
        """Stop at a place where everything else may happen: before a commit, and after it."""

    async def give(self, process: "Process", user_id: UUID, days: float = 90, **how: Any) -> Given:
        penalty = Given(user_id, self.clock.now + timedelta(days=days))
        self.penalties.setdefault(user_id, []).append(penalty)
        sql = "INSERT INTO given VALUES (:id, :user, :ends, false)"
        await self._change(process, penalty, sql, penalty.given, **how)
        return penalty

    async def revoke(self, process: "Process", penalty: Given, **how: Any) -> None:
        sql = "UPDATE given SET is_revoked = true WHERE id = :id"
        await self._change(process, penalty, sql, penalty.revoked, **how)

    async def _change(
        self,
        process: "Process",
        penalty: Given,
        sql: str,
        span: Span,
        *,
        dies: bool = False,
        pause_s: float = 0,
    ) -> None:
        """Change a row. The process may die right after the commit, or stop for a while before it."""

        async def committed() -> None:
            span.ended = next(self._ticks)
            self.slowest_s = max(self.slowest_s, time.monotonic() - blocking_since)

        blocking_since = 0.0
        values = {"id": penalty.id, "user": penalty.user_id, "ends": penalty.ends_at}
        async with self.transactions.write() as tx:
            statement = text(sql)
            names = statement.compile().params.keys()
            await tx.session.execute(statement, {name: values[name] for name in names})
            tx.afterwards += [committed, self.pause]
            process.counts.change(tx, penalty.user_id)
            if dies:
                del tx.afterwards[1:]
            span.began = next(self._ticks)
            blocking_since = time.monotonic()
            tx.beforehand += [lambda: asyncio.sleep(pause_s), self.pause]

    async def read(self, process: "Process", ids: Sequence[UUID]) -> dict[UUID, int]:
        """Read, and judge what is said.

        Raises:
            AssertionError
        """
        began, from_time = next(self._ticks), self.clock.now
        counts = await process.counts.of(ids)
        ended, to_time = next(self._ticks), self.clock.now
        for user_id in ids:
            least, most = 0, 0
            for each in self.penalties.get(user_id, ()):
                least += each.given.ended < began and each.revoked.began > ended and each.ends_at > to_time
                most += each.given.began < ended and each.revoked.ended > began and each.ends_at > from_time
            if not least <= counts[user_id] <= most:
                self.wrong.append(f"{counts[user_id]} is not in {least} … {most}")
                raise AssertionError(self.wrong[-1])
        return counts


@dataclass
class Process:
    """What one server process has."""

    redis: Redis
    counts: PenaltyCounts

    async def until_it_believes(self) -> None:
        """Wait until it asks Redis, and Redis is old enough. Then begin to count what happens."""
        nobody = uuid4()
        self.counts.counts.clear()
        async with asyncio.timeout(WITHIN_S):
            while not self.counts.counts["hits"]:
                await self.counts.of([nobody])
                await asyncio.sleep(0.02)
        self.counts.counts.clear()

    async def evals(self) -> int:
        """How many scripts its Redis has run."""
        statistics = await self.redis.info("commandstats")  # pyright: ignore[reportUnknownMemberType]
        return statistics.get("cmdstat_eval", {"calls": 0})["calls"]

    async def until_filled(self, times: int) -> None:
        """Wait until so many have been filled in, or refused, since the start."""
        counts = self.counts.counts
        await until(lambda: counts["fills"] + counts["refused_fills"] >= times)


@asynccontextmanager
async def process(
    world: World, url: str, tempo: Tempo = TEMPO, redis: Redis | None = None
) -> AsyncGenerator[Process, None]:
    redis = redis or make_redis(url)
    try:
        async with PenaltyCounts(redis, world.expiries, world.transactions, tempo=tempo) as counts:
            yield Process(redis, counts)
    finally:
        await redis.aclose()


async def make_world(engine: AsyncEngine, clock: MovableClock) -> World:
    columns = "id uuid PRIMARY KEY, user_id uuid, ends_at timestamptz, is_revoked boolean"
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE TABLE given ({columns})"))
    return World(engine, clock)


async def age(redis: Redis, by_s: float = 24 * 60 * 60) -> None:
    """Make Redis as if it had been running for so long."""
    run_id = (await redis.info("server"))["run_id"]  # pyright: ignore[reportUnknownMemberType]
    await redis.set(f"{PREFIX}penalties", f"{run_id}.{int(1000 * (time.time() - by_s))}")
