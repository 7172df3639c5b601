"""Telling the neighbours of a new party: exactly those whom it concerns, each once, in few statements."""

from collections.abc import Sequence
from contextlib import contextmanager
from math import cos, degrees, radians
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.performing import Outcome
from models.notifications import NotificationKind
from models.users import User
from resolvers import items, markets, neighbours, notifications, parties
from resolvers.haversine import EARTH_RADIUS_M, distance_m
from resolvers.neighbours import TELL, WITHIN_M
from resolvers.notices import Notices
from resolvers.notifications import PreferenceView
from resolvers.parties import JOINING_ENDS
from resolvers.transaction import Transaction, Transactions
from resolvers.views import PartyView
from tests.conftest import MovableClock, transactions_on
from tests.factories import MANGWON, make_item, make_market, make_party, make_user
from tests.jobs import Ran, run_due
from tests.resolvers.circles import notes

BEGIN = "listener:resolvers.neighbours.begin_telling"


def beside(north_m: float = 0, east_m: float = 0) -> dict[str, float]:
    """A home so many metres from 망원시장."""
    latitude, longitude = MANGWON
    return {
        "home_latitude": latitude + degrees(north_m / EARTH_RADIUS_M),
        "home_longitude": longitude + degrees(east_m / EARTH_RADIUS_M / cos(radians(latitude))),
    }


async def keen(tx: Transaction, **home: Any) -> User:
    """Somebody who has bookmarked every item and every market."""
    person = await make_user(tx, **home)
    await tx.session.execute(
        text("INSERT INTO item_bookmarks SELECT :id, id, now() FROM items"), {"id": person.id}
    )
    await tx.session.execute(
        text("INSERT INTO market_bookmarks SELECT :id, id, now() FROM markets"), {"id": person.id}
    )
    return person


async def tell(transactions: Transactions) -> list[Ran]:
    """Let the jobs go that tell neighbours."""
    ran = [each for each in await run_due(transactions) if each.name in (BEGIN, TELL)]
    assert {each.outcome for each in ran} <= {Outcome.DONE}
    return ran


async def told(transactions: Transactions) -> list[UUID]:
    found = await notes(transactions)
    assert {each.kind for each in found} <= {NotificationKind.PARTY_CREATED}
    return [each.receiver_id for each in found]


async def test_who_has_bookmarked_the_item_one_of_its_kind_or_the_market_is_told(transactions: Transactions):
    async with transactions.write() as tx:
        item, alike = [await make_item(tx, category="곡물") for _ in range(2)]
        unlike = await make_item(tx, category="과일")
        market, elsewhere = await make_market(tx), await make_market(tx)
        people = [await make_user(tx) for _ in range(7)]
        leader, *wanted, of_fruit, of_elsewhere, indifferent = people
        for person, liked in zip(wanted[:2], (item, alike), strict=True):
            await items.bookmark_item(tx, person.id, liked.id)
        await markets.bookmark_market(tx, wanted[2].id, market.id)
        await items.bookmark_item(tx, wanted[2].id, item.id)
        await items.bookmark_item(tx, of_fruit.id, unlike.id)
        await markets.bookmark_market(tx, of_elsewhere.id, elsewhere.id)
        await items.bookmark_item(tx, leader.id, item.id)
        party = await make_party(tx, leader, market, item)
    await tell(transactions)
    found = await notes(transactions)
    assert [each.receiver_id for each in found] == sorted(person.id for person in wanted)
    assert indifferent.id not in await told(transactions)
    for note in found:
        assert (note.party_id, note.subject_id, note.actor_id) == (party.id, party.id, leader.id)
        assert (note.number, note.detail) == (1, {"item": item.name, "market": market.name})


@pytest.mark.parametrize("direction", ["north", "south", "east", "west"])
async def test_ten_kilometres_are_near_and_a_metre_more_is_not(transactions: Transactions, direction: str):
    sign = 1 if direction in ("north", "east") else -1
    axis = "north_m" if direction in ("north", "south") else "east_m"
    async with transactions.write() as tx:
        item, market = await make_item(tx), await make_market(tx)
        # A little less sideways: the parallel is longer than the way over the globe.
        homes = [beside(**{axis: sign * metres}) for metres in (WITHIN_M - 0.5, WITHIN_M + 1)]
        near, far = [await keen(tx, **home) for home in homes]
        for person, is_near in ((near, True), (far, False)):
            away_m = distance_m(*MANGWON, person.home_latitude or 0, person.home_longitude or 0)
            assert (away_m <= WITHIN_M) == is_near
            assert abs(away_m - WITHIN_M) < 2
        await make_party(tx, None, market, item)
    await tell(transactions)
    assert await told(transactions) == [near.id]


async def test_who_has_gone_or_does_not_want_to_know_is_left_out(transactions: Transactions):
    async with transactions.write() as tx:
        item, market = await make_item(tx), await make_market(tx)
        gone, silent, other = [await keen(tx) for _ in range(3)]
        gone.withdraw(tx.now)
        for kind, person in ((NotificationKind.PARTY_CREATED, silent), (NotificationKind.PARTY_DONE, other)):
            await notifications.set_preference(tx, person.id, PreferenceView(kind, in_app=False, sms=False))
        await make_party(tx, None, market, item)
    await tell(transactions)
    assert await told(transactions) == [other.id]


