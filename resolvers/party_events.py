"""What can happen to a party, for whoever listens (`resolvers.events`). The actor is who did it."""

from dataclasses import dataclass
from uuid import UUID

from models.parties import CancelReason
from resolvers.events import Event


@dataclass(frozen=True)
class PartyCreated(Event):
    """A leader opened a party."""

    party_id: UUID
    actor_id: UUID


@dataclass(frozen=True)
class PartyChanged(Event):
    """The leader wrote something anew: the fields, by their names in the table."""

    party_id: UUID
    actor_id: UUID
    fields: list[str]


@dataclass(frozen=True)
class PartyFilled(Event):
    """The last place, or the last unit, was taken."""

    party_id: UUID
    actor_id: UUID


@dataclass(frozen=True)
class PartyCanceled(Event):
    """The party does not take place. Nobody did it where time ran out."""

    party_id: UUID
    actor_id: UUID | None
    reason: CancelReason


@dataclass(frozen=True)
class PartyCompleted(Event):
    """The pack was bought, and the price is split."""

    party_id: UUID
    actor_id: UUID


@dataclass(frozen=True)
class JoinRequested(Event):
    """Somebody asks for a place."""

    party_id: UUID
    membership_id: UUID
    user_id: UUID


@dataclass(frozen=True)
class MemberAccepted(Event):
    """Somebody has a place: by the leader's word, or by asking first. Then the actor is the member."""

    party_id: UUID
    membership_id: UUID
    user_id: UUID
    actor_id: UUID


@dataclass(frozen=True)
class MemberRejected(Event):
    """The leader turned a request down."""

    party_id: UUID
    membership_id: UUID
    user_id: UUID
    actor_id: UUID


@dataclass(frozen=True)
class RequestWithdrawn(Event):
    """Somebody took the request back."""

    party_id: UUID
    membership_id: UUID
    user_id: UUID


@dataclass(frozen=True)
class MemberLeft(Event):
    """A member gave the place back."""

    party_id: UUID
    membership_id: UUID
    user_id: UUID


@dataclass(frozen=True)
class MemberRemoved(Event):
    """The leader took a member's place away."""

    party_id: UUID
    membership_id: UUID
    user_id: UUID
    actor_id: UUID
