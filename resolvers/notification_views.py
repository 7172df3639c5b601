"""What a person sees of a notification."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Select, select

from models.base import table_of
from models.notifications import Notification, NotificationKind, SubjectKind
from models.users import User


@dataclass(slots=True)
class NotificationView:
    """Something that one person is told, with the nickname of who did it, as it is now."""

    id: UUID
    number: int
    kind: NotificationKind
    party_id: UUID
    subject_kind: SubjectKind
    subject_id: UUID
    detail: dict[str, Any]
    created_at: datetime
    read_at: datetime | None
    actor: str | None


_COLUMNS = (
    "id",
    "number",
    "kind",
    "party_id",
    "subject_kind",
    "subject_id",
    "detail",
    "created_at",
    "read_at",
)


def select_notifications() -> Select[Any]:
    """Notifications; read with `notification_of`."""
    note, actor = table_of(Notification), table_of(User)
    columns = [note.c[name] for name in _COLUMNS]
    return select(*columns, actor.c.nickname).select_from(
        note.outerjoin(actor, actor.c.id == note.c.actor_id)
    )


def notification_of(row: Sequence[Any]) -> NotificationView:
    """Read a row of `select_notifications`, or one of the driver's with the same columns."""
    id, number, kind, party_id, subject_kind, subject_id, detail, created_at, read_at, actor = row
    return NotificationView(
        id,
        number,
        NotificationKind(kind),
        party_id,
        SubjectKind(subject_kind),
        subject_id,
        orjson.loads(detail) if isinstance(detail, str) else detail,
        created_at,
        read_at,
        actor,
    )
