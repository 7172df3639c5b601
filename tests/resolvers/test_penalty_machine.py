"""Leaders, no-shows and administrators do everything about penalties, in any order and all at once.

Each step is a batch of verbs on connections of their own; now and then time passes, or Redis forgets
somebody. After each step two processes count what a recount of the table counts. `TEST_EXAMPLES=500` makes a
longer run, different each time.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cache import make_redis
from app.database import make_engine
from models.errors import DomainError
from models.items import Item
from models.markets import Market
from models.penalties import Decision
from models.users import Role, User
from resolvers import memberships, parties, penalties
from resolvers.penalty_counts import PenaltyCounts
from resolvers.penalty_tempo import Tempo
from resolvers.transaction import Transaction, Transactions
from subscriptions.broadcaster import PREFIX
from tests.conftest import MovableClock, transactions_on
from tests.counts import counts_on
from tests.databases import cloned
from tests.factories import make_item, make_market, make_party, make_user

EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "0"))
PEOPLE = 4
VERBS = (
    *(*["penalize"] * 6, *["meet"] * 3, *["object"] * 3, *["decide"] * 2, "revoke", "revoke"),
    *("correct", "correct", "forget", "count"),
)
WARM_WITHIN_S = 30


@dataclass
class World:
    """What outlives an example: the loop, the servers, the time, and the tally of what has happened."""

    runner: asyncio.Runner
    engine: AsyncEngine
    redis: Redis
    clock: MovableClock
    transactions: Transactions
    #: Of two processes.
    counts: tuple[PenaltyCounts, PenaltyCounts]
    tally: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])


class Neighbours(RuleBasedStateMachine):
    """Every verb of penalties, interleaved."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.people: list[UUID] = []
        self.administrators: list[UUID] = []
        self.market: Market | None = None
        self.item: Item | None = None
        self.steps = 0

    @initialize()
    def begin(self) -> None:
        async def begin() -> None:
            async with self.world.transactions.write() as tx:
                self.people = [(await make_user(tx)).id for _ in range(PEOPLE)]
                self.administrators = [(await make_user(tx, role=Role.ADMIN)).id for _ in range(2)]
                self.market, self.item = await make_market(tx), await make_item(tx)

        self.world.runner.run(begin())

    @rule(seed=st.integers(0, 2**32))
    def all_at_once(self, seed: int) -> None:
        """One to six verbs, each with dice of its own; now and then time has passed."""
        self.steps += 1
        random = Random(f"{seed} {self.steps}")

        async def act() -> None:
            if random.random() < 0.3:
                self.world.clock.move(hours=random.choice([1, 12, 24, 24 * 5, 24 * 14, 24 * 45]))
            dice = [Random(random.random()) for _ in range(random.randint(1, 6))]
            await asyncio.gather(*(self._attempt(each) for each in dice))

        self.world.runner.run(act())

    async def _attempt(self, random: Random) -> None:
        verb = random.choice(VERBS)
        try:
            match verb:
                case "meet":
                    await self._meet(random)
                case "forget":
                    await self.world.redis.delete(f"{PREFIX}penalties:{random.choice(self.people)}")
                case "count":
                    await random.choice(self.world.counts).of(random.sample(self.people, 2))
                case _:
                    await self._deal(verb, random)
            self.world.tally[verb, "done"] += 1
        except DomainError as refusal:
            self.world.tally[verb, type(refusal).__name__] += 1

    async def _meet(self, random: Random) -> None:
        """A party that somebody leads and others join, done at once: some of them did not come."""
        leader, *members = random.sample(self.people, random.randint(2, PEOPLE))

        async def open_party(tx: Transaction) -> UUID:
            person, starts = await tx.session.get_one(User, leader), tx.now + timedelta(minutes=1)
            made = await make_party(tx, person, self.market, self.item, starts_at=starts, capacity=PEOPLE)
            return made.id

        # Whoever has too many penalties is refused: as the leader here, as a member below.
        party_id = await self._write(open_party)
        for member in members:
            await self._write(lambda tx, member=member: memberships.join_party(tx, member, party_id))
        came = {member: random.random() < 0.3 for member in members}
        self.world.clock.move(minutes=1)
        await self._write(lambda tx: parties.complete_party(tx, leader, party_id, 1_000, came))

    async def _deal(self, verb: str, random: Random) -> None:
        """Do something about a party, a penalty or an objection that there is."""
        counts = random.choice(self.world.counts)
        found = await self._ids(
            {
                "penalize": "SELECT party_id, leader_id, user_id FROM memberships"
                " JOIN parties ON parties.id = party_id WHERE done_at IS NOT NULL AND role = 'MEMBER'",
                "correct": "SELECT id, leader_id, leader_id FROM parties WHERE done_at IS NOT NULL",
                "object": "SELECT id, user_id, user_id FROM penalties",
                "revoke": "SELECT id, user_id, user_id FROM penalties",
                "decide": "SELECT id, id, id FROM objections",
            }[verb]
        )
        if not found:
            return
        what, actor, person = random.choice(found)
        administrator = random.choice(self.administrators)
        match verb:
            case "penalize":
                await self._write(lambda tx: penalties.penalize(tx, counts, actor, what, person, "노쇼"))
            case "correct":
                who, came = random.choice(self.people), random.random() < 0.5
                await self._write(lambda tx: penalties.correct_attendance(tx, actor, what, {who: came}))
            case "object":
                await self._write(lambda tx: penalties.object_to_penalty(tx, actor, what, "갔는데요"))
            case "revoke":
                await self._write(
                    lambda tx: penalties.revoke_penalty(tx, counts, administrator, what, "착오")
                )
            case _:
                decision = random.choice([*Decision])
                await self._write(
                    lambda tx: penalties.decide_objection(tx, counts, administrator, what, decision, "사진")
                )

    async def _write(self, verb: Callable[[Transaction], Awaitable[Any]]) -> Any:
        async with self.world.transactions.write() as tx:
            return await verb(tx)

    async def _ids(self, statement: str) -> list[tuple[UUID, UUID, UUID]]:
        async with self.world.engine.connect() as connection:
            return [(row[0], row[1], row[2]) for row in await connection.execute(text(statement))]

    @invariant()
    def promises_are_kept(self) -> None:
        if self.people:
            self.world.runner.run(self._look())

    async def _look(self) -> None:
        async with self.world.engine.connect() as connection:
            found = await connection.execute(text(_PENALTIES))
            rows: list[dict[str, Any]] = [dict(row) for row in found.mappings()]
        counted = Counter(row["user_id"] for row in rows if self._counts(row))
        expected = {person: counted[person] for person in self.people}
        for process in self.world.counts:
            assert await process.of(self.people) == expected
            # Once more, and one by one: from what the first reading has left behind.
            for person in self.people:
                assert await process.of([person]) == {person: expected[person]}
        for row in rows:
            self._check(row)

    def _counts(self, row: dict[str, Any]) -> bool:
        ends: datetime = row["given_at"] + timedelta(days=90)
        return row["revoked_at"] is None and self.world.clock.now < ends

    def _check(self, row: dict[str, Any]) -> None:
        assert row["expires_at"] == row["given_at"] + timedelta(days=90)
        assert row["given_by_id"] == row["leader_id"] != row["user_id"]
        assert row["given_at"] < row["done_at"] + timedelta(days=14)
        if row["revoked_at"] is None:
            assert row["attendance"] == "NO_SHOW"
            assert row["decision"] != "REVOKED"
        else:
            # Nothing waits for a decision that has been taken.
            assert row["made_at"] is None or row["decision"] is not None
        if row["made_at"] is not None:
            assert row["made_at"] < row["given_at"] + timedelta(days=14)

    def teardown(self) -> None:
        async def clear() -> None:
            async with self.world.engine.begin() as connection:
                await connection.execute(text("TRUNCATE penalties, memberships, parties CASCADE"))

        self.world.runner.run(clear())