async def crowd(transactions: Transactions, count: int) -> tuple[PartyView, list[UUID]]:
    """A new party, and those who are to be told of it in the order of their ids."""
    async with transactions.write() as tx:
        item, market = await make_item(tx), await make_market(tx)
        people = [await keen(tx) for _ in range(count)]
        party = await make_party(tx, None, market, item)
    return party, sorted(person.id for person in people)


@pytest.mark.parametrize("count", [0, 2, 3, 4, 6, 7])
async def test_however_the_batches_fall_everybody_is_told_once(
    transactions: Transactions, monkeypatch: pytest.MonkeyPatch, count: int
):
    monkeypatch.setattr(neighbours, "AT_ONCE", 3)
    _, people = await crowd(transactions, count)
    ran = await tell(transactions)
    assert [each.name for each in ran] == [BEGIN, *[TELL] * (count // 3)]
    assert await told(transactions) == people


async def test_a_batch_may_have_people_in_it_who_are_left_out(
    transactions: Transactions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(neighbours, "AT_ONCE", 3)
    _, people = await crowd(transactions, 9)
    async with transactions.write() as tx:
        for person in (people[1], people[2]):
            (await tx.session.get_one(User, person)).withdraw(tx.now)
        wish = PreferenceView(NotificationKind.PARTY_CREATED, in_app=False, sms=False)
        await notifications.set_preference(tx, people[4], wish)
    await tell(transactions)
    assert await told(transactions) == [people[number] for number in (0, 3, 5, 6, 7, 8)]


async def test_a_job_that_dies_in_between_leaves_nobody_out_and_tells_nobody_twice(
    fresh_transactions: Transactions, monkeypatch: pytest.MonkeyPatch, clock: MovableClock
):
    monkeypatch.setattr(neighbours, "AT_ONCE", 3)
    _, people = await crowd(fresh_transactions, 8)
    write, failures = Notices.write, iter([True, True, False, True, False, False])

    async def dies_after_writing(notices: Notices, tx: Transaction) -> None:
        await write(notices, tx)
        if next(failures):
            raise RuntimeError("the process stumbles")

    monkeypatch.setattr(Notices, "write", dies_after_writing)
    outcomes = list[Outcome]()
    for _ in range(6):
        outcomes += [each.outcome for each in await run_due(fresh_transactions)]
        clock.move(minutes=3)
    assert outcomes.count(Outcome.FAILED) == 3
    assert await told(fresh_transactions) == people
    assert {each.number for each in await notes(fresh_transactions)} == {1}


async def test_of_a_party_that_was_canceled_nobody_further_is_told(
    transactions: Transactions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(neighbours, "AT_ONCE", 3)
    party, people = await crowd(transactions, 6)
    async with transactions.write() as tx:
        await neighbours.tell_neighbours(tx, party.id)
        await parties.cancel_party(tx, party.leader.id, party.id)
    await tell(transactions)
    assert await told(transactions) == people[:3]


async def test_whoever_opens_a_party_writes_nobody_s_notification(fresh_transactions: Transactions):
    await crowd(fresh_transactions, 3)
    assert await told(fresh_transactions) == []
    async with fresh_transactions.read() as tx:
        query = "SELECT entrypoint FROM jobs.pgqueuer WHERE status = 'queued'"
        waiting = set(await tx.session.scalars(text(query)))
    assert waiting >= {BEGIN, JOINING_ENDS}


@contextmanager
def counted(engine: AsyncEngine):
    """The statements that the engine runs meanwhile."""
    statements = list[str]()

    def note(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine.sync_engine, "before_cursor_execute", note)


async def test_ten_thousand_neighbours_are_told_in_few_statements(
    fresh_engine: AsyncEngine, clock: MovableClock
):
    transactions = transactions_on(fresh_engine, clock)
    async with transactions.write() as tx:
        item, market = await make_item(tx), await make_market(tx)
        await tx.session.execute(
            text("""
            INSERT INTO users (id, email, password_hash, nickname, role, home_address, home_region,
                home_latitude, home_longitude, created_at)
            SELECT gen_random_uuid(), number || '@example.com', 'none', 'n' || number, 'USER', '서울', '서울',
                37.5562 + number % 100 * 0.0005, 126.9056 + number / 100 * 0.0005, now()
            FROM generate_series(1, 10000) AS number
            """)
        )
        await tx.session.execute(
            text("INSERT INTO item_bookmarks SELECT users.id, :item, now() FROM users"), {"item": item.id}
        )
        party = await make_party(tx, None, market, item)
    with counted(fresh_engine) as statements:
        ran = await tell(transactions)
    assert [each.name for each in ran] == [BEGIN, TELL, TELL]
    assert len(statements) < 60
    receivers: Sequence[Any]
    async with transactions.read() as tx:
        rows = "SELECT count(*), count(DISTINCT receiver_id), max(number) FROM notifications"
        receivers = (await tx.session.execute(text(rows))).one()
        rung = await tx.session.scalar(text("SELECT count(*) FROM outbox WHERE kind = 'notification'"))
    assert tuple(receivers) == (10_000, 10_000, 1)
    assert rung == 10_000, "left to the relay"
    assert party.leader.id not in await told(transactions)
