"""What happened to parties, as their members see it."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

import strawberry
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case

from models.party_events import PartyEvent as EventRow
from models.party_events import PartyEventKind as Kind
from schema import ids
from schema.context import Info
from schema.users import User


@strawberry.type(description="Something that happened to a party.")
class PartyEvent:
    """See models.party_events."""

    actor_key: strawberry.Private[UUID | None]
    kind: str = strawberry.field(
        description="What: CREATED, JOIN_ACCEPTED, CHANGED, CANCELED, DONE, PENALIZED …"
    )
    at: datetime = strawberry.field(description="When.")
    detail: JSON | None = strawberry.field(description="What there is to say about it, by the kind.")

    @classmethod
    def of(cls, row: EventRow) -> "PartyEvent":
        """Wrap what a resolver read."""
        return cls(actor_key=row.actor_id, kind=row.kind, at=row.at, detail=JSON(_with_ids(row.detail)))

    @strawberry.field(description="Who did it; null where time ran out.")
    async def actor(self, info: Info) -> User | None:
        """One look-up for all the events of the operation."""
        view = await info.context.loaders.user.load(self.actor_key) if self.actor_key else None
        return User.of(view) if view else None


_OF_APPLICANTS = {Kind.JOIN_REQUESTED, Kind.REQUEST_WITHDRAWN, Kind.JOIN_REJECTED}


def is_between(event: EventRow, viewer_id: UUID) -> bool:
    """Whether it is between the leader and an applicant who is not the viewer."""
    return event.kind in _OF_APPLICANTS and event.detail["user"] != str(viewer_id)


_KINDS: dict[str, ids.Kind] = {"user": "User", "market_id": "Market", "item_id": "Item"}


def _with_ids(detail: dict[str, Any]) -> dict[str, Any]:
    """The detail as clients know things: opaque ids, and names in camel case."""
    return {to_camel_case(name.removesuffix("_id")): _with_id(name, value) for name, value in detail.items()}


def _with_id(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_id(name, inner) for key, inner in cast(dict[str, Any], value).items()}
    return ids.encode(_KINDS[name], UUID(value)) if name in _KINDS and value is not None else value
