"""What the viewer does about notifications, and hears of them live."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from resolvers import notifications as resolvers
from resolvers import users
from resolvers.transaction import Transaction
from schema import ids
from schema.context import Info
from schema.enums import NotificationKind
from schema.errors import InvalidInput, NotFound
from schema.notifications import Notification
from schema.resuming import AfterNumber, resume_point
from schema.viewer import Viewer
from subscriptions import channels
from subscriptions.feed import follow


@strawberry.input(description="What the viewer has read: some, or everything up to a number.")
class MarkNotificationsReadInput:
    """Input of markNotificationsRead."""

    ids: list[strawberry.ID] | None = strawberry.field(default=None, description="These, 100 at most.")
    up_to_number: int | None = strawberry.field(
        default=None, description="All up to this number, instead of ids."
    )


@strawberry.input(description="Which notification to delete.")
class DeleteNotificationInput:
    """Input of deleteNotification."""

    notification_id: strawberry.ID = strawberry.field(description="The notification's id.")


@strawberry.input(description="How the viewer wants to be told of a kind from now on.")
class SetNotificationPreferenceInput:
    """Input of setNotificationPreference."""

    kind: NotificationKind = strawberry.field(description="Of what.")
    in_app: bool = strawberry.field(description="By notifications. Without, none are written.")
    sms: bool = strawberry.field(
        default=False, description="By text message; refused for kinds that have none."
    )


MarkNotificationsReadResult = Annotated[
    Viewer | InvalidInput,
    strawberry.union("MarkNotificationsReadResult", description="The viewer, or why not."),
]
DeleteNotificationResult = Annotated[
    Viewer | NotFound,
    strawberry.union("DeleteNotificationResult", description="The viewer, or why not."),
]
SetNotificationPreferenceResult = Annotated[
    Viewer | InvalidInput,
    strawberry.union("SetNotificationPreferenceResult", description="The viewer, or why not."),
]


@strawberry.type
class NotificationMutation:
    """Fields of Mutation."""

    @strawberry.mutation(description="Note that the viewer has read notifications.")
    async def mark_notifications_read(
        self,
        info: Info,
        input: Annotated[MarkNotificationsReadInput, strawberry.argument(description="Which ones.")],
    ) -> MarkNotificationsReadResult:
        """Open, call, wrap."""
        keys = ids.decode_all("Notification", input.ids)
        async with info.context.write() as tx:
            await resolvers.mark_read(tx, info.context.viewer_id, keys, input.up_to_number)
            return await _viewer(tx, info)

    @strawberry.mutation(description="Delete one of the viewer's notifications.")
    async def delete_notification(
        self,
        info: Info,
        input: Annotated[DeleteNotificationInput, strawberry.argument(description="Which one.")],
    ) -> DeleteNotificationResult:
        """Open, call, wrap."""
        key = ids.decode("Notification", input.notification_id)
        async with info.context.write() as tx:
            await resolvers.delete_notification(tx, info.context.viewer_id, key)
            return await _viewer(tx, info)

    @strawberry.mutation(description="Say how the viewer wants to be told of a kind.")
    async def set_notification_preference(
        self,
        info: Info,
        input: Annotated[SetNotificationPreferenceInput, strawberry.argument(description="How.")],
    ) -> SetNotificationPreferenceResult:
        """Open, call, wrap."""
        wish = resolvers.PreferenceView(input.kind, input.in_app, input.sms)
        async with info.context.write() as tx:
            await resolvers.set_preference(tx, info.context.viewer_id, wish)
            return await _viewer(tx, info)


@strawberry.type
class NotificationSubscription:
    """Fields of Subscription."""

    @strawberry.subscription(
        description="Every notification of the viewer numbered above `after`, once each, in order, then live "
        "ones. Also as Server-Sent Events."
    )
    async def notifications(
        self, info: Info, after: AfterNumber = None
    ) -> AsyncGenerator[Notification, None]:
        """Follow the viewer's own channel."""
        context = info.context
        channel = channels.notifications(context.viewer_id)
        rows = follow(
            context.live.hub, channel, resume_point(context, after), context.live.notifications.of(channel)
        )
        async with aclosing(rows):
            async for notification in rows:
                yield Notification.of(notification)


async def _viewer(tx: Transaction, info: Info) -> Viewer:
    return Viewer.of(await users.viewer(tx, info.context.viewer_id))
