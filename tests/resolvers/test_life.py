"""What leaders do with their parties, and what is kept and told of it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from models.base import new_id
from models.errors import (
    InvalidInput,
    NotFound,
    NotPartyLeader,
    PartyClosed,
    TooEarly,
)
from models.memberships import Attendance, Membership, MembershipStatus
from models.parties import Approval, CancelReason, PartyStatus
from models.party_events import PartyEventKind
from models.users import User
from resolvers import memberships, parties
from resolvers.history import history_of
from resolvers.near import Around
from resolvers.nearby import PartyFilter, nearby_parties
from resolvers.pages import PageOf
from resolvers.parties import PartyChanges
from resolvers.transaction import Transaction
from resolvers.views import PartyView
from tests.factories import MANGWON, make_item, make_market, make_party, make_user

Kind = PartyEventKind


async def joined(tx: Transaction, party: PartyView, quantity: int = 1) -> User:
    """Somebody new who has a place."""
    person = await make_user(tx)
    membership = await memberships.join_party(tx, person.id, party.id, quantity)
    assert membership.status is MembershipStatus.ACCEPTED
    return person


async def history(tx: Transaction, party: PartyView) -> list[tuple[Kind, UUID | None, dict[str, Any]]]:
    await tx.session.flush()
    return [
        (event.kind, event.actor_id, event.detail)
        for event in (await history_of(tx, [party.id])).get(party.id, [])
    ]


async def waiting(tx: Transaction, party: PartyView) -> dict[str, Any]:
    """The times of the party's jobs by their names; every name once."""
    rows = await tx.session.execute(
        text("SELECT entrypoint, execute_after FROM jobs.pgqueuer WHERE dedupe_key LIKE :key"),
        {"key": f"%{party.id}%"},
    )
    found = [(row.entrypoint, row.execute_after) for row in rows]
    assert len(found) == len(dict(found))
    return dict(found)


async def units_of(tx: Transaction, party: PartyView) -> int:
    (leader, *_) = (await memberships.members_of(tx, [party.id]))[party.id]
    return leader.quantity


async def test_a_leader_writes_anew_what_was_written(tx: Transaction):
    leader, item = await make_user(tx), await make_item(tx)
    party = await make_party(tx, leader, note="글", estimated_price=5_000)
    starts = tx.now + timedelta(days=3)
    changes = PartyChanges(
        item_id=item.id,
        item_count=40,
        item_unit=" kg ",
        estimated_price=9_000,
        capacity=5,
        min_members=3,
        starts_at=starts,
        ends_at=starts + timedelta(hours=2),
        join_by=starts - timedelta(hours=1),
        note=" 새 글 ",
        approval=Approval.MANUAL,
        quantity=7,
    )
    after = await parties.update_party(tx, leader.id, party.id, changes)
    assert (after.item.id, after.item_count, after.item_unit, after.estimated_price) == (
        item.id,
        40,
        "kg",
        9_000,
    )
    assert (after.capacity, after.min_members, after.approval, after.note) == (5, 3, Approval.MANUAL, "새 글")
    assert (after.starts_at, after.ends_at, after.join_by) == (
        starts,
        starts + timedelta(hours=2),
        starts - timedelta(hours=1),
    )
    assert (after.accepted_quantity, await units_of(tx, party)) == (7, 7)
    assert (await parties.parties_by_id(tx, [party.id]))[party.id] == after


async def test_what_a_leader_leaves_out_stays_and_null_empties_note_and_price(tx: Transaction):
    leader = await make_user(tx)
    party = await make_party(tx, leader, note="글", estimated_price=5_000)
    assert await parties.update_party(tx, leader.id, party.id, PartyChanges()) == party
    emptied = await parties.update_party(
        tx, leader.id, party.id, PartyChanges(note=None, estimated_price=None)
    )
    assert (emptied.note, emptied.estimated_price) == (None, None)
    assert emptied.item_count == party.item_count


async def test_a_party_that_moves_to_another_market_is_found_there(tx: Transaction):
    busan = (35.1796, 129.0756)
    leader, there = await make_user(tx), await make_market(tx, busan)
    party = await make_party(tx, leader)

    async def near(point: tuple[float, float]) -> list[UUID]:
        found = await nearby_parties(tx, Around(*point, within_m=1_000), PartyFilter(), PageOf())
        return [each.party.id for each in found.rows]

    assert (await near(MANGWON), await near(busan)) == ([party.id], [])
    moved = await parties.update_party(tx, leader.id, party.id, PartyChanges(market_id=there.id))
    assert moved.market.id == there.id
    assert (await near(MANGWON), await near(busan)) == ([], [party.id])


@pytest.mark.parametrize("kind", ["market", "item"])
async def test_a_change_to_what_does_not_exist_is_not_found(tx: Transaction, kind: str):
    leader, missing = await make_user(tx), new_id()
    party = await make_party(tx, leader)
    changes: Any = {f"{kind}_id": missing, "note": "새 글", "quantity": 2}
    with pytest.raises(NotFound) as refusal:
        await parties.update_party(tx, leader.id, party.id, changes)
    assert (refusal.value.kind, refusal.value.id) == (kind, missing)


