"""Giving, revoking and objecting to penalties, by the real verbs."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from models.base import new_id
from models.errors import (
    AlreadyPenalized,
    AlreadyRevoked,
    DomainError,
    InvalidInput,
    Involved,
    NotFound,
    NotPartyLeader,
    NotPenalizable,
    NotPenalizableReason,
    TooManyPenalties,
)
from models.notifications import NotificationKind, SubjectKind
from models.parties import Approval
from models.users import Role, User
from resolvers import memberships, parties, penalties, withdrawal
from resolvers.pages import PageOf
from resolvers.penalty_counts import PenaltyCounts
from resolvers.sessions import Keys
from resolvers.transaction import Transaction, Transactions
from tests.conftest import MovableClock
from tests.factories import make_party, make_user
from tests.people import PASSWORD, sign_up
from tests.resolvers.circles import forget_all, notes
from tests.resolvers.no_shows import (
    WHY,
    Meeting,
    counted,
    history,
    make_administrator,
    make_meeting,
    penalize,
    penalize_often,
    refused,
    version,
)


@pytest.fixture
def transactions(fresh_transactions: Transactions) -> Transactions:
    return fresh_transactions


@pytest.fixture
async def meeting(transactions: Transactions, clock: MovableClock) -> Meeting:
    meeting = await make_meeting(transactions, clock)
    await forget_all(transactions)
    return meeting


async def test_a_no_show_gets_one_penalty_and_is_told_by_whom_when_why_and_until_when(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock, meeting: Meeting
):
    (absent,), before = meeting.absent, await version(transactions, meeting)
    assert await counts.of([absent.id, meeting.came.id]) == {absent.id: 0, meeting.came.id: 0}
    penalty = await penalize(transactions, counts, meeting)
    assert (penalty.user_id, penalty.given_by_id, penalty.reason) == (absent.id, meeting.leader.id, WHY)
    assert penalty.expires_at == clock.now + timedelta(days=90)
    assert await counts.of([absent.id, meeting.came.id]) == {absent.id: 1, meeting.came.id: 0}

    (note,) = await notes(transactions)
    assert (note.receiver_id, note.kind) == (absent.id, NotificationKind.PENALTY_RECEIVED)
    assert (note.subject_kind, note.subject_id) == (SubjectKind.PENALTY, penalty.id)
    assert note.actor_id == meeting.leader.id
    assert note.detail["reason"] == WHY
    assert note.detail["until"] == penalty.expires_at.isoformat()
    # Members see that it was given, and to whom; the reason is between the two.
    assert await history(transactions, meeting) == [
        ("PENALIZED", meeting.leader.id, {"user": str(absent.id)})
    ]
    assert await version(transactions, meeting) == before + 1

    again = await refused(
        transactions,
        lambda tx: penalties.penalize(tx, counts, meeting.leader.id, meeting.id, absent.id, "또"),
    )
    assert isinstance(again, AlreadyPenalized)
    assert again.penalty_id == penalty.id
    assert (await counts.of([absent.id]), len(await notes(transactions))) == ({absent.id: 1}, 1)


async def test_only_the_leader_gives_penalties_and_only_to_who_did_not_come(
    transactions: Transactions, counts: PenaltyCounts, meeting: Meeting
):
    async with transactions.write() as tx:
        stranger = await make_user(tx)
    leader, absent = meeting.leader, meeting.absent[0]

    def attempt(who: UUID, party_id: UUID, whom: UUID, reason: str = WHY) -> Awaitable[DomainError]:
        return refused(transactions, lambda tx: penalties.penalize(tx, counts, who, party_id, whom, reason))

    for person in (stranger, meeting.came, absent):
        assert isinstance(await attempt(person.id, meeting.id, absent.id), NotPartyLeader)
    assert isinstance(await attempt(leader.id, new_id(), absent.id), NotFound)
    assert isinstance(await attempt(leader.id, meeting.id, absent.id, " "), InvalidInput)
    for whom, reason in (
        (leader.id, NotPenalizableReason.LEADER),
        (stranger.id, NotPenalizableReason.NOT_A_MEMBER),
        (new_id(), NotPenalizableReason.NOT_A_MEMBER),
        (meeting.came.id, NotPenalizableReason.ATTENDED),
    ):
        refusal = await attempt(leader.id, meeting.id, whom)
        assert isinstance(refusal, NotPenalizable)
        assert refusal.reason is reason
    assert await notes(transactions) == []
    assert await counted(transactions, absent) == 0


async def test_who_was_rejected_or_has_left_gets_no_penalty(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock
):
    async with transactions.write() as tx:
        leader, rejected, gone, waiting = [await make_user(tx) for _ in range(4)]
        party = await make_party(tx, leader, approval=Approval.MANUAL)
        requests = [
            (await memberships.join_party(tx, person.id, party.id)).id for person in (rejected, gone, waiting)
        ]
        await memberships.reject_member(tx, leader.id, requests[0])
        await memberships.accept_member(tx, leader.id, requests[1])
        await memberships.leave_party(tx, gone.id, party.id)

    async def attempt(whom: User) -> NotPenalizableReason:
        refusal = await refused(
            transactions, lambda tx: penalties.penalize(tx, counts, leader.id, party.id, whom.id, WHY)
        )
        assert isinstance(refusal, NotPenalizable)
        return refusal.reason

    assert await attempt(gone) is NotPenalizableReason.NOT_DONE
    clock.move(days=1)
    async with transactions.write() as tx:
        await parties.complete_party(tx, leader.id, party.id, 1, {})
    for person in (rejected, gone, waiting):
        assert await attempt(person) is NotPenalizableReason.NOT_A_MEMBER
    clock.move(days=14)
    assert await attempt(leader) is NotPenalizableReason.LEADER


async def test_a_penalty_counts_for_90_days_to_the_moment(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock, meeting: Meeting
):
    absent = meeting.absent[0]
    await penalize(transactions, counts, meeting)
    clock.move(days=90, microseconds=-1)
    assert (await counts.of([absent.id]), await counted(transactions, absent)) == ({absent.id: 1}, 1)
    clock.move(microseconds=1)
    assert (await counts.of([absent.id]), await counted(transactions, absent)) == ({absent.id: 0}, 0)


async def test_an_administrator_revokes_with_a_reason_and_the_person_is_told(
    transactions: Transactions, counts: PenaltyCounts, meeting: Meeting
):
    administrator, absent = await make_administrator(transactions), meeting.absent[0]
    penalty = await penalize(transactions, counts, meeting)
    await forget_all(transactions)
    before = await version(transactions, meeting)
    async with transactions.write() as tx:
        revoked = await penalties.revoke_penalty(tx, counts, administrator.id, penalty.id, "착오였어요")
    assert (revoked.revoked_by_id, revoked.revoke_reason) == (administrator.id, "착오였어요")
    assert (await counts.of([absent.id]), await counted(transactions, absent)) == ({absent.id: 0}, 0)
    (note,) = await notes(transactions)
    assert (note.receiver_id, note.kind) == (absent.id, NotificationKind.PENALTY_REVOKED)
    assert note.detail["reason"] == "착오였어요"
    assert (await history(transactions, meeting))[1:] == [
        ("PENALTY_REVOKED", administrator.id, {"user": str(absent.id)})
    ]
    assert await version(transactions, meeting) == before + 1

    def revoke(who: UUID, which: UUID) -> Awaitable[DomainError]:
        return refused(
            transactions, lambda tx: penalties.revoke_penalty(tx, counts, who, which, "착오였어요")
        )

    assert isinstance(await revoke(administrator.id, penalty.id), AlreadyRevoked)
    assert isinstance(await revoke(meeting.leader.id, penalty.id), Involved)
    assert isinstance(await revoke(administrator.id, new_id()), NotFound)
    # A party gives one penalty to a person, and that was it.
    again = await refused(
        transactions,
        lambda tx: penalties.penalize(tx, counts, meeting.leader.id, meeting.id, absent.id, WHY),
    )
    assert isinstance(again, AlreadyPenalized)
    assert await counted(transactions, absent) == 0


async def test_with_three_penalties_nobody_joins_or_opens_a_party_until_one_has_ended(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock
):
    async with transactions.write() as tx:
        person = await make_user(tx)
    given = await penalize_often(transactions, counts, clock, person, 4)
    async with transactions.write() as tx:
        open_to_all = await make_party(tx)

    def join(tx: Transaction) -> Awaitable[Any]:
        return memberships.join_party(tx, person.id, open_to_all.id)

    def lead(tx: Transaction) -> Awaitable[Any]:
        return make_party(tx, person)

    for verb in (join, lead):
        refusal = await refused(transactions, verb)
        assert isinstance(refusal, TooManyPenalties)
        # Two have to end: then two count.
        assert (refusal.penalty_count, refusal.until) == (4, given[1].expires_at)
    clock.now = refusal.until - timedelta(microseconds=1)
    assert isinstance(await refused(transactions, join), TooManyPenalties)
    clock.now = refusal.until
    async with transactions.write() as tx:
        latest = await make_party(tx)
        await memberships.join_party(tx, person.id, latest.id)
        await make_party(tx, person)


async def test_of_a_person_who_has_withdrawn_the_penalties_stay_but_no_name(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock, keys: Keys
):
    async with transactions.write() as tx:
        signed_in = await sign_up(tx, keys)
    async with transactions.read() as tx:
        person = await tx.session.get_one(User, signed_in.user.id)
    meeting, administrator = (
        await make_meeting(transactions, clock, person),
        await make_administrator(transactions),
    )
    penalty = await penalize(transactions, counts, meeting)
    async with transactions.write() as tx:
        await withdrawal.withdraw(tx, keys, person.id, PASSWORD)
    async with transactions.read() as tx:
        (listed,) = (await penalties.penalties_of_parties(tx, [meeting.id]))[meeting.id]
        assert (listed.id, listed.user_id, listed.reason) == (penalty.id, person.id, WHY)
        left = await tx.session.get_one(User, person.id, populate_existing=True)
        assert (left.email, left.role) == (None, Role.USER)
        assert left.nickname.startswith("탈퇴한 이웃")
    # Revoking it tells nobody: there is nobody to tell.
    await forget_all(transactions)
    async with transactions.write() as tx:
        await penalties.revoke_penalty(tx, counts, administrator.id, penalty.id, "착오였어요")
    assert await notes(transactions) == []


async def test_what_a_person_got_is_listed_the_newest_first(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock
):
    async with transactions.write() as tx:
        person, other = await make_user(tx), await make_user(tx)
    given = await penalize_often(transactions, counts, clock, person, 3)
    await penalize_often(transactions, counts, clock, other, 1)
    async with transactions.read() as tx:
        first = await penalties.penalties_of(tx, person.id, PageOf(2))
        rest = await penalties.penalties_of(tx, person.id, PageOf(2, first.cursors[-1]))
    assert [each.id for each in [*first.rows, *rest.rows]] == [each.id for each in reversed(given)]
    assert (first.has_next, rest.has_next) == (True, False)
