"""Parties: making one, changing it, and how it ends."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, insert, select, update
from sqlmodel import col
from typing_extensions import TypedDict

from models.base import table_of
from models.errors import InvalidInput, NotFound
from models.items import Item
from models.markets import Market
from models.memberships import LIVE_MEMBERSHIPS, Attendance, MemberRole, Membership, MembershipStatus
from models.parties import COMPLETE_WITHIN, Approval, CancelReason, Change, Party, PartyStatus
from models.party_events import PartyEventKind
from models.shares import split
from resolvers.history import record
from resolvers.jobs import job
from resolvers.locks import lock_party
from resolvers.pages import Page, PageOf, paged
from resolvers.party_events import PartyCanceled, PartyChanged, PartyCompleted, PartyCreated, PartyFilled
from resolvers.party_news import PartyNews
from resolvers.penalty_views import check_few_penalties
from resolvers.transaction import Transaction
from resolvers.users import check_living
from resolvers.views import PartyView, party_of, select_parties

JOINING_ENDS = "party.joining_ends"
MEETING_ENDS = "party.meeting_ends"
GIVE_UP = "party.give_up"

TOLD = frozenset({"starts_at", "ends_at", "join_by", "market_id", "item_id", "estimated_price", "capacity"})
"""Members hear of a change of these."""


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


class PartyChanges(TypedDict, total=False):
    """What a leader writes anew about a party; what is left out stays."""

    market_id: UUID
    item_id: UUID
    item_count: int
    item_unit: str
    estimated_price: int | None
    capacity: int
    min_members: int
    starts_at: datetime
    ends_at: datetime
    join_by: datetime
    note: str | None
    approval: Approval
    quantity: int


async def create_party(tx: Transaction, viewer_id: UUID, draft: PartyDraft) -> PartyView:
    """Open a party with the viewer as its leader and first member; people join until it starts, or `join_by`.

    Raises:
        NotFound, TooManyPenalties, InvalidInput
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
    await check_living(tx, viewer_id)
    await check_few_penalties(tx, viewer_id)
    leader = party.open_with(viewer_id, draft.quantity, tx.now)
    await _check_item(tx, draft.item_id)
    position = await _position(tx, draft.market_id)
    await tx.session.execute(
        insert(table_of(Party)).values(party.model_dump() | {"market_position": position})
    )
    tx.session.add(leader)
    record(tx, party.id, PartyEventKind.CREATED, viewer_id)
    await _set_deadlines(tx, party)
    await tx.publish(PartyCreated(party.id, viewer_id))
    return await _read_back(tx, party.id)


async def update_party(tx: Transaction, viewer_id: UUID, party_id: UUID, changes: PartyChanges) -> PartyView:
    """Change what the leader has written. Fewer places than members, or fewer units than taken, are refused.

    Raises:
        NotFound, NotPartyLeader, PartyClosed, InvalidInput
    """
    party = await lock_party(tx, party_id)
    party.check_leader(viewer_id)
    party.check_live()
    was_full = party.status is PartyStatus.FULL
    fields: dict[str, Any] = dict(changes)
    # Looked up before anything is written: what does not exist is told by its name, not by a foreign key.
    if "item_id" in fields:
        await _check_item(tx, fields["item_id"])
    moved = await _move(tx, party, fields.pop("market_id", party.market_id))
    news = moved | party.change(await _leader(tx, party_id), fields, tx.now)
    if news:
        detail = {field: {"from": was, "to": is_now} for field, (was, is_now) in sorted(news.items())}
        record(tx, party_id, PartyEventKind.CHANGED, viewer_id, **detail)
        await tx.publish(PartyChanged(party_id, viewer_id, sorted(news.keys() & TOLD)))
    if news.keys() & {"ends_at", "join_by"}:
        await _set_deadlines(tx, party)
    if party.status is PartyStatus.FULL and not was_full:
        await tx.publish(PartyFilled(party_id, viewer_id))
    return await _read_back(tx, party_id)


async def cancel_party(tx: Transaction, viewer_id: UUID, party_id: UUID) -> PartyView:
    """End a party before it took place, as its leader.

    Raises:
        NotFound, NotPartyLeader, PartyClosed
    """
    party = await lock_party(tx, party_id)
    party.check_leader(viewer_id)
    await _cancel(tx, party, viewer_id, CancelReason.BY_LEADER)
    return await _read_back(tx, party_id)


async def complete_party(
    tx: Transaction, viewer_id: UUID, party_id: UUID, price: int, attendance: Mapping[UUID, bool]
) -> PartyView:
    """End a party with the price paid, in won, and who came, as its leader; split the price.

    `attendance` has every accepted member, by the person's id; the leader may be left out, having come.

    Raises:
        NotFound, NotPartyLeader, PartyClosed, TooEarly, InvalidInput
    """
    party = await lock_party(tx, party_id)
    party.check_leader(viewer_id)
    party.complete(price, tx.now)
    accepted = col(Membership.status) == MembershipStatus.ACCEPTED
    members = list(
        await tx.session.scalars(select(Membership).where(col(Membership.party_id) == party_id, accepted))
    )
    _record_attendance(members, party.leader_id, attendance)
    parts = split(price, party.leader_id, {member.user_id: member.quantity for member in members})
    for member in members:
        member.amount = parts[member.user_id]
    record(tx, party_id, PartyEventKind.DONE, viewer_id, price=price)
    await _drop_deadlines(tx, party_id)
    await tx.publish(PartyCompleted(party_id, viewer_id))
    return await _read_back(tx, party_id)


