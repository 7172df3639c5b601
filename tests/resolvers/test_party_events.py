"""What happens to parties is told once for each deed, and only when the deed is committed."""

from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest

from models.errors import DomainError
from models.parties import Approval, CancelReason
from resolvers import events, jobs, memberships, parties, party_events
from resolvers.events import Event, listens
from resolvers.parties import PartyChanges
from resolvers.party_events import (
    JoinRequested,
    MemberAccepted,
    MemberLeft,
    MemberRejected,
    MemberRemoved,
    PartyCanceled,
    PartyChanged,
    PartyCompleted,
    PartyCreated,
    PartyFilled,
    RequestWithdrawn,
)
from resolvers.transaction import Transaction, Transactions
from tests.conftest import MovableClock
from tests.factories import make_party, make_user
from tests.jobs import run_due

KINDS: list[type[Event]] = [
    each
    for each in vars(party_events).values()
    if isinstance(each, type) and issubclass(each, Event) and each is not Event
]
heard: list[Event] = []


@pytest.fixture(autouse=True)
def _listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listen to everything, for the time of a test alone: others count the jobs that they see."""

    async def hear(tx: Transaction, event: Any) -> None:
        heard.append(event)

    heard.clear()
    jobs.load_handlers()
    monkeypatch.setattr(jobs, "_kinds", {**jobs._kinds})  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(events, "_listeners", defaultdict[type[Event], list[str]](list))
    for kind in KINDS:
        listens(kind, name=f"test.hears_{kind.__name__}")(hear)


async def told(transactions: Transactions) -> list[Event]:
    """What listeners have heard since the last time, in the order of the deeds."""
    await run_due(transactions)
    found = sorted(heard, key=lambda event: KINDS.index(type(event)))
    heard.clear()
    return found


async def test_every_deed_is_told_once(transactions: Transactions, clock: MovableClock):
    async def told_of(verb: Any, *arguments: Any) -> tuple[Any, list[Event]]:
        async with transactions.write() as tx:
            result = await verb(tx, *arguments)
            assert heard == []
        return result, await told(transactions)

    async with transactions.write() as tx:
        who_leads = await make_user(tx)
        leader, (one, other, third) = who_leads.id, [(await make_user(tx)).id for _ in range(3)]
        party = await make_party(tx, who_leads, capacity=3, approval=Approval.MANUAL)
    id = party.id
    assert await told(transactions) == [PartyCreated(id, leader)]
    request, tidings = await told_of(memberships.join_party, one, id)
    assert tidings == [JoinRequested(id, request.id, one)]
    _, tidings = await told_of(memberships.withdraw_request, one, id)
    assert tidings == [RequestWithdrawn(id, request.id, one)]
    request, _ = await told_of(memberships.join_party, one, id)
    _, tidings = await told_of(memberships.reject_member, leader, request.id)
    assert tidings == [MemberRejected(id, request.id, one, leader)]
    request, _ = await told_of(memberships.join_party, other, id)
    _, tidings = await told_of(memberships.accept_member, leader, request.id)
    assert tidings == [MemberAccepted(id, request.id, other, leader)]
    _, tidings = await told_of(memberships.leave_party, other, id)
    assert tidings == [MemberLeft(id, request.id, other)]
    changes = PartyChanges(approval=Approval.AUTO, note="글")
    _, tidings = await told_of(parties.update_party, leader, id, changes)
    assert tidings == [PartyChanged(id, leader, [])], "which is for nobody to hear of"
    _, tidings = await told_of(parties.update_party, leader, id, changes)
    assert tidings == []
    place, tidings = await told_of(memberships.join_party, other, id)
    assert tidings == [MemberAccepted(id, place.id, other, other)]
    last, tidings = await told_of(memberships.join_party, third, id)
    assert tidings == [PartyFilled(id, third), MemberAccepted(id, last.id, third, third)]
    _, tidings = await told_of(memberships.remove_member, leader, last.id, "연락이 안 돼요")
    assert tidings == [MemberRemoved(id, last.id, third, leader)]
    _, tidings = await told_of(
        parties.update_party, leader, id, PartyChanges(capacity=2, estimated_price=1, item_unit="개")
    )
    assert tidings == [PartyChanged(id, leader, ["capacity", "estimated_price"]), PartyFilled(id, leader)]
    clock.now = party.starts_at
    assert await told(transactions) == []
    _, tidings = await told_of(parties.complete_party, leader, id, 100, {other: True})
    assert tidings == [PartyCompleted(id, leader)]


async def test_a_party_is_canceled_by_somebody_or_by_time(transactions: Transactions, clock: MovableClock):
    async with transactions.write() as tx:
        leader = await make_user(tx)
        one, other = await make_party(tx, leader), await make_party(tx, leader)
    await told(transactions)
    async with transactions.write() as tx:
        await parties.cancel_party(tx, leader.id, one.id)
    assert await told(transactions) == [PartyCanceled(one.id, leader.id, CancelReason.BY_LEADER)]
    clock.now = other.join_by
    assert await told(transactions) == [PartyCanceled(other.id, None, CancelReason.TOO_FEW_MEMBERS)]


async def test_what_is_refused_is_not_told(fresh_transactions: Transactions):
    async with fresh_transactions.write() as tx:
        party = await make_party(tx)
        stranger = await make_user(tx)
    await told(fresh_transactions)
    refused: list[tuple[Any, UUID]] = [
        (parties.cancel_party, stranger.id),
        (memberships.withdraw_request, stranger.id),
        (memberships.leave_party, party.leader.id),
    ]
    for verb, person_id in refused:
        with pytest.raises(DomainError):
            async with fresh_transactions.write() as tx:
                await verb(tx, person_id, party.id)
    assert await told(fresh_transactions) == []


async def test_what_is_not_committed_is_not_told(fresh_transactions: Transactions):
    async def stumble() -> None:
        async with fresh_transactions.write() as tx:
            await make_party(tx)
            raise RuntimeError("the server stumbles")

    with pytest.raises(RuntimeError):
        await stumble()
    assert await told(fresh_transactions) == []


def test_every_kind_of_event_is_listened_to_here():
    assert len(KINDS) == 11
