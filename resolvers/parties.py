"""Parties: making one, joining one, letting people in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlmodel import col

from models.base import table_of
from models.errors import AlreadyDecided, AlreadyJoined, NotFound
from models.items import Item
from models.markets import Market
from models.parties import (
    LIVE_MEMBERSHIPS,
    Approval,
    MemberRole,
    Membership,
    MembershipStatus,
    Party,
    PartyEvent,
    PartyEventKind,
    PartyStatus,
)
from resolvers.pages import Page, PageOf, paged
from resolvers.transaction import Transaction
from resolvers.views import (
    MembershipView,
    PartyView,
    membership_of,
    party_of,
    select_memberships,
    select_parties,
)

MOST_MEMBERSHIPS = 1_000
"""As many memberships of one party are listed; only a crowd of rejected applicants can reach it."""


@dataclass(frozen=True, slots=True)
class PartyDraft:
    """What a leader writes about a new party. Prices are won."""

    market_id: UUID
    item_id: UUID
    item_count: int
    item_unit: str
    capacity: int
    starts_at: datetime
    ends_at: datetime
    join_by: datetime | None = None
    min_members: int = 2
    estimated_price: int | None = None
    note: str | None = None
    approval: Approval = Approval.MANUAL
    quantity: int = 1


async def create_party(tx: Transaction, viewer_id: UUID, draft: PartyDraft) -> PartyView:
    """Open a party with the viewer as its leader and first member; people join until it starts, or `join_by`.

    Raises:
        NotFound, InvalidInput
    """
    party = Party(
        leader_id=viewer_id,
        market_id=draft.market_id,
        item_id=draft.item_id,
        item_count=draft.item_count,
        item_unit=draft.item_unit,
        estimated_price=draft.estimated_price,
        capacity=draft.capacity,
        min_members=draft.min_members,
        starts_at=draft.starts_at,
        ends_at=draft.ends_at,
        join_by=draft.join_by or draft.starts_at,
        note=draft.note,
        approval=draft.approval,
        created_at=tx.now,
    )
    party.check(tx.now)
    leader = party.open_with(viewer_id, draft.quantity, tx.now)
    if await tx.session.scalar(select(col(Item.id)).where(col(Item.id) == draft.item_id)) is None:
        raise NotFound("item", draft.item_id)
    await _insert(tx, party)
    tx.session.add(leader)
    _record(tx, party.id, PartyEventKind.CREATED, viewer_id)
    return await _read_back(tx, party.id)


async def join_party(tx: Transaction, viewer_id: UUID, party_id: UUID, quantity: int = 1) -> MembershipView:
    """Ask for a place in a party; where approval is AUTO, take it.

    Raises:
        NotFound, AlreadyJoined, AlreadyDecided, PartyClosed, PartyFull, NotEnoughUnits, InvalidInput
    """
    party = await _locked(tx, party_id)
    earlier = await tx.session.scalars(
        select(Membership).where(col(Membership.party_id) == party_id, col(Membership.user_id) == viewer_id)
    )
    for membership in earlier:
        if membership.status in LIVE_MEMBERSHIPS:
            raise AlreadyJoined(membership.id)
        if membership.status in (MembershipStatus.REJECTED, MembershipStatus.REMOVED):
            raise AlreadyDecided(membership.id, membership.status)
    membership = party.join(viewer_id, quantity, tx.now)
    tx.session.add(membership)
    accepted = membership.status is MembershipStatus.ACCEPTED
    kind = PartyEventKind.JOIN_ACCEPTED if accepted else PartyEventKind.JOIN_REQUESTED
    _record(tx, party_id, kind, viewer_id, user=viewer_id, quantity=quantity)
    return await _member(tx, membership.id)


async def accept_member(tx: Transaction, viewer_id: UUID, membership_id: UUID) -> MembershipView:
    """Let an applicant in, as the party's leader.

    Raises:
        NotFound, NotPartyLeader, AlreadyDecided, PartyClosed, PartyFull, NotEnoughUnits
    """
    party, membership = await _request_to_decide(tx, viewer_id, membership_id)
    party.accept(membership, tx.now)
    _record(tx, party.id, PartyEventKind.JOIN_ACCEPTED, viewer_id, user=membership.user_id)
    return await _member(tx, membership.id)


async def reject_member(
    tx: Transaction, viewer_id: UUID, membership_id: UUID, reason: str | None = None
) -> MembershipView:
    """Turn an applicant down, as the party's leader.

    Raises:
        NotFound, NotPartyLeader, AlreadyDecided, InvalidInput
    """
    party, membership = await _request_to_decide(tx, viewer_id, membership_id)
    membership.reject(tx.now, reason)
    _record(tx, party.id, PartyEventKind.JOIN_REJECTED, viewer_id, user=membership.user_id)
    return await _member(tx, membership.id)


async def parties_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, PartyView]:
    """Those of the parties that exist."""
    rows = await tx.session.execute(select_parties().where(col(Party.id).in_(ids)))
    return {party.id: party for party in map(party_of, rows)}


async def memberships_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, MembershipView]:
    """Those of the memberships that exist."""
    rows = await tx.session.execute(select_memberships().where(col(Membership.id).in_(ids)))
    return {membership.id: membership for membership in map(membership_of, rows)}


async def members_of(tx: Transaction, party_ids: Iterable[UUID]) -> dict[UUID, list[MembershipView]]:
    """The memberships of each party, the leader's first, then in the order of asking."""
    party_id = col(Membership.party_id)
    order = (col(Membership.role) != MemberRole.LEADER, col(Membership.id))
    place = func.row_number().over(partition_by=party_id, order_by=order)
    among = select(col(Membership.id), place.label("place")).where(party_id.in_(party_ids)).subquery()
    listed = select(among.c.id).where(among.c.place <= MOST_MEMBERSHIPS)
    statement = select_memberships().where(col(Membership.id).in_(listed)).order_by(*order)
    members: dict[UUID, list[MembershipView]] = {}
    for membership in map(membership_of, await tx.session.execute(statement)):
        members.setdefault(membership.party_id, []).append(membership)
    return members


