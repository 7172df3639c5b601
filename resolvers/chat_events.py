"""What can happen to a chat, for whoever listens (`resolvers.events`)."""

from dataclasses import dataclass
from uuid import UUID

from resolvers.events import Event


@dataclass(frozen=True)
class ChatOpened(Event):
    """People can talk: by the leader's word, or because the party is full. Then nobody did it."""

    party_id: UUID
    actor_id: UUID | None
