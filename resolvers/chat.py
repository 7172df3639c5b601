"""Chats: opened for the members of a party, written by them and by the server, read as far as one may."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from models.base import new_id, table_of
from models.chat import Chat, ChatMessage, ChatMessageKind, ChatReader, valid_client_key, valid_text
from models.chat import Notice as Saying
from models.errors import ChatClosed, InvalidInput, NobodyToTalkTo, NotPartyMember
from models.memberships import Membership, MembershipStatus
from resolvers.chat_events import ChatOpened
from resolvers.chat_lines import lock_chat, open_for, say
from resolvers.chat_views import MESSAGE, ChatView, MessageView, event_data, message_of, select_messages
from resolvers.locks import lock_party
from resolvers.pages import PageOf
from resolvers.sql import run
from resolvers.telling import tell_message
from resolvers.transaction import Transaction
from resolvers.views import UserView
from subscriptions import channels
from subscriptions.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Part:
    """Which stretch of a chat: the first ones behind `after`, or the last ones before `before`."""

    count: int
    is_forward: bool
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class PartOfChat:
    """A stretch of a chat, the newest last, and whether there is more on either side."""

    messages: Sequence[MessageView]
    has_next: bool
    has_previous: bool


async def open_chat(tx: Transaction, viewer_id: UUID, party_id: UUID) -> ChatView:
    """Let the members talk, as the party's leader; a chat that was closed is opened again.

    Raises:
        NotFound, NotPartyLeader, PartyClosed, NobodyToTalkTo, ChatAlreadyOpen
    """
    party = await lock_party(tx, party_id)
    party.check_leader(viewer_id)
    chat = await lock_chat(tx, party_id)
    if chat is None or chat.closed_at is not None:
        party.check_live()
    if party.accepted_count < 2:
        raise NobodyToTalkTo
    if chat is None:
        await open_for(tx, party_id, viewer_id)
    else:
        chat.reopen()
        await tx.session.flush()
        await say(tx, party_id, Saying.OPENED)
        await tx.publish(ChatOpened(party_id, viewer_id))
    return await _read_back(tx, party_id)


async def close_chat(tx: Transaction, viewer_id: UUID, party_id: UUID) -> ChatView:
    """Make the chat read-only, as the party's leader.

    Raises:
        NotFound, NotPartyLeader, ChatClosed
    """
    party = await lock_party(tx, party_id)
    party.check_leader(viewer_id)
    chat = await lock_chat(tx, party_id)
    if chat is None:
        raise ChatClosed
    chat.close(tx.now)
    await tx.session.flush()
    await say(tx, party_id, Saying.CLOSED)
    return await _read_back(tx, party_id)


async def send_message(
    tx: Transaction,
    viewer_id: UUID,
    party_id: UUID,
    text: str,
    client_key: str | None = None,
    present: Collection[UUID] = (),
) -> MessageView:
    """Say something to the members. A repeated `client_key` answers with the first message.

    Members who are not `present` in the chat are told of it once, until they have read.

    Raises:
        NotFound, NotPartyMember, ChatClosed, InvalidInput
    """
    text, client_key = valid_text(text), valid_client_key(client_key)
    connection, id, channel = await tx.session.connection(), new_id(), channels.chat(party_id)
    written = (client_key, id, text, tx.now, channel, MESSAGE)
    rows: Sequence[Any] = ()
    try:
        rows = await run(connection, _SEND, party_id, viewer_id, *written, list(present))
    except IntegrityError:
        # The same message, sent twice at once: the other one was first.
        await tx.session.rollback()
    if not rows:
        return await _not_sent(tx, viewer_id, party_id, client_key)
    number, nickname, joined_at, receivers = rows[0]
    sender = UserView(viewer_id, nickname, joined_at)
    message = MessageView(id, party_id, number, ChatMessageKind.CHAT, None, text, tx.now, sender)
    tx.ring_stored(Envelope(MESSAGE, channel, number, event_data(message), id=id.hex))
    await tell_message(tx, party_id, receivers, viewer_id)
    return message


async def mark_read(tx: Transaction, viewer_id: UUID, party_id: UUID, number: int) -> ChatView:
    """Say that the viewer has read up to a number. It never goes back, and not beyond the last message.

    Raises:
        NotPartyMember, ChatClosed, InvalidInput
    """
    if not 0 <= number < 2**31:
        raise InvalidInput("number", "Give the number of a message.", "메시지 번호를 알려 주세요.")
    await check_member(tx, viewer_id, party_id)
    await run(await tx.session.connection(), _MARK_READ, party_id, viewer_id, number)
    return await _read_back(tx, party_id)


# Built once: every subscription asks this.
_PLACE_AND_HEAD = (
    select(col(Chat.last_number))
    .select_from(
        table_of(Membership).outerjoin(table_of(Chat), col(Chat.party_id) == col(Membership.party_id))
    )
    .where(
        col(Membership.party_id) == bindparam("party"),
        col(Membership.user_id) == bindparam("viewer"),
        col(Membership.status) == MembershipStatus.ACCEPTED,
    )
)


async def check_member(tx: Transaction, viewer_id: UUID, party_id: UUID) -> int:
    """See that the viewer may read the chat, and say the number of its last message, as of the same moment.

    Raises:
        NotPartyMember, ChatClosed
    """
    values = {"party": party_id, "viewer": viewer_id}
    rows: Sequence[Any] = (await tx.session.execute(_PLACE_AND_HEAD, values)).all()
    if not rows:
        raise NotPartyMember
    last_number: int | None = rows[0][0]
    if last_number is None:
        raise ChatClosed
    return last_number


async def check_open(tx: Transaction, viewer_id: UUID, party_id: UUID) -> ChatView:
    """The chat that the viewer may write to.

    Raises:
        NotPartyMember, ChatClosed
    """
    await check_member(tx, viewer_id, party_id)
    chat = await _read_back(tx, party_id)
    if not chat.is_open:
        raise ChatClosed
    return chat


async def chats_by_party(tx: Transaction, party_ids: Iterable[UUID]) -> dict[UUID, ChatView]:
    """Those of the parties' chats that have been opened."""
    chat = table_of(Chat)
    statement = select(chat.c.party_id, chat.c.last_number, chat.c.closed_at.is_(None)).where(
        chat.c.party_id.in_(party_ids)
    )
    return {row[0]: ChatView(*row) for row in await tx.session.execute(statement)}


