"""Notifications: what a person is told, numbered for that person."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import INSTANT, Row, code, new_id, one_of
from models.errors import Language


class NotificationKind(StrEnum):
    """What a person can be told."""

    PARTY_CREATED = "PARTY_CREATED"
    PARTY_CANCELED = "PARTY_CANCELED"
    PARTY_CHANGED = "PARTY_CHANGED"
    PARTY_FULL = "PARTY_FULL"
    PARTY_DONE = "PARTY_DONE"
    CHAT_OPENED = "CHAT_OPENED"
    CHAT_MESSAGE = "CHAT_MESSAGE"
    JOIN_REQUESTED = "JOIN_REQUESTED"
    JOIN_ACCEPTED = "JOIN_ACCEPTED"
    JOIN_REJECTED = "JOIN_REJECTED"
    MEMBER_LEFT = "MEMBER_LEFT"
    MEMBER_REMOVED = "MEMBER_REMOVED"
    PENALTY_RECEIVED = "PENALTY_RECEIVED"
    PENALTY_REVOKED = "PENALTY_REVOKED"
    PENALTY_UPHELD = "PENALTY_UPHELD"
    DELIVERY_MATCHED = "DELIVERY_MATCHED"
    DELIVERY_UNMATCHED = "DELIVERY_UNMATCHED"
    DELIVERY_PICKED_UP = "DELIVERY_PICKED_UP"
    DELIVERY_DELIVERED = "DELIVERY_DELIVERED"
    DELIVERY_CANCELED = "DELIVERY_CANCELED"
    PURCHASE_SHIPPED = "PURCHASE_SHIPPED"
    PURCHASE_CONFIRM_REMINDER = "PURCHASE_CONFIRM_REMINDER"
    PURCHASE_CONFIRMED = "PURCHASE_CONFIRMED"


_SENTENCES: dict[NotificationKind, tuple[str, str]] = {
    NotificationKind.PARTY_CREATED: (
        "{market}에서 {item} 파티가 열렸어요.",
        "A party for {item} has opened at {market}.",
    ),
    NotificationKind.PARTY_CANCELED: (
        "{market} {item} 파티가 취소됐어요.",
        "The party for {item} at {market} was canceled.",
    ),
    NotificationKind.PARTY_CHANGED: (
        "{market} {item} 파티 정보가 바뀌었어요.",
        "The party for {item} at {market} has changed.",
    ),
    NotificationKind.PARTY_FULL: (
        "{market} {item} 파티의 자리가 모두 찼어요.",
        "The party for {item} at {market} is full.",
    ),
    NotificationKind.PARTY_DONE: (
        "{market} {item} 파티가 완료됐어요. 내 몫을 확인해 주세요.",
        "The party for {item} at {market} is done. See your share.",
    ),
    NotificationKind.CHAT_OPENED: (
        "{item} 파티 채팅이 열렸어요.",
        "The chat of the party for {item} is open.",
    ),
    NotificationKind.CHAT_MESSAGE: (
        "{item} 파티 채팅에 새 메시지가 있어요.",
        "There are new messages in the chat of the party for {item}.",
    ),
    NotificationKind.JOIN_REQUESTED: (
        "{actor} 님이 {item} 파티에 참가를 신청했어요.",
        "{actor} has asked to join your party for {item}.",
    ),
    NotificationKind.JOIN_ACCEPTED: (
        "{item} 파티 참가가 승인됐어요.",
        "You have a place in the party for {item}.",
    ),
    NotificationKind.JOIN_REJECTED: (
        "{item} 파티 참가가 거절됐어요.",
        "Your request to join the party for {item} was turned down.",
    ),
    NotificationKind.MEMBER_LEFT: (
        "{actor} 님이 {item} 파티에서 나갔어요.",
        "{actor} has left your party for {item}.",
    ),
    NotificationKind.MEMBER_REMOVED: (
        "파티장이 {item} 파티에서 회원님을 내보냈어요.",
        "The leader has removed you from the party for {item}.",
    ),
    NotificationKind.PENALTY_RECEIVED: (
        "{actor} 님이 {given_at} {item} 파티 노쇼로 페널티를 줬어요. 이유: {reason} · {until}까지 유지돼요.",
        "{actor} gave you a penalty on {given_at} for not coming to the party for {item}: {reason}"
        " · It counts until {until}.",
    ),
    NotificationKind.PENALTY_REVOKED: (
        "{item} 파티에서 받은 페널티가 취소됐어요. 이유: {reason}",
        "Your penalty from the party for {item} was revoked: {reason}",
    ),
    NotificationKind.PENALTY_UPHELD: (
        "이의를 검토했지만 {item} 파티에서 받은 페널티는 {until}까지 유지돼요. 이유: {reason}",
        "Your objection was considered. The penalty from the party for {item} counts until {until}: {reason}",
    ),
}
"""Korean and English; a kind that nobody is told of yet has none."""


def sentence(kind: NotificationKind, detail: Mapping[str, Any], actor: str | None, language: Language) -> str:
    """What a notification says to a person."""
    korean, english = _SENTENCES[kind]
    words = {name: _day(value, language) if name in _DAYS else value for name, value in detail.items()}
    return (korean if language == "ko" else english).format_map({"actor": actor, **words})


_DAYS = frozenset({"given_at", "until"})
"""Moments among the details."""
_SEOUL = timezone(timedelta(hours=9))


def _day(moment: str, language: Language) -> str:
    day = datetime.fromisoformat(moment).astimezone(_SEOUL)
    return f"{day.year}년 {day.month}월 {day.day}일" if language == "ko" else f"{day.day} {day:%B %Y}"


BY_SMS = frozenset({NotificationKind.PURCHASE_CONFIRM_REMINDER})
"""Kinds that also go out as a text message, unless a person wants otherwise."""


class SubjectKind(StrEnum):
    """What a notification can be about."""

    PARTY = "PARTY"
    CHAT = "CHAT"
    MEMBERSHIP = "MEMBERSHIP"
    PENALTY = "PENALTY"


class Mailbox(Row, table=True):
    """Counts what one person is told, so that the numbers have no gap. Made with the first notification."""

    __tablename__ = "mailboxes"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (CheckConstraint("last_number >= 0", name="last_number_positive"),)

    user_id: UUID = Field(primary_key=True, foreign_key="users.id")
    #: The newest notification's number. Raised under the row's lock; several are locked in the order of ids.
    last_number: int = 0


class Notification(Row, table=True):
    """Something that one person is told. Its sentence is made when it is read, in the reader's language."""

    __tablename__ = "notifications"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        Index("uq_notifications_receiver_id_number", "receiver_id", "number", unique=True),
        Index("ix_notifications_unread", "receiver_id", postgresql_where=text("read_at IS NULL")),
        Index("ix_notifications_created_at", "created_at"),
        one_of("kind", NotificationKind),
        one_of("subject_kind", SubjectKind),
        CheckConstraint("number >= 1", name="number_positive"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    receiver_id: UUID = Field(foreign_key="users.id")
    number: int
    kind: NotificationKind = Field(sa_type=code(NotificationKind))
    #: The party that it has to do with.
    party_id: UUID = Field(foreign_key="parties.id")
    #: What it is about. No foreign key: it may be gone.
    subject_kind: SubjectKind = Field(sa_type=code(SubjectKind))
    subject_id: UUID
    #: Who did it; None where nobody did.
    actor_id: UUID | None = Field(default=None, foreign_key="users.id")
    #: What the sentence needs as it was then: the names of item and market, reasons, and moments as text.
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(sa_type=INSTANT)
    read_at: datetime | None = Field(default=None, sa_type=INSTANT)


class NotificationPreference(Row, table=True):
    """How a person wants to be told of a kind, where it isn't as for everybody."""

    __tablename__ = "notification_preferences"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (one_of("kind", NotificationKind),)

    user_id: UUID = Field(primary_key=True, foreign_key="users.id")
    kind: NotificationKind = Field(primary_key=True, sa_type=code(NotificationKind))
    #: Without it, nothing is written at all.
    in_app: bool
    sms: bool
