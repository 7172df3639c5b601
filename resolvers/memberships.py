"""Places in parties: asking for one, giving it back, and the leader's word on it."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col

from models.errors import AlreadyDecided, AlreadyJoined, NotFound, NotPartyMember
from models.memberships import LIVE_MEMBERSHIPS, MemberRole, Membership, MembershipStatus
from models.parties import Party, PartyStatus
from models.party_events import PartyEventKind
from resolvers.history import record
from resolvers.locks import lock_party
from resolvers.party_events import (
    JoinRequested,
    MemberAccepted,
    MemberLeft,
    MemberRejected,
    MemberRemoved,
    PartyFilled,
    RequestWithdrawn,
)
from resolvers.penalty_views import check_few_penalties
from resolvers.transaction import Transaction
from resolvers.users import check_living
from resolvers.views import MembershipView, membership_of, select_memberships

MOST_MEMBERSHIPS = 1_000
"""As many memberships of one party are listed; only a crowd of rejected applicants can reach it."""


async def join_party(tx: Transaction, viewer_id: UUID, party_id: UUID, quantity: int = 1) -> MembershipView:
    """Ask for a place in a party; where approval is AUTO, take it.

    Raises:
        NotFound, AlreadyJoined, AlreadyDecided, TooManyPenalties, PartyClosed, PartyFull, NotEnoughUnits,
        InvalidInput
    """
    party = await lock_party(tx, party_id)
    await check_living(tx, viewer_id)
    for earlier in await _memberships_of(tx, party_id, viewer_id):
        if earlier.status in LIVE_MEMBERSHIPS:
            raise AlreadyJoined(earlier.id)
        if earlier.status in (MembershipStatus.REJECTED, MembershipStatus.REMOVED):
            raise AlreadyDecided(earlier.id, earlier.status)
    await check_few_penalties(tx, viewer_id)
    membership = party.join(viewer_id, quantity, tx.now)
    tx.session.add(membership)
    if membership.status is MembershipStatus.ACCEPTED:
        await _tell_accepted(tx, party, membership, viewer_id)
    else:
        record(tx, party_id, PartyEventKind.JOIN_REQUESTED, viewer_id, user=viewer_id, quantity=quantity)
        await tx.publish(JoinRequested(party_id, membership.id, viewer_id))
    return await _read_back(tx, membership.id)


async def withdraw_request(tx: Transaction, viewer_id: UUID, party_id: UUID) -> MembershipView:
    """Take the viewer's request for a place back.

    Raises:
        NotFound, NotPartyMember, AlreadyDecided
    """
    await lock_party(tx, party_id)
    membership = await _live_membership(tx, party_id, viewer_id)
    membership.withdraw(tx.now)
    record(tx, party_id, PartyEventKind.REQUEST_WITHDRAWN, viewer_id, user=viewer_id)
    await tx.publish(RequestWithdrawn(party_id, membership.id, viewer_id))
    return await _read_back(tx, membership.id)


async def leave_party(tx: Transaction, viewer_id: UUID, party_id: UUID) -> MembershipView:
    """Give the viewer's place back, until the party starts.

    Raises:
        NotFound, NotPartyMember, LeaderStays, PartyClosed, TooLate
    """
    party = await lock_party(tx, party_id)
    membership = await _live_membership(tx, party_id, viewer_id)
    party.leave(membership, tx.now)
    record(tx, party_id, PartyEventKind.MEMBER_LEFT, viewer_id, user=viewer_id)
    await tx.publish(MemberLeft(party_id, membership.id, viewer_id))
    return await _read_back(tx, membership.id)


async def accept_member(tx: Transaction, viewer_id: UUID, membership_id: UUID) -> MembershipView:
    """Let an applicant in, as the party's leader.

    Raises:
        NotFound, NotPartyLeader, AlreadyDecided, PartyClosed, PartyFull, NotEnoughUnits
    """
    party, membership = await _locked(tx, viewer_id, membership_id)
    party.accept(membership, tx.now)
    await _tell_accepted(tx, party, membership, viewer_id)
    return await _read_back(tx, membership.id)


async def reject_member(
    tx: Transaction, viewer_id: UUID, membership_id: UUID, reason: str | None = None
) -> MembershipView:
    """Turn an applicant down, as the party's leader.

    Raises:
        NotFound, NotPartyLeader, AlreadyDecided, InvalidInput
    """
    party, membership = await _locked(tx, viewer_id, membership_id)
    membership.reject(tx.now, reason)
    record(tx, party.id, PartyEventKind.JOIN_REJECTED, viewer_id, user=membership.user_id)
    await tx.publish(MemberRejected(party.id, membership.id, membership.user_id, viewer_id))
    return await _read_back(tx, membership.id)


async def remove_member(tx: Transaction, viewer_id: UUID, membership_id: UUID, reason: str) -> MembershipView:
    """Take a member's place away, as the party's leader.

    Raises:
        NotFound, NotPartyLeader, NotPartyMember, LeaderStays, PartyClosed, InvalidInput
    """
    party, membership = await _locked(tx, viewer_id, membership_id)
    party.remove(membership, reason, tx.now)
    record(tx, party.id, PartyEventKind.MEMBER_REMOVED, viewer_id, user=membership.user_id)
    await tx.publish(MemberRemoved(party.id, membership.id, membership.user_id, viewer_id))
    return await _read_back(tx, membership.id)


async def memberships_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, MembershipView]:
    """Those of the memberships that exist."""
    rows = await tx.session.execute(select_memberships().where(col(Membership.id).in_(ids)))
    return {membership.id: membership for membership in map(membership_of, rows)}


async def members_of(tx: Transaction, party_ids: Iterable[UUID]) -> dict[UUID, list[MembershipView]]:
    """Every membership of each party, the leader's first, then in the order of asking; 1,000 at most."""
    place = func.row_number().over(
        partition_by=col(Membership.party_id),
        order_by=(col(Membership.role) != MemberRole.LEADER, col(Membership.id)),
    )
    placed = (
        select(col(Membership.id), place.label("place"))
        .where(col(Membership.party_id).in_(party_ids))
        .subquery()
    )
    statement = (
        select_memberships()
        .join(placed, placed.c.id == col(Membership.id))
        .where(placed.c.place <= MOST_MEMBERSHIPS)
        .order_by(col(Membership.party_id), placed.c.place)
    )
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
        .ext(distinct_on(party_id))
        .where(col(Membership.user_id) == user_id, party_id.in_(party_ids))
        .order_by(party_id, newest)
    )
    rows = await tx.session.execute(statement)
    return {membership.party_id: membership for membership in map(membership_of, rows)}


