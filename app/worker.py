"""Background work: performs jobs at their time, for as long as the process lives."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, cast
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.database import make_engine
from app.performing import Outcome, perform
from resolvers import job_rows
from resolvers.job_rows import CHANNEL, Claim
from resolvers.jobs import kinds
from resolvers.transaction import Transactions, Unavailable

log = logging.getLogger("gonggu.worker")


class Driver(Protocol):
    """What we need of asyncpg's connection, which has no types."""

    def add_termination_listener(self, callback: Callable[[Any], None], /) -> None:
        """Be told when the connection has ended, whoever ended it."""
        ...

    async def add_listener(self, channel: str, callback: Callable[[Any, int, str, object], None], /) -> None:
        """LISTEN."""
        ...


class ConnectionLost(Exception):
    """The connection over which the worker listens is gone."""


@dataclass(frozen=True)
class Pace:
    """How fast a worker works, and how long it waits."""

    #: Jobs at once. Each has one of the process's connections to PostgreSQL.
    at_once: int = 4
    #: Without a sign of life for so long, a running job is picked again. Signs come three times as often.
    stale_after_s: float = 30
    #: The shortest time between two looks at the table, unless a job is known to be due in between.
    look_every_s: float = 0.01
    #: How long running jobs may go on when the worker is stopped; then they are canceled and given back.
    stop_within_s: float = 2
    #: The pause after a lost connection: from the first to the longest, doubled each time.
    first_pause_s: float = 0.2
    longest_pause_s: float = 30


@dataclass
class Worker:
    """Picks the jobs that are due and performs them. Any number of workers share a database."""

    transactions: Transactions
    engine: AsyncEngine
    pace: Pace = field(default_factory=Pace)
    owner: UUID = field(default_factory=uuid4)
    #: What has happened since the start: outcomes by name, picks, and restarts after a lost connection.
    counts: Counter[str] = field(default_factory=Counter[str])
    _running: dict[asyncio.Task[None], Claim] = field(default_factory=dict[asyncio.Task[None], Claim])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _is_lost: bool = False

    async def run(self) -> NoReturn:
        """Work until canceled. A lost connection is made anew after a pause; running jobs don't notice."""
        loop = asyncio.get_running_loop()
        failures = 0
        try:
            while True:
                began = loop.time()
                try:
                    await self._work()
                except (ConnectionLost, Unavailable, SQLAlchemyError, asyncpg.PostgresError, OSError) as lost:
                    log.warning("Background work pauses: %s: %s", type(lost).__name__, lost)
                except Exception:
                    log.exception("Background work pauses")
                failures = 1 if loop.time() - began > self.pace.longest_pause_s else failures + 1
                self.counts["restarts"] += 1
                longest = min(self.pace.longest_pause_s, self.pace.first_pause_s * 2 ** (failures - 1))
                # By chance, so that many workers don't come back at the same moment.
                await asyncio.sleep(longest * random.uniform(0.5, 1))  # noqa: S311
        finally:
            await self._stop()

    async def _work(self) -> NoReturn:
        """Listen, then look; look again when told to, when the next job is due, and at every sign of life."""
        async with self.engine.connect() as connection:
            driver = cast(Driver, (await connection.get_raw_connection()).driver_connection)
            self._is_lost = False
            try:
                driver.add_termination_listener(self._on_lost)
                await driver.add_listener(CHANNEL, self._on_notice)
                # A pick needs no wait for the disk: should the server crash, the job is waiting again. What
                # jobs do is committed over other connections, after the pick and never without it.
                await connection.exec_driver_sql("SET synchronous_commit TO off")
                async with self.transactions.write() as tx:
                    await tx.jobs.plant()
                await self._look_for_ever(connection)
            finally:
                # Closed for good: a pool would hand a lost connection out again.
                await connection.invalidate()

    async def _look_for_ever(self, connection: AsyncConnection) -> NoReturn:
        loop = asyncio.get_running_loop()
        beat_every_s = self.pace.stale_after_s / 3
        next_beat = loop.time() + beat_every_s
        while True:
            if self._is_lost:
                raise ConnectionLost("the connection that listens was closed")
            self._wake.clear()
            looked = loop.time()
            if looked >= next_beat:
                await job_rows.beat(connection, self.owner, [each.id for each in self._running.values()])
                next_beat = looked + beat_every_s
            pause_s = await self._look(connection)
            pause_s = beat_every_s if pause_s is None else pause_s
            try:
                async with asyncio.timeout(min(pause_s, next_beat - loop.time())):
                    await self._wake.wait()
            except TimeoutError:
                continue
            # However often it is told to look, it does so a hundred times a second at most.
            await asyncio.sleep(max(0, looked + self.pace.look_every_s - loop.time()))

    async def _look(self, connection: AsyncConnection) -> float | None:
        """Pick what is due, as much as there is room for; say in how many seconds to look again."""
        names = kinds()
        room = self.pace.at_once - len(self._running)
        if room <= 0:
            return None  # a job that ends wakes us
        claims = await job_rows.claim(
            connection,
            names,
            self.owner,
            self.transactions.clock(),
            limit=room,
            stale_after_s=self.pace.stale_after_s,
        )
        for claim in claims:
            self._start(claim)
        if len(claims) == room:
            # There may be more. Some may have ended meanwhile, and those didn't wake us.
            return None if len(self._running) >= self.pace.at_once else 0.0
        due = await job_rows.next_due(connection, names)
        if due is None:
            return None
        wait_s = (due - self.transactions.clock()).total_seconds()
        # What is due and wasn't picked is locked by somebody, who will soon be done with it.
        return wait_s if wait_s > 0 else self.pace.look_every_s

    def _start(self, claim: Claim) -> None:
        self.counts["picked"] += 1
        task = asyncio.create_task(self._perform(claim), name=f"job {claim.name} {claim.key}")
        self._running[task] = claim
        task.add_done_callback(self._on_done)

    async def _perform(self, claim: Claim) -> None:
        outcome = await perform(self.transactions, claim)
        self.counts[outcome] += 1
        if outcome is not Outcome.DONE:
            self._wake.set()  # its next attempt has a time of its own

    async def _stop(self) -> None:
        """Let running jobs end, but not for ever: what has not ended by then is canceled and given back."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=self.pace.stop_within_s)
        for task in late:
            log.warning("Stops before the end: %s", task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=self.pace.stop_within_s)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if len(self._running) >= self.pace.at_once:
            self._wake.set()
        self._running.pop(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("A job has ended without an outcome", exc_info=problem)

    def _on_notice(self, driver: Any, pid: int, channel: str, payload: object) -> None:
        self._wake.set()

    def _on_lost(self, driver: Any) -> None:
        self._is_lost = True
        self._wake.set()


async def work(
    transactions: Transactions, database_url: str | None = None, pace: Pace | None = None
) -> NoReturn:
    """Perform jobs until canceled.

    `database_url` is where to listen, if that is not where the transactions are: LISTEN needs a connection of
    its own to PostgreSQL, not one through a pooler that lends it for a transaction at a time.
    """
    if database_url is None:
        bind = cast(AsyncEngine, transactions.writers.kw["bind"])
        database_url = bind.url.render_as_string(hide_password=False)
    engine = make_engine(database_url, pool_size=1).execution_options(isolation_level="AUTOCOMMIT")
    try:
        await Worker(transactions, engine, pace or Pace()).run()
    finally:
        await engine.dispose()
