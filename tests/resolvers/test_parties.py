from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from models.base import new_id
from models.errors import (
    AlreadyDecided,
    AlreadyJoined,
    InvalidInput,
    NotEnoughUnits,
    NotFound,
    NotPartyLeader,
    PartyClosed,
    PartyFull,
)
from models.memberships import MemberRole, Membership, MembershipStatus
from models.parties import Approval, CancelReason, Party, PartyStatus
from models.party_events import PartyEvent, PartyEventKind
from resolvers import memberships, parties
from resolvers.pages import MalformedCursor, PageOf, cursor_of
from resolvers.parties import PartyDraft
from resolvers.transaction import Transaction, Transactions
from resolvers.views import PartyView
from tests.conftest import MovableClock
from tests.factories import make_item, make_market, make_party, make_user


async def party_now(tx: Transaction, party: PartyView) -> PartyView:
    return (await parties.parties_by_id(tx, [party.id]))[party.id]


async def statuses(tx: Transaction, party: PartyView) -> list[MembershipStatus]:
    return [member.status for member in (await memberships.members_of(tx, [party.id]))[party.id]]


async def events(tx: Transaction, party: PartyView) -> list[tuple[PartyEventKind, UUID | None]]:
    await tx.session.flush()
    written = await tx.session.scalars(
        select(PartyEvent).where(col(PartyEvent.party_id) == party.id).order_by(col(PartyEvent.id))
    )
    return [(event.kind, event.actor_id) for event in written]


async def test_opening_a_party_makes_its_leader_the_first_member(tx: Transaction):
    leader, market, item = await make_user(tx), await make_market(tx), await make_item(tx)
    party = await make_party(tx, leader, market, item, quantity=3, note=" 같이 사요 ")
    assert (party.leader.id, party.market.id, party.item.id) == (leader.id, market.id, item.id)
    assert (party.status, party.accepted_count, party.accepted_quantity) == (PartyStatus.OPEN, 1, 3)
    assert (party.note, party.created_at) == ("같이 사요", tx.now)
    (member,) = (await memberships.members_of(tx, [party.id]))[party.id]
    assert (member.user.id, member.role, member.status, member.quantity) == (
        leader.id,
        MemberRole.LEADER,
        MembershipStatus.ACCEPTED,
        3,
    )
    assert await events(tx, party) == [(PartyEventKind.CREATED, leader.id)]


async def test_people_join_until_the_start_unless_another_time_is_given(tx: Transaction):
    party = await make_party(tx)
    assert party.join_by == party.starts_at
    sooner = tx.now + timedelta(hours=2)
    assert (await make_party(tx, join_by=sooner)).join_by == sooner


@pytest.mark.parametrize("kind", ["market", "item"])
async def test_a_party_needs_a_market_and_an_item_that_exist(tx: Transaction, kind: str):
    draft: dict[str, Any] = {
        "market_id": (await make_market(tx)).id,
        "item_id": (await make_item(tx)).id,
        "item_count": 10,
        "item_unit": "개",
        "capacity": 2,
        "starts_at": tx.now + timedelta(hours=1),
        "ends_at": tx.now + timedelta(hours=2),
    }
    missing = draft[f"{kind}_id"] = new_id()
    with pytest.raises(NotFound) as refusal:
        await parties.create_party(tx, (await make_user(tx)).id, PartyDraft(**draft))
    assert (refusal.value.kind, refusal.value.id) == (kind, missing)
    assert await tx.session.scalar(select(func.count()).select_from(Party)) == 0


async def test_a_party_against_the_rules_is_not_made(tx: Transaction):
    with pytest.raises(InvalidInput) as refusal:
        await make_party(tx, capacity=51)
    assert refusal.value.field == "capacity"
    with pytest.raises(InvalidInput) as refusal:
        await make_party(tx, quantity=31)
    assert refusal.value.field == "quantity"
    assert await tx.session.scalar(select(func.count()).select_from(Party)) == 0


async def test_joining_an_auto_party_takes_the_place_at_once(tx: Transaction):
    party, neighbour = await make_party(tx), await make_user(tx)
    membership = await memberships.join_party(tx, neighbour.id, party.id, 5)
    assert (membership.status, membership.quantity) == (MembershipStatus.ACCEPTED, 5)
    after = await party_now(tx, party)
    assert (after.accepted_count, after.accepted_quantity) == (2, 6)
    assert (await events(tx, party))[1:] == [(PartyEventKind.JOIN_ACCEPTED, neighbour.id)]


async def test_joining_a_manual_party_asks_and_the_leader_lets_in(tx: Transaction):
    leader = await make_user(tx)
    party, neighbour = await make_party(tx, leader, approval=Approval.MANUAL), await make_user(tx)
    request = await memberships.join_party(tx, neighbour.id, party.id)
    assert request.status is MembershipStatus.REQUESTED
    assert (await party_now(tx, party)).accepted_count == 1
    accepted = await memberships.accept_member(tx, leader.id, request.id)
    assert accepted.status is MembershipStatus.ACCEPTED
    assert (await party_now(tx, party)).accepted_count == 2
    assert (await events(tx, party))[1:] == [
        (PartyEventKind.JOIN_REQUESTED, neighbour.id),
        (PartyEventKind.JOIN_ACCEPTED, leader.id),
    ]


