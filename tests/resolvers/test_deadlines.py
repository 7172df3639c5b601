"""What time does to parties. The clock is moved; nothing is waited for."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.performing import Outcome
from models.errors import PartyClosed
from models.parties import Approval, CancelReason, PartyStatus
from models.party_events import PartyEventKind
from models.users import User
from resolvers import memberships, parties
from resolvers.history import history_of
from resolvers.parties import GIVE_UP, JOINING_ENDS, PartyChanges
from resolvers.transaction import Transactions
from resolvers.views import PartyView
from tests.conftest import MovableClock
from tests.factories import make_party, make_user
from tests.jobs import run_due

DAY = timedelta(days=1)


async def opened(
    transactions: Transactions, members: int = 1, **changes: Any
) -> tuple[User, PartyView, list[User]]:
    """A leader with a party that takes place tomorrow, and the others in it."""
    async with transactions.write() as tx:
        leader = await make_user(tx)
        party = await make_party(tx, leader, **changes)
        others = [await make_user(tx) for _ in range(members)]
        for person in others:
            await memberships.join_party(tx, person.id, party.id)
    return leader, party, others


async def now(transactions: Transactions, party: PartyView) -> PartyView:
    async with transactions.read() as tx:
        return (await parties.parties_by_id(tx, [party.id]))[party.id]


async def last_events(transactions: Transactions, party: PartyView, count: int) -> list[Any]:
    async with transactions.read() as tx:
        found = (await history_of(tx, [party.id]))[party.id]
        return [(each.kind, each.actor_id, each.detail, each.at) for each in found[-count:]]


async def pass_deadlines(transactions: Transactions) -> list[tuple[str, str, Outcome]]:
    """Which deadlines act now; whoever listens to what they do is not of interest."""
    return [ran for ran in await run_due(transactions) if ran.name in (JOINING_ENDS, GIVE_UP)]


def done(name: str, party: PartyView) -> tuple[str, str, Outcome]:
    return name, str(party.id), Outcome.DONE


async def test_too_few_members_at_join_by_cancel_the_party_and_nobody_did_it(
    transactions: Transactions, clock: MovableClock
):
    _, party, _ = await opened(transactions, members=1, min_members=3)
    clock.now = party.join_by - timedelta(microseconds=1)
    assert await pass_deadlines(transactions) == []
    clock.now = party.join_by
    assert await pass_deadlines(transactions) == [done(JOINING_ENDS, party)]
    after = await now(transactions, party)
    assert (after.status, after.cancel_reason) == (PartyStatus.CANCELED, CancelReason.TOO_FEW_MEMBERS)
    assert await last_events(transactions, party, 1) == [
        (PartyEventKind.CANCELED, None, {"reason": "TOO_FEW_MEMBERS"}, party.join_by)
    ]
    clock.move(days=30)
    assert await pass_deadlines(transactions) == [], "who is canceled is not given up"


async def test_applicants_are_not_members_yet(transactions: Transactions, clock: MovableClock):
    _, party, _ = await opened(transactions, members=3, min_members=2, approval=Approval.MANUAL)
    clock.now = party.join_by
    await pass_deadlines(transactions)
    assert (await now(transactions, party)).cancel_reason is CancelReason.TOO_FEW_MEMBERS


async def test_enough_members_at_join_by_change_nothing(transactions: Transactions, clock: MovableClock):
    _, party, _ = await opened(transactions, members=1)
    before = await now(transactions, party), await last_events(transactions, party, 9)
    clock.now = party.join_by
    assert await pass_deadlines(transactions) == [done(JOINING_ENDS, party)]
    assert (await now(transactions, party), await last_events(transactions, party, 9)) == before


async def test_a_party_that_nobody_completes_is_canceled_a_day_after_its_end(
    transactions: Transactions, clock: MovableClock
):
    leader, party, others = await opened(transactions, members=1)
    clock.now = party.ends_at + DAY - timedelta(microseconds=1)
    assert await pass_deadlines(transactions) == [done(JOINING_ENDS, party)]
    assert (await now(transactions, party)).status is PartyStatus.OPEN
    clock.now = party.ends_at + DAY
    assert await pass_deadlines(transactions) == [done(GIVE_UP, party)]
    after = await now(transactions, party)
    assert (after.status, after.cancel_reason) == (PartyStatus.CANCELED, CancelReason.NOT_COMPLETED)
    assert await last_events(transactions, party, 1) == [
        (PartyEventKind.CANCELED, None, {"reason": "NOT_COMPLETED"}, party.ends_at + DAY)
    ]
    with pytest.raises(PartyClosed):
        async with transactions.write() as tx:
            await parties.complete_party(tx, leader.id, party.id, 1, {others[0].id: True})


@pytest.mark.parametrize("end", ["complete", "cancel"])
async def test_time_leaves_alone_what_is_over(transactions: Transactions, clock: MovableClock, end: str):
    leader, party, others = await opened(transactions, members=1)
    clock.now = party.starts_at
    await pass_deadlines(transactions)
    async with transactions.write() as tx:
        if end == "complete":
            await parties.complete_party(tx, leader.id, party.id, 1, {others[0].id: True})
        else:
            await parties.cancel_party(tx, leader.id, party.id)
    before = await now(transactions, party)
    clock.move(days=30)
    assert await pass_deadlines(transactions) == []
    assert await now(transactions, party) == before


async def test_a_deadline_that_was_put_off_acts_at_the_new_time_only(
    transactions: Transactions, clock: MovableClock
):
    leader, party, _ = await opened(transactions, members=0)
    later = PartyChanges(
        starts_at=party.starts_at + DAY, ends_at=party.ends_at + DAY, join_by=party.join_by + DAY
    )
    async with transactions.write() as tx:
        await parties.update_party(tx, leader.id, party.id, later)
    clock.now = party.join_by
    assert await pass_deadlines(transactions) == []
    clock.now = party.join_by + DAY
    assert await pass_deadlines(transactions) == [done(JOINING_ENDS, party)]
    assert (await now(transactions, party)).cancel_reason is CancelReason.TOO_FEW_MEMBERS


async def test_a_deadline_that_was_brought_forward_acts_earlier(
    transactions: Transactions, clock: MovableClock
):
    leader, party, _ = await opened(transactions, members=0)
    sooner = clock.now + timedelta(minutes=5)
    async with transactions.write() as tx:
        await parties.update_party(tx, leader.id, party.id, PartyChanges(join_by=sooner))
    clock.now = sooner
    assert await pass_deadlines(transactions) == [done(JOINING_ENDS, party)]


async def test_a_job_that_comes_before_its_time_or_twice_does_nothing(
    transactions: Transactions, clock: MovableClock
):
    _, party, _ = await opened(transactions, members=0)
    async with transactions.write() as tx:
        await parties.end_joining(tx, party.id)
        await parties.give_up(tx, party.id)
    assert (await now(transactions, party)).status is PartyStatus.OPEN
    clock.now = party.ends_at + DAY
    for _ in range(2):
        async with transactions.write() as tx:
            await parties.end_joining(tx, party.id)
            await parties.give_up(tx, party.id)
    assert [kind for kind, *_ in await last_events(transactions, party, 9)] == [
        PartyEventKind.CREATED,
        PartyEventKind.CANCELED,
    ]


async def test_both_deadlines_missed_for_a_week_act_once(transactions: Transactions, clock: MovableClock):
    _, party, _ = await opened(transactions, members=0)
    clock.move(days=7)
    assert await pass_deadlines(transactions) == [done(JOINING_ENDS, party)]
    assert [kind for kind, *_ in await last_events(transactions, party, 2)] == [
        PartyEventKind.CREATED,
        PartyEventKind.CANCELED,
    ]


async def test_a_party_that_was_not_made_leaves_no_deadline(fresh_transactions: Transactions):
    made: list[UUID] = []

    async def fail() -> None:
        async with fresh_transactions.write() as tx:
            made.append((await make_party(tx)).id)
            raise RuntimeError("the server stumbles")

    with pytest.raises(RuntimeError):
        await fail()
    async with fresh_transactions.read() as tx:
        assert made
        assert await tx.session.scalar(text("SELECT count(*) FROM jobs.pgqueuer")) == 0
