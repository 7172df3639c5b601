"""How far people have read, and when they are told that there is more."""

from uuid import UUID

from models.chat import ChatReader
from models.notifications import Notification, NotificationKind, SubjectKind
from models.users import User
from resolvers import chat, memberships
from resolvers.transaction import Transaction, Transactions
from tests.factories import make_user
from tests.resolvers.circles import Circle, forget_all, make_circle, notes


async def send(transactions: Transactions, circle: Circle, sender: User, *present: User) -> int:
    async with transactions.write() as tx:
        ids = [each.id for each in present]
        return (await chat.send_message(tx, sender.id, circle.id, "안녕하세요", present=ids)).number


async def read(transactions: Transactions, circle: Circle, person: User, number: int) -> None:
    async with transactions.write() as tx:
        await chat.mark_read(tx, person.id, circle.id, number)


async def marks(tx: Transaction, circle: Circle) -> dict[UUID, int]:
    return (await chat.readers_of(tx, [circle.id]))[circle.id]


async def told(transactions: Transactions, circle: Circle) -> list[User]:
    """Who has been told of a message since the last look, in the order of the circle."""
    found = [each for each in await notes(transactions) if each.kind is NotificationKind.CHAT_MESSAGE]
    await forget_all(transactions)
    people = [circle.leader, *circle.members]
    assert len(found) == len({each.receiver_id for each in found})
    return [person for person in people if person.id in {each.receiver_id for each in found}]


async def test_a_read_mark_never_goes_back_nor_beyond_the_last_message(transactions: Transactions):
    circle = await make_circle(transactions, members=1, talks=True)
    (member,) = circle.members
    assert [await send(transactions, circle, circle.leader) for _ in range(3)] == [2, 3, 4]
    for number, mark in ((2, 2), (1, 2), (3, 3), (0, 3), (99, 4), (2**31 - 1, 4), (1, 4)):
        await read(transactions, circle, member, number)
        async with transactions.read() as tx:
            assert (await marks(tx, circle))[member.id] == mark


async def test_who_writes_has_read(transactions: Transactions):
    circle = await make_circle(transactions, members=1, talks=True)
    (member,) = circle.members
    await send(transactions, circle, member)
    await send(transactions, circle, circle.leader)
    async with transactions.read() as tx:
        assert await marks(tx, circle) == {circle.leader.id: 3, member.id: 2}


async def test_read_marks_are_of_the_members_of_now(transactions: Transactions):
    circle = await make_circle(transactions, members=2, talks=True)
    leaver, stays = circle.members
    await send(transactions, circle, leaver)
    async with transactions.write() as tx:
        await memberships.leave_party(tx, leaver.id, circle.id)
    async with transactions.read() as tx:
        assert await marks(tx, circle) == {circle.leader.id: 0, stays.id: 0}
        assert await chat.readers_of(tx, []) == {}


async def test_who_is_absent_is_told_once_until_they_have_read(transactions: Transactions):
    circle = await make_circle(transactions, members=2, talks=True)
    absent, present = circle.members
    await forget_all(transactions)
    number = await send(transactions, circle, circle.leader, circle.leader, present)
    assert await told(transactions, circle) == [absent]
    for sender in (circle.leader, present):
        await send(transactions, circle, sender, circle.leader, present)
        assert await told(transactions, circle) == []
    await read(transactions, circle, absent, number - 1)
    await send(transactions, circle, present, circle.leader, present)
    assert await told(transactions, circle) == [], "the first message of the burst is unread"
    await read(transactions, circle, absent, number + 3)
    await send(transactions, circle, present, circle.leader, present)
    assert await told(transactions, circle) == [absent]


async def test_who_has_read_the_first_of_a_burst_begins_a_new_one(transactions: Transactions):
    circle = await make_circle(transactions, members=1, talks=True)
    await forget_all(transactions)
    number = await send(transactions, circle, circle.leader)
    await send(transactions, circle, circle.leader)
    assert await told(transactions, circle) == circle.members
    await read(transactions, circle, circle.members[0], number)
    await send(transactions, circle, circle.leader)
    assert await told(transactions, circle) == circle.members


async def test_who_answers_has_read_and_is_told_of_the_next_burst(transactions: Transactions):
    circle = await make_circle(transactions, members=1, talks=True)
    (member,) = circle.members
    await forget_all(transactions)
    await send(transactions, circle, circle.leader)
    await send(transactions, circle, member)
    assert await told(transactions, circle) == [circle.leader, member]
    await send(transactions, circle, circle.leader)
    assert await told(transactions, circle) == [member]


async def test_who_goes_absent_is_told_of_what_they_have_missed_while_present(transactions: Transactions):
    circle = await make_circle(transactions, members=1, talks=True)
    (member,) = circle.members
    await forget_all(transactions)
    await send(transactions, circle, circle.leader, member)
    assert await told(transactions, circle) == []
    await send(transactions, circle, circle.leader)
    assert await told(transactions, circle) == [member]


async def test_what_the_server_says_tells_nobody_of_a_message(transactions: Transactions):
    circle = await make_circle(transactions, members=2, talks=True)
    await forget_all(transactions)
    async with transactions.write() as tx:
        await memberships.leave_party(tx, circle.members[0].id, circle.id)
    assert await told(transactions, circle) == []


async def test_who_repeats_a_message_tells_nobody_again(transactions: Transactions):
    circle = await make_circle(transactions, members=1, talks=True)
    (member,) = circle.members
    await forget_all(transactions)
    for expected in ([member], []):
        async with transactions.write() as tx:
            sent = await chat.send_message(tx, circle.leader.id, circle.id, "안녕하세요", "k")
        assert await told(transactions, circle) == expected
        await read(transactions, circle, member, sent.number)


async def test_a_newcomer_is_told_of_the_first_message_after_they_came(transactions: Transactions):
    circle = await make_circle(transactions, members=1, talks=True)
    await send(transactions, circle, circle.leader)
    await forget_all(transactions)
    async with transactions.write() as tx:
        newcomer = await make_user(tx)
        await memberships.join_party(tx, newcomer.id, circle.id)
        await chat.send_message(tx, circle.leader.id, circle.id, "어서 오세요")
    assert [each.kind for each in await notes(transactions, newcomer)] == [NotificationKind.CHAT_MESSAGE]


async def test_word_of_a_message_names_the_chat_its_sender_and_the_party(transactions: Transactions):
    circle = await make_circle(transactions, members=1, talks=True)
    await forget_all(transactions)
    await send(transactions, circle, circle.leader)
    (note,) = await notes(transactions)
    assert isinstance(note, Notification)
    assert (note.subject_kind, note.subject_id, note.party_id) == (SubjectKind.CHAT, circle.id, circle.id)
    assert note.actor_id == circle.leader.id
    assert note.detail == {"item": circle.party.item.name, "market": circle.party.market.name}


async def test_marks_are_kept_for_each_chat_alone(transactions: Transactions):
    one, other = [await make_circle(transactions, members=1, talks=True) for _ in range(2)]
    await send(transactions, one, one.leader)
    await read(transactions, one, one.members[0], 2)
    async with transactions.read() as tx:
        found = await chat.readers_of(tx, [one.id, other.id])
        assert found[one.id] == {one.leader.id: 2, one.members[0].id: 2}
        assert set(found[other.id].values()) == {0}
        assert await tx.session.get(ChatReader, (other.id, other.members[0].id)) is None
