"""Notifications as their receiver has them: listed, read, deleted, and wanted or not."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from models.base import table_of
from models.errors import InvalidInput, NotFound
from models.notifications import BY_SMS, Mailbox, Notification, NotificationKind, NotificationPreference
from resolvers.notification_views import NotificationView, notification_of, select_notifications
from resolvers.pages import Page, PageOf, paged
from resolvers.transaction import Transaction

MOST_AT_ONCE = 100


@dataclass(slots=True)
class PreferenceView:
    """How a person wants to be told of a kind."""

    kind: NotificationKind
    in_app: bool
    sms: bool


async def notifications_of(
    tx: Transaction, user_id: UUID, page: PageOf, *, unread_only: bool = False
) -> Page[NotificationView]:
    """What the person was told, the newest first.

    Raises:
        MalformedCursor
    """
    number = col(Notification.number)
    statement = select_notifications().where(col(Notification.receiver_id) == user_id)
    if unread_only:
        statement = statement.where(col(Notification.read_at).is_(None))
    if (key := page.key(int)) is not None:
        statement = statement.where(number < key[0])
    rows = (await tx.session.execute(statement.order_by(number.desc()).limit(page.first + 1))).all()
    views = [notification_of(row) for row in rows]
    return paged(views, [(view.number,) for view in views], page)


async def unread_count(tx: Transaction, user_id: UUID) -> int:
    """How much of it the person has not read."""
    unread = (col(Notification.receiver_id) == user_id) & col(Notification.read_at).is_(None)
    return await tx.session.scalar(select(func.count()).select_from(Notification).where(unread)) or 0


async def own_notifications(
    tx: Transaction, user_id: UUID, ids: Iterable[UUID]
) -> dict[UUID, NotificationView]:
    """Those of the notifications that are the person's own."""
    own = (col(Notification.id).in_(ids)) & (col(Notification.receiver_id) == user_id)
    rows = await tx.session.execute(select_notifications().where(own))
    return {view.id: view for view in map(notification_of, rows)}


async def mark_read(
    tx: Transaction,
    viewer_id: UUID,
    ids: Collection[UUID] | None = None,
    up_to_number: int | None = None,
) -> None:
    """Note that the viewer has read some, or all up to a number. What others were told is left alone.

    Raises:
        InvalidInput
    """
    if (ids is None) == (up_to_number is None):
        raise InvalidInput("ids", "Give either the ids or the number.", "알림을 고르거나 번호를 알려 주세요.")
    unread = update(Notification).where(
        col(Notification.receiver_id) == viewer_id, col(Notification.read_at).is_(None)
    )
    which = col(Notification.id).in_(ids) if ids is not None else col(Notification.number) <= up_to_number
    await tx.session.execute(unread.where(which).values(read_at=tx.now))


async def delete_notification(tx: Transaction, viewer_id: UUID, notification_id: UUID) -> NotificationView:
    """Take a notification away, and give what it was. The numbers of the others stay.

    Raises:
        NotFound
    """
    found = await own_notifications(tx, viewer_id, [notification_id])
    if notification_id not in found:
        raise NotFound("notification", notification_id)
    await tx.session.execute(delete(Notification).where(col(Notification.id) == notification_id))
    return found[notification_id]


async def preferences_of(tx: Transaction, user_id: UUID) -> list[PreferenceView]:
    """How the person wants to be told of each kind, in the order of the kinds."""
    wishes: Sequence[NotificationPreference] = (
        await tx.session.scalars(
            select(NotificationPreference).where(col(NotificationPreference.user_id) == user_id)
        )
    ).all()
    own = {wish.kind: PreferenceView(wish.kind, wish.in_app, wish.sms) for wish in wishes}
    return [
        own.get(kind) or PreferenceView(kind, in_app=True, sms=kind in BY_SMS) for kind in NotificationKind
    ]


async def set_preference(tx: Transaction, viewer_id: UUID, wish: PreferenceView) -> None:
    """Say how the viewer wants to be told of a kind from now on.

    Raises:
        InvalidInput
    """
    if wish.sms and wish.kind not in BY_SMS:
        raise InvalidInput(
            "sms", "There are no text messages of this kind.", "문자로 보내지 않는 알림이에요."
        )
    table = table_of(NotificationPreference)
    values = {"in_app": wish.in_app, "sms": wish.sms}
    await tx.session.execute(
        insert(table)
        .values(user_id=viewer_id, kind=wish.kind, **values)
        .on_conflict_do_update(index_elements=[table.c.user_id, table.c.kind], set_=values)
    )


async def forget_notifications(tx: Transaction, created_before: datetime) -> int:
    """Drop what people were told before then, at most 10,000 at a time, and say how many."""
    old = select(col(Notification.id)).where(col(Notification.created_at) < created_before).limit(10_000)
    dropped = await tx.session.scalars(
        delete(Notification).where(col(Notification.id).in_(old)).returning(col(Notification.id))
    )
    return len(dropped.all())


async def erase(tx: Transaction, user_id: UUID) -> None:
    """Forget everything that a person was told, when they withdraw."""
    for table, owner in (
        (Notification, col(Notification.receiver_id)),
        (NotificationPreference, col(NotificationPreference.user_id)),
        (Mailbox, col(Mailbox.user_id)),
    ):
        await tx.session.execute(delete(table).where(owner == user_id))
