"""Chats used by many at once, on connections of their own: no number is given twice or left out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from models.chat import Notice
from models.errors import DomainError, NotPartyMember
from models.notifications import NotificationKind
from models.users import User
from resolvers import chat, memberships, parties
from resolvers.parties import PartyChanges
from resolvers.transaction import Transaction, Transactions
from tests.factories import make_user
from tests.resolvers.circles import Circle, Line, forget_all, lines, make_circle, membership_of, notes

Verb = Callable[[Transaction], Awaitable[Any]]
GOES = (Notice.LEFT, Notice.REMOVED)


async def all_at_once(transactions: Transactions, *verbs: Verb) -> list[Any]:
    """What each gives, or the name of its refusal; anything else fails the test."""

    async def one(verb: Verb) -> Any:
        try:
            async with transactions.write() as tx:
                return await verb(tx)
        except DomainError as refusal:
            return type(refusal).__name__

    async with asyncio.timeout(60):
        return await asyncio.gather(*(one(verb) for verb in verbs))


def says(circle: Circle, person: User, words: str, key: str | None = None) -> Verb:
    return lambda tx: chat.send_message(tx, person.id, circle.id, words, key)


def opens(circle: Circle) -> Verb:
    return lambda tx: chat.open_chat(tx, circle.leader.id, circle.id)


async def check_chat(transactions: Transactions, circle: Circle) -> list[Line]:
    """Numbers have no gap, the chat's own is the last, and nobody speaks who isn't there."""
    found = await lines(transactions, circle)
    assert [line.number for line in found] == list(range(1, len(found) + 1))
    async with transactions.read() as tx:
        assert (await chat.chats_by_party(tx, [circle.id]))[circle.id].last_number == len(found)
    away = set[Any]()
    for line in found:
        if line.said in GOES:
            away.add(line.person)
        elif line.said == Notice.JOINED:
            away.discard(line.person)
        elif line.said not in set(Notice):
            assert line.person not in away, f"{line} was said by somebody who has gone"
    return found


async def test_messages_of_many_at_once_are_numbered_without_a_gap(fresh_transactions: Transactions):
    circle = await make_circle(fresh_transactions, members=5, talks=True)
    people = [circle.leader, *circle.members]
    words = [(person, f"{person.nickname} {number}") for person in people for number in range(20)]
    sent = await all_at_once(fresh_transactions, *(says(circle, *each) for each in words))
    found = await check_chat(fresh_transactions, circle)
    assert sorted(line.said for line in found[1:]) == sorted(word for _, word in words)
    assert {message.number: message.text for message in sent} == {
        line.number: line.said for line in found[1:]
    }


async def test_numbers_have_no_gap_while_people_come_and_go_and_the_chat_is_closed_and_opened(
    fresh_transactions: Transactions,
):
    circle = await make_circle(fresh_transactions, members=4, talks=True)
    leader = circle.leader.id
    async with fresh_transactions.write() as tx:
        newcomers = [await make_user(tx) for _ in range(4)]

    def move(number: int) -> list[Verb]:
        person, newcomer = circle.members[number], newcomers[number]
        return [
            lambda tx: memberships.leave_party(tx, person.id, circle.id),
            lambda tx: memberships.join_party(tx, newcomer.id, circle.id),
            lambda tx: chat.close_chat(tx, leader, circle.id),
            lambda tx: chat.open_chat(tx, leader, circle.id),
            lambda tx: parties.update_party(tx, leader, circle.id, PartyChanges(estimated_price=number)),
            lambda tx: chat.mark_read(tx, person.id, circle.id, 5),
            *[says(circle, each, "안녕하세요") for each in (person, newcomer, circle.leader)],
        ]

    for _ in range(3):
        verbs = [verb for number in range(4) for verb in move(number)]
        await all_at_once(fresh_transactions, *verbs)
        await check_chat(fresh_transactions, circle)
    assert len(await lines(fresh_transactions, circle)) > 12


@pytest.mark.parametrize("way", ["leaving", "removal"])
async def test_nobody_writes_after_the_message_of_their_departure(fresh_transactions: Transactions, way: str):
    circle = await make_circle(fresh_transactions, members=12, talks=True)
    for person in circle.members:
        async with fresh_transactions.read() as tx:
            membership = await membership_of(tx, circle, person)
        has_begun = asyncio.Event()

        async def talk(who: User = person, begun: asyncio.Event = has_begun) -> None:
            """Go on until it is refused."""
            while True:
                async with fresh_transactions.write() as tx:
                    await chat.send_message(tx, who.id, circle.id, "안녕하세요")
                begun.set()

        async def go(who: User = person, place: Any = membership, begun: asyncio.Event = has_begun) -> None:
            await begun.wait()
            async with fresh_transactions.write() as tx:
                if way == "leaving":
                    await memberships.leave_party(tx, who.id, circle.id)
                else:
                    await memberships.remove_member(tx, circle.leader.id, place, "연락이 없어요")

        async with asyncio.timeout(60):
            ends = await asyncio.gather(talk(), talk(), talk(), go(), return_exceptions=True)
        assert [type(each) for each in ends] == [NotPartyMember] * 3 + [type(None)]
    found = await check_chat(fresh_transactions, circle)
    assert sum(line.said in GOES for line in found) == 12


async def test_nobody_writes_after_the_chat_is_closed(fresh_transactions: Transactions):
    circle = await make_circle(fresh_transactions, members=3, talks=True)
    for _ in range(8):
        messages = [says(circle, person, "안녕하세요") for person in circle.members]
        await all_at_once(
            fresh_transactions,
            messages[0],
            lambda tx: chat.close_chat(tx, circle.leader.id, circle.id),
            *messages[1:],
        )
        found = await check_chat(fresh_transactions, circle)
        assert found[-1].said == Notice.CLOSED
        await all_at_once(fresh_transactions, opens(circle))


async def test_a_message_retried_at_once_is_stored_once_and_takes_one_number(
    fresh_transactions: Transactions,
):
    circle = await make_circle(fresh_transactions, members=2, talks=True)
    person, other = circle.members
    for round in range(5):
        key = f"key {round}"
        results = await all_at_once(
            fresh_transactions,
            *[says(circle, person, "한 번만", key)] * 6,
            says(circle, other, "다른 말"),
        )
        assert len({message.id for message in results[:6]}) == 1
        assert len({message.number for message in results[:6]}) == 1
    found = await check_chat(fresh_transactions, circle)
    assert sum(line.said == "한 번만" for line in found) == 5


async def test_a_chat_opened_by_many_at_once_is_opened_once(fresh_transactions: Transactions):
    circle = await make_circle(fresh_transactions, members=1, capacity=3)
    async with fresh_transactions.write() as tx:
        last = await make_user(tx)
    results = await all_at_once(
        fresh_transactions,
        *[opens(circle)] * 4,
        lambda tx: memberships.join_party(tx, last.id, circle.id),
    )
    assert results.count("ChatAlreadyOpen") >= 3
    found = await check_chat(fresh_transactions, circle)
    assert [line.said for line in found].count(Notice.OPENED) == 1
    kinds = [each.kind for each in await notes(fresh_transactions, circle.members[0])]
    assert kinds.count(NotificationKind.CHAT_OPENED) == 1


async def test_a_burst_of_many_at_once_tells_each_absent_member_once(fresh_transactions: Transactions):
    circle = await make_circle(fresh_transactions, members=6, talks=True)
    senders, absent = circle.members[:3], circle.members[3:]
    await forget_all(fresh_transactions)
    await all_at_once(
        fresh_transactions, *(says(circle, person, "안녕하세요") for person in senders for _ in range(5))
    )
    found = [each.receiver_id for each in await notes(fresh_transactions, *absent)]
    assert found == sorted(person.id for person in absent)


async def test_read_marks_set_by_many_devices_at_once_end_at_the_highest(fresh_transactions: Transactions):
    circle = await make_circle(fresh_transactions, members=1, talks=True)
    (member,) = circle.members
    for _ in range(9):
        await all_at_once(fresh_transactions, says(circle, circle.leader, "안녕하세요"))
    marks: list[Verb] = [
        lambda tx, n=number: chat.mark_read(tx, member.id, circle.id, n) for number in (3, 7, 1, 9, 2, 8)
    ]
    await all_at_once(fresh_transactions, *marks, says(circle, circle.leader, "하나 더"))
    async with fresh_transactions.read() as tx:
        assert (await chat.readers_of(tx, [circle.id]))[circle.id][member.id] == 9