async def test_places_and_units_that_people_have_stay_theirs(tx: Transaction):
    leader = await make_user(tx)
    party = await make_party(tx, leader, quantity=2)
    for _ in range(2):
        await joined(tx, party, 5)
    for field, changes in (
        ("capacity", PartyChanges(capacity=2)),
        ("itemCount", PartyChanges(item_count=11)),
        ("quantity", PartyChanges(quantity=21)),
    ):
        with pytest.raises(InvalidInput) as refusal:
            async with tx.session.begin_nested():
                await parties.update_party(tx, leader.id, party.id, changes)
        assert refusal.value.field == field
    tight = await parties.update_party(tx, leader.id, party.id, PartyChanges(item_count=12, capacity=3))
    assert tight.status is PartyStatus.FULL
    # The leader takes less, and the pack may be smaller at once.
    less = await parties.update_party(tx, leader.id, party.id, PartyChanges(item_count=11, quantity=1))
    assert (less.status, less.accepted_quantity) == (PartyStatus.FULL, 11)
    roomy = await parties.update_party(tx, leader.id, party.id, PartyChanges(item_count=20, capacity=4))
    assert roomy.status is PartyStatus.OPEN


async def test_history_tells_who_changed_what_from_what_to_what(tx: Transaction):
    leader, market = await make_user(tx), await make_market(tx)
    party = await make_party(tx, leader, estimated_price=5_000, quantity=2)
    later = party.ends_at + timedelta(hours=1)
    await parties.update_party(
        tx,
        leader.id,
        party.id,
        PartyChanges(
            ends_at=later, note=" 글 ", estimated_price=None, quantity=3, market_id=market.id, capacity=4
        ),
    )
    await parties.update_party(tx, leader.id, party.id, PartyChanges(note="글", capacity=4))
    assert (await history(tx, party))[1:] == [
        (
            Kind.CHANGED,
            leader.id,
            {
                "ends_at": {"from": party.ends_at.isoformat(), "to": later.isoformat()},
                "estimated_price": {"from": 5_000, "to": None},
                "market_id": {"from": str(party.market.id), "to": str(market.id)},
                "note": {"from": None, "to": "글"},
                "quantity": {"from": 2, "to": 3},
            },
        )
    ], "what was written the same way again is no change"


async def test_canceling_is_final_and_told(tx: Transaction):
    leader = await make_user(tx)
    party = await make_party(tx, leader)
    canceled = await parties.cancel_party(tx, leader.id, party.id)
    assert (canceled.status, canceled.cancel_reason) == (PartyStatus.CANCELED, CancelReason.BY_LEADER)
    assert (await history(tx, party))[1:] == [(Kind.CANCELED, leader.id, {"reason": "BY_LEADER"})]


async def test_a_done_party_has_its_price_its_attendance_and_its_parts(tx: Transaction):
    leader = await make_user(tx)
    party = await make_party(tx, leader, item_count=10, quantity=3, estimated_price=1)
    came, missed = await joined(tx, party, 3), await joined(tx, party, 1)
    tx.now = party.starts_at
    done = await parties.complete_party(tx, leader.id, party.id, 10_000, {came.id: True, missed.id: False})
    assert (done.status, done.actual_price, done.estimated_price) == (PartyStatus.DONE, 10_000, 1)
    members = (await memberships.members_of(tx, [party.id]))[party.id]
    assert [(member.user.id, member.attendance, member.amount) for member in members] == [
        # Three of seven units are 4,285.71 won, one is 1,428.57. Who did not come owes it all the same.
        (leader.id, Attendance.ATTENDED, 4_287),
        (came.id, Attendance.ATTENDED, 4_285),
        (missed.id, Attendance.NO_SHOW, 1_428),
    ]
    assert (await history(tx, party))[-1] == (Kind.DONE, leader.id, {"price": 10_000})


async def test_who_has_no_place_has_no_part(tx: Transaction):
    leader, applicant = await make_user(tx), await make_user(tx)
    party = await make_party(tx, leader)
    leaver, stays = await joined(tx, party, 5), await joined(tx, party)
    await memberships.leave_party(tx, leaver.id, party.id)
    await parties.update_party(tx, leader.id, party.id, PartyChanges(approval=Approval.MANUAL))
    await memberships.join_party(tx, applicant.id, party.id)
    tx.now = party.starts_at
    await parties.complete_party(tx, leader.id, party.id, 1_001, {stays.id: True, leader.id: True})
    rows = await tx.session.scalars(select(Membership).where(col(Membership.party_id) == party.id))
    assert {row.user_id: row.amount for row in rows} == {
        leader.id: 501,
        stays.id: 500,
        leaver.id: None,
        applicant.id: None,
    }


