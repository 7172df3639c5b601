"""What has changed around a point since a moment, for somebody who may have missed the live word of it."""

from uuid import UUID

from sqlalchemy import func, or_, select

from models.base import new_id, table_of
from models.parties import Party
from models.party_events import PartyEvent, PartyEventKind
from resolvers.near import Around
from resolvers.transaction import Transaction
from resolvers.views import PartyView, party_of, select_parties

MOST = 10_000
MARGIN_MS = 90_000
"""Transactions that began so much earlier may have committed later; none lives longer."""


def moment() -> UUID:
    """A mark for this moment, to ask later what has happened since."""
    return new_id()


async def changed_around(tx: Transaction, around: Around, since: UUID) -> list[PartyView]:
    """Parties within the circle, or moved from anywhere, to which anything has happened; 10,000 at most.

    What only time has done to a party is not among it: clients know `joinBy` and `endsAt`.
    """
    # The first 48 bits of such an id are the milliseconds in which it was made.
    earliest = UUID(int=max(0, (since.int >> 80) - MARGIN_MS) << 80)
    event, party = table_of(PartyEvent), table_of(Party)
    has_moved = func.bool_or(
        (event.c.kind == PartyEventKind.CHANGED) & event.c.detail["market_id"].is_not(None)
    )
    recent = (
        select(event.c.party_id, has_moved.label("has_moved"))
        .where(event.c.id > earliest)
        .group_by(event.c.party_id)
        .subquery()
    )
    statement = (
        select_parties()
        .join(recent, recent.c.party_id == party.c.id)
        .where(or_(recent.c.has_moved, around.holds(party.c.market_position)))
        .order_by(party.c.id)
        .limit(MOST)
    )
    return [party_of(row) for row in await tx.session.execute(statement)]
