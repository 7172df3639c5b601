"""Several people do everything that can be done with parties, in any order and all at once.

Each step is a batch of verbs on connections of their own against a real PostgreSQL; after each step the rows
keep the promises of the domain. `TEST_EXAMPLES=500` makes a longer run, different each time.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database import make_engine
from app.performing import Outcome
from models.errors import DomainError
from models.memberships import MembershipStatus
from models.parties import Approval
from resolvers import memberships, parties
from resolvers.parties import PartyChanges
from resolvers.transaction import Transaction, Transactions
from tests.conftest import MovableClock, transactions_on
from tests.databases import cloned
from tests.factories import make_item, make_market, make_party, make_user
from tests.jobs import run_due

EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "0"))
PEOPLE = 6
OVER = {"DONE", "CANCELED"}
LIVE = {"REQUESTED", "ACCEPTED"}


VERBS = (
    *(*["join"] * 9, *["accept"] * 4, *["complete"] * 3, "leave", "leave", "remove", "withdraw", "reject"),
    *("update", "update", "move", "put_off", "create", "cancel", "work"),
)


def some_changes(random: Random) -> PartyChanges:
    """What a leader might write anew; not all of it within the rules."""
    possible = PartyChanges(
        capacity=random.randint(1, 6),
        min_members=random.randint(2, 4),
        item_count=random.randint(1, 20),
        quantity=random.randint(0, 12),
        approval=random.choice([*Approval]),
        estimated_price=random.choice([None, 0, 9_990]),
        note=random.choice([None, "글", " "]),
    )
    names = random.sample([*possible], random.randint(1, 3))
    return cast(PartyChanges, {name: value for name, value in possible.items() if name in names})


@dataclass
class World:
    """What outlives an example: the loop, the database, and the tally of what has happened."""

    runner: asyncio.Runner
    engine: AsyncEngine
    tally: Counter[tuple[str, str]]


class Neighbours(RuleBasedStateMachine):
    """Every mutation of a party, interleaved."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.clock = MovableClock()
        self.transactions: Transactions = transactions_on(self.world.engine, self.clock)
        self.people: list[UUID] = []
        self.leaders: dict[UUID, UUID] = {}
        self.parties: list[UUID] = []
        self.markets: list[UUID] = []
        self.item = UUID(int=0)
        self.steps = 0
        #: What is over, and what a membership has ended as: neither may ever look different.
        self.ended: dict[UUID, dict[str, Any]] = {}

    @initialize(capacity=st.integers(2, 4), approval=st.sampled_from(Approval), units=st.integers(4, 12))
    def begin(self, capacity: int, approval: Approval, units: int) -> None:
        async def begin() -> None:
            async with self.transactions.write() as tx:
                market, other = await make_market(tx), await make_market(tx)
                item = await make_item(tx)
                people = [await make_user(tx) for _ in range(PEOPLE)]
                made = [
                    await make_party(
                        tx, leader, market, item, capacity=capacity, approval=each, item_count=units
                    )
                    for leader, each in ((people[0], approval), (people[1], Approval.MANUAL))
                ]
            self.people, self.item = [person.id for person in people], item.id
            self.markets = [market.id, other.id]
            self.parties = [party.id for party in made]
            self.leaders = {party.id: party.leader.id for party in made}

        self.world.runner.run(begin())

    @rule(seed=st.integers(0, 2**32))
    def all_at_once(self, seed: int) -> None:
        """One to six people, each with dice of their own; now and then time has passed."""
        self.steps += 1
        random = Random(f"{seed} {self.steps} {len(self.ended)}")

        async def act() -> None:
            if random.random() < 0.2:
                self.clock.move(hours=random.choice([1, 2, 6, 26]))
                await self._work()
            dice = [Random(random.random()) for _ in range(random.randint(1, 6))]
            await asyncio.gather(*(self._attempt(each) for each in dice))

        self.world.runner.run(act())

    async def _work(self) -> None:
        for ran in await run_due(self.transactions):
            # A deed at the same moment may take the deadline away while it is performed.
            assert ran.outcome in (Outcome.DONE, Outcome.LOST), ran
            self.world.tally[ran.name, ran.outcome] += 1

    async def _attempt(self, random: Random) -> None:
        """Do something, and be refused by nothing but a refusal."""
        verb, party_id = random.choice(VERBS), random.choice(self.parties)
        # Most is for the leader to do.
        person = random.choice([*self.people, *[self.leaders[party_id]] * 3 * len(self.people)])
        try:
            match verb:
                case "work":
                    await self._work()
                case "create" | "update" | "put_off" | "move" | "cancel" | "complete":
                    await self._lead(verb, random, party_id, person)
                case "join":
                    someone, units = random.choice(self.people), random.choice([0, 1, 1, 1, 2, 3])
                    await self._write(lambda tx: memberships.join_party(tx, someone, party_id, units))
                case _:
                    await self._deal_with_member(verb, random, party_id, person)
            self.world.tally[verb, "done"] += 1
        except DomainError as refusal:
            self.world.tally[verb, type(refusal).__name__] += 1

    async def _lead(self, verb: str, random: Random, party_id: UUID, person: UUID) -> None:
        starts = self.clock.now + timedelta(hours=random.randint(1, 40))
        market_id = random.choice(self.markets)
        match verb:
            case "create":
                draft = parties.PartyDraft(
                    starts_at=starts,
                    ends_at=starts + timedelta(hours=1),
                    market_id=market_id,
                    item_id=self.item,
                    item_count=random.randint(1, 12),
                    item_unit="개",
                    capacity=random.randint(2, 5),
                    quantity=random.randint(0, 3),
                    approval=random.choice([*Approval]),
                )
                made = await self._write(lambda tx: parties.create_party(tx, person, draft))
                self.leaders[made.id] = made.leader.id
                self.parties.append(made.id)
            case "complete":
                members = await self._members(party_id)
                came = {user: random.random() < 0.7 for _, user in members["ACCEPTED"]}
                price = random.randint(0, 50_000)
                await self._write(lambda tx: parties.complete_party(tx, person, party_id, price, came))
            case "cancel":
                await self._write(lambda tx: parties.cancel_party(tx, person, party_id))
            case _:
                changes = {
                    "update": some_changes(random),
                    "move": PartyChanges(market_id=market_id),
                    "put_off": PartyChanges(
                        starts_at=starts,
                        ends_at=starts + timedelta(hours=random.randint(1, 24)),
                        join_by=starts - timedelta(hours=random.randint(0, 1)),
                    ),
                }[verb]
                await self._write(lambda tx: parties.update_party(tx, person, party_id, changes))

    async def _deal_with_member(self, verb: str, random: Random, party_id: UUID, person: UUID) -> None:
        members = await self._members(party_id)
        wanted = members["ACCEPTED" if verb in ("leave", "remove") else "REQUESTED"]
        if not wanted or random.random() < 0.1:
            # Mostly whom it makes sense for; sometimes whoever is there.
            wanted = [each for some in members.values() for each in some]
        membership_id, user_id = random.choice(wanted)
        match verb:
            case "withdraw":
                await self._write(lambda tx: memberships.withdraw_request(tx, user_id, party_id))
            case "leave":
                await self._write(lambda tx: memberships.leave_party(tx, user_id, party_id))
            case "accept":
                await self._write(lambda tx: memberships.accept_member(tx, person, membership_id))
            case "reject":
                await self._write(lambda tx: memberships.reject_member(tx, person, membership_id, "멀어요"))
            case _:
                await self._write(lambda tx: memberships.remove_member(tx, person, membership_id, "늦었어요"))

    async def _write(self, verb: Callable[[Transaction], Awaitable[Any]]) -> Any:
        async with self.transactions.write() as tx:
            return await verb(tx)

    async def _members(self, party_id: UUID) -> dict[str, list[tuple[UUID, UUID]]]:
        """Ids of memberships and of their people, by status."""
        async with self.transactions.read() as tx:
            members = (await memberships.members_of(tx, [party_id]))[party_id]
        found: dict[str, list[tuple[UUID, UUID]]] = {status: [] for status in MembershipStatus}
        for member in members:
            found[member.status].append((member.id, member.user.id))
        return found

    @invariant()
    def promises_are_kept(self) -> None:
        if self.parties:
            self.world.runner.run(self._look())

    async def _look(self) -> None:
        async with self.world.engine.connect() as connection:
            found = await connection.execute(text("SELECT to_jsonb(parties) FROM parties"))
            rows = {UUID(row["id"]): row for row in found.scalars()}
            found = await connection.execute(
                text("SELECT to_jsonb(memberships) FROM memberships ORDER BY id")
            )
            places = list(found.scalars())
            ends = await connection.execute(
                text("SELECT party_id, kind FROM party_events WHERE kind IN ('DONE', 'CANCELED')")
            )
            endings = Counter((row.party_id, row.kind) for row in ends)
            found = await connection.execute(
                text("SELECT entrypoint, dedupe_key FROM jobs.pgqueuer WHERE entrypoint LIKE 'party.%'")
            )
            waiting = Counter((row.entrypoint, UUID(row.dedupe_key.split('"')[3])) for row in found)
        assert rows.keys() == set(self.parties)
        for id, party in rows.items():
            self._check_party(party, [place for place in places if UUID(place["party_id"]) == id])
            over = party["status"] in OVER
            assert {kind: endings[id, kind] for kind in OVER} == {
                kind: party["status"] == kind for kind in OVER
            }
            assert waiting[parties.GIVE_UP, id] == (not over)
            assert waiting[parties.JOINING_ENDS, id] <= (not over)
            if over:
                # Of what is over, only the requests may still be answered or taken back: the version tells.
                ended = {name: value for name, value in party.items() if name != "version"}
                assert self.ended.setdefault(id, ended) == ended
        for place in places:
            if place["status"] not in LIVE:
                assert self.ended.setdefault(UUID(place["id"]), place) == place

    def _check_party(self, party: dict[str, Any], places: list[dict[str, Any]]) -> None:
        accepted = [place for place in places if place["status"] == "ACCEPTED"]
        units = sum(place["quantity"] for place in accepted)
        assert party["accepted_count"] == len(accepted) <= party["capacity"]
        assert party["accepted_quantity"] == units <= party["item_count"]
        if party["status"] not in OVER:
            is_full = len(accepted) == party["capacity"] or units == party["item_count"]
            assert (party["status"] == "FULL") == is_full
        (leader,) = [place for place in places if place["role"] == "LEADER"]
        assert (leader["user_id"], leader["status"]) == (party["leader_id"], "ACCEPTED")
        live = Counter(place["user_id"] for place in places if place["status"] in LIVE)
        assert set(live.values()) == {1}
        # Places come in the order of asking: nobody has one after a refusal.
        for number, place in enumerate(places):
            if place["status"] in ("REJECTED", "REMOVED"):
                assert place["user_id"] not in [later["user_id"] for later in places[number + 1 :]]
        if party["status"] == "DONE":
            self._check_amounts(party, accepted, leader)
        else:
            assert {place["amount"] for place in places} == {None}

    def _check_amounts(
        self, party: dict[str, Any], accepted: list[dict[str, Any]], leader: dict[str, Any]
    ) -> None:
        price, units = party["actual_price"], party["accepted_quantity"]
        assert sum(place["amount"] for place in accepted) == price
        for place in accepted:
            assert place["attendance"] in ("ATTENDED", "NO_SHOW")
            if place is not leader:
                assert place["amount"] == price * place["quantity"] // units

    def teardown(self) -> None:
        async def clear() -> None:
            async with self.world.engine.begin() as connection:
                tables = "party_events, memberships, parties, jobs.pgqueuer"
                await connection.execute(text(f"TRUNCATE {tables} CASCADE"))

        self.world.runner.run(clear())


@pytest.fixture
def world(server_url: str) -> Generator[World, None, None]:
    """A database of its own in a loop of its own, because hypothesis calls from outside of any."""

    async def begin() -> World:
        url = await stack.enter_async_context(cloned(server_url))
        engine = make_engine(url)
        stack.push_async_callback(engine.dispose)
        return World(runner, engine, Counter())

    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            yield runner.run(begin())
        finally:
            runner.run(stack.aclose())


def test_whatever_neighbours_do_at_once_the_promises_of_the_domain_are_kept(world: World):
    Neighbours.world = world
    run_state_machine_as_test(
        Neighbours,
        settings=settings(
            max_examples=EXAMPLES or 20,
            stateful_step_count=40,
            deadline=None,
            derandomize=not EXAMPLES,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    done = {verb for verb, outcome in world.tally if outcome == "done"}
    everything = {*VERBS, parties.JOINING_ENDS, parties.GIVE_UP} - {"work"}
    assert done >= everything, "\n".join(map(str, sorted(world.tally.items())))
