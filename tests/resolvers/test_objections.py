"""What is said against penalties, and what becomes of it, by the real verbs."""

from collections.abc import Awaitable
from uuid import UUID

import pytest

from models.base import new_id
from models.errors import (
    AlreadyObjected,
    AlreadyRevoked,
    DomainError,
    InvalidInput,
    Involved,
    NotFound,
    ObjectionDecided,
    ObjectionTooLate,
)
from models.penalties import Decision
from models.users import User
from resolvers import penalties
from resolvers.pages import PageOf
from resolvers.penalty_counts import PenaltyCounts
from resolvers.transaction import Transactions
from tests.conftest import MovableClock
from tests.factories import make_user
from tests.resolvers.circles import forget_all, notes
from tests.resolvers.no_shows import (
    counted,
    make_administrator,
    make_meeting,
    object_to,
    penalize,
    refused,
)


@pytest.fixture
def transactions(fresh_transactions: Transactions) -> Transactions:
    return fresh_transactions


async def test_the_penalized_object_once_and_within_14_days(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock
):
    async with transactions.write() as tx:
        people = [await make_user(tx) for _ in range(3)]
    meeting = await make_meeting(transactions, clock, *people)
    first, second, third = [await penalize(transactions, counts, meeting, person) for person in people]
    administrator = await make_administrator(transactions)

    def attempt(person: User, penalty_id: UUID, words: str = "갔는데요") -> Awaitable[DomainError]:
        return refused(transactions, lambda tx: penalties.object_to_penalty(tx, person.id, penalty_id, words))

    for stranger in (meeting.leader, administrator, people[1]):
        assert isinstance(await attempt(stranger, first.id), NotFound)
    assert isinstance(await attempt(people[0], new_id()), NotFound)
    assert isinstance(await attempt(people[0], first.id, "가" * 1_001), InvalidInput)
    clock.move(days=14, microseconds=-1)
    objection = await object_to(transactions, first.id, people[0])
    assert (objection.text, objection.decision) == ("갔는데 못 만났어요", None)
    again = await attempt(people[0], first.id)
    assert isinstance(again, AlreadyObjected)
    assert again.objection_id == objection.id
    async with transactions.write() as tx:
        await penalties.revoke_penalty(tx, counts, administrator.id, second.id, "착오였어요")
    assert isinstance(await attempt(people[1], second.id), AlreadyRevoked)
    clock.move(microseconds=1)
    assert isinstance(await attempt(people[2], third.id), ObjectionTooLate)
    # An objection changes nothing by itself.
    assert await counts.of([each.id for each in people]) == {
        person.id: count for person, count in zip(people, (1, 0, 1), strict=True)
    }


@pytest.mark.parametrize("decision", Decision)
async def test_an_administrator_who_is_not_involved_decides_once(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock, decision: Decision
):
    administrator, meeting = await make_administrator(transactions), await make_meeting(transactions, clock)
    absent = meeting.absent[0]
    penalty = await penalize(transactions, counts, meeting)
    objection = await object_to(transactions, penalty.id, absent)
    await forget_all(transactions)

    def attempt(who: UUID, which: UUID, reason: str = "사진을 봤어요") -> Awaitable[DomainError]:
        return refused(
            transactions, lambda tx: penalties.decide_objection(tx, counts, who, which, decision, reason)
        )

    for involved in (meeting.leader, absent):
        assert isinstance(await attempt(involved.id, objection.id), Involved)
    assert isinstance(await attempt(administrator.id, new_id()), NotFound)
    assert isinstance(await attempt(administrator.id, objection.id, ""), InvalidInput)
    async with transactions.write() as tx:
        decided = await penalties.decide_objection(
            tx, counts, administrator.id, objection.id, decision, "사진을 봤어요"
        )
    assert (decided.decision, decided.decided_by_id, decided.reason) == (
        decision,
        administrator.id,
        "사진을 봤어요",
    )
    assert isinstance(await attempt(administrator.id, objection.id), ObjectionDecided)
    (note,) = await notes(transactions)
    assert (note.receiver_id, note.kind) == (absent.id, f"PENALTY_{decision}")
    assert note.detail["reason"] == "사진을 봤어요"
    expected = 1 if decision is Decision.UPHELD else 0
    assert await counts.of([absent.id]) == {absent.id: expected}
    assert await counted(transactions, absent) == expected


async def test_revoking_answers_an_open_objection_and_leaves_a_decided_one(
    transactions: Transactions, counts: PenaltyCounts, clock: MovableClock
):
    async with transactions.write() as tx:
        people = [await make_user(tx) for _ in range(2)]
    meeting, administrator = (
        await make_meeting(transactions, clock, *people),
        await make_administrator(transactions),
    )
    given = [await penalize(transactions, counts, meeting, person) for person in people]
    objections = [
        (await object_to(transactions, penalty.id, person)).id
        for penalty, person in zip(given, people, strict=True)
    ]
    async with transactions.read() as tx:
        waiting = await penalties.open_objections(tx, PageOf())
    assert [each.id for each in waiting.rows] == objections
    async with transactions.write() as tx:
        await penalties.decide_objection(
            tx, counts, administrator.id, objections[1], Decision.UPHELD, "안 오셨어요"
        )
    for penalty in given:
        async with transactions.write() as tx:
            await penalties.revoke_penalty(tx, counts, administrator.id, penalty.id, "착오였어요")
    async with transactions.read() as tx:
        found = await penalties.objections_by_id(tx, objections)
        assert [found[each].decision for each in objections] == [Decision.REVOKED, Decision.UPHELD]
        assert (await penalties.open_objections(tx, PageOf())).rows == []
