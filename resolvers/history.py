"""What happened to a party, kept for its members."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from models.party_events import PartyEvent, PartyEventKind
from resolvers.transaction import Transaction

LONGEST = 1_000
"""As many events of one party are shown: the newest."""


def record(
    tx: Transaction, party_id: UUID, kind: PartyEventKind, actor_id: UUID | None, **detail: Any
) -> None:
    """Write down who did what, in the transaction of the deed."""
    plain = {name: _plain(value) for name, value in detail.items()}
    tx.session.add(PartyEvent(party_id=party_id, kind=kind, actor_id=actor_id, at=tx.now, detail=plain))


async def history_of(tx: Transaction, party_ids: Iterable[UUID]) -> dict[UUID, list[PartyEvent]]:
    """The events of each party, oldest first."""
    newest = func.row_number().over(partition_by=col(PartyEvent.party_id), order_by=col(PartyEvent.id).desc())
    ranked = (
        select(col(PartyEvent.id), newest.label("rank"))
        .where(col(PartyEvent.party_id).in_(party_ids))
        .subquery()
    )
    statement = (
        select(PartyEvent)
        .join(ranked, ranked.c.id == col(PartyEvent.id))
        .where(ranked.c.rank <= LONGEST)
        .order_by(col(PartyEvent.id))
    )
    events: dict[UUID, list[PartyEvent]] = {}
    for event in await tx.session.scalars(statement):
        events.setdefault(event.party_id, []).append(event)
    return events


def _plain(value: Any) -> Any:
    """What JSON can hold: ids and times as text."""
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case dict():
            return {name: _plain(inner) for name, inner in cast(dict[str, Any], value).items()}
        case _:
            return value