async def test_who_was_rejected_may_not_ask_again(tx: Transaction):
    leader = await make_user(tx)
    party, neighbour = await make_party(tx, leader, approval=Approval.MANUAL), await make_user(tx)
    request = await memberships.join_party(tx, neighbour.id, party.id)
    rejected = await memberships.reject_member(tx, leader.id, request.id, "이번에는 어려워요")
    assert rejected.status is MembershipStatus.REJECTED
    with pytest.raises(AlreadyDecided) as refusal:
        await memberships.join_party(tx, neighbour.id, party.id)
    assert (refusal.value.membership_id, refusal.value.status) == (request.id, MembershipStatus.REJECTED)
    for decide in (memberships.accept_member, memberships.reject_member):
        with pytest.raises(AlreadyDecided):
            await decide(tx, leader.id, request.id)
    assert (await party_now(tx, party)).accepted_count == 1


@pytest.mark.parametrize("status", [MembershipStatus.WITHDRAWN, MembershipStatus.LEFT])
async def test_who_withdrew_or_left_may_ask_again(tx: Transaction, status: MembershipStatus):
    party, neighbour = await make_party(tx, approval=Approval.MANUAL), await make_user(tx)
    tx.session.add(
        Membership(party_id=party.id, user_id=neighbour.id, status=status, quantity=1, created_at=tx.now)
    )
    await tx.session.flush()
    again = await memberships.join_party(tx, neighbour.id, party.id)
    latest = await memberships.latest_memberships(tx, neighbour.id, [party.id])
    assert latest[party.id] == again


async def test_who_was_removed_may_not_ask_again(tx: Transaction):
    party, neighbour = await make_party(tx), await make_user(tx)
    removed = Membership(
        party_id=party.id,
        user_id=neighbour.id,
        status=MembershipStatus.REMOVED,
        quantity=1,
        created_at=tx.now,
    )
    tx.session.add(removed)
    await tx.session.flush()
    with pytest.raises(AlreadyDecided):
        await memberships.join_party(tx, neighbour.id, party.id)


@pytest.mark.parametrize("approval", Approval)
async def test_joining_twice_is_refused_with_the_membership_that_there_is(
    tx: Transaction, approval: Approval
):
    party, neighbour = await make_party(tx, approval=approval), await make_user(tx)
    membership = await memberships.join_party(tx, neighbour.id, party.id)
    with pytest.raises(AlreadyJoined) as refusal:
        await memberships.join_party(tx, neighbour.id, party.id)
    assert refusal.value.membership_id == membership.id


async def test_the_leader_has_joined_already_and_can_not_be_decided_upon(tx: Transaction):
    leader = await make_user(tx)
    party = await make_party(tx, leader)
    with pytest.raises(AlreadyJoined) as refusal:
        await memberships.join_party(tx, leader.id, party.id)
    for decide in (memberships.accept_member, memberships.reject_member):
        with pytest.raises(AlreadyDecided):
            await decide(tx, leader.id, refusal.value.membership_id)


async def test_a_full_party_takes_no_requests_and_units_run_out(tx: Transaction):
    full = await make_party(tx, capacity=2)
    await memberships.join_party(tx, (await make_user(tx)).id, full.id)
    assert (await party_now(tx, full)).status is PartyStatus.FULL
    with pytest.raises(PartyFull):
        await memberships.join_party(tx, (await make_user(tx)).id, full.id)
    with pytest.raises(NotEnoughUnits):
        await memberships.join_party(tx, (await make_user(tx)).id, (await make_party(tx)).id, 30)


async def test_nobody_comes_in_after_join_by(transactions: Transactions, clock: MovableClock):
    async with transactions.write() as tx:
        leader, early, late = await make_user(tx), await make_user(tx), await make_user(tx)
        party = await make_party(tx, leader, approval=Approval.MANUAL)
        request = await memberships.join_party(tx, early.id, party.id)
    clock.move(days=1)
    with pytest.raises(PartyClosed):
        async with transactions.write() as tx:
            await memberships.join_party(tx, late.id, party.id)
    with pytest.raises(PartyClosed):
        async with transactions.write() as tx:
            await memberships.accept_member(tx, leader.id, request.id)
    async with transactions.write() as tx:
        # An answer is still owed, and a no gives nobody a place.
        rejected = await memberships.reject_member(tx, leader.id, request.id)
        assert rejected.status is MembershipStatus.REJECTED


