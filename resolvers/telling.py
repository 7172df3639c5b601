"""Who is told what about a party: the whole table, as companions of what happens.

Nobody is told of what they did themselves. What is told is written in the transaction of its cause; only the
neighbours of a new party, who may be thousands, are told by a job (`resolvers.neighbours`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import select

from models.base import table_of
from models.items import Item
from models.markets import Market
from models.memberships import Membership, MembershipStatus
from models.notifications import NotificationKind as Kind
from models.notifications import SubjectKind
from models.parties import Party
from models.penalties import Penalty
from resolvers.chat_events import ChatOpened
from resolvers.events import accompanies
from resolvers.notices import Notice, Notices
from resolvers.party_events import (
    JoinRequested,
    MemberAccepted,
    MemberLeft,
    MemberRejected,
    MemberRemoved,
    PartyCanceled,
    PartyChanged,
    PartyCompleted,
    PartyFilled,
)
from resolvers.penalty_events import MemberPenalized, PenaltyRevoked, PenaltyUpheld
from resolvers.transaction import Transaction


@dataclass(frozen=True, slots=True)
class _Circle:
    """A party's people, and what to call the party."""

    party_id: UUID
    leader_id: UUID
    item: str
    market: str
    accepted: Sequence[UUID]
    applicants: Sequence[UUID]


@accompanies(PartyCanceled)
async def tell_canceled(tx: Transaction, event: PartyCanceled) -> None:
    """Members and applicants, by whomever it was canceled."""
    circle = await _circle(tx, event.party_id)
    _tell(tx, Kind.PARTY_CANCELED, circle, [*circle.accepted, *circle.applicants], event.actor_id)


@accompanies(PartyChanged)
async def tell_changed(tx: Transaction, event: PartyChanged) -> None:
    """Members, when it is about time, market, item, price or capacity."""
    if event.fields:
        circle = await _circle(tx, event.party_id)
        _tell(tx, Kind.PARTY_CHANGED, circle, circle.accepted, event.actor_id)


@accompanies(PartyFilled)
async def tell_full(tx: Transaction, event: PartyFilled) -> None:
    """Members."""
    circle = await _circle(tx, event.party_id)
    _tell(tx, Kind.PARTY_FULL, circle, circle.accepted, event.actor_id)


@accompanies(PartyCompleted)
async def tell_done(tx: Transaction, event: PartyCompleted) -> None:
    """Members."""
    circle = await _circle(tx, event.party_id)
    _tell(tx, Kind.PARTY_DONE, circle, circle.accepted, event.actor_id)


@accompanies(ChatOpened)
async def tell_chat_opened(tx: Transaction, event: ChatOpened) -> None:
    """Members."""
    circle = await _circle(tx, event.party_id)
    subject = (SubjectKind.CHAT, event.party_id)
    _tell(tx, Kind.CHAT_OPENED, circle, circle.accepted, event.actor_id, subject)


@accompanies(JoinRequested)
async def tell_requested(tx: Transaction, event: JoinRequested) -> None:
    """The leader."""
    circle = await _circle(tx, event.party_id)
    subject = (SubjectKind.MEMBERSHIP, event.membership_id)
    _tell(tx, Kind.JOIN_REQUESTED, circle, [circle.leader_id], event.user_id, subject)


@accompanies(MemberAccepted)
async def tell_accepted(tx: Transaction, event: MemberAccepted) -> None:
    """The applicant; where approval is AUTO, the leader that somebody has asked and is in."""
    circle = await _circle(tx, event.party_id)
    subject = (SubjectKind.MEMBERSHIP, event.membership_id)
    if event.actor_id == event.user_id:
        _tell(tx, Kind.JOIN_REQUESTED, circle, [circle.leader_id], event.user_id, subject)
    else:
        _tell(tx, Kind.JOIN_ACCEPTED, circle, [event.user_id], event.actor_id, subject)


@accompanies(MemberRejected)
async def tell_rejected(tx: Transaction, event: MemberRejected) -> None:
    """The applicant."""
    circle = await _circle(tx, event.party_id)
    subject = (SubjectKind.MEMBERSHIP, event.membership_id)
    _tell(tx, Kind.JOIN_REJECTED, circle, [event.user_id], event.actor_id, subject)


