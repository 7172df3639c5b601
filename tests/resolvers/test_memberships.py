"""How people come out of a party again, by themselves or by the leader's word."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from models.base import new_id
from models.errors import (
    AlreadyDecided,
    LeaderStays,
    NotFound,
    NotPartyLeader,
    NotPartyMember,
    PartyClosed,
    TooLate,
)
from models.memberships import Membership, MembershipStatus
from models.parties import Approval, PartyStatus
from models.party_events import PartyEventKind
from resolvers import memberships, parties
from resolvers.history import history_of
from resolvers.transaction import Transaction
from resolvers.views import PartyView
from tests.factories import make_party, make_user

Kind = PartyEventKind


async def now(tx: Transaction, party: PartyView) -> PartyView:
    return (await parties.parties_by_id(tx, [party.id]))[party.id]


async def last_event(tx: Transaction, party: PartyView) -> tuple[Kind, UUID | None, dict[str, Any]]:
    await tx.session.flush()
    event = (await history_of(tx, [party.id]))[party.id][-1]
    return event.kind, event.actor_id, event.detail


async def test_a_request_is_taken_back_and_may_be_made_again(tx: Transaction):
    party, person = await make_party(tx, approval=Approval.MANUAL), await make_user(tx)
    request = await memberships.join_party(tx, person.id, party.id, 2)
    withdrawn = await memberships.withdraw_request(tx, person.id, party.id)
    assert (withdrawn.id, withdrawn.status) == (request.id, MembershipStatus.WITHDRAWN)
    assert await last_event(tx, party) == (Kind.REQUEST_WITHDRAWN, person.id, {"user": str(person.id)})
    with pytest.raises(NotPartyMember):
        await memberships.withdraw_request(tx, person.id, party.id)
    again = await memberships.join_party(tx, person.id, party.id, 3)
    assert (again.status, again.quantity) == (MembershipStatus.REQUESTED, 3)
    assert again.id != request.id


async def test_a_place_is_given_back_until_the_start_and_frees_it_for_somebody_else(tx: Transaction):
    party, person, other = await make_party(tx, capacity=2), await make_user(tx), await make_user(tx)
    place = await memberships.join_party(tx, person.id, party.id, 5)
    assert (await now(tx, party)).status is PartyStatus.FULL
    left = await memberships.leave_party(tx, person.id, party.id)
    assert (left.id, left.status) == (place.id, MembershipStatus.LEFT)
    assert await last_event(tx, party) == (Kind.MEMBER_LEFT, person.id, {"user": str(person.id)})
    freed = await now(tx, party)
    assert (freed.status, freed.accepted_count, freed.accepted_quantity) == (PartyStatus.OPEN, 1, 1)
    assert (await memberships.join_party(tx, other.id, party.id)).status is MembershipStatus.ACCEPTED
    await memberships.leave_party(tx, other.id, party.id)
    back = await memberships.join_party(tx, person.id, party.id)
    assert (back.status, back.id != place.id) == (MembershipStatus.ACCEPTED, True)


async def test_nobody_leaves_a_party_that_has_started(tx: Transaction):
    party, person = await make_party(tx), await make_user(tx)
    await memberships.join_party(tx, person.id, party.id)
    tx.now = party.starts_at
    with pytest.raises(TooLate) as refusal:
        await memberships.leave_party(tx, person.id, party.id)
    assert refusal.value.until == party.starts_at
    tx.now = party.starts_at - timedelta(microseconds=1)
    assert (await memberships.leave_party(tx, person.id, party.id)).status is MembershipStatus.LEFT


async def test_who_is_removed_hears_why_frees_the_place_and_may_not_ask_again(tx: Transaction):
    leader, person = await make_user(tx), await make_user(tx)
    party = await make_party(tx, leader, capacity=2)
    place = await memberships.join_party(tx, person.id, party.id)
    removed = await memberships.remove_member(tx, leader.id, place.id, " 연락이 안 돼요 ")
    assert removed.status is MembershipStatus.REMOVED
    row = await tx.session.get_one(Membership, place.id)
    assert (row.reason, row.decided_at) == ("연락이 안 돼요", tx.now)
    # Why is between the two; the others read that it happened.
    assert await last_event(tx, party) == (Kind.MEMBER_REMOVED, leader.id, {"user": str(person.id)})
    assert (await now(tx, party)).status is PartyStatus.OPEN
    with pytest.raises(AlreadyDecided) as refusal:
        await memberships.join_party(tx, person.id, party.id)
    assert (refusal.value.membership_id, refusal.value.status) == (place.id, MembershipStatus.REMOVED)


async def test_the_leader_stays_whoever_asks(tx: Transaction):
    leader = await make_user(tx)
    party = await make_party(tx, leader)
    (place,) = (await memberships.members_of(tx, [party.id]))[party.id]
    with pytest.raises(LeaderStays):
        await memberships.leave_party(tx, leader.id, party.id)
    with pytest.raises(LeaderStays):
        await memberships.remove_member(tx, leader.id, place.id, "안녕히")
    with pytest.raises(AlreadyDecided):
        await memberships.withdraw_request(tx, leader.id, party.id)


async def test_an_applicant_has_nothing_to_leave_and_a_member_nothing_to_withdraw(tx: Transaction):
    leader, person = await make_user(tx), await make_user(tx)
    party = await make_party(tx, leader, approval=Approval.MANUAL)
    request = await memberships.join_party(tx, person.id, party.id)
    with pytest.raises(NotPartyMember):
        await memberships.leave_party(tx, person.id, party.id)
    with pytest.raises(NotPartyMember):
        await memberships.remove_member(tx, leader.id, request.id, "신청만 했어요")
    await memberships.accept_member(tx, leader.id, request.id)
    with pytest.raises(AlreadyDecided) as refusal:
        await memberships.withdraw_request(tx, person.id, party.id)
    assert (refusal.value.membership_id, refusal.value.status) == (request.id, MembershipStatus.ACCEPTED)


async def test_who_never_asked_has_nothing_to_take_back(tx: Transaction):
    party, stranger, missing = await make_party(tx), await make_user(tx), new_id()
    for verb in (memberships.withdraw_request, memberships.leave_party):
        with pytest.raises(NotPartyMember):
            await verb(tx, stranger.id, party.id)
        with pytest.raises(NotFound) as refusal:
            await verb(tx, stranger.id, missing)
        assert (refusal.value.kind, refusal.value.id) == ("party", missing)
    with pytest.raises(NotFound) as refusal:
        await memberships.remove_member(tx, stranger.id, missing, "없어요")
    assert (refusal.value.kind, refusal.value.id) == ("membership", missing)


async def test_only_the_leader_of_this_party_removes(tx: Transaction):
    party, person, other_leader = await make_party(tx), await make_user(tx), await make_user(tx)
    await make_party(tx, other_leader)
    place = await memberships.join_party(tx, person.id, party.id)
    for somebody in (person, other_leader, await make_user(tx)):
        with pytest.raises(NotPartyLeader):
            await memberships.remove_member(tx, somebody.id, place.id, "그냥")
    assert (await now(tx, party)).accepted_count == 2


@pytest.mark.parametrize("over", [PartyStatus.DONE, PartyStatus.CANCELED])
async def test_a_party_that_is_over_keeps_its_members(tx: Transaction, over: PartyStatus):
    leader, person, applicant = [await make_user(tx) for _ in range(3)]
    party = await make_party(tx, leader, approval=Approval.MANUAL)
    place = await memberships.join_party(tx, person.id, party.id)
    await memberships.accept_member(tx, leader.id, place.id)
    request = await memberships.join_party(tx, applicant.id, party.id)
    if over is PartyStatus.CANCELED:
        await parties.cancel_party(tx, leader.id, party.id)
    else:
        tx.now = party.starts_at
        await parties.complete_party(tx, leader.id, party.id, 0, {person.id: True})
    before = await now(tx, party)
    with pytest.raises(PartyClosed):
        await memberships.leave_party(tx, person.id, party.id)
    with pytest.raises(PartyClosed):
        await memberships.remove_member(tx, leader.id, place.id, "늦었어요")
    with pytest.raises(PartyClosed):
        await memberships.accept_member(tx, leader.id, request.id)
    with pytest.raises(PartyClosed):
        await memberships.join_party(tx, (await make_user(tx)).id, party.id)
    # A request may still be taken back: it gives nobody a place.
    await memberships.withdraw_request(tx, applicant.id, party.id)
    assert await now(tx, party) == before
    kept = (await memberships.memberships_by_id(tx, [place.id]))[place.id]
    assert kept.status is MembershipStatus.ACCEPTED