async def _memberships_of(tx: Transaction, party_id: UUID, user_id: UUID) -> list[Membership]:
    statement = select(Membership).where(
        col(Membership.party_id) == party_id, col(Membership.user_id) == user_id
    )
    return list(await tx.session.scalars(statement))


async def _live_membership(tx: Transaction, party_id: UUID, user_id: UUID) -> Membership:
    for membership in await _memberships_of(tx, party_id, user_id):
        if membership.status in LIVE_MEMBERSHIPS:
            return membership
    raise NotPartyMember


async def _locked(tx: Transaction, leader_id: UUID, membership_id: UUID) -> tuple[Party, Membership]:
    """The membership and its party, locked for its leader."""
    party_id = await tx.session.scalar(
        select(col(Membership.party_id)).where(col(Membership.id) == membership_id)
    )
    if party_id is None:
        raise NotFound("membership", membership_id)
    party = await lock_party(tx, party_id)
    party.check_leader(leader_id)
    membership = await tx.session.get(Membership, membership_id, populate_existing=True)
    if membership is None:
        raise NotFound("membership", membership_id)
    return party, membership


async def _tell_accepted(tx: Transaction, party: Party, membership: Membership, actor_id: UUID) -> None:
    record(
        tx,
        party.id,
        PartyEventKind.JOIN_ACCEPTED,
        actor_id,
        user=membership.user_id,
        quantity=membership.quantity,
    )
    await tx.publish(MemberAccepted(party.id, membership.id, membership.user_id, actor_id))
    if party.status is PartyStatus.FULL:
        await tx.publish(PartyFilled(party.id, actor_id))


async def _read_back(tx: Transaction, membership_id: UUID) -> MembershipView:
    await tx.session.flush()
    return (await memberships_by_id(tx, [membership_id]))[membership_id]