async def readers_of(tx: Transaction, party_ids: Iterable[UUID]) -> dict[UUID, dict[UUID, int]]:
    """How far each accepted member has read, 0 for who has read nothing: by party, then by person."""
    membership, reader = table_of(Membership), table_of(ChatReader)
    same = and_(reader.c.party_id == membership.c.party_id, reader.c.user_id == membership.c.user_id)
    statement = (
        select(membership.c.party_id, membership.c.user_id, reader.c.read_number)
        .select_from(membership.outerjoin(reader, same))
        .where(membership.c.party_id.in_(party_ids), membership.c.status == MembershipStatus.ACCEPTED)
        .order_by(membership.c.party_id, membership.c.id)
    )
    marks: dict[UUID, dict[UUID, int]] = {}
    for party_id, user_id, number in await tx.session.execute(statement):
        marks.setdefault(party_id, {})[user_id] = number or 0
    return marks


async def messages_page(tx: Transaction, party_id: UUID, part: Part) -> PartOfChat:
    """A stretch of what was said, the newest last.

    Raises:
        MalformedCursor
    """
    number = col(ChatMessage.number)
    statement = select_messages().where(col(ChatMessage.party_id) == party_id)
    after, before = _number_in(part.after), _number_in(part.before)
    if after is not None:
        statement = statement.where(number > after)
    if before is not None:
        statement = statement.where(number < before)
    order = number if part.is_forward else number.desc()
    rows = (await tx.session.execute(statement.order_by(order).limit(part.count + 1))).all()
    messages = [message_of(row) for row in rows[: part.count]]
    has_more = len(rows) > part.count
    if part.is_forward:
        return PartOfChat(messages, has_next=has_more, has_previous=after is not None)
    return PartOfChat(messages[::-1], has_next=before is not None, has_previous=has_more)


