"""What readers of live channels ask the database: pages above cursors, for thousands at once."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from models.base import new_id
from models.notifications import Notification, NotificationKind, SubjectKind
from models.users import User
from resolvers import chat, parties
from resolvers.live import ROWS, LiveReads, PartyVersion
from resolvers.notices import Notice, Notices
from resolvers.parties import PartyChanges
from resolvers.transaction import Transactions
from subscriptions import channels
from subscriptions.batches import BatchReader, Cursor
from subscriptions.feed import Page
from tests.conftest import MovableClock, transactions_on
from tests.factories import make_user
from tests.resolvers.circles import Circle, make_circle

NOWHERE = UUID(int=1)


@pytest.fixture
def reads(transactions: Transactions) -> LiveReads:
    return LiveReads(transactions)


async def talk(transactions: Transactions, circle: Circle, times: int) -> None:
    async with transactions.write() as tx:
        for number in range(times):
            await chat.send_message(tx, circle.leader.id, circle.id, f"{number}")


async def tell(transactions: Transactions, circle: Circle, person: User, times: int) -> None:
    notice = Notice(
        NotificationKind.PARTY_CHANGED, circle.id, SubjectKind.PARTY, circle.id, circle.leader.id, {"a": "가"}
    )
    async with transactions.write() as tx:
        for _ in range(times):
            tx.collected(Notices).tell([person.id], notice)


def shape(page: Page[Any]) -> tuple[list[int], int, bool]:
    return [row.number for row in page.rows], page.cursor, page.has_more


async def test_messages_come_page_by_page_with_the_end_of_the_chat(
    transactions: Transactions, reads: LiveReads
):
    circle = await make_circle(transactions, members=1, talks=True)
    last = ROWS + 5
    await talk(transactions, circle, last - 1)  # the chat is open: the first was the server's
    cursors = [Cursor(channels.chat(circle.id), after) for after in (0, 5, ROWS, last, last + 9, None)]
    pages = await reads.messages(cursors)
    assert [shape(pages[cursor]) for cursor in cursors] == [
        (list(range(1, ROWS + 1)), ROWS, True),
        (list(range(6, last + 1)), last, False),
        (list(range(ROWS + 1, last + 1)), last, False),
        ([], last, False),
        ([], last, False),
        ([], last, False),
    ]
    newest = Cursor(channels.chat(circle.id), last - 1)
    (row,) = (await reads.messages([newest]))[newest].rows
    async with transactions.read() as tx:
        assert await chat.messages_by_id(tx, [row.id]) == {row.id: row}


async def test_notifications_come_above_what_was_deleted(transactions: Transactions, reads: LiveReads):
    circle = await make_circle(transactions, members=0)
    async with transactions.write() as tx:
        person, other = await make_user(tx), await make_user(tx)
    await tell(transactions, circle, person, ROWS + 2)
    await tell(transactions, circle, other, 1)
    channel = channels.notifications(person.id)
    cursors = [Cursor(channel, after) for after in (0, ROWS, None)]
    cursors.append(Cursor(channels.notifications(other.id), 0))
    pages = await reads.notifications(cursors)
    assert [shape(pages[cursor]) for cursor in cursors] == [
        (list(range(1, ROWS + 1)), ROWS, True),
        ([ROWS + 1, ROWS + 2], ROWS + 2, False),
        ([], ROWS + 2, False),
        ([1], 1, False),
    ]
    note = pages[cursors[3]].rows[0]
    assert (note.actor, note.detail, note.party_id) == (circle.leader.nickname, {"a": "가"}, circle.id)
    async with transactions.write() as tx:
        gone = (col(Notification.number) > 1) & (col(Notification.receiver_id) == person.id)
        await tx.session.execute(delete(Notification).where(gone))
    pages = await reads.notifications(cursors[:3])
    assert [shape(pages[cursor]) for cursor in cursors[:3]] == [
        ([1], ROWS + 2, False),
        ([], ROWS + 2, False),
        ([], ROWS + 2, False),
    ], "the highest number ever given, though its row is gone"


async def test_of_a_party_only_its_last_version_is_told(transactions: Transactions, reads: LiveReads):
    circle = await make_circle(transactions, members=0)
    for note in ("하나", "둘"):
        async with transactions.write() as tx:
            await parties.update_party(tx, circle.leader.id, circle.id, PartyChanges(note=note))
    (version,) = (await reads.heads([channels.party(circle.id)])).values()
    assert version == 4
    cursors = [Cursor(channels.party(circle.id), after) for after in (0, 3, 4, None)]
    pages = await reads.parties(cursors)
    assert [shape(pages[cursor]) for cursor in cursors] == [
        ([4], 4, False),
        ([4], 4, False),
        ([], 4, False),
        ([], 4, False),
    ]
    async with transactions.read() as tx:
        party = (await parties.parties_by_id(tx, [circle.id]))[circle.id]
    assert pages[cursors[0]].rows == [PartyVersion(4, party)]


@pytest.mark.parametrize("kind", ["messages", "notifications", "parties"])
async def test_of_what_does_not_exist_there_is_nothing(
    transactions: Transactions, reads: LiveReads, kind: str
):
    circle = await make_circle(transactions, members=1)
    channel = {"messages": channels.chat, "notifications": channels.notifications, "parties": channels.party}
    keys = [NOWHERE, circle.id] if kind == "messages" else [NOWHERE]
    cursors = [Cursor(channel[kind](key), after) for key in keys for after in (0, 7, None)]
    pages = await getattr(reads, kind)(cursors)
    assert [shape(pages[cursor]) for cursor in cursors] == [([], 0, False)] * len(cursors)
    assert await getattr(reads, kind)([]) == {}


async def test_heads_are_those_of_the_channels_that_have_numbers(
    transactions: Transactions, reads: LiveReads
):
    circle = await make_circle(transactions, members=1, talks=True)
    (member,) = circle.members
    await talk(transactions, circle, 2)
    wanted = [
        channels.chat(circle.id),
        channels.notifications(member.id),
        channels.party(circle.id),
        channels.presence(circle.id),
        channels.session_ends(),
        channels.chat(NOWHERE),
        channels.notifications(NOWHERE),
        channels.party(NOWHERE),
    ]
    heads = await reads.heads(wanted)
    assert heads.keys() == set(wanted[:3])
    assert heads[channels.chat(circle.id)] == 3
    assert heads[channels.notifications(member.id)] == 2, "the chat was opened, and something was said"
    assert heads[channels.party(circle.id)] >= 1
    assert await reads.heads([]) == {}


async def test_ten_thousand_readers_resume_with_ten_queries(fresh_engine: AsyncEngine, clock: MovableClock):
    transactions = transactions_on(fresh_engine, clock)
    circle = await make_circle(transactions, members=1, talks=True)
    await talk(transactions, circle, 2)
    async with transactions.write() as tx:
        # Everybody else's chat is empty: what counts is that nobody is asked about alone.
        await tx.session.execute(text("ANALYZE"))
    others = [new_id() for _ in range(9_999)]
    statements = list[str]()

    def note(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(fresh_engine.sync_engine, "before_cursor_execute", note)
    try:
        async with BatchReader(LiveReads(transactions).messages) as reader, asyncio.timeout(60):
            pages: Sequence[Page[Any]] = await asyncio.gather(
                *(reader.read(channels.chat(key), 1) for key in (circle.id, *others))
            )
    finally:
        event.remove(fresh_engine.sync_engine, "before_cursor_execute", note)
    assert [row.number for row in pages[0].rows] == [2, 3]
    assert {shape(page)[1] for page in pages[1:]} == {0}
    assert 0 < len(statements) <= 10
