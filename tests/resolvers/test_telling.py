"""Who is told: the whole table, each line with exactly its receivers, and never the one who acted."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import text

from models.errors import PartyFull
from models.notifications import NotificationKind, SubjectKind
from models.parties import Approval, PartyStatus
from models.users import User
from resolvers import chat, memberships, notifications, parties
from resolvers.notices import Notice, Notices
from resolvers.notifications import PreferenceView
from resolvers.parties import PartyChanges
from resolvers.transaction import Transaction, Transactions
from subscriptions import channels
from tests.conftest import MovableClock
from tests.factories import make_item, make_market, make_party, make_user
from tests.jobs import run_due
from tests.resolvers.circles import Circle, forget_all, make_circle, membership_of, notes

Kind = NotificationKind


class Stage(NamedTuple):
    """A party with a leader, two members, an applicant and somebody who only looks on."""

    circle: Circle
    applicant: User
    stranger: User

    @property
    def names(self) -> dict[UUID, str]:
        one, other = self.circle.members
        people = (self.circle.leader, one, other, self.applicant, self.stranger)
        names = ("leader", "one", "other", "applicant", "stranger")
        return {person.id: name for person, name in zip(people, names, strict=True)}


async def make_stage(transactions: Transactions, **changes: Any) -> Stage:
    circle = await make_circle(transactions, members=2, **changes)
    async with transactions.write() as tx:
        await parties.update_party(tx, circle.leader.id, circle.id, PartyChanges(approval=Approval.MANUAL))
        applicant, stranger = await make_user(tx), await make_user(tx)
        await memberships.join_party(tx, applicant.id, circle.id)
    await forget_all(transactions)
    return Stage(circle, applicant, stranger)


async def told(transactions: Transactions, stage: Stage) -> dict[Kind, list[str]]:
    """Who was told what, by their names."""
    found: dict[Kind, list[str]] = {}
    for note in await notes(transactions):
        found.setdefault(note.kind, []).append(stage.names[note.receiver_id])
    return {kind: sorted(names) for kind, names in found.items()}


Deed = Callable[[Transaction, Stage], Awaitable[Any]]


async def asks(tx: Transaction, stage: Stage) -> None:
    await memberships.join_party(tx, stage.stranger.id, stage.circle.id)


async def joins_at_once(tx: Transaction, stage: Stage) -> None:
    circle = stage.circle
    await parties.update_party(tx, circle.leader.id, circle.id, PartyChanges(approval=Approval.AUTO))
    await memberships.join_party(tx, stage.stranger.id, circle.id)


async def accepts(tx: Transaction, stage: Stage) -> None:
    membership = await membership_of(tx, stage.circle, stage.applicant)
    await memberships.accept_member(tx, stage.circle.leader.id, membership)


async def rejects(tx: Transaction, stage: Stage) -> None:
    membership = await membership_of(tx, stage.circle, stage.applicant)
    await memberships.reject_member(tx, stage.circle.leader.id, membership)


async def removes(tx: Transaction, stage: Stage) -> None:
    membership = await membership_of(tx, stage.circle, stage.circle.members[0])
    await memberships.remove_member(tx, stage.circle.leader.id, membership, "연락이 없어요")


async def completes(tx: Transaction, stage: Stage) -> None:
    circle = stage.circle
    tx.now = circle.party.starts_at
    came = {person.id: True for person in circle.members}
    await parties.complete_party(tx, circle.leader.id, circle.id, 100, came)


async def opens_again(tx: Transaction, stage: Stage) -> None:
    await opens(tx, stage)
    await chat.close_chat(tx, stage.circle.leader.id, stage.circle.id)
    await opens(tx, stage)


async def opens(tx: Transaction, stage: Stage) -> None:
    await chat.open_chat(tx, stage.circle.leader.id, stage.circle.id)


async def writes(tx: Transaction, stage: Stage) -> None:
    one, other = stage.circle.members
    await chat.send_message(tx, one.id, stage.circle.id, "안녕하세요", present=[other.id])


async def joins_the_last_place(tx: Transaction, stage: Stage) -> None:
    await memberships.join_party(tx, stage.stranger.id, stage.circle.id)


def leader_does(verb: Callable[[Transaction, UUID, UUID], Awaitable[Any]]) -> Deed:
    return lambda tx, stage: verb(tx, stage.circle.leader.id, stage.circle.id)


def member_does(verb: Callable[[Transaction, UUID, UUID], Awaitable[Any]]) -> Deed:
    return lambda tx, stage: verb(tx, stage.circle.members[0].id, stage.circle.id)


def changes_to(changes: PartyChanges) -> Deed:
    return lambda tx, stage: parties.update_party(tx, stage.circle.leader.id, stage.circle.id, changes)


def withdraws(tx: Transaction, stage: Stage) -> Awaitable[Any]:
    return memberships.withdraw_request(tx, stage.applicant.id, stage.circle.id)


BEFORE: dict[str, Deed] = {
    "joins the last place": changes_to(PartyChanges(capacity=4, approval=Approval.AUTO)),
    "writes": opens,
}
MEMBERS = ["one", "other"]
TABLE: dict[str, tuple[Deed, dict[Kind, list[str]]]] = {
    "cancels": (leader_does(parties.cancel_party), {Kind.PARTY_CANCELED: ["applicant", *MEMBERS]}),
    "changes the price": (changes_to(PartyChanges(estimated_price=1)), {Kind.PARTY_CHANGED: MEMBERS}),
    "changes the capacity": (changes_to(PartyChanges(capacity=19)), {Kind.PARTY_CHANGED: MEMBERS}),
    "changes the note": (changes_to(PartyChanges(note="글")), {}),
    "changes nothing": (changes_to(PartyChanges(capacity=20)), {}),
    "completes": (completes, {Kind.PARTY_DONE: MEMBERS}),
    "fills": (
        changes_to(PartyChanges(capacity=3)),
        {Kind.PARTY_CHANGED: MEMBERS, Kind.PARTY_FULL: MEMBERS, Kind.CHAT_OPENED: ["leader", *MEMBERS]},
    ),
    "joins the last place": (
        joins_the_last_place,
        {
            Kind.JOIN_REQUESTED: ["leader"],
            Kind.PARTY_FULL: ["leader", *MEMBERS],
            Kind.CHAT_OPENED: ["leader", *MEMBERS, "stranger"],
        },
    ),
    "opens the chat": (opens, {Kind.CHAT_OPENED: MEMBERS}),
    "opens it again": (opens_again, {Kind.CHAT_OPENED: ["one", "one", "other", "other"]}),
    "writes": (writes, {Kind.CHAT_MESSAGE: ["leader"]}),
    "asks": (asks, {Kind.JOIN_REQUESTED: ["leader"]}),
    "joins at once": (joins_at_once, {Kind.JOIN_REQUESTED: ["leader"]}),
    "takes the request back": (withdraws, {}),
    "accepts": (accepts, {Kind.JOIN_ACCEPTED: ["applicant"]}),
    "rejects": (rejects, {Kind.JOIN_REJECTED: ["applicant"]}),
    "leaves": (member_does(memberships.leave_party), {Kind.MEMBER_LEFT: ["leader"]}),
    "removes": (removes, {Kind.MEMBER_REMOVED: ["one"]}),
}


@pytest.mark.parametrize("deed", TABLE)
async def test_those_are_told_whom_it_concerns_and_never_who_did_it(transactions: Transactions, deed: str):
    stage = await make_stage(transactions)
    act, expected = TABLE[deed]
    if prepare := BEFORE.get(deed):
        async with transactions.write() as tx:
            await prepare(tx, stage)
        await forget_all(transactions)
    async with transactions.write() as tx:
        await act(tx, stage)
    assert await told(transactions, stage) == expected
    for note in await notes(transactions):
        assert note.actor_id != note.receiver_id
        assert note.party_id == stage.circle.id
        assert note.detail == {
            "item": stage.circle.party.item.name,
            "market": stage.circle.party.market.name,
        }


@pytest.mark.parametrize("what", ["market", "item"])
async def test_word_of_a_change_has_the_names_as_they_are_then(transactions: Transactions, what: str):
    stage = await make_stage(transactions)
    async with transactions.write() as tx:
        market, item = await make_market(tx), await make_item(tx)
        changes = PartyChanges(market_id=market.id) if what == "market" else PartyChanges(item_id=item.id)
        await parties.update_party(tx, stage.circle.leader.id, stage.circle.id, changes)
    assert await told(transactions, stage) == {Kind.PARTY_CHANGED: MEMBERS}
    assert {note.detail[what] for note in await notes(transactions)} == {
        market.name if what == "market" else item.name
    }


async def test_who_is_told_of_a_membership_is_told_which(transactions: Transactions):
    stage = await make_stage(transactions)
    async with transactions.write() as tx:
        membership = await membership_of(tx, stage.circle, stage.applicant)
        await accepts(tx, stage)
        await opens(tx, stage)
    about = {(each.kind, each.subject_kind, each.subject_id) for each in await notes(transactions)}
    assert about == {
        (Kind.JOIN_ACCEPTED, SubjectKind.MEMBERSHIP, membership),
        (Kind.CHAT_OPENED, SubjectKind.CHAT, stage.circle.id),
    }


@pytest.mark.parametrize("deadline", ["joining ends", "given up"])
async def test_what_time_cancels_the_leader_is_told_of_too(
    transactions: Transactions, clock: MovableClock, deadline: str
):
    few = {"min_members": 4} if deadline == "joining ends" else {}
    stage = await make_stage(transactions, **few)
    clock.now = stage.circle.party.join_by if few else stage.circle.party.ends_at
    clock.move(hours=0 if few else 24)
    await run_due(transactions)
    assert await told(transactions, stage) == {Kind.PARTY_CANCELED: ["applicant", "leader", *MEMBERS]}
    assert {each.actor_id for each in await notes(transactions)} == {None}


async def test_what_is_refused_tells_nobody(fresh_transactions: Transactions):
    circle = await make_circle(fresh_transactions, members=1, capacity=2)
    await forget_all(fresh_transactions)
    async with fresh_transactions.write() as tx:
        stranger = await make_user(tx)

    async def stumble(problem: type[Exception]) -> None:
        async with fresh_transactions.write() as tx:
            await parties.cancel_party(tx, circle.leader.id, circle.id)
            await tx.finish()
            raise problem("the server stumbles")

    with pytest.raises(PartyFull):
        async with fresh_transactions.write() as tx:
            await memberships.join_party(tx, stranger.id, circle.id)
    with pytest.raises(RuntimeError):
        await stumble(RuntimeError)
    assert await notes(fresh_transactions) == []
    async with fresh_transactions.write() as tx:
        assert (await parties.parties_by_id(tx, [circle.id]))[circle.id].status is PartyStatus.FULL
        await parties.cancel_party(tx, circle.leader.id, circle.id)
    (note,) = await notes(fresh_transactions)
    assert note.number == 2, "the open chat was the first: what was undone has taken no number"


async def test_who_does_not_want_to_be_told_is_not_and_misses_no_number(transactions: Transactions):
    circle = await make_circle(transactions, members=2)
    silent, other = circle.members
    await forget_all(transactions)
    async with transactions.write() as tx:
        wish = PreferenceView(Kind.PARTY_CHANGED, in_app=False, sms=False)
        await notifications.set_preference(tx, silent.id, wish)
    for price in (1, 2):
        async with transactions.write() as tx:
            changes = PartyChanges(estimated_price=price)
            await parties.update_party(tx, circle.leader.id, circle.id, changes)
            rung = {ring.channel for ring in tx.rings}
        assert channels.notifications(silent.id) not in rung
    async with transactions.write() as tx:
        await parties.cancel_party(tx, circle.leader.id, circle.id)
    assert [(each.kind, each.number) for each in await notes(transactions, silent)] == [
        (Kind.PARTY_CANCELED, 1)
    ]
    assert [each.number for each in await notes(transactions, other)] == [1, 2, 3]


async def test_what_one_transaction_tells_somebody_comes_in_its_order_and_rings_once(
    transactions: Transactions,
):
    circle = await make_circle(transactions, members=1)
    (member,) = circle.members
    async with transactions.write() as tx:
        await chat.open_chat(tx, circle.leader.id, circle.id)
        changes = PartyChanges(estimated_price=1)
        await parties.update_party(tx, circle.leader.id, circle.id, changes)
        await parties.cancel_party(tx, circle.leader.id, circle.id)
        await tx.finish()
        rung = [ring.number for ring in tx.rings if ring.channel == channels.notifications(member.id)]
    found = await notes(transactions, member)
    assert [(each.number, each.kind) for each in found] == [
        (1, Kind.CHAT_OPENED),
        (2, Kind.PARTY_CHANGED),
        (3, Kind.PARTY_CANCELED),
    ]
    assert rung == [3]


# Many at once


async def numbers_of(transactions: Transactions) -> dict[UUID, list[int]]:
    found: dict[UUID, list[int]] = {}
    for note in await notes(transactions):
        found.setdefault(note.receiver_id, []).append(note.number)
    return found


async def test_numbers_have_no_gap_when_fifty_transactions_tell_the_same_people(
    fresh_transactions: Transactions,
):
    async with fresh_transactions.write() as tx:
        people = [await make_user(tx) for _ in range(20)]
        party = await make_party(tx)

    async def tell(number: int) -> None:
        # Each begins with somebody else: whoever locked them as they come would wait in a circle.
        receivers = [people[(number * 7 + step) % 20].id for step in range(12)]
        async with fresh_transactions.write() as tx:
            notice = Notice(Kind.PARTY_CHANGED, party.id, SubjectKind.PARTY, party.id, None, {})
            tx.collected(Notices).tell(receivers[:8][::-1], notice)
            tx.collected(Notices).tell(receivers[4:], notice)

    async with asyncio.timeout(60):
        await asyncio.gather(*(tell(number) for number in range(50)))
    found = await numbers_of(fresh_transactions)
    assert sum(map(len, found.values())) == 50 * 16
    assert found == {person: list(range(1, len(all) + 1)) for person, all in found.items()}
    async with fresh_transactions.read() as tx:
        heads = await tx.session.execute(text("SELECT user_id, last_number FROM mailboxes"))
        assert {row[0]: row[1] for row in heads} == {person: len(all) for person, all in found.items()}


async def test_members_of_many_parties_are_told_of_all_at_once(fresh_transactions: Transactions):
    async with fresh_transactions.write() as tx:
        people: Sequence[User] = [await make_user(tx) for _ in range(6)]
        circles = list[Circle]()
        for number in range(10):
            leader = await make_user(tx)
            party = await make_party(tx, leader, capacity=20)
            for person in people[number % 6 :] + people[: number % 6]:
                await memberships.join_party(tx, person.id, party.id)
            circles.append(Circle(leader, party, people))

    async def cancel(circle: Circle) -> None:
        async with fresh_transactions.write() as tx:
            await parties.cancel_party(tx, circle.leader.id, circle.id)

    async with asyncio.timeout(60):
        await asyncio.gather(*(cancel(circle) for circle in circles))
    told_of = await notes(fresh_transactions, *people)
    assert Counter(each.receiver_id for each in told_of) == {person.id: 10 for person in people}
    found = await numbers_of(fresh_transactions)
    assert all(found[person.id] == list(range(1, 11)) for person in people)


async def test_who_withdraws_while_they_are_told_is_gone_without_a_trace(fresh_transactions: Transactions):
    async with fresh_transactions.write() as tx:
        people = sorted([await make_user(tx) for _ in range(6)], key=lambda person: person.id)
        party = await make_party(tx)

    async def tell() -> None:
        async with fresh_transactions.write() as tx:
            notice = Notice(Kind.PARTY_CREATED, party.id, SubjectKind.PARTY, party.id, None, {})
            tx.collected(Notices).tell([person.id for person in people], notice)

    async def withdraw(person: User) -> None:
        async with fresh_transactions.write() as tx:
            # As `resolvers.withdrawal` does it: the person first, what belongs to them after.
            user = await tx.session.get_one(User, person.id, with_for_update={"key_share": False})
            await notifications.erase(tx, person.id)
            user.withdraw(tx.now)

    await tell()
    gone = people[1:4]
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(each for person in gone for each in (tell(), withdraw(person), tell(), tell()))
        )
    found = await numbers_of(fresh_transactions)
    assert found.keys() == {people[0].id, people[4].id, people[5].id}
    assert all(numbers == list(range(1, 11)) for numbers in found.values())
    async with fresh_transactions.read() as tx:
        assert set(await tx.session.scalars(text("SELECT user_id FROM mailboxes"))) == found.keys()
        assert await tx.session.scalar(text("SELECT count(*) FROM notifications")) == 30


def test_the_table_has_every_kind_of_a_party_that_exists_so_far():
    tested = {kind for _, expected in TABLE.values() for kind in expected}
    later = {kind for kind in Kind if kind.startswith(("PENALTY_", "DELIVERY_", "PURCHASE_"))}
    assert set(Kind) - later - tested == {Kind.PARTY_CREATED}, "told by a job: test_neighbours"
