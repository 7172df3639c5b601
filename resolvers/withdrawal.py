"""Withdrawal: a person goes, and only what others need of them stays."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy import Select, delete, or_, select, update
from sqlmodel import col

from models.errors import AlreadyDecided, NotPartyMember, OpenObligations
from models.items import ItemBookmark
from models.markets import MarketBookmark
from models.memberships import Membership, MembershipStatus
from models.parties import Party, PartyStatus
from models.users import Session
from resolvers.memberships import withdraw_request
from resolvers.notifications import erase
from resolvers.sessions import Keys, check_unchanged, end_sessions, proven
from resolvers.transaction import Transaction

MOST_LISTED = 100


async def withdraw(
    tx: Transaction, keys: Keys, user_id: UUID, password: str, *, address: str | None = None
) -> None:
    """Erase the person, unless somebody counts on them: then nothing changes.

    Their requests are taken back, bookmarks and notifications dropped, their sessions ended. Their e-mail
    address can sign up again, as somebody else.

    Raises:
        WrongCredentials, TooManyAttempts, OpenObligations
    """
    user = await proven(tx, keys, user_id, password, address)
    # Places first, the person after, as everybody locks them who takes or gives a place.
    for party_id in await tx.session.scalars(_requests(user_id)):
        # The leader's word came first. If it was a yes, the party is found again below.
        with suppress(AlreadyDecided, NotPartyMember):
            await withdraw_request(tx, user_id, party_id)
    # Waits for whoever is just writing down something new about this person, and lets nobody begin.
    await check_unchanged(tx, user, {"key_share": False})
    if obligations := await _obligations(tx, user_id):
        raise OpenObligations(tuple(obligations))
    await end_sessions(tx, user_id)
    await tx.session.execute(update(Session).where(col(Session.user_id) == user_id).values(user_agent=None))
    for bookmark in (ItemBookmark, MarketBookmark):
        await tx.session.execute(delete(bookmark).where(col(bookmark.user_id) == user_id))
    await erase(tx, user_id)
    user.withdraw(tx.now)


def _requests(user_id: UUID) -> Select[UUID]:
    return (
        select(col(Membership.party_id))
        .where(col(Membership.user_id) == user_id, col(Membership.status) == MembershipStatus.REQUESTED)
        .order_by(col(Membership.party_id))
    )


async def _obligations(tx: Transaction, user_id: UUID) -> Sequence[UUID]:
    has_a_place = col(Membership.status) == MembershipStatus.ACCEPTED
    is_live = col(Party.status).in_((PartyStatus.OPEN, PartyStatus.FULL))
    # Asked for a moment ago, after the requests were taken back.
    is_new = col(Membership.status) == MembershipStatus.REQUESTED
    statement = (
        select(col(Party.id))
        .join(Membership, col(Membership.party_id) == col(Party.id))
        .where(col(Membership.user_id) == user_id, or_(has_a_place & is_live, is_new))
        .order_by(col(Party.starts_at), col(Party.id))
        .limit(MOST_LISTED)
    )
    return (await tx.session.scalars(statement)).all()
