"""Chats: what the members of a party say to each other."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from models.base import INSTANT, Row, code, new_id, one_of
from models.errors import ChatAlreadyOpen, ChatClosed, InvalidInput, Language
from models.text import cleaned

LONGEST_TEXT = 2_000
LONGEST_KEY = 100


class ChatMessageKind(StrEnum):
    """Who speaks: a member, or the server about a member, or about the party."""

    CHAT = "CHAT"
    JOINED = "JOINED"
    LEFT = "LEFT"
    SYSTEM = "SYSTEM"


class Notice(StrEnum):
    """What the server says in a chat."""

    JOINED = "JOINED"
    LEFT = "LEFT"
    REMOVED = "REMOVED"
    OPENED = "OPENED"
    CLOSED = "CLOSED"
    CHANGED = "CHANGED"
    FULL = "FULL"
    CANCELED = "CANCELED"
    DONE = "DONE"

    @property
    def kind(self) -> ChatMessageKind:
        """The kind of message that says it."""
        return _KINDS.get(self, ChatMessageKind.SYSTEM)

    def text(self, nickname: str | None, language: Language) -> str:
        """The sentence for people; `nickname` is of the member whom it is about."""
        korean, english = _SENTENCES[self]
        return (korean if language == "ko" else english).format(name=nickname)


_KINDS = {
    Notice.JOINED: ChatMessageKind.JOINED,
    Notice.LEFT: ChatMessageKind.LEFT,
    Notice.REMOVED: ChatMessageKind.LEFT,
}

_SENTENCES = {
    Notice.JOINED: ("{name} 님이 들어왔어요.", "{name} has joined."),
    Notice.LEFT: ("{name} 님이 나갔어요.", "{name} has left."),
    Notice.REMOVED: ("파티장이 {name} 님을 내보냈어요.", "{name} was removed by the leader."),
    Notice.OPENED: ("채팅이 열렸어요. 반갑게 인사해 보세요!", "The chat is open. Say hello!"),
    Notice.CLOSED: (
        "채팅이 닫혔어요. 지난 대화는 계속 볼 수 있어요.",
        "The chat is closed. It can still be read.",
    ),
    Notice.CHANGED: ("파티 정보가 바뀌었어요. 확인해 주세요.", "The party has changed. Have a look."),
    Notice.FULL: ("자리가 모두 찼어요.", "Every place is taken."),
    Notice.CANCELED: ("파티가 취소됐어요.", "The party was canceled."),
    Notice.DONE: ("파티가 완료됐어요.", "The party is done."),
}


class Chat(Row, table=True):
    """The chat of a party. Closed, it can still be read."""

    __tablename__ = "chats"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (CheckConstraint("last_number >= 0", name="last_number_positive"),)

    party_id: UUID = Field(primary_key=True, foreign_key="parties.id")
    #: The number of the newest message. Raised under the row's lock, so that numbers have no gap.
    last_number: int = 0
    opened_at: datetime = Field(sa_type=INSTANT)
    closed_at: datetime | None = Field(default=None, sa_type=INSTANT)

    def close(self, now: datetime) -> None:
        """Make it read-only. The caller holds the row lock.

        Raises:
            ChatClosed
        """
        if self.closed_at is not None:
            raise ChatClosed
        self.closed_at = now

    def reopen(self) -> None:
        """Let people write again. The caller holds the row lock.

        Raises:
            ChatAlreadyOpen
        """
        if self.closed_at is None:
            raise ChatAlreadyOpen
        self.closed_at = None


class ChatMessage(Row, table=True):
    """Something said in a chat, by a member or by the server. Never changed."""

    __tablename__ = "chat_messages"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        Index("uq_chat_messages_party_id_number", "party_id", "number", unique=True),
        Index(
            "uq_chat_messages_client_key",
            "party_id",
            "sender_id",
            "client_key",
            unique=True,
            postgresql_where=text("client_key IS NOT NULL"),
        ),
        one_of("kind", ChatMessageKind),
        one_of("notice", Notice),
        CheckConstraint("number >= 1", name="number_positive"),
        CheckConstraint("(kind = 'CHAT') = (notice IS NULL)", name="server_has_notice"),
        CheckConstraint("kind = 'SYSTEM' OR sender_id IS NOT NULL", name="has_sender"),
        CheckConstraint("(kind = 'CHAT') = (text <> '')", name="members_have_text"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    party_id: UUID = Field(foreign_key="chats.party_id")
    number: int
    kind: ChatMessageKind = Field(sa_type=code(ChatMessageKind))
    #: What the server says; the sentence is made when it is read, in the reader's language.
    notice: Notice | None = Field(default=None, sa_type=code(Notice))
    #: Who wrote it, or whom the server speaks of.
    sender_id: UUID | None = Field(default=None, foreign_key="users.id")
    text: str = Field(max_length=LONGEST_TEXT)
    #: Chosen by the client, so that a message sent twice is one.
    client_key: str | None = Field(default=None, max_length=LONGEST_KEY)
    sent_at: datetime = Field(sa_type=INSTANT)


class ChatReader(Row, table=True):
    """How far a member has read a chat, and been told of it."""

    __tablename__ = "chat_readers"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        CheckConstraint("read_number >= 0 AND notified_number >= 0", name="numbers_positive"),
    )

    party_id: UUID = Field(primary_key=True, foreign_key="chats.party_id")
    user_id: UUID = Field(primary_key=True, foreign_key="users.id")
    #: The number of the last message that the member has read.
    read_number: int = 0
    #: The message that the member was last notified of: above `read_number`, there is no need to again.
    notified_number: int = 0


def valid_text(value: str) -> str:
    """A message as it is stored: 1 to 2,000 characters after trimming, newlines among them.

    Raises:
        InvalidInput
    """
    return cleaned("text", value, at_most=LONGEST_TEXT, multiline=True)


def valid_client_key(value: str | None) -> str | None:
    """The key unchanged: 1 to 100 printable characters.

    Raises:
        InvalidInput
    """
    if value is not None and not (1 <= len(value) <= LONGEST_KEY and value.isprintable()):
        raise InvalidInput(
            "clientKey",
            f"Use 1 to {LONGEST_KEY} printable characters.",
            f"1자에서 {LONGEST_KEY}자까지 쓸 수 있어요.",
        )
    return value
