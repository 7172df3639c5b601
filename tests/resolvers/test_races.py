"""Real transactions on connections of their own, all at once: the rules hold under every interleaving."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from models.errors import DomainError
from models.memberships import MembershipStatus
from models.parties import Approval, PartyStatus
from models.users import User
from resolvers import memberships, parties
from resolvers.transaction import Transaction, Transactions
from resolvers.views import PartyView
from tests.factories import make_party, make_user

Attempt = Callable[[Transaction, User], Awaitable[object]]


async def all_at_once(transactions: Transactions, people: list[User], attempt: Attempt) -> list[str]:
    """What becomes of everybody's attempt: the name of what they got, or of the refusal; sorted."""

    async def one(person: User) -> str:
        try:
            async with transactions.write() as tx:
                return type(await attempt(tx, person)).__name__
        except DomainError as refusal:
            return type(refusal).__name__

    return sorted(await asyncio.gather(*(one(person) for person in people)))


async def check_places(transactions: Transactions, party: PartyView) -> PartyView:
    """What the party says of its places is what its memberships are, and within its limits."""
    async with transactions.read() as tx:
        after = (await parties.parties_by_id(tx, [party.id]))[party.id]
        members = (await memberships.members_of(tx, [party.id]))[party.id]
    accepted = [member for member in members if member.status is MembershipStatus.ACCEPTED]
    assert after.accepted_count == len(accepted) <= after.capacity
    assert after.accepted_quantity == sum(member.quantity for member in accepted) <= after.item_count
    return after


async def test_eight_people_and_one_place_give_one_membership_and_seven_refusals(
    fresh_transactions: Transactions,
):
    async with fresh_transactions.write() as tx:
        party = await make_party(tx, capacity=2)
        people = [await make_user(tx) for _ in range(8)]
    results = await all_at_once(
        fresh_transactions, people, lambda tx, person: memberships.join_party(tx, person.id, party.id)
    )
    assert results == ["MembershipView"] + ["PartyFull"] * 7
    assert (await check_places(fresh_transactions, party)).status is PartyStatus.FULL


async def test_eight_applicants_accepted_at_once_for_one_place_give_one_membership(
    fresh_transactions: Transactions,
):
    async with fresh_transactions.write() as tx:
        leader = await make_user(tx)
        party = await make_party(tx, leader, capacity=2, approval=Approval.MANUAL)
        people = [await make_user(tx) for _ in range(8)]
        join = memberships.join_party
        requests = {person.id: (await join(tx, person.id, party.id)).id for person in people}
    results = await all_at_once(
        fresh_transactions,
        people,
        lambda tx, person: memberships.accept_member(tx, leader.id, requests[person.id]),
    )
    assert results == ["MembershipView"] + ["PartyFull"] * 7
    assert (await check_places(fresh_transactions, party)).accepted_count == 2


@pytest.mark.parametrize("approval", Approval)
async def test_one_person_who_joins_eight_times_at_once_joins_once(
    fresh_transactions: Transactions, approval: Approval
):
    async with fresh_transactions.write() as tx:
        party = await make_party(tx, capacity=20, approval=approval)
        person = await make_user(tx)
    results = await all_at_once(
        fresh_transactions, [person] * 8, lambda tx, who: memberships.join_party(tx, who.id, party.id)
    )
    assert results == ["AlreadyJoined"] * 7 + ["MembershipView"]
    after = await check_places(fresh_transactions, party)
    assert after.accepted_count == (2 if approval is Approval.AUTO else 1)


async def test_one_request_accepted_eight_times_at_once_takes_one_place(fresh_transactions: Transactions):
    async with fresh_transactions.write() as tx:
        leader, person = await make_user(tx), await make_user(tx)
        party = await make_party(tx, leader, capacity=20, approval=Approval.MANUAL)
        request = await memberships.join_party(tx, person.id, party.id)
    results = await all_at_once(
        fresh_transactions, [person] * 8, lambda tx, _: memberships.accept_member(tx, leader.id, request.id)
    )
    assert results == ["AlreadyDecided"] * 7 + ["MembershipView"]
    assert (await check_places(fresh_transactions, party)).accepted_count == 2


async def test_a_request_accepted_and_rejected_at_once_has_one_answer(fresh_transactions: Transactions):
    async with fresh_transactions.write() as tx:
        leader, person = await make_user(tx), await make_user(tx)
        party = await make_party(tx, leader, approval=Approval.MANUAL)
        request = await memberships.join_party(tx, person.id, party.id)
    verbs = iter([memberships.accept_member, memberships.reject_member] * 4)
    results = await all_at_once(
        fresh_transactions, [person] * 8, lambda tx, _: next(verbs)(tx, leader.id, request.id)
    )
    assert results == ["AlreadyDecided"] * 7 + ["MembershipView"]
    await check_places(fresh_transactions, party)


async def test_eight_people_and_the_last_units_never_take_more_than_there_are(
    fresh_transactions: Transactions,
):
    async with fresh_transactions.write() as tx:
        # Nine units are left: three people can have three each.
        party = await make_party(tx, capacity=20, item_count=10)
        people = [await make_user(tx) for _ in range(8)]
    results = await all_at_once(
        fresh_transactions, people, lambda tx, person: memberships.join_party(tx, person.id, party.id, 3)
    )
    assert results == ["MembershipView"] * 3 + ["PartyFull"] * 5
    after = await check_places(fresh_transactions, party)
    assert (after.status, after.accepted_quantity) == (PartyStatus.FULL, 10)


async def test_eight_people_and_too_few_units_for_the_last_one_leave_the_rest_open(
    fresh_transactions: Transactions,
):
    async with fresh_transactions.write() as tx:
        party = await make_party(tx, capacity=20, item_count=9)
        people = [await make_user(tx) for _ in range(8)]
    results = await all_at_once(
        fresh_transactions, people, lambda tx, person: memberships.join_party(tx, person.id, party.id, 3)
    )
    assert results == ["MembershipView"] * 2 + ["NotEnoughUnits"] * 6
    after = await check_places(fresh_transactions, party)
    assert (after.status, after.accepted_quantity) == (PartyStatus.OPEN, 7)