async def messages_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, MessageView]:
    """Those of the messages that exist. Whether the viewer may read them is not looked at."""
    rows = await tx.session.execute(select_messages().where(col(ChatMessage.id).in_(ids)))
    return {message.id: message for message in map(message_of, rows)}


def _number_in(cursor: str | None) -> int | None:
    key = PageOf(after=cursor).key(int)
    return None if key is None else key[0]


async def _not_sent(tx: Transaction, viewer_id: UUID, party_id: UUID, client_key: str | None) -> MessageView:
    """Find out why: the member has gone, the chat is closed, or the message was there already."""
    await check_member(tx, viewer_id, party_id)
    if client_key is not None:
        first = select_messages().where(
            col(ChatMessage.party_id) == party_id,
            col(ChatMessage.sender_id) == viewer_id,
            col(ChatMessage.client_key) == client_key,
        )
        if (row := (await tx.session.execute(first)).one_or_none()) is not None:
            return message_of(row)
    raise ChatClosed


async def _read_back(tx: Transaction, party_id: UUID) -> ChatView:
    return (await chats_by_party(tx, [party_id]))[party_id]


_SEND = """
    WITH member AS (
        -- Held until the commit: who is leaving at this moment either waits for us, or we for them.
        SELECT party_id FROM memberships
        WHERE party_id = $1 AND user_id = $2 AND status = 'ACCEPTED'
        FOR SHARE
    ),
    raised AS (
        UPDATE chats SET last_number = last_number + 1
        FROM member
        WHERE chats.party_id = member.party_id AND closed_at IS NULL AND NOT EXISTS (
            SELECT FROM chat_messages AS same
            WHERE same.party_id = $1 AND same.sender_id = $2 AND same.client_key = $3
        )
        RETURNING last_number
    ),
    message AS (
        INSERT INTO chat_messages (id, party_id, number, kind, sender_id, text, client_key, sent_at)
        SELECT $4, $1, last_number, 'CHAT', $2, $5, $3, $6 FROM raised
        RETURNING number
    ),
    rung AS (
        INSERT INTO outbox (id, channel, kind, number) SELECT $4, $7, $8, number FROM message
    ),
    read AS (
        INSERT INTO chat_readers AS reader (party_id, user_id, read_number, notified_number)
        SELECT $1, $2, number, 0 FROM message
        ON CONFLICT (party_id, user_id) DO UPDATE
        SET read_number = greatest(reader.read_number, EXCLUDED.read_number)
    ),
    told AS (
        INSERT INTO chat_readers AS reader (party_id, user_id, read_number, notified_number)
        SELECT $1, user_id, 0, message.number
        FROM message, memberships
        WHERE memberships.party_id = $1 AND status = 'ACCEPTED'
            AND user_id <> $2 AND user_id <> ALL ($9::uuid[])
            AND NOT EXISTS (
                SELECT FROM chat_readers AS known
                WHERE known.party_id = $1 AND known.user_id = memberships.user_id
                    AND known.notified_number > known.read_number
            )
        ORDER BY user_id
        ON CONFLICT (party_id, user_id) DO UPDATE SET notified_number = EXCLUDED.notified_number
            WHERE reader.notified_number <= reader.read_number
        RETURNING user_id
    )
    SELECT message.number, nickname, created_at, ARRAY (SELECT user_id FROM told)
    FROM message, users WHERE users.id = $2
"""

_MARK_READ = """
    INSERT INTO chat_readers AS reader (party_id, user_id, read_number, notified_number)
    SELECT $1, $2, least($3, last_number), 0 FROM chats WHERE party_id = $1
    ON CONFLICT (party_id, user_id) DO UPDATE
    SET read_number = greatest(reader.read_number, EXCLUDED.read_number)
"""
