"""What the server says in chats: companions of what happens to a party."""

from uuid import UUID

from models.base import new_id
from models.chat import Chat
from models.chat import Notice as Saying
from resolvers.chat_events import ChatOpened
from resolvers.chat_views import MESSAGE, MessageView, event_data
from resolvers.events import accompanies
from resolvers.locks import lock_party
from resolvers.party_events import (
    MemberAccepted,
    MemberLeft,
    MemberRemoved,
    PartyCanceled,
    PartyChanged,
    PartyCompleted,
    PartyFilled,
)
from resolvers.sql import run
from resolvers.transaction import Transaction
from resolvers.views import UserView
from subscriptions import channels
from subscriptions.envelope import Envelope


async def say(tx: Transaction, party_id: UUID, saying: Saying, about: UUID | None = None) -> None:
    """Let the server speak in a chat, if there is one; also when it is closed to members."""
    await tx.session.flush()  # what was just decided comes before what is said of it
    connection, id = await tx.session.connection(), new_id()
    for number, nickname, joined_at in await run(
        connection, _SAY, party_id, id, saying.kind.value, saying.value, about, tx.now
    ):
        sender = UserView(about, nickname, joined_at) if about is not None else None
        message = MessageView(id, party_id, number, saying.kind, saying, "", tx.now, sender)
        tx.ring(Envelope(MESSAGE, channels.chat(party_id), number, event_data(message)))


@accompanies(MemberAccepted)
async def say_joined(tx: Transaction, event: MemberAccepted) -> None:
    """Everybody sees who has come in."""
    await say(tx, event.party_id, Saying.JOINED, event.user_id)


@accompanies(MemberLeft)
async def say_left(tx: Transaction, event: MemberLeft) -> None:
    """The last that the person reads: their streams end behind it."""
    await say(tx, event.party_id, Saying.LEFT, event.user_id)


@accompanies(MemberRemoved)
async def say_removed(tx: Transaction, event: MemberRemoved) -> None:
    """The last that the person reads: their streams end behind it."""
    await say(tx, event.party_id, Saying.REMOVED, event.user_id)


@accompanies(PartyFilled)
async def open_when_full(tx: Transaction, event: PartyFilled) -> None:
    """A party that is full needs no word of its leader to talk; one that the leader closed stays closed."""
    await tx.session.flush()
    if await lock_chat(tx, event.party_id) is not None:
        await say(tx, event.party_id, Saying.FULL)
    elif (await lock_party(tx, event.party_id)).accepted_count >= 2:
        await open_for(tx, event.party_id, None)


@accompanies(PartyChanged)
async def say_changed(tx: Transaction, event: PartyChanged) -> None:
    """Where it is of a kind that members are told of."""
    if event.fields:
        await say(tx, event.party_id, Saying.CHANGED)


@accompanies(PartyCanceled)
async def say_canceled(tx: Transaction, event: PartyCanceled) -> None:
    """Members may go on talking."""
    await say(tx, event.party_id, Saying.CANCELED)


@accompanies(PartyCompleted)
async def say_done(tx: Transaction, event: PartyCompleted) -> None:
    """Members may go on talking, until everybody has their share."""
    await say(tx, event.party_id, Saying.DONE)


async def open_for(tx: Transaction, party_id: UUID, actor_id: UUID | None) -> None:
    """Make the chat of a party that has none; the caller holds the lock on the party."""
    tx.session.add(Chat(party_id=party_id, opened_at=tx.now))
    await say(tx, party_id, Saying.OPENED)
    await tx.publish(ChatOpened(party_id, actor_id))


async def lock_chat(tx: Transaction, party_id: UUID) -> Chat | None:
    """The chat's row, held until the transaction ends: messages queue here. None before it is opened."""
    return await tx.session.get(Chat, party_id, with_for_update={"key_share": True}, populate_existing=True)


_SAY = """
    WITH raised AS (
        UPDATE chats SET last_number = last_number + 1 WHERE party_id = $1 RETURNING last_number
    ),
    message AS (
        INSERT INTO chat_messages (id, party_id, number, kind, notice, sender_id, text, sent_at)
        SELECT $2, $1, last_number, $3, $4, $5, '', $6 FROM raised
        RETURNING number
    )
    SELECT message.number, nickname, created_at FROM message LEFT JOIN users ON users.id = $5
"""
