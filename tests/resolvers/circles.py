"""Parties with people in them, and what they have said and been told."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlmodel import col, select

from models.chat import ChatMessage
from models.memberships import MembershipStatus
from models.notifications import Notification
from models.users import User
from resolvers import chat, memberships
from resolvers.transaction import Transaction, Transactions
from resolvers.views import PartyView
from tests.factories import make_party, make_user


class Circle(NamedTuple):
    """A party with its people."""

    leader: User
    party: PartyView
    members: Sequence[User]

    @property
    def id(self) -> UUID:
        return self.party.id


async def make_circle(
    transactions: Transactions, members: int = 2, *, talks: bool = False, **changes: Any
) -> Circle:
    """A party that members have joined, its chat open if it `talks`; nobody remembers being told of it."""
    async with transactions.write() as tx:
        leader = await make_user(tx)
        changes.setdefault("capacity", 20)
        party = await make_party(tx, leader, **changes)
        people = [await make_user(tx) for _ in range(members)]
        for person in people:
            membership = await memberships.join_party(tx, person.id, party.id)
            assert membership.status is MembershipStatus.ACCEPTED
        if talks:
            await chat.open_chat(tx, leader.id, party.id)
    return Circle(leader, party, people)


async def membership_of(tx: Transaction, circle: Circle, person: User) -> UUID:
    """The id of the person's newest membership."""
    found = await memberships.latest_memberships(tx, person.id, [circle.id])
    return found[circle.id].id


class Line(NamedTuple):
    """A message: a member's text, or the name of what the server says."""

    number: int
    said: str
    person: UUID | None


async def lines(transactions: Transactions, circle: Circle) -> list[Line]:
    """The whole chat, in the order of its numbers."""
    async with transactions.read() as tx:
        rows = await tx.session.scalars(
            select(ChatMessage)
            .where(col(ChatMessage.party_id) == circle.id)
            .order_by(col(ChatMessage.number))
            .execution_options(populate_existing=True)
        )
        return [Line(row.number, row.notice or row.text, row.sender_id) for row in rows]


async def notes(transactions: Transactions, *of: User) -> list[Notification]:
    """What these people, or all, have been told, in the order of their numbers."""
    async with transactions.read() as tx:
        statement = select(Notification).order_by(
            col(Notification.receiver_id), col(Notification.number), col(Notification.id)
        )
        if of:
            statement = statement.where(col(Notification.receiver_id).in_(each.id for each in of))
        return list(await tx.session.scalars(statement.execution_options(populate_existing=True)))


async def forget_all(transactions: Transactions) -> None:
    """Nobody has been told anything yet, but the numbers go on."""
    async with transactions.write() as tx:
        for note in await tx.session.scalars(select(Notification)):
            await tx.session.delete(note)
