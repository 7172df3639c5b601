"""What can happen about attendance and penalties, for whoever listens (`resolvers.events`)."""

from dataclasses import dataclass
from uuid import UUID

from resolvers.events import Event


@dataclass(frozen=True)
class AttendanceCorrected(Event):
    """The leader recorded anew who came."""

    party_id: UUID
    actor_id: UUID


@dataclass(frozen=True)
class MemberPenalized(Event):
    """The leader gave a penalty to a member who did not come."""

    party_id: UUID
    penalty_id: UUID
    user_id: UUID
    actor_id: UUID


@dataclass(frozen=True)
class PenaltyRevoked(Event):
    """An administrator took a penalty back, because of an objection or without one."""

    party_id: UUID
    penalty_id: UUID
    user_id: UUID
    actor_id: UUID


@dataclass(frozen=True)
class PenaltyUpheld(Event):
    """An administrator decided that a penalty stays, whatever was said against it."""

    party_id: UUID
    penalty_id: UUID
    user_id: UUID
    actor_id: UUID
    reason: str
