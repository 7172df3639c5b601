"""Sessions: the devices that a person is signed in on."""

from datetime import datetime
from uuid import UUID

import strawberry

from resolvers.sessions import SessionView
from schema import ids


@strawberry.type(description="A device that the viewer is signed in on.")
class Session:
    """See models.users."""

    id: strawberry.ID = strawberry.field(description="For signOut.")
    created_at: datetime = strawberry.field(description="When the viewer signed in.")
    last_used_at: datetime = strawberry.field(description="When its tokens were last refreshed.")
    user_agent: str | None = strawberry.field(description="What the device calls itself, if it does.")
    is_current: bool = strawberry.field(description="Whether this request came from it.")

    @classmethod
    def of(cls, view: SessionView, current: UUID) -> "Session":
        """Wrap what a resolver read, for whoever asks in the current session."""
        return cls(
            id=ids.encode("Session", view.id),
            created_at=view.created_at,
            last_used_at=view.last_used_at,
            user_agent=view.user_agent,
            is_current=view.id == current,
        )
