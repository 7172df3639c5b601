"""Live word of parties: their version, and the bells on their channels and on those of the map."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlmodel import col, select

from models.errors import PartyFull
from models.outbox import OutboxRow
from models.parties import Approval, Party, PartyStatus
from resolvers import memberships, parties
from resolvers.parties import PartyChanges
from resolvers.party_news import KIND
from resolvers.transaction import Transaction, Transactions
from subscriptions import channels
from subscriptions.regions import cell_of
from tests.conftest import MovableClock
from tests.factories import MANGWON, make_market, make_party, make_user
from tests.jobs import run_due
from tests.resolvers.circles import Circle, make_circle, membership_of

BUSAN = (35.1796, 129.0756)
Deed = Callable[[Transaction, Circle], Awaitable[Any]]


class Move(NamedTuple):
    """From where to where a party has gone on the map; None where it is not listed."""

    was: tuple[float, float] | None
    now: tuple[float, float] | None


UNSEEN = Move(None, None)


async def version_of(transactions: Transactions, party_id: UUID) -> int:
    async with transactions.read() as tx:
        return await tx.session.scalar(select(col(Party.version)).where(col(Party.id) == party_id)) or 0


async def news(transactions: Transactions, party_id: UUID) -> list[Move]:
    """What has rung of the party since the last look; the bells are checked against each other."""
    version = await version_of(transactions, party_id)
    async with transactions.write() as tx:
        rows = list(
            await tx.session.scalars(
                select(OutboxRow).where(col(OutboxRow.kind) == KIND).order_by(col(OutboxRow.number))
            )
        )
        for row in rows:
            await tx.session.delete(row)
    own = [row for row in rows if row.channel == channels.party(party_id)]
    assert all(row.data is None for row in own)
    assert [row.number for row in own] == list(range(version - len(own) + 1, version + 1))
    moves = dict[int, Move]()
    for row in rows:
        if row.channel.startswith(channels.region("")) and row.data["party"] == str(party_id):
            places = (row.data["was"], row.data["now"])
            move = Move(*(place and (place["lat"], place["lon"]) for place in places))
            assert row.number is None
            assert moves.setdefault(row.data["version"], move) == move
            assert row.channel in {channels.region(cell_of(*place)) for place in move if place is not None}
    return [moves.get(row.number or 0, UNSEEN) for row in own]


async def act(transactions: Transactions, circle: Circle, deed: Deed) -> list[Move]:
    """What a deed rings, in a transaction of its own."""
    await news(transactions, circle.id)
    async with transactions.write() as tx:
        await deed(tx, circle)
    return await news(transactions, circle.id)


HERE = Move(MANGWON, MANGWON)
APPEARED, GONE = Move(None, MANGWON), Move(MANGWON, None)


def changes(**fields: Any) -> Deed:
    return lambda tx, circle: parties.update_party(tx, circle.leader.id, circle.id, PartyChanges(**fields))


async def joins(tx: Transaction, circle: Circle) -> None:
    await memberships.join_party(tx, (await make_user(tx)).id, circle.id)


async def leaves(tx: Transaction, circle: Circle) -> None:
    await memberships.leave_party(tx, circle.members[0].id, circle.id)


async def cancels(tx: Transaction, circle: Circle) -> None:
    await parties.cancel_party(tx, circle.leader.id, circle.id)


async def completes(tx: Transaction, circle: Circle) -> None:
    tx.now = circle.party.starts_at
    came = {person.id: True for person in circle.members}
    await parties.complete_party(tx, circle.leader.id, circle.id, 100, came)


async def several_things(tx: Transaction, circle: Circle) -> None:
    for deed in (changes(note="글"), joins, leaves, changes(estimated_price=1)):
        await deed(tx, circle)


async def test_a_new_party_appears(transactions: Transactions):
    async with transactions.write() as tx:
        party = await make_party(tx)
    assert await news(transactions, party.id) == [APPEARED]


@pytest.mark.parametrize(
    ("deed", "expected"),
    [
        (joins, [HERE]),
        (leaves, [HERE]),
        (changes(note="글"), [HERE]),
        (changes(capacity=3), [HERE]),
        (changes(capacity=20), []),
        (several_things, [HERE]),
        (cancels, [GONE]),
    ],
    ids=["joins", "leaves", "note", "fills", "nothing", "several at once", "cancels"],
)
async def test_whatever_changes_rings_once_for_each_transaction(
    transactions: Transactions, deed: Deed, expected: list[Move]
):
    circle = await make_circle(transactions)
    before = await version_of(transactions, circle.id)
    assert await act(transactions, circle, deed) == expected
    assert await version_of(transactions, circle.id) == before + len(expected)


async def test_requests_and_answers_change_a_party(transactions: Transactions):
    circle = await make_circle(transactions, members=0, approval=Approval.MANUAL)
    async with transactions.write() as tx:
        one, other = await make_user(tx), await make_user(tx)

    async def decide(tx: Transaction, verb: Any, *arguments: Any) -> None:
        await verb(tx, circle.leader.id, await membership_of(tx, circle, one), *arguments)

    deeds: list[Deed] = [
        lambda tx, _: memberships.join_party(tx, one.id, circle.id),
        lambda tx, _: decide(tx, memberships.accept_member),
        lambda tx, _: decide(tx, memberships.remove_member, "연락이 없어요"),
        lambda tx, _: memberships.join_party(tx, other.id, circle.id),
        lambda tx, _: memberships.withdraw_request(tx, other.id, circle.id),
    ]
    for deed in deeds:
        assert await act(transactions, circle, deed) == [HERE]


async def test_a_full_party_stays_listed_and_a_freed_place_rings(transactions: Transactions):
    circle = await make_circle(transactions, members=1, capacity=3)
    assert await act(transactions, circle, joins) == [HERE]
    async with transactions.read() as tx:
        party = (await parties.parties_by_id(tx, [circle.id]))[circle.id]
        assert party.status is PartyStatus.FULL
    assert await act(transactions, circle, leaves) == [HERE]


async def test_a_party_that_moves_rings_where_it_was_and_where_it_is(transactions: Transactions):
    circle = await make_circle(transactions)
    async with transactions.write() as tx:
        there = await make_market(tx, BUSAN)
        await parties.update_party(tx, circle.leader.id, circle.id, PartyChanges(market_id=there.id))
        await tx.finish()
        rung = {ring.channel for ring in tx.rings if ring.channel.startswith(channels.region(""))}
    assert rung == {channels.region(cell_of(*place)) for place in (MANGWON, BUSAN)}
    assert (await news(transactions, circle.id))[-1] == Move(MANGWON, BUSAN)


@pytest.mark.parametrize("is_full", [False, True], ids=["open", "full"])
async def test_a_done_party_is_gone(transactions: Transactions, clock: MovableClock, is_full: bool):
    circle = await make_circle(transactions, members=2, capacity=3 if is_full else 20)
    clock.now = circle.party.starts_at
    await run_due(transactions)
    # An open one was gone when nobody could join any more.
    assert await act(transactions, circle, completes) == [GONE if is_full else UNSEEN]


async def test_an_open_party_is_gone_at_join_by_and_comes_back_when_people_may_join_again(
    transactions: Transactions, clock: MovableClock
):
    joins_until = clock.now + timedelta(hours=1)
    circle = await make_circle(transactions, join_by=joins_until)
    await news(transactions, circle.id)
    clock.now = joins_until
    await run_due(transactions)
    assert await news(transactions, circle.id) == [GONE]
    assert await act(transactions, circle, changes(note="글")) == [UNSEEN]
    later = changes(join_by=circle.party.starts_at)
    assert await act(transactions, circle, later) == [APPEARED]


async def test_a_party_with_too_few_members_is_gone_once(transactions: Transactions, clock: MovableClock):
    circle = await make_circle(transactions, members=0)
    await news(transactions, circle.id)
    clock.now = circle.party.join_by
    await run_due(transactions)
    assert await news(transactions, circle.id) == [GONE]


async def test_a_full_party_is_gone_when_it_ends(transactions: Transactions, clock: MovableClock):
    circle = await make_circle(transactions, members=1, capacity=2)
    await news(transactions, circle.id)
    clock.now = circle.party.ends_at - timedelta(microseconds=1)
    await run_due(transactions)
    assert await news(transactions, circle.id) == []
    clock.now = circle.party.ends_at
    await run_due(transactions)
    assert await news(transactions, circle.id) == [GONE]


async def test_what_is_refused_or_undone_rings_nobody(fresh_transactions: Transactions):
    circle = await make_circle(fresh_transactions, members=1, capacity=2)
    await news(fresh_transactions, circle.id)
    before = await version_of(fresh_transactions, circle.id)

    async def stumble(tx: Transaction, circle: Circle) -> None:
        await cancels(tx, circle)
        await tx.finish()
        raise RuntimeError("the server stumbles")

    for deed, problem in ((joins, PartyFull), (stumble, RuntimeError)):
        with pytest.raises(problem):
            await act(fresh_transactions, circle, deed)
    assert await news(fresh_transactions, circle.id) == []
    assert await version_of(fresh_transactions, circle.id) == before


async def test_two_parties_in_one_transaction_ring_for_themselves(transactions: Transactions):
    one, other = [await make_circle(transactions, members=1) for _ in range(2)]
    await news(transactions, one.id)
    async with transactions.write() as tx:
        await cancels(tx, one)
        await joins(tx, other)
        await tx.finish()
        rung = {ring.channel: ring.number for ring in tx.rings if ring.kind == KIND}
    for circle in (one, other):
        assert rung[channels.party(circle.id)] == await version_of(transactions, circle.id)
