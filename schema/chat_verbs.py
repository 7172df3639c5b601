"""What members do in chats, and what they hear of them live."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

import strawberry

from models.chat import ChatMessageKind as Kind
from resolvers import chat as resolvers
from resolvers.chat_views import MessageView, message_from
from schema import ids
from schema.chat import Chat, ChatMessage, ChatPresence
from schema.context import Context, Info
from schema.errors import (
    ChatAlreadyOpen,
    ChatClosed,
    InvalidInput,
    NobodyToTalkTo,
    NotFound,
    NotPartyLeader,
    NotPartyMember,
    PartyClosed,
)
from schema.resuming import AfterNumber, resume_point
from subscriptions import channels
from subscriptions.decoding import Decoded
from subscriptions.ending import until
from subscriptions.envelope import Envelope
from subscriptions.feed import Page, ReadAfter, follow


@strawberry.input(description="Whose chat to open.")
class OpenChatInput:
    """Input of openChat."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")


@strawberry.input(description="Whose chat to close.")
class CloseChatInput:
    """Input of closeChat."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")


@strawberry.input(description="What to say, and where.")
class SendChatMessageInput:
    """Input of sendChatMessage."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")
    text: str = strawberry.field(description="1 to 2,000 characters after trimming; newlines are kept.")
    client_key: str | None = strawberry.field(
        default=None,
        description="1 to 100 characters of the client's choice, other ones for each message: whoever sends "
        "again with the same key gets the first message back.",
    )


@strawberry.input(description="How far the viewer has read.")
class MarkChatReadInput:
    """Input of markChatRead."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")
    number: int = strawberry.field(description="The last message read. A lower one than before is no news.")


@strawberry.input(description="Whether the viewer is writing.")
class SetTypingInput:
    """Input of setTyping."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")
    is_typing: bool = strawberry.field(description="True every few seconds while it lasts; false at its end.")


OpenChatResult = Annotated[
    Chat | NotFound | NotPartyLeader | PartyClosed | NobodyToTalkTo | ChatAlreadyOpen,
    strawberry.union("OpenChatResult", description="The chat, open, or why not."),
]
CloseChatResult = Annotated[
    Chat | NotFound | NotPartyLeader | ChatClosed,
    strawberry.union("CloseChatResult", description="The chat, read-only, or why not."),
]
SendChatMessageResult = Annotated[
    ChatMessage | NotPartyMember | ChatClosed | InvalidInput,
    strawberry.union("SendChatMessageResult", description="The message, or why there is none."),
]
MarkChatReadResult = Annotated[
    Chat | NotPartyMember | ChatClosed | InvalidInput,
    strawberry.union("MarkChatReadResult", description="The chat, or why not."),
]
SetTypingResult = Annotated[
    Chat | NotPartyMember | ChatClosed,
    strawberry.union("SetTypingResult", description="The chat, or why not."),
]


@strawberry.type
class ChatMutation:
    """Fields of Mutation."""

    @strawberry.mutation(
        description="Let the members talk, once one more than the leader has a place. A party that is full "
        "opens its chat by itself. A closed chat is opened again. The leader alone can."
    )
    async def open_chat(
        self, info: Info, input: Annotated[OpenChatInput, strawberry.argument(description="Which chat.")]
    ) -> OpenChatResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            chat = await resolvers.open_chat(tx, info.context.viewer_id, ids.decode("Party", input.party_id))
        return Chat.of(chat)

    @strawberry.mutation(description="Make the chat read-only. The leader alone can.")
    async def close_chat(
        self, info: Info, input: Annotated[CloseChatInput, strawberry.argument(description="Which chat.")]
    ) -> CloseChatResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            chat = await resolvers.close_chat(tx, info.context.viewer_id, ids.decode("Party", input.party_id))
        return Chat.of(chat)

    @strawberry.mutation(description="Say something to the members of a party.")
    async def send_chat_message(
        self, info: Info, input: Annotated[SendChatMessageInput, strawberry.argument(description="What.")]
    ) -> SendChatMessageResult:
        """Open, call, wrap."""
        viewer_id, party_id = info.context.viewer_id, ids.decode("Party", input.party_id)
        present = await info.context.live.presence.present(party_id)
        async with info.context.write() as tx:
            message = await resolvers.send_message(
                tx, viewer_id, party_id, input.text, input.client_key, present
            )
        return ChatMessage.of(message)

    @strawberry.mutation(description="Say how far the viewer has read.")
    async def mark_chat_read(
        self, info: Info, input: Annotated[MarkChatReadInput, strawberry.argument(description="How far.")]
    ) -> MarkChatReadResult:
        """Open, call, wrap."""
        party_id = ids.decode("Party", input.party_id)
        async with info.context.write() as tx:
            chat = await resolvers.mark_read(tx, info.context.viewer_id, party_id, input.number)
        return Chat.of(chat)

    @strawberry.mutation(description="Show the other members that the viewer is writing, for 5 seconds.")
    async def set_typing(
        self, info: Info, input: Annotated[SetTypingInput, strawberry.argument(description="Whether.")]
    ) -> SetTypingResult:
        """Open, call, wrap."""
        viewer_id, party_id = info.context.viewer_id, ids.decode("Party", input.party_id)
        async with info.context.read() as tx:
            chat = await resolvers.check_open(tx, viewer_id, party_id)
        await info.context.live.presence.set_typing(party_id, viewer_id, input.is_typing)
        return Chat.of(chat)


