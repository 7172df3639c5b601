"""What a reader sees of chats, read from rows or from live events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from models.base import table_of
from models.chat import ChatMessage, ChatMessageKind, Notice
from models.users import User
from resolvers.views import UserView
from subscriptions.envelope import Envelope

MESSAGE = "message"
"""The kind of envelope that brings a message."""


@dataclass(slots=True)
class ChatView:
    """A chat of a party."""

    party_id: UUID
    last_number: int
    is_open: bool


@dataclass(slots=True)
class MessageView:
    """Something said in a chat. Of the server's own, `sender` is whom it is about."""

    id: UUID
    party_id: UUID
    number: int
    kind: ChatMessageKind
    notice: Notice | None
    text: str
    sent_at: datetime
    sender: UserView | None


def select_messages() -> Select[Any]:
    """Messages with their senders; read with `message_of`."""
    message, user = table_of(ChatMessage), table_of(User)
    columns = [message.c[name] for name in ("id", "party_id", "number", "kind", "notice", "text", "sent_at")]
    columns += [user.c[name] for name in ("id", "nickname", "created_at")]
    return select(*columns).select_from(message.outerjoin(user, user.c.id == message.c.sender_id))


def message_of(row: Sequence[Any]) -> MessageView:
    """Read a row of `select_messages`, or one of the driver's with the same columns."""
    id, party_id, number, kind, notice, text, sent_at, *sender = row
    return MessageView(
        id,
        party_id,
        number,
        ChatMessageKind(kind),
        Notice(notice) if notice is not None else None,
        text,
        sent_at,
        UserView(*sender) if sender[0] is not None else None,
    )


def event_data(message: MessageView) -> dict[str, Any]:
    """A message as a live event brings it; its chat and its number are the envelope's."""
    sender = message.sender
    return {
        "id": message.id.hex,
        "party": message.party_id.hex,
        "kind": message.kind,
        "notice": message.notice,
        "text": message.text,
        "at": message.sent_at.isoformat(),
        "sender": sender and [sender.id.hex, sender.nickname, sender.created_at.isoformat()],
    }


def message_from(event: Envelope) -> MessageView | None:
    """Read what a live event brings; None when it brings nothing, or what this version does not know."""
    match event.data:
        case {
            "id": str(id),
            "party": str(party),
            "kind": str(kind),
            "notice": str() | None as notice,
            "text": str(text),
            "at": str(at),
            "sender": [str(), str(), str()] | None as sender,
        } if event.number is not None:
            try:
                return MessageView(
                    UUID(id),
                    UUID(party),
                    event.number,
                    ChatMessageKind(kind),
                    Notice(notice) if notice is not None else None,
                    text,
                    datetime.fromisoformat(at),
                    _user_from(sender) if sender is not None else None,
                )
            except ValueError:
                return None
        case _:
            return None


def _user_from(fields: Sequence[str]) -> UserView:
    id, nickname, created_at = fields
    return UserView(UUID(id), nickname, datetime.fromisoformat(created_at))