@pytest.mark.parametrize("over", [PartyStatus.DONE, PartyStatus.CANCELED])
async def test_a_late_request_or_answer_does_not_revive_a_party_that_is_over(
    tx: Transaction, over: PartyStatus
):
    leader = await make_user(tx)
    party = await make_party(tx, leader, approval=Approval.MANUAL)
    request = await memberships.join_party(tx, (await make_user(tx)).id, party.id)
    row = await tx.session.get_one(Party, party.id)
    row.status = over
    row.actual_price = 0 if over is PartyStatus.DONE else None
    row.done_at = tx.now if over is PartyStatus.DONE else None
    row.cancel_reason = CancelReason.BY_LEADER if over is PartyStatus.CANCELED else None
    await tx.session.flush()
    with pytest.raises(PartyClosed):
        await memberships.join_party(tx, (await make_user(tx)).id, party.id)
    with pytest.raises(PartyClosed):
        await memberships.accept_member(tx, leader.id, request.id)
    after = await party_now(tx, party)
    assert (after.status, after.accepted_count) == (over, 1)


async def test_only_the_leader_of_this_party_decides(tx: Transaction):
    party = await make_party(tx, approval=Approval.MANUAL)
    applicant, stranger = await make_user(tx), await make_user(tx)
    other_leader = await make_user(tx)
    await make_party(tx, other_leader)
    request = await memberships.join_party(tx, applicant.id, party.id)
    for person in (applicant, stranger, other_leader):
        for decide in (memberships.accept_member, memberships.reject_member):
            with pytest.raises(NotPartyLeader):
                await decide(tx, person.id, request.id)
    assert await statuses(tx, party) == [MembershipStatus.ACCEPTED, MembershipStatus.REQUESTED]


async def test_what_does_not_exist_is_not_found(tx: Transaction):
    viewer, missing = await make_user(tx), new_id()
    with pytest.raises(NotFound) as refusal:
        await memberships.join_party(tx, viewer.id, missing)
    assert (refusal.value.kind, refusal.value.id) == ("party", missing)
    for decide in (memberships.accept_member, memberships.reject_member):
        with pytest.raises(NotFound) as refusal:
            await decide(tx, viewer.id, missing)
        assert (refusal.value.kind, refusal.value.id) == ("membership", missing)


async def test_members_come_leader_first_then_in_the_order_of_asking(tx: Transaction):
    leader = await make_user(tx)
    party = await make_party(tx, leader, capacity=10)
    people = [await make_user(tx) for _ in range(5)]
    for person in reversed(people):
        await memberships.join_party(tx, person.id, party.id)
    members = (await memberships.members_of(tx, [party.id]))[party.id]
    assert [member.user.id for member in members] == [leader.id, *(person.id for person in reversed(people))]


async def test_members_of_many_parties_at_once_are_complete(tx: Transaction, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memberships, "MOST_MEMBERSHIPS", 3)
    some = [await make_party(tx, capacity=10) for _ in range(3)]
    for party in some:
        for _ in range(3):
            await memberships.join_party(tx, (await make_user(tx)).id, party.id)
    members = await memberships.members_of(tx, [party.id for party in some])
    assert [len(members[party.id]) for party in some] == [3, 3, 3]
    assert {members[party.id][0].role for party in some} == {MemberRole.LEADER}


async def test_ones_own_parties_come_newest_request_first_and_in_pages(tx: Transaction):
    viewer = await make_user(tx)
    led = await make_party(tx, viewer)
    joined = await make_party(tx, approval=Approval.MANUAL)
    full = await make_party(tx, capacity=2)
    await make_party(tx)
    for party in (full, joined):
        await memberships.join_party(tx, viewer.id, party.id)

    async def mine(**wanted: Any) -> list[UUID]:
        return [party.id for party in (await parties.parties_of(tx, viewer.id, PageOf(), **wanted)).rows]

    assert await mine() == [joined.id, full.id, led.id]
    assert await mine(role=MemberRole.LEADER) == [led.id]
    assert await mine(role=MemberRole.MEMBER) == [joined.id, full.id]
    assert await mine(statuses=[PartyStatus.FULL]) == [full.id]
    assert await mine(statuses=[]) == []
    first = await parties.parties_of(tx, viewer.id, PageOf(2))
    rest = await parties.parties_of(tx, viewer.id, PageOf(2, first.cursors[-1]))
    assert [party.id for party in (*first.rows, *rest.rows)] == [joined.id, full.id, led.id]
    assert (first.has_next, rest.has_next) == (True, False)
    with pytest.raises(MalformedCursor):
        await parties.parties_of(tx, viewer.id, PageOf(2, cursor_of(("a", led.id))))


async def test_a_party_that_turned_the_viewer_down_is_not_among_theirs(tx: Transaction):
    leader, viewer = await make_user(tx), await make_user(tx)
    party = await make_party(tx, leader, approval=Approval.MANUAL)
    request = await memberships.join_party(tx, viewer.id, party.id)
    await memberships.reject_member(tx, leader.id, request.id)
    assert (await parties.parties_of(tx, viewer.id, PageOf())).rows == []
    latest = await memberships.latest_memberships(tx, viewer.id, [party.id])
    assert latest[party.id].status is MembershipStatus.REJECTED