@accompanies(MemberLeft)
async def tell_left(tx: Transaction, event: MemberLeft) -> None:
    """The leader."""
    circle = await _circle(tx, event.party_id)
    subject = (SubjectKind.MEMBERSHIP, event.membership_id)
    _tell(tx, Kind.MEMBER_LEFT, circle, [circle.leader_id], event.user_id, subject)


@accompanies(MemberRemoved)
async def tell_removed(tx: Transaction, event: MemberRemoved) -> None:
    """Whoever was removed."""
    circle = await _circle(tx, event.party_id)
    subject = (SubjectKind.MEMBERSHIP, event.membership_id)
    _tell(tx, Kind.MEMBER_REMOVED, circle, [event.user_id], event.actor_id, subject)


@accompanies(MemberPenalized)
async def tell_penalized(tx: Transaction, event: MemberPenalized) -> None:
    """Whoever got the penalty: who gave it, when, why, and until when it counts."""
    circle = await _circle(tx, event.party_id)
    penalty = await tx.session.get_one(Penalty, event.penalty_id)
    subject = (SubjectKind.PENALTY, event.penalty_id)
    detail = {
        "reason": penalty.reason,
        "given_at": penalty.given_at.isoformat(),
        "until": penalty.expires_at.isoformat(),
    }
    _tell(tx, Kind.PENALTY_RECEIVED, circle, [event.user_id], event.actor_id, subject, detail)


@accompanies(PenaltyRevoked)
async def tell_revoked(tx: Transaction, event: PenaltyRevoked) -> None:
    """Whoever had the penalty."""
    circle = await _circle(tx, event.party_id)
    penalty = await tx.session.get_one(Penalty, event.penalty_id)
    subject = (SubjectKind.PENALTY, event.penalty_id)
    detail = {"reason": penalty.revoke_reason or ""}
    _tell(tx, Kind.PENALTY_REVOKED, circle, [event.user_id], event.actor_id, subject, detail)


@accompanies(PenaltyUpheld)
async def tell_upheld(tx: Transaction, event: PenaltyUpheld) -> None:
    """Whoever objected to the penalty."""
    circle = await _circle(tx, event.party_id)
    penalty = await tx.session.get_one(Penalty, event.penalty_id)
    subject = (SubjectKind.PENALTY, event.penalty_id)
    detail = {"reason": event.reason, "until": penalty.expires_at.isoformat()}
    _tell(tx, Kind.PENALTY_UPHELD, circle, [event.user_id], event.actor_id, subject, detail)


async def tell_message(tx: Transaction, party_id: UUID, receivers: Sequence[UUID], sender_id: UUID) -> None:
    """Those who are not in the chat and have not been told since they read it."""
    if receivers:
        circle = await _circle(tx, party_id)
        subject = (SubjectKind.CHAT, party_id)
        _tell(tx, Kind.CHAT_MESSAGE, circle, receivers, sender_id, subject)


def _tell(
    tx: Transaction,
    kind: Kind,
    circle: _Circle,
    receivers: Sequence[UUID],
    actor_id: UUID | None,
    subject: tuple[SubjectKind, UUID] | None = None,
    detail: Mapping[str, str] = MappingProxyType({}),
) -> None:
    subject_kind, subject_id = subject or (SubjectKind.PARTY, circle.party_id)
    words = {"item": circle.item, "market": circle.market, **detail}
    notice = Notice(kind, circle.party_id, subject_kind, subject_id, actor_id, words)
    tx.collected(Notices).tell(receivers, notice)


async def _circle(tx: Transaction, party_id: UUID) -> _Circle:
    await tx.session.flush()  # what was just decided counts
    party, item, market, membership = (table_of(each) for each in (Party, Item, Market, Membership))
    live = membership.c.status.in_((MembershipStatus.ACCEPTED, MembershipStatus.REQUESTED))
    statement = (
        select(party.c.leader_id, item.c.name, market.c.name, membership.c.user_id, membership.c.status)
        .select_from(
            party.join(item, item.c.id == party.c.item_id)
            .join(market, market.c.id == party.c.market_id)
            .join(membership, membership.c.party_id == party.c.id)
        )
        .where(party.c.id == party_id, live)
    )
    rows = (await tx.session.execute(statement)).all()
    leader_id, item_name, market_name, *_ = rows[0]
    accepted = [row[3] for row in rows if row[4] is MembershipStatus.ACCEPTED]
    applicants = [row[3] for row in rows if row[4] is MembershipStatus.REQUESTED]
    return _Circle(party_id, leader_id, item_name, market_name, accepted, applicants)
