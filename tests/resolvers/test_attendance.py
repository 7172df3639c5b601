"""Who came, corrected by the leader for a day."""

from collections.abc import Awaitable, Mapping
from uuid import UUID

import pytest

from models.base import new_id
from models.errors import (
    AlreadyPenalized,
    AttendanceFixed,
    DomainError,
    InvalidInput,
    NotFound,
    NotPartyLeader,
    PartyNotDone,
)
from resolvers import memberships, parties, penalties
from resolvers.penalty_counts import PenaltyCounts
from resolvers.transaction import Transactions
from tests.conftest import MovableClock
from tests.factories import make_party, make_user
from tests.resolvers.circles import forget_all, notes
from tests.resolvers.no_shows import (
    WHY,
    Meeting,
    history,
    make_administrator,
    make_meeting,
    penalize,
    refused,
    version,
)


@pytest.fixture
def transactions(fresh_transactions: Transactions) -> Transactions:
    return fresh_transactions


async def attendance(transactions: Transactions, meeting: Meeting) -> dict[UUID, str]:
    async with transactions.read() as tx:
        members = (await memberships.members_of(tx, [meeting.id]))[meeting.id]
    return {member.user.id: member.attendance for member in members}


async def correct(transactions: Transactions, meeting: Meeting, came: Mapping[UUID, bool]) -> None:
    async with transactions.write() as tx:
        await penalties.correct_attendance(tx, meeting.leader.id, meeting.id, came)


async def test_a_leader_corrects_who_came_for_a_day(transactions: Transactions, clock: MovableClock):
    meeting = await make_meeting(transactions, clock)
    leader, came, (absent,) = meeting.leader, meeting.came, meeting.absent
    before = await version(transactions, meeting)
    await forget_all(transactions)
    clock.move(hours=24, microseconds=-1)
    await correct(transactions, meeting, {absent.id: True, came.id: True})
    assert await attendance(transactions, meeting) == dict.fromkeys(
        (leader.id, came.id, absent.id), "ATTENDED"
    )
    # Only what was different is news, told by the party itself and to nobody by name.
    assert await history(transactions, meeting) == [
        ("ATTENDANCE_CORRECTED", leader.id, {"user": str(absent.id), "attended": True})
    ]
    assert await version(transactions, meeting) == before + 1
    assert await notes(transactions) == []
    await correct(transactions, meeting, {absent.id: True})
    assert await version(transactions, meeting) == before + 1
    await correct(transactions, meeting, {absent.id: False, came.id: False})
    assert await version(transactions, meeting) == before + 2
    clock.move(microseconds=1)
    refusal = await refused(
        transactions, lambda tx: penalties.correct_attendance(tx, leader.id, meeting.id, {came.id: True})
    )
    assert isinstance(refusal, AttendanceFixed)
    assert refusal.since == clock.now
    assert (await attendance(transactions, meeting))[came.id] == "NO_SHOW"


async def test_a_correction_is_the_leaders_and_about_other_members(
    transactions: Transactions, clock: MovableClock
):
    meeting = await make_meeting(transactions, clock)
    leader, absent = meeting.leader.id, meeting.absent[0].id
    async with transactions.write() as tx:
        stranger = (await make_user(tx)).id

    def attempt(who: UUID, party_id: UUID, came: Mapping[UUID, bool]) -> Awaitable[DomainError]:
        return refused(transactions, lambda tx: penalties.correct_attendance(tx, who, party_id, came))

    for person in (stranger, absent, meeting.came.id):
        assert isinstance(await attempt(person, meeting.id, {absent: True}), NotPartyLeader)
    assert isinstance(await attempt(leader, new_id(), {absent: True}), NotFound)
    for came in ({}, {leader: False}, {stranger: True}, {absent: True, stranger: True}):
        refusal = await attempt(leader, meeting.id, came)
        assert isinstance(refusal, InvalidInput)
        assert refusal.field == "attendance"
    assert (await attendance(transactions, meeting))[absent] == "NO_SHOW"


async def test_there_is_nothing_to_correct_before_a_party_is_done(transactions: Transactions):
    async with transactions.write() as tx:
        leader, member = await make_user(tx), await make_user(tx)
        open_one, canceled = [await make_party(tx, leader) for _ in range(2)]
        for party in (open_one, canceled):
            await memberships.join_party(tx, member.id, party.id)
        await parties.cancel_party(tx, leader.id, canceled.id)

    def attempt(party_id: UUID) -> Awaitable[DomainError]:
        came = {member.id: True}
        return refused(transactions, lambda tx: penalties.correct_attendance(tx, leader.id, party_id, came))

    for party, status in ((open_one, "OPEN"), (canceled, "CANCELED")):
        refusal = await attempt(party.id)
        assert isinstance(refusal, PartyNotDone)
        assert refusal.status == status


async def test_who_has_a_penalty_stays_a_no_show_unless_it_is_revoked(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock
):
    meeting, administrator = await make_meeting(transactions, clock), await make_administrator(transactions)
    (absent,) = meeting.absent
    penalty = await penalize(transactions, counts, meeting)
    refusal = await refused(
        transactions,
        lambda tx: penalties.correct_attendance(
            tx, meeting.leader.id, meeting.id, {meeting.came.id: False, absent.id: True}
        ),
    )
    assert isinstance(refusal, AlreadyPenalized)
    assert refusal.penalty_id == penalty.id
    assert (await attendance(transactions, meeting))[meeting.came.id] == "ATTENDED"
    # That nobody came who got a penalty for it is no correction.
    await correct(transactions, meeting, {absent.id: False, meeting.came.id: False})
    async with transactions.write() as tx:
        await penalties.revoke_penalty(tx, counts, administrator.id, penalty.id, "착오였어요")
    await correct(transactions, meeting, {absent.id: True})
    assert (await attendance(transactions, meeting))[absent.id] == "ATTENDED"


async def test_who_was_corrected_to_a_no_show_can_get_a_penalty(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock
):
    meeting = await make_meeting(transactions, clock)
    await correct(transactions, meeting, {meeting.came.id: False})
    penalty = await penalize(transactions, counts, meeting, meeting.came)
    assert (penalty.user_id, penalty.reason) == (meeting.came.id, WHY)
