"""Live word of parties that have changed: to whoever looks at one, and to whoever looks around it."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from models.base import new_id
from models.markets import Market
from models.parties import Party, PartyStatus, is_listed
from resolvers.events import Event, accompanies
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
    RequestWithdrawn,
)
from resolvers.penalty_events import AttendanceCorrected, MemberPenalized, PenaltyRevoked
from resolvers.sql import run
from resolvers.transaction import Transaction
from subscriptions import channels
from subscriptions.envelope import Envelope
from subscriptions.regions import Place, party_changed

KIND = "party"


@dataclass(slots=True)
class _Before:
    """What people nearby saw before the transaction."""

    market_id: UUID
    was_listed: bool


@dataclass
class PartyNews:
    """The parties that a transaction has locked, and those of them that it has changed.

    However much of a party changes, its version is raised once and one bell rings.
    """

    _before: dict[UUID, _Before] = field(default_factory=dict[UUID, _Before])
    _changed: dict[UUID, None] = field(default_factory=dict[UUID, None])

    def remember(self, party: Party, now: datetime) -> None:
        """Keep how the party looked when it was locked first."""
        self._before.setdefault(party.id, _Before(party.market_id, party.is_listed(now)))

    def changed(self, party_id: UUID) -> None:
        """Something about the party, or about its members, is different."""
        self._changed[party_id] = None

    def runs_out(self, party_id: UUID) -> None:
        """Time has taken the party off the list: it was on it a moment ago."""
        self._before[party_id].was_listed = True
        self.changed(party_id)

    async def write(self, tx: Transaction) -> None:
        """Raise the versions, and ring."""
        if not self._changed:
            return
        await tx.session.flush()
        for row in await run(await tx.session.connection(), _RAISE, list(self._changed)):
            party_id, version, status, join_by, ends_at, latitude, longitude = row
            tx.ring(Envelope(KIND, channels.party(party_id), version))
            before = self._before.get(party_id)
            was = await _place_of(tx, before.market_id) if before is not None and before.was_listed else None
            is_shown = is_listed(PartyStatus(status), join_by, ends_at, tx.now)
            now = Place(latitude, longitude) if is_shown else None
            for envelope in party_changed(party_id, version, was, now):
                # Each is a row of the outbox; that they are the same news is seen by the version.
                tx.ring(replace(envelope, id=new_id().hex))


async def _place_of(tx: Transaction, market_id: UUID) -> Place:
    point = select(col(Market.latitude), col(Market.longitude)).where(col(Market.id) == market_id)
    latitude, longitude = (await tx.session.execute(point)).one()
    return Place(latitude, longitude)


_RAISE = """
    UPDATE parties SET version = version + 1
    FROM markets
    WHERE parties.id = ANY ($1::uuid[]) AND markets.id = market_id
    RETURNING parties.id, version, status, join_by, ends_at, latitude, longitude
"""


async def _note(tx: Transaction, event: Any) -> None:
    tx.collected(PartyNews).changed(event.party_id)


_NEWS: tuple[type[Event], ...] = (
    PartyCreated,
    PartyChanged,
    PartyCanceled,
    PartyCompleted,
    JoinRequested,
    RequestWithdrawn,
    MemberAccepted,
    MemberRejected,
    MemberLeft,
    MemberRemoved,
    AttendanceCorrected,
    MemberPenalized,
    PenaltyRevoked,
)
for _event in _NEWS:
    accompanies(_event)(_note)
