"""Parties that are done, with members who did not come."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlmodel import col, select

from models.errors import DomainError
from models.parties import Party
from models.party_events import PartyEvent, PartyEventKind
from models.users import Role, User
from resolvers import memberships, parties, penalties
from resolvers.penalty_counts import PenaltyCounts
from resolvers.penalty_views import ObjectionView, PenaltyView, ends_of
from resolvers.transaction import Transaction, Transactions
from tests.conftest import MovableClock
from tests.factories import make_party, make_user

WHY = "연락 없이 안 오셨어요"


class Meeting(NamedTuple):
    """A party that is done, with its people."""

    id: UUID
    leader: User
    came: User
    absent: Sequence[User]


async def make_meeting(transactions: Transactions, clock: MovableClock, *absent: User) -> Meeting:
    """A party that was done a moment ago; these did not come, or somebody new."""
    async with transactions.write() as tx:
        leader, came = await make_user(tx), await make_user(tx)
        missing = absent or (await make_user(tx),)
        party = await make_party(tx, leader, capacity=20)
        for person in (came, *missing):
            await memberships.join_party(tx, person.id, party.id)
    clock.move(days=1)
    async with transactions.write() as tx:
        attendance = {came.id: True} | {person.id: False for person in missing}
        await parties.complete_party(tx, leader.id, party.id, 10_000, attendance)
    return Meeting(party.id, leader, came, missing)


async def make_administrator(transactions: Transactions) -> User:
    """Somebody who has nothing to do with any party."""
    async with transactions.write() as tx:
        return await make_user(tx, role=Role.ADMIN)


async def penalize(
    transactions: Transactions, counts: PenaltyCounts, meeting: Meeting, person: User | None = None
) -> PenaltyView:
    """The penalty that the leader gives to who did not come."""
    user_id = (person or meeting.absent[0]).id
    async with transactions.write() as tx:
        return await penalties.penalize(tx, counts, meeting.leader.id, meeting.id, user_id, WHY)


async def penalize_often(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock, person: User, times: int
) -> list[PenaltyView]:
    """Penalties of one person, each from a party of its own, a day apart."""
    # They join all of them before they get the first penalty.
    meetings = [await _joined(transactions, person) for _ in range(times)]
    given: list[PenaltyView] = []
    for meeting in meetings:
        clock.move(days=1)
        async with transactions.write() as tx:
            await _complete(tx, meeting)
        given.append(await penalize(transactions, counts, meeting))
    return given


async def _joined(transactions: Transactions, person: User) -> Meeting:
    async with transactions.write() as tx:
        leader = await make_user(tx)
        party = await make_party(tx, leader)
        await memberships.join_party(tx, person.id, party.id)
    return Meeting(party.id, leader, leader, (person,))


async def _complete(tx: Transaction, meeting: Meeting) -> None:
    attendance = {person.id: False for person in meeting.absent}
    await parties.complete_party(tx, meeting.leader.id, meeting.id, 10_000, attendance)


async def refused(transactions: Transactions, verb: Callable[[Transaction], Awaitable[Any]]) -> DomainError:
    """Why the verb is not done."""

    async def attempt() -> None:
        async with transactions.write() as tx:
            await verb(tx)

    with pytest.raises(DomainError) as refusal:
        await attempt()
    return refusal.value


async def object_to(transactions: Transactions, penalty_id: UUID, person: User) -> ObjectionView:
    """What the person says against the penalty."""
    async with transactions.write() as tx:
        return await penalties.object_to_penalty(tx, person.id, penalty_id, "갔는데 못 만났어요")


async def counted(transactions: Transactions, person: User) -> int:
    """How many penalties of the person count, by the table."""
    async with transactions.read() as tx:
        return len((await ends_of(tx, [person.id]))[person.id])


async def version(transactions: Transactions, meeting: Meeting) -> int:
    """The party's."""
    async with transactions.read() as tx:
        return (await tx.session.scalars(select(Party.version).where(col(Party.id) == meeting.id))).one()


async def history(transactions: Transactions, meeting: Meeting) -> list[tuple[str, UUID | None, Any]]:
    """Kind, actor and detail of what has happened since the party was done."""
    async with transactions.read() as tx:
        events = await tx.session.scalars(
            select(PartyEvent).where(col(PartyEvent.party_id) == meeting.id).order_by(col(PartyEvent.id))
        )
        rows = [(event.kind, event.actor_id, event.detail) for event in events]
    done = [kind for kind, *_ in rows].index(PartyEventKind.DONE)
    return [*rows[done + 1 :]]
