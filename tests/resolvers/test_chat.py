"""Chats: who may open, close, write and read them, and what the server says in them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from models.base import new_id
from models.chat import ChatMessageKind, Notice
from models.errors import (
    ChatAlreadyOpen,
    ChatClosed,
    InvalidInput,
    NobodyToTalkTo,
    NotFound,
    NotPartyLeader,
    NotPartyMember,
    PartyClosed,
)
from models.notifications import NotificationKind
from models.parties import Approval
from models.users import User
from resolvers import chat, memberships, parties
from resolvers.chat_views import MESSAGE, message_from
from resolvers.parties import PartyChanges
from resolvers.transaction import Transaction, Transactions
from subscriptions import channels
from subscriptions.envelope import Envelope
from tests.conftest import MovableClock
from tests.factories import make_user
from tests.resolvers.circles import Circle, Line, forget_all, lines, make_circle, membership_of, notes

Verb = Callable[[Transaction], Awaitable[Any]]


async def do(transactions: Transactions, verb: Verb) -> Any:
    async with transactions.write() as tx:
        return await verb(tx)


async def said(transactions: Transactions, circle: Circle) -> list[str]:
    found = await lines(transactions, circle)
    assert [line.number for line in found] == list(range(1, len(found) + 1))
    return [line.said for line in found]


def numbered(*said: tuple[str, Any]) -> list[Line]:
    return [Line(number, *each) for number, each in enumerate(said, start=1)]


# Opening and closing


async def test_a_leader_opens_the_chat_once_somebody_else_has_a_place(transactions: Transactions):
    circle = await make_circle(transactions, members=0)
    with pytest.raises(NobodyToTalkTo):
        await do(transactions, lambda tx: chat.open_chat(tx, circle.leader.id, circle.id))
    async with transactions.write() as tx:
        person = await make_user(tx)
        await memberships.join_party(tx, person.id, circle.id)
        opened = await chat.open_chat(tx, circle.leader.id, circle.id)
    assert (opened.party_id, opened.last_number, opened.is_open) == (circle.id, 1, True)
    assert await lines(transactions, circle) == [Line(1, Notice.OPENED, None)]
    with pytest.raises(ChatAlreadyOpen):
        await do(transactions, lambda tx: chat.open_chat(tx, circle.leader.id, circle.id))


async def test_an_applicant_is_nobody_to_talk_to(transactions: Transactions):
    circle = await make_circle(transactions, members=0, approval=Approval.MANUAL)
    async with transactions.write() as tx:
        await memberships.join_party(tx, (await make_user(tx)).id, circle.id)
    with pytest.raises(NobodyToTalkTo):
        await do(transactions, lambda tx: chat.open_chat(tx, circle.leader.id, circle.id))


@pytest.mark.parametrize("verb", [chat.open_chat, chat.close_chat], ids=["open", "close"])
async def test_only_the_leader_opens_and_closes(transactions: Transactions, verb: Any):
    circle = await make_circle(transactions, talks=True)
    async with transactions.write() as tx:
        stranger = await make_user(tx)
        other = (await make_circle(transactions)).leader
    for person in (*circle.members, stranger, other):
        with pytest.raises(NotPartyLeader):
            await do(transactions, lambda tx, who=person: verb(tx, who.id, circle.id))
    with pytest.raises(NotFound):
        await do(transactions, lambda tx: verb(tx, circle.leader.id, new_id()))


async def test_a_closed_chat_is_read_only_until_it_is_opened_again(transactions: Transactions):
    circle = await make_circle(transactions, talks=True)
    leader, member = circle.leader.id, circle.members[0].id
    closed = await do(transactions, lambda tx: chat.close_chat(tx, leader, circle.id))
    assert (closed.last_number, closed.is_open) == (2, False)
    refusals: list[Verb] = [
        lambda tx: chat.close_chat(tx, leader, circle.id),
        lambda tx: chat.send_message(tx, member, circle.id, "안녕하세요"),
        lambda tx: chat.check_open(tx, member, circle.id),
    ]
    for refused in refusals:
        with pytest.raises(ChatClosed):
            await do(transactions, refused)
    assert (await do(transactions, lambda tx: chat.mark_read(tx, member, circle.id, 2))).last_number == 2
    assert (await do(transactions, lambda tx: chat.open_chat(tx, leader, circle.id))).is_open
    await do(transactions, lambda tx: chat.send_message(tx, member, circle.id, "안녕하세요"))
    assert await said(transactions, circle) == [Notice.OPENED, Notice.CLOSED, Notice.OPENED, "안녕하세요"]


async def test_a_chat_that_was_never_opened_can_be_neither_closed_nor_used(transactions: Transactions):
    circle = await make_circle(transactions)
    member = circle.members[0].id
    refusals: list[Verb] = [
        lambda tx: chat.close_chat(tx, circle.leader.id, circle.id),
        lambda tx: chat.send_message(tx, member, circle.id, "안녕하세요"),
        lambda tx: chat.mark_read(tx, member, circle.id, 1),
        lambda tx: chat.check_member(tx, member, circle.id),
    ]
    for refused in refusals:
        with pytest.raises(ChatClosed):
            await do(transactions, refused)
    assert await lines(transactions, circle) == []


@pytest.mark.parametrize("was_closed", [False, True], ids=["never opened", "closed"])
async def test_the_chat_of_a_party_that_is_over_is_not_opened(transactions: Transactions, was_closed: bool):
    circle = await make_circle(transactions, talks=was_closed)
    if was_closed:
        await do(transactions, lambda tx: chat.close_chat(tx, circle.leader.id, circle.id))
    await do(transactions, lambda tx: parties.cancel_party(tx, circle.leader.id, circle.id))
    with pytest.raises(PartyClosed):
        await do(transactions, lambda tx: chat.open_chat(tx, circle.leader.id, circle.id))


# What the server says


async def fill_by_joining(tx: Transaction, circle: Circle) -> None:
    await memberships.join_party(tx, (await make_user(tx)).id, circle.id)


async def fill_by_accepting(tx: Transaction, circle: Circle) -> None:
    await parties.update_party(tx, circle.leader.id, circle.id, PartyChanges(approval=Approval.MANUAL))
    request = await memberships.join_party(tx, (await make_user(tx)).id, circle.id)
    await memberships.accept_member(tx, circle.leader.id, request.id)


async def fill_by_units(tx: Transaction, circle: Circle) -> None:
    await memberships.join_party(tx, (await make_user(tx)).id, circle.id, quantity=28)


async def fill_by_capacity(tx: Transaction, circle: Circle) -> None:
    await parties.update_party(tx, circle.leader.id, circle.id, PartyChanges(capacity=2))


@pytest.mark.parametrize(
    ("capacity", "fill"),
    [(3, fill_by_joining), (3, fill_by_accepting), (20, fill_by_units), (20, fill_by_capacity)],
    ids=["joining", "accepting", "units", "capacity"],
)
async def test_a_chat_opens_by_itself_when_the_party_is_full(
    transactions: Transactions, capacity: int, fill: Callable[[Transaction, Circle], Awaitable[None]]
):
    circle = await make_circle(transactions, members=1, capacity=capacity)
    await do(transactions, lambda tx: fill(tx, circle))
    assert await said(transactions, circle) == [Notice.OPENED]
    assert (await do(transactions, lambda tx: chat.chats_by_party(tx, [circle.id])))[circle.id].is_open


async def test_a_party_that_its_leader_fills_alone_has_nobody_to_talk(transactions: Transactions):
    circle = await make_circle(transactions, members=0)
    changes = PartyChanges(quantity=30)
    await do(transactions, lambda tx: parties.update_party(tx, circle.leader.id, circle.id, changes))
    assert await lines(transactions, circle) == []


async def test_a_chat_that_its_leader_closed_stays_closed_when_the_party_is_full(transactions: Transactions):
    circle = await make_circle(transactions, members=1, capacity=3, talks=True)
    await do(transactions, lambda tx: chat.close_chat(tx, circle.leader.id, circle.id))
    await do(transactions, lambda tx: fill_by_joining(tx, circle))
    assert await said(transactions, circle) == [Notice.OPENED, Notice.CLOSED, Notice.JOINED, Notice.FULL]
    assert not (await do(transactions, lambda tx: chat.chats_by_party(tx, [circle.id])))[circle.id].is_open


async def test_the_server_says_who_comes_and_goes_and_what_becomes_of_the_party(transactions: Transactions):
    circle = await make_circle(transactions, members=2, capacity=3)
    leader, (leaver, removed) = circle.leader, circle.members
    async with transactions.write() as tx:
        await memberships.leave_party(tx, leaver.id, circle.id)
        await memberships.remove_member(
            tx, leader.id, await membership_of(tx, circle, removed), "연락이 없어요"
        )
        newcomers = [await make_user(tx) for _ in range(2)]
        for person in newcomers:
            await memberships.join_party(tx, person.id, circle.id)
        await parties.update_party(tx, leader.id, circle.id, PartyChanges(note="비밀"))
        await parties.update_party(tx, leader.id, circle.id, PartyChanges(estimated_price=1))
        await parties.cancel_party(tx, leader.id, circle.id)
    assert await lines(transactions, circle) == numbered(
        (Notice.OPENED, None),  # by itself: three people were all there could be
        (Notice.LEFT, leaver.id),
        (Notice.REMOVED, removed.id),
        (Notice.JOINED, newcomers[0].id),
        (Notice.JOINED, newcomers[1].id),
        (Notice.FULL, None),
        (Notice.CHANGED, None),
        (Notice.CANCELED, None),
    )


async def test_members_go_on_talking_when_the_party_is_done(transactions: Transactions, clock: MovableClock):
    circle = await make_circle(transactions, members=1, talks=True)
    (member,) = circle.members
    clock.now = circle.party.starts_at
    async with transactions.write() as tx:
        await parties.complete_party(tx, circle.leader.id, circle.id, 100, {member.id: True})
        await chat.send_message(tx, member.id, circle.id, "고마워요")
    assert await said(transactions, circle) == [Notice.OPENED, Notice.DONE, "고마워요"]


# Writing


async def test_a_message_is_numbered_and_rung_with_everything_a_reader_sees(transactions: Transactions):
    circle = await make_circle(transactions, talks=True)
    member = circle.members[0]
    async with transactions.write() as tx:
        sent = await chat.send_message(tx, member.id, circle.id, "  <b>안녕하세요</b>\n둘째 줄 ")
        rings = [ring for ring in tx.rings if ring.kind == MESSAGE]
    assert (sent.number, sent.kind, sent.notice, sent.text, sent.sent_at) == (
        2,
        ChatMessageKind.CHAT,
        None,
        "<b>안녕하세요</b>\n둘째 줄",
        tx.now,
    )
    assert sent.sender is not None
    assert (sent.sender.id, sent.sender.nickname) == (member.id, member.nickname)
    (ring,) = rings
    assert (ring.channel, ring.number) == (channels.chat(circle.id), 2)
    arrived = Envelope.decode(ring.encode(), ring.channel)
    async with transactions.read() as tx:
        stored = (await chat.messages_by_id(tx, [sent.id]))[sent.id]
    assert message_from(arrived) == stored == sent


async def test_what_the_server_says_is_rung_as_it_is_stored(transactions: Transactions):
    circle = await make_circle(transactions, talks=True)
    async with transactions.write() as tx:
        await memberships.leave_party(tx, circle.members[0].id, circle.id)
        await tx.finish()
        arrived = [message_from(ring) for ring in tx.rings if ring.kind == MESSAGE]
    (left,) = arrived
    assert left is not None
    async with transactions.read() as tx:
        assert await chat.messages_by_id(tx, [left.id]) == {left.id: left}


async def test_only_members_write_and_read(transactions: Transactions):
    circle = await make_circle(transactions, members=3, talks=True)
    leaver, removed, _ = circle.members
    async with transactions.write() as tx:
        await parties.update_party(tx, circle.leader.id, circle.id, PartyChanges(approval=Approval.MANUAL))
        applicant, stranger = await make_user(tx), await make_user(tx)
        await memberships.join_party(tx, applicant.id, circle.id)
        await memberships.leave_party(tx, leaver.id, circle.id)
        await memberships.remove_member(
            tx, circle.leader.id, await membership_of(tx, circle, removed), "연락이 없어요"
        )
    before = await lines(transactions, circle)
    for person in (applicant, stranger, leaver, removed):
        refusals: list[Verb] = [
            lambda tx, who=person: chat.send_message(tx, who.id, circle.id, "들려요?"),
            lambda tx, who=person: chat.mark_read(tx, who.id, circle.id, 1),
            lambda tx, who=person: chat.check_member(tx, who.id, circle.id),
            lambda tx, who=person: chat.check_open(tx, who.id, circle.id),
        ]
        for refused in refusals:
            with pytest.raises(NotPartyMember):
                await do(transactions, refused)
    assert await lines(transactions, circle) == before


async def test_who_comes_back_may_write_again(transactions: Transactions):
    circle = await make_circle(transactions, talks=True)
    person = circle.members[0]
    async with transactions.write() as tx:
        await memberships.leave_party(tx, person.id, circle.id)
        await memberships.join_party(tx, person.id, circle.id)
        await chat.send_message(tx, person.id, circle.id, "다시 왔어요")
    assert (await said(transactions, circle))[1:] == [Notice.LEFT, Notice.JOINED, "다시 왔어요"]


async def test_a_message_sent_again_with_its_key_is_the_first_one(transactions: Transactions):
    circle = await make_circle(transactions, talks=True)
    one, other = circle.members
    first = await do(transactions, lambda tx: chat.send_message(tx, one.id, circle.id, "하나", "k"))
    again = await do(transactions, lambda tx: chat.send_message(tx, one.id, circle.id, "둘", "k"))
    assert again == first
    others = await do(transactions, lambda tx: chat.send_message(tx, other.id, circle.id, "셋", "k"))
    assert others.number == first.number + 1, "a key is its sender's own"
    await do(transactions, lambda tx: chat.close_chat(tx, circle.leader.id, circle.id))
    assert await do(transactions, lambda tx: chat.send_message(tx, one.id, circle.id, "하나", "k")) == first


async def test_what_is_not_fit_to_be_said_is_refused_and_takes_no_number(transactions: Transactions):
    circle = await make_circle(transactions, talks=True)
    for words, key, field in ((" ", None, "text"), ("가" * 2_001, None, "text"), ("가", "", "clientKey")):
        with pytest.raises(InvalidInput) as refusal:
            await do(
                transactions,
                lambda tx, w=words, k=key: chat.send_message(tx, circle.leader.id, circle.id, w, k),
            )
        assert refusal.value.field == field
    sent = await do(transactions, lambda tx: chat.send_message(tx, circle.leader.id, circle.id, "🥭" * 2_000))
    assert sent.number == 2


async def test_a_number_that_no_message_can_have_is_refused(transactions: Transactions):
    circle = await make_circle(transactions, talks=True)
    for number in (-1, 2**31):
        with pytest.raises(InvalidInput):
            await do(transactions, lambda tx, n=number: chat.mark_read(tx, circle.leader.id, circle.id, n))


async def test_who_withdrew_is_not_told_what_is_said_where_they_were(transactions: Transactions):
    circle = await make_circle(transactions, talks=True)
    gone, stays = circle.members
    await do(transactions, lambda tx: parties.cancel_party(tx, circle.leader.id, circle.id))
    await forget_all(transactions)
    async with transactions.write() as tx:
        (await tx.session.get_one(User, gone.id)).withdraw(tx.now)
        await chat.send_message(tx, circle.leader.id, circle.id, "아쉽네요")
    assert [(each.receiver_id, each.kind) for each in await notes(transactions)] == [
        (stays.id, NotificationKind.CHAT_MESSAGE)
    ]