@pytest.mark.parametrize("odd", ["somebody unknown", "somebody missing", "an applicant", "nobody"])
async def test_attendance_names_every_accepted_member_and_nobody_else(tx: Transaction, odd: str):
    leader = await make_user(tx)
    party = await make_party(tx, leader, approval=Approval.MANUAL)
    people = [await make_user(tx) for _ in range(3)]
    for person in people:
        request = await memberships.join_party(tx, person.id, party.id)
        if person is not people[2]:
            await memberships.accept_member(tx, leader.id, request.id)
    one, other, applicant = [person.id for person in people]
    came = {
        "somebody unknown": [one, other, new_id()],
        "somebody missing": [one],
        "an applicant": [one, other, applicant],
        "nobody": [],
    }[odd]
    tx.now = party.starts_at
    with pytest.raises(InvalidInput) as refusal:
        async with tx.session.begin_nested():
            await parties.complete_party(tx, leader.id, party.id, 1, dict.fromkeys(came, True))
    assert refusal.value.field == "attendance"
    tx.session.expire_all()
    assert (await parties.parties_by_id(tx, [party.id]))[party.id].status is PartyStatus.OPEN


async def test_nothing_is_completed_before_it_starts(tx: Transaction):
    leader = await make_user(tx)
    party = await make_party(tx, leader)
    with pytest.raises(TooEarly) as refusal:
        await parties.complete_party(tx, leader.id, party.id, 1, {})
    assert refusal.value.since == party.starts_at


Verb = Callable[[Transaction, UUID, UUID], Awaitable[object]]
LEADING: dict[str, Verb] = {
    "update": lambda tx, who, party: parties.update_party(tx, who, party, PartyChanges(note="새 글")),
    "cancel": parties.cancel_party,
    "complete": lambda tx, who, party: parties.complete_party(tx, who, party, 1, {}),
}


@pytest.mark.parametrize("verb", LEADING)
async def test_only_the_leader_of_this_party_leads_it(tx: Transaction, verb: str):
    leader, other_leader, rejected = [await make_user(tx) for _ in range(3)]
    party = await make_party(tx, leader)
    await make_party(tx, other_leader)
    member = await joined(tx, party)
    await parties.update_party(tx, leader.id, party.id, PartyChanges(approval=Approval.MANUAL))
    request = await memberships.join_party(tx, rejected.id, party.id)
    await memberships.reject_member(tx, leader.id, request.id)
    tx.now = party.starts_at
    for person in (member, rejected, other_leader, await make_user(tx)):
        with pytest.raises(NotPartyLeader):
            await LEADING[verb](tx, person.id, party.id)
    with pytest.raises(NotFound):
        await LEADING[verb](tx, leader.id, new_id())
    assert (await parties.parties_by_id(tx, [party.id]))[party.id].status is PartyStatus.OPEN


@pytest.mark.parametrize("over", [PartyStatus.DONE, PartyStatus.CANCELED])
@pytest.mark.parametrize("verb", LEADING)
async def test_what_is_over_is_not_led_any_more(tx: Transaction, verb: str, over: PartyStatus):
    leader = await make_user(tx)
    party = await make_party(tx, leader)
    tx.now = party.starts_at
    if over is PartyStatus.DONE:
        await parties.complete_party(tx, leader.id, party.id, 0, {})
    else:
        await parties.cancel_party(tx, leader.id, party.id)
    before = (await parties.parties_by_id(tx, [party.id]))[party.id], await history(tx, party)
    with pytest.raises(PartyClosed) as refusal:
        await LEADING[verb](tx, leader.id, party.id)
    assert refusal.value.status is over
    assert ((await parties.parties_by_id(tx, [party.id]))[party.id], await history(tx, party)) == before


async def test_a_party_waits_for_its_three_deadlines_and_its_jobs_move_with_its_times(tx: Transaction):
    leader = await make_user(tx)
    party = await make_party(tx, leader)

    async def at(**changes: Any) -> dict[str, Any]:
        await parties.update_party(tx, leader.id, party.id, PartyChanges(**changes))
        return await waiting(tx, party)

    day, hour = timedelta(days=1), timedelta(hours=1)
    first = {
        parties.JOINING_ENDS: party.join_by,
        parties.MEETING_ENDS: party.ends_at,
        parties.GIVE_UP: party.ends_at + day,
    }
    assert await waiting(tx, party) == await at(note="새 글") == first
    assert await at(join_by=party.join_by - hour) == first | {parties.JOINING_ENDS: party.join_by - hour}
    moved = {
        parties.JOINING_ENDS: party.join_by - hour,
        parties.MEETING_ENDS: party.ends_at + hour,
        parties.GIVE_UP: party.ends_at + hour + day,
    }
    assert await at(ends_at=party.ends_at + hour) == moved


@pytest.mark.parametrize("verb", ["cancel", "complete"])
async def test_what_is_over_waits_for_nothing(tx: Transaction, verb: str):
    leader = await make_user(tx)
    party, other = await make_party(tx, leader), await make_party(tx, leader)
    tx.now = party.starts_at
    await LEADING[verb](tx, leader.id, party.id)
    assert await waiting(tx, party) == {}
    assert len(await waiting(tx, other)) == 3
