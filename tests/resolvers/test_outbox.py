"""What is still to be published is written with its cause, and published after the commit only."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from models.errors import SessionExpired
from resolvers import outbox
from resolvers.outbox import LEFT_AFTER, NEEDED_FOR
from resolvers.transaction import Transactions
from subscriptions.envelope import Envelope


async def waiting(transactions: Transactions) -> list[tuple[str, int | None, object]]:
    async with transactions.read() as tx:
        rows = await tx.session.execute(text("SELECT channel, number, data FROM outbox ORDER BY channel"))
        return [(row[0], row[1], row[2]) for row in rows]


async def grow_older(transactions: Transactions, by: timedelta) -> None:
    async with transactions.write() as tx:
        await tx.session.execute(
            text("UPDATE outbox SET created_at = created_at - CAST(:by AS interval)"), {"by": by}
        )


async def test_bells_are_rows_until_the_commit_and_published_after_it(fresh_transactions: Transactions):
    published = list[Envelope]()
    transactions = replace(fresh_transactions, publish=published.append)
    one, other = Envelope("a", "chat:1", 1, {"x": 1}), Envelope("b", "presence:1", None, [1, 2])
    async with transactions.write() as tx:
        tx.ring(one)
        tx.ring(other)
        await tx.finish()
        assert published == []
        assert await waiting(transactions) == []
    assert published == [one, other]
    # What is numbered is read from its own table, should the relay publish it.
    assert await waiting(transactions) == [("chat:1", 1, None), ("presence:1", None, [1, 2])]


async def test_what_is_undone_rings_nobody(fresh_transactions: Transactions):
    published = list[Envelope]()
    transactions = replace(fresh_transactions, publish=published.append)

    async def fail() -> None:
        async with transactions.write() as tx:
            tx.ring(Envelope("a", "chat:1"))
            await tx.finish()
            raise RuntimeError("the server stumbles")

    with pytest.raises(RuntimeError):
        await fail()
    assert (published, await waiting(transactions)) == ([], [])


async def test_a_refusal_that_keeps_its_changes_rings_for_them(fresh_transactions: Transactions):
    published = list[Envelope]()
    transactions = replace(fresh_transactions, publish=published.append)

    async def refuse() -> None:
        async with transactions.write() as tx:
            tx.ring(Envelope("a", "session-ends"))
            raise SessionExpired

    with pytest.raises(SessionExpired):
        await refuse()
    assert [each.channel for each in published] == ["session-ends"]
    assert len(await waiting(transactions)) == 1


async def test_what_a_statement_has_stored_is_rung_first_and_not_stored_again(
    fresh_transactions: Transactions,
):
    published = list[Envelope]()
    transactions = replace(fresh_transactions, publish=published.append)
    async with transactions.write() as tx:
        tx.ring(Envelope("a", "party:1", 2))
        for number in (1, 2):
            tx.ring_stored(Envelope("b", "chat:1", number))
    assert [(each.channel, each.number) for each in published] == [
        ("chat:1", 1),
        ("chat:1", 2),
        ("party:1", 2),
    ]
    assert await waiting(transactions) == [("party:1", 2, None)]


async def test_what_waits_is_left_after_a_while_and_comes_out_as_it_went_in(
    fresh_transactions: Transactions,
):
    rung = [
        Envelope("a", "chat:1", 7, {"x": 1}),
        Envelope("b", "region:x", None, {"y": None}),
        Envelope("c", "party:1"),
    ]
    for each in rung:
        async with fresh_transactions.write() as tx:
            tx.ring(each)
    async with fresh_transactions.write() as tx:
        assert await outbox.take_left(tx.session, 10) == [], "whoever wrote them is about to publish them"
    await grow_older(fresh_transactions, LEFT_AFTER)
    async with fresh_transactions.write() as tx:
        left = await outbox.take_left(tx.session, 10)
        assert [(each.kind, each.channel, each.number, each.id) for each in left] == [
            (each.kind, each.channel, each.number, each.id) for each in rung
        ]
        assert [each.data for each in left] == [None, {"y": None}, None]
        assert len(await outbox.take_left(tx.session, 2)) == 2
        await outbox.drop(tx.session, [UUID(rung[0].id)])
    assert [channel for channel, *_ in await waiting(fresh_transactions)] == ["party:1", "region:x"]


async def test_two_relays_never_have_the_same_row_at_once(fresh_transactions: Transactions):
    async with fresh_transactions.write() as tx:
        for number in range(10):
            tx.ring(Envelope("a", "chat:1", number))
    await grow_older(fresh_transactions, LEFT_AFTER)
    async with fresh_transactions.write() as one, fresh_transactions.write() as other:
        first = await outbox.take_left(one.session, 6)
        second = await outbox.take_left(other.session, 6)
        assert await outbox.take_left(other.session, 6) == second
        numbers = [{each.number for each in left} for left in (first, second)]
        assert [len(each) for each in numbers] == [6, 4]
        assert not numbers[0] & numbers[1]


async def test_what_waits_for_ten_minutes_is_dropped(fresh_transactions: Transactions):
    for channel in ("old", "new"):
        async with fresh_transactions.write() as tx:
            tx.ring(Envelope("a", channel))
        await grow_older(fresh_transactions, NEEDED_FOR / 2 + timedelta(seconds=1))
    async with fresh_transactions.write() as tx:
        await outbox.drop_needless(tx.session)
    assert [channel for channel, *_ in await waiting(fresh_transactions)] == ["new"]


async def test_the_backlog_is_counted_and_as_old_as_its_oldest(fresh_transactions: Transactions):
    async with fresh_transactions.read() as tx:
        assert await outbox.backlog(tx.session) == (0, 0.0)
    for _ in range(2):
        async with fresh_transactions.write() as tx:
            tx.ring(Envelope("a", "chat:1"))
        await grow_older(fresh_transactions, timedelta(seconds=20))
    async with fresh_transactions.read() as tx:
        count, oldest_s = await outbox.backlog(tx.session)
    assert count == 2
    assert 40 <= oldest_s < 60