@strawberry.type
class ChatSubscription:
    """Fields of Subscription."""

    @strawberry.subscription(
        description="Every message numbered above `after`, once each, in order, then live ones. Accepted "
        "members only: the stream ends behind the message of the viewer's own departure. Whoever listens is "
        "present in the chat."
    )
    async def chat_messages(
        self,
        info: Info,
        party_id: Annotated[strawberry.ID, strawberry.argument(description="The party's id.")],
        after: AfterNumber = None,
    ) -> AsyncGenerator[ChatMessage, None]:
        """Check, be present, follow."""
        context, key = info.context, ids.decode("Party", party_id)
        head, after = await _head(context, key), resume_point(context, after)
        # From the same moment on as the look at the viewer's place: a departure since then is still to come.
        messages = _messages(context, key, head, head if after is None else min(after, head))
        async with context.live.presence.entered(key, context.viewer_id), aclosing(messages):
            async for message in messages:
                yield message

    @strawberry.subscription(
        description="Who has the chat open and who is writing: the state now, then each new one. Accepted "
        "members only. Nothing of it is kept, and states in between may be left out."
    )
    async def chat_presence(
        self,
        info: Info,
        party_id: Annotated[strawberry.ID, strawberry.argument(description="The party's id.")],
    ) -> AsyncGenerator[ChatPresence, None]:
        """Check, then follow until the viewer departs."""
        context, key = info.context, ids.decode("Party", party_id)
        departed = _departed(context, key, await _head(context, key))
        states = until(departed, context.live.presence.changes(key))
        async with aclosing(states):
            async for state in states:
                yield ChatPresence(party_key=key, state=state)


async def _head(context: Context, party_id: UUID) -> int:
    """The number of the last message at this moment, for somebody who may read it.

    Raises:
        NotPartyMember, ChatClosed
    """
    async with context.read() as tx:
        return await resolvers.check_member(tx, context.viewer_id, party_id)


async def _messages(
    context: Context, party_id: UUID, head: int, after: int
) -> AsyncGenerator[ChatMessage, None]:
    """Messages, up to the one that says that the viewer has gone; `head` was the last when they began."""
    live, channel, viewer_id = context.live, channels.chat(party_id), context.viewer_id
    messages = follow(live.hub, channel, after, _reads(live.messages.of(channel)), _decoded)
    async with aclosing(messages):
        async for message in messages:
            yield message
            if message.kind is Kind.LEFT and message.number > head and _is_about(message, viewer_id):
                return


async def _departed(context: Context, party_id: UUID, head: int) -> None:
    """Return when the viewer has no place in the party any more."""
    async with aclosing(_messages(context, party_id, head, head)) as messages:
        async for _ in messages:
            pass


def _is_about(message: ChatMessage, user_id: UUID) -> bool:
    return message.sender is not None and message.sender.key == user_id


def _reads(read_after: ReadAfter[MessageView]) -> ReadAfter[ChatMessage]:
    async def read(after: int | None) -> Page[ChatMessage]:
        page = await read_after(after)
        return Page([ChatMessage.of(view) for view in page.rows], page.cursor, page.has_more)

    return read


def _message_from(event: Envelope) -> ChatMessage | None:
    view = message_from(event)
    return ChatMessage.of(view) if view else None


_decoded = Decoded(_message_from)
