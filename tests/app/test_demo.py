import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import func, select
from sqlmodel import col

from app.demo import PASSWORD, load_demo, show_demo
from app.demo.scenario import read_scenario, span
from models.items import Item
from models.markets import Market
from models.parties import Party, PartyStatus
from models.users import Role, User
from resolvers.near import Around
from resolvers.nearby import PartyFilter, count_nearby
from resolvers.passwords import Passwords
from resolvers.transaction import Transactions
from tests.conftest import MovableClock
from tests.factories import MANGWON


async def counts(transactions: Transactions) -> list[int | None]:
    rows: tuple[Any, ...] = (User, Market, Item, Party)
    async with transactions.read() as tx:
        return [await tx.session.scalar(select(func.count()).select_from(row)) for row in rows]


async def joinable(transactions: Transactions) -> int:
    """How many parties a neighbour of 망원시장 could join now."""
    async with transactions.read() as tx:
        return await count_nearby(tx, Around(*MANGWON, within_m=15_000), PartyFilter())


async def test_the_story_is_there_with_its_people_and_parties_to_join(transactions: Transactions):
    await load_demo(transactions)
    assert await joinable(transactions) >= 20
    async with transactions.read() as tx:
        administrators = await tx.session.scalars(select(User).where(col(User.role) == Role.ADMIN))
        assert [user.nickname for user in administrators] == ["운영자 다온"]
        for party in await tx.session.scalars(select(Party)):
            assert party.status in (PartyStatus.OPEN, PartyStatus.FULL)
            assert tx.now < party.join_by <= party.starts_at


async def test_loading_it_again_changes_nothing(transactions: Transactions):
    await load_demo(transactions)
    first = await counts(transactions)
    await load_demo(transactions)
    assert await counts(transactions) == first


async def test_when_its_parties_are_over_new_ones_come(transactions: Transactions, clock: MovableClock):
    await load_demo(transactions)
    first, open_then = await counts(transactions), await joinable(transactions)
    clock.move(days=10)
    assert await joinable(transactions) == 0
    await load_demo(transactions)
    users, markets, items, parties = await counts(transactions)
    assert [users, markets, items] == first[:3]
    assert parties == (first[3] or 0) * 2
    assert await joinable(transactions) == open_then


@pytest.mark.parametrize("hour", range(24))
def test_its_times_are_good_at_any_hour_of_the_day(hour: int):
    now = datetime(2026, 12, 31, hour, 59, 59, tzinfo=UTC)
    for gathering in read_scenario().parties:
        (starts_at, ends_at), (join_by, _) = span(gathering.meets, now), span(gathering.join_by, now)
        assert now < join_by <= starts_at < ends_at


async def test_everybody_in_it_can_sign_in_with_the_password_that_is_shown(transactions: Transactions):
    await load_demo(transactions)
    async with transactions.read() as tx:
        hashes = set(await tx.session.scalars(select(col(User.password_hash))))
    passwords = Passwords(threads=1)
    assert [await passwords.verify(stored, PASSWORD) for stored in hashes] == [True]
    passwords.close()
    shown = io.StringIO()
    show_demo(Console(file=shown, width=200), "http://127.0.0.1:4711")
    assert PASSWORD in shown.getvalue()
    assert "http://127.0.0.1:4711/graphiql" in shown.getvalue()
    for person in read_scenario().people:
        assert person.email in shown.getvalue()