@job(JOINING_ENDS)
async def end_joining(tx: Transaction, key: UUID) -> None:
    """At `join_by`: a party with too few members does not take place; an open one is listed no more."""
    party = await lock_party(tx, key)
    if not party.is_live or tx.now < party.join_by:
        return
    if party.status is PartyStatus.OPEN:
        tx.collected(PartyNews).runs_out(key)
    if party.accepted_count < party.min_members:
        await _cancel(tx, party, None, CancelReason.TOO_FEW_MEMBERS)


@job(MEETING_ENDS)
async def end_meeting(tx: Transaction, key: UUID) -> None:
    """At `ends_at`: a full party is listed no more."""
    party = await lock_party(tx, key)
    if party.status is PartyStatus.FULL and tx.now >= party.ends_at:
        tx.collected(PartyNews).runs_out(key)


@job(GIVE_UP)
async def give_up(tx: Transaction, key: UUID) -> None:
    """A day after its end: a party that nobody completed is over."""
    party = await lock_party(tx, key)
    if party.is_live and tx.now >= party.ends_at + COMPLETE_WITHIN:
        await _cancel(tx, party, None, CancelReason.NOT_COMPLETED)


async def parties_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, PartyView]:
    """Those of the parties that exist."""
    rows = await tx.session.execute(select_parties().where(col(Party.id).in_(ids)))
    return {party.id: party for party in map(party_of, rows)}


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


async def _cancel(tx: Transaction, party: Party, actor_id: UUID | None, reason: CancelReason) -> None:
    party.cancel(reason)
    record(tx, party.id, PartyEventKind.CANCELED, actor_id, reason=reason)
    await _drop_deadlines(tx, party.id)
    await tx.publish(PartyCanceled(party.id, actor_id, reason))


async def _set_deadlines(tx: Transaction, party: Party) -> None:
    await tx.jobs.at(JOINING_ENDS, party.join_by, party.id)
    await tx.jobs.at(MEETING_ENDS, party.ends_at, party.id)
    await tx.jobs.at(GIVE_UP, party.ends_at + COMPLETE_WITHIN, party.id)


async def _drop_deadlines(tx: Transaction, party_id: UUID) -> None:
    await tx.jobs.cancel(JOINING_ENDS, party_id)
    await tx.jobs.cancel(MEETING_ENDS, party_id)
    await tx.jobs.cancel(GIVE_UP, party_id)


def _record_attendance(members: Sequence[Membership], leader_id: UUID, came: Mapping[UUID, bool]) -> None:
    expected = {member.user_id for member in members}
    if came.keys() | {leader_id} != expected:
        raise InvalidInput(
            "attendance",
            "Say of each accepted member, and of nobody else, whether they came.",
            "참가한 모든 파티원의 출석을 빠짐없이 알려 주세요.",
        )
    for member in members:
        member.attendance = Attendance.ATTENDED if came.get(member.user_id, True) else Attendance.NO_SHOW


async def _move(tx: Transaction, party: Party, market_id: UUID) -> dict[str, Change]:
    """Take the party to another market, together with its point, which the row does not know."""
    if market_id == party.market_id:
        return {}
    change = Change(party.market_id, market_id)
    place = {"market_id": market_id, "market_position": await _position(tx, market_id)}
    table = table_of(Party)
    await tx.session.execute(update(table).where(table.c.id == party.id).values(place))
    await tx.session.refresh(party, ["market_id"])
    return {"market_id": change}


async def _leader(tx: Transaction, party_id: UUID) -> Membership:
    statement = select(Membership).where(
        col(Membership.party_id) == party_id, col(Membership.role) == MemberRole.LEADER
    )
    return (await tx.session.scalars(statement)).one()


async def _check_item(tx: Transaction, item_id: UUID) -> None:
    if await tx.session.scalar(select(col(Item.id)).where(col(Item.id) == item_id)) is None:
        raise NotFound("item", item_id)


async def _position(tx: Transaction, market_id: UUID) -> ColumnElement[Any]:
    """The market's point as an expression, since no row reads it."""
    market = table_of(Market)
    # Locked against an importer that moves it: the pair of key and point has to be there at the commit.
    found = select(market.c.id).where(market.c.id == market_id).with_for_update(read=True, key_share=True)
    if await tx.session.scalar(found) is None:
        raise NotFound("market", market_id)
    return select(market.c.position).where(market.c.id == market_id).scalar_subquery()


async def _read_back(tx: Transaction, party_id: UUID) -> PartyView:
    await tx.session.flush()
    return (await parties_by_id(tx, [party_id]))[party_id]