async def latest_memberships(
    tx: Transaction, user_id: UUID, party_ids: Iterable[UUID]
) -> dict[UUID, MembershipView]:
    """The person's newest membership in each of the parties, whatever became of it."""
    party_id, newest = col(Membership.party_id), col(Membership.id).desc()
    statement = (
        select_memberships()
        .distinct(party_id)
        .where(col(Membership.user_id) == user_id, party_id.in_(party_ids))
        .order_by(party_id, newest)
    )
    rows = await tx.session.execute(statement)
    return {membership.party_id: membership for membership in map(membership_of, rows)}


async def parties_of(
    tx: Transaction,
    user_id: UUID,
    page: PageOf,
    *,
    statuses: Sequence[PartyStatus] | None = None,
    role: MemberRole | None = None,
) -> Page[PartyView]:
    """Parties that the person is in or has asked to be in, the newest request first.

    Raises:
        MalformedCursor
    """
    membership, party = table_of(Membership), table_of(Party)
    statement = (
        select_parties()
        .add_columns(membership.c.id.label("membership_id"))
        .join(membership, membership.c.party_id == party.c.id)
        .where(membership.c.user_id == user_id, membership.c.status.in_(LIVE_MEMBERSHIPS))
    )
    if statuses is not None:
        statement = statement.where(party.c.status.in_(statuses))
    if role is not None:
        statement = statement.where(membership.c.role == role)
    if (key := page.key(UUID)) is not None:
        statement = statement.where(membership.c.id < key[0])
    statement = statement.order_by(membership.c.id.desc()).limit(page.first + 1)
    rows = (await tx.session.execute(statement)).all()
    return paged([party_of(row) for row in rows], [(row.membership_id,) for row in rows], page)


async def _insert(tx: Transaction, party: Party) -> None:
    market = table_of(Market)
    position = select(market.c.position).where(market.c.id == party.market_id)
    if await tx.session.scalar(select(market.c.id).where(market.c.id == party.market_id)) is None:
        raise NotFound("market", party.market_id)
    values: dict[str, Any] = party.model_dump() | {"market_position": position.scalar_subquery()}
    await tx.session.execute(insert(table_of(Party)).values(values))


async def _locked(tx: Transaction, party_id: UUID) -> Party:
    party = await tx.session.get(Party, party_id, with_for_update={"key_share": True})
    if party is None:
        raise NotFound("party", party_id)
    return party


async def _request_to_decide(
    tx: Transaction, viewer_id: UUID, membership_id: UUID
) -> tuple[Party, Membership]:
    party_id = await tx.session.scalar(
        select(col(Membership.party_id)).where(col(Membership.id) == membership_id)
    )
    if party_id is None:
        raise NotFound("membership", membership_id)
    # The party first, always: every change of places queues at its row.
    party = await _locked(tx, party_id)
    party.check_leader(viewer_id)
    membership = await tx.session.get(Membership, membership_id)
    if membership is None:
        raise NotFound("membership", membership_id)
    return party, membership


async def _read_back(tx: Transaction, party_id: UUID) -> PartyView:
    await tx.session.flush()
    return (await parties_by_id(tx, [party_id]))[party_id]


async def _member(tx: Transaction, membership_id: UUID) -> MembershipView:
    await tx.session.flush()
    return (await memberships_by_id(tx, [membership_id]))[membership_id]


def _record(tx: Transaction, party_id: UUID, kind: PartyEventKind, actor_id: UUID, **detail: Any) -> None:
    plain = {name: str(value) if isinstance(value, UUID) else value for name, value in detail.items()}
    tx.session.add(PartyEvent(party_id=party_id, kind=kind, actor_id=actor_id, at=tx.now, detail=plain))
