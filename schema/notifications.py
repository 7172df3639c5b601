"""Notifications: what the viewer is told. `schema.notification_verbs` has what they do about it."""

from datetime import datetime

import strawberry

from models.notifications import SubjectKind, sentence
from resolvers.notification_views import NotificationView
from resolvers.notifications import PreferenceView
from schema import ids
from schema.context import Info
from schema.enums import NotificationKind
from schema.nodes import Node

_KINDS: dict[SubjectKind, ids.Kind] = {
    SubjectKind.PARTY: "Party",
    SubjectKind.CHAT: "Chat",
    SubjectKind.MEMBERSHIP: "Membership",
    SubjectKind.PENALTY: "Penalty",
}


@strawberry.type(description="Something that the viewer is told.")
class Notification(Node):
    """See models.notifications."""

    view: strawberry.Private[NotificationView]
    number: int = strawberry.field(
        description="1, 2, 3 … per receiver, in the order of what happened: the resume point of the "
        "subscription. Deleted ones leave their numbers."
    )
    kind: NotificationKind = strawberry.field(description="What it is about, for programs.")
    path: str = strawberry.field(description="Where a web page shows what it is about, from the root on.")
    read_at: datetime | None = strawberry.field(description="When the viewer has read it; null before.")
    created_at: datetime = strawberry.field(description="When it happened.")

    @classmethod
    def of(cls, view: NotificationView) -> "Notification":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Notification", view.id),
            view=view,
            number=view.number,
            kind=view.kind,
            path=_path(view),
            read_at=view.read_at,
            created_at=view.created_at,
        )

    @property
    def shared_as(self) -> None:
        """It is for one person."""
        return

    @property
    def resume_point(self) -> int:
        """The number to go on after."""
        return self.view.number

    @strawberry.field(description="The sentence for a person, in the language of Accept-Language.")
    def text(self, info: Info) -> str:
        """Put into words for the reader; the names are those of the moment when it happened."""
        view = self.view
        return sentence(view.kind, view.detail, view.actor, info.context.language)

    @strawberry.field(description="What it is about; null when that is gone, or not for the viewer any more.")
    async def subject(self, info: Info) -> Node | None:
        """Found like anything with an id."""
        from schema.lookup import FINDERS  # which finds notifications, too

        return await FINDERS[_KINDS[self.view.subject_kind]](info, self.view.subject_id)


@strawberry.type(description="How the viewer wants to be told of a kind.")
class NotificationPreference:
    """See models.notifications."""

    kind: NotificationKind = strawberry.field(description="Of what.")
    in_app: bool = strawberry.field(description="By notifications. Without, none are written.")
    sms: bool = strawberry.field(description="By text message, for the kinds that have one.")

    @classmethod
    def of(cls, view: PreferenceView) -> "NotificationPreference":
        """Wrap what a resolver read."""
        return cls(kind=view.kind, in_app=view.in_app, sms=view.sms)


def _path(view: NotificationView) -> str:
    if view.subject_kind is SubjectKind.PENALTY:
        return f"/penalties/{ids.encode('Penalty', view.subject_id)}"
    party = f"/parties/{ids.encode('Party', view.party_id)}"
    return f"{party}/chat" if view.subject_kind is SubjectKind.CHAT else party