_PENALTIES = """
    SELECT penalties.*, done_at, leader_id, attendance, made_at, decision
    FROM penalties JOIN parties ON parties.id = penalties.party_id
    JOIN memberships ON memberships.party_id = parties.id AND memberships.user_id = penalties.user_id
    LEFT JOIN objections ON penalty_id = penalties.id
"""


@pytest.fixture
def world(server_url: str, redis_url: str) -> Generator[World, None, None]:
    """A database of its own in a loop of its own, because hypothesis calls from outside of any."""

    async def begin() -> World:
        engine = make_engine(await stack.enter_async_context(cloned(server_url)))
        stack.push_async_callback(engine.dispose)
        redis = make_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        clock = MovableClock()
        transactions = transactions_on(engine, clock)
        here, there = [
            await stack.enter_async_context(counts_on(redis, transactions, Tempo(life_s=5))) for _ in range(2)
        ]
        async with transactions.write() as tx:
            somebody = (await make_user(tx)).id
        async with asyncio.timeout(WARM_WITHIN_S):
            while not here.counts["hits"]:
                await here.of([somebody])
                await asyncio.sleep(0.05)
        return World(runner, engine, redis, clock, transactions, (here, there))

    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            yield runner.run(begin())
        finally:
            runner.run(stack.aclose())


def test_whatever_happens_to_penalties_the_count_is_what_a_recount_counts(world: World):
    Neighbours.world = world
    run_state_machine_as_test(
        Neighbours,
        settings=settings(
            max_examples=EXAMPLES or 8,
            stateful_step_count=40,
            deadline=None,
            derandomize=not EXAMPLES,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    tally = "\n".join(map(str, sorted(world.tally.items())))
    assert {verb for verb, outcome in world.tally if outcome == "done"} >= set(VERBS), tally
    refusals = {outcome for _, outcome in world.tally}
    assert refusals >= {
        "AlreadyPenalized",
        "AlreadyRevoked",
        "AttendanceFixed",
        "NotPenalizable",
        "ObjectionDecided",
        "ObjectionTooLate",
        "TooManyPenalties",
    }, tally
    assert all(counts.counts["hits"] for counts in world.counts), [each.counts for each in world.counts]
