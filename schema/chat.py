"""Chats: what the members of a party say to each other. `schema.chat_verbs` has what they do there."""

from collections.abc import Hashable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from models import errors
from models.memberships import MembershipStatus
from resolvers import chat as resolvers
from resolvers.chat_views import ChatView, MessageView
from resolvers.pages import LARGEST_PAGE, cursor_of
from schema import ids
from schema.context import Info
from schema.enums import ChatMessageKind
from schema.faults import BadInput
from schema.nodes import Node
from schema.pages import Connection, Edge, PageInfo
from schema.users import User
from subscriptions.presence import PresenceState

if TYPE_CHECKING:
    from schema.parties import Party


@strawberry.type(description="Something said in a chat, by a member or by the server.")
class ChatMessage(Node):
    """See models.chat."""

    view: strawberry.Private[MessageView]
    number: int = strawberry.field(
        description="1, 2, 3 … without a gap within a chat: order, cursor and resume point in one."
    )
    kind: ChatMessageKind = strawberry.field(description="Who speaks.")
    sender: User | None = strawberry.field(
        description="Who wrote it, or whom JOINED and LEFT are about; null where the server speaks."
    )
    sent_at: datetime = strawberry.field(description="When.")

    @classmethod
    def of(cls, view: MessageView) -> "ChatMessage":
        """Wrap what a resolver or a live event has brought."""
        return cls(
            id=ids.encode("ChatMessage", view.id),
            view=view,
            number=view.number,
            kind=view.kind,
            sender=User.of(view.sender) if view.sender else None,
            sent_at=view.sent_at,
        )

    @property
    def shared_as(self) -> Hashable:
        """The same for everybody in the chat."""
        return self.view.id

    @property
    def resume_point(self) -> int:
        """The number to go on after."""
        return self.number

    @strawberry.field(
        description="As written: show it as text, not as HTML. What the server says is in the language of "
        "Accept-Language."
    )
    def text(self, info: Info) -> str:
        """What the server says is put into words for the reader."""
        view = self.view
        nickname = view.sender.nickname if view.sender else None
        return view.notice.text(nickname, info.context.language) if view.notice else view.text


@strawberry.type(description="How far a member has read.")
class ReadMark:
    """See models.chat."""

    user_key: strawberry.Private[UUID]
    number: int = strawberry.field(description="The last message read; 0 before the first.")

    @strawberry.field(description="The member.")
    async def user(self, info: Info) -> User:
        """One look-up for all the marks of the operation."""
        return await _user(info, self.user_key)


@strawberry.type(description="The chat of a party, for its accepted members.")
class Chat(Node):
    """See models.chat."""

    view: strawberry.Private[ChatView]
    is_open: bool = strawberry.field(description="Whether members can write. Closed, it can still be read.")
    last_number: int = strawberry.field(description="The number of the newest message.")

    @classmethod
    def of(cls, view: ChatView) -> "Chat":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Chat", view.party_id),
            view=view,
            is_open=view.is_open,
            last_number=view.last_number,
        )

    @strawberry.field(description="Whose chat it is.")
    async def party(self, info: Info) -> Annotated["Party", strawberry.lazy("schema.parties")]:
        """One look-up for all the chats of the operation."""
        from schema.parties import Party  # which knows chats: a circle, closed when it is used

        view = await info.context.loaders.party.load(self.view.party_id)
        if view is None:
            raise errors.NotFound("party", self.view.party_id)
        return Party.of(view)

    @strawberry.field(
        description="What was said, the newest last: the last ones before `before`, or, with `first`, the "
        "first ones behind `after`. What was said before a member was accepted is there too."
    )
    async def messages(
        self,
        info: Info,
        last: Annotated[
            int | None, strawberry.argument(description="How many at most, 1 to 100; not with `first`.")
        ] = 50,
        before: Annotated[str | None, strawberry.argument(description="A cursor: go back from it.")] = None,
        first: Annotated[
            int | None, strawberry.argument(description="How many at most, 1 to 100, from the oldest on.")
        ] = None,
        after: Annotated[str | None, strawberry.argument(description="A cursor: go on behind it.")] = None,
    ) -> Connection[ChatMessage]:
        """Open, call, wrap."""
        count = (50 if last is None else last) if first is None else first
        if not 1 <= count <= LARGEST_PAGE:
            raise BadInput(f"`first` and `last` go from 1 to {LARGEST_PAGE}.")
        part = resolvers.Part(count, first is not None, after, before)
        async with info.context.read() as tx:
            found = await resolvers.messages_page(tx, self.view.party_id, part)
        return _connection(found)

    @strawberry.field(description="Messages that the viewer has not read.")
    async def unread_count(self, info: Info) -> int:
        """One look-up for all the chats of the operation."""
        marks = await info.context.loaders.readers.load(self.view.party_id) or {}
        return max(0, self.view.last_number - marks.get(info.context.viewer_id, 0))

    @strawberry.field(description="How far each accepted member has read.")
    async def read_marks(self, info: Info) -> list[ReadMark]:
        """One look-up for all the chats of the operation."""
        marks = await info.context.loaders.readers.load(self.view.party_id) or {}
        return [ReadMark(user_key=user_id, number=number) for user_id, number in marks.items()]

    @strawberry.field(description="Who has the chat open at this moment, as far as is known.")
    async def present(self, info: Info) -> list[User]:
        """From Redis; nobody when it is away."""
        present = await info.context.live.presence.present(self.view.party_id)
        return [await _user(info, user_id) for user_id in sorted(present)]


@strawberry.type(description="Who has a chat open, and who is writing: the state now, nothing of it is kept.")
class ChatPresence:
    """See subscriptions.presence."""

    party_key: strawberry.Private[UUID]
    state: strawberry.Private[PresenceState]

    @property
    def shared_as(self) -> Hashable:
        """The same for everybody in the chat."""
        return self.party_key, self.state

    @property
    def resume_point(self) -> None:
        """There is nothing to resume."""
        return

    @strawberry.field(description="Who is writing; forgotten 5 seconds after setTyping.")
    async def typing(self, info: Info) -> list[User]:
        """One look-up for all of them."""
        return [await _user(info, user_id) for user_id in self.state.typing]

    @strawberry.field(description="Who has the chat open.")
    async def present(self, info: Info) -> list[User]:
        """One look-up for all of them."""
        return [await _user(info, user_id) for user_id in self.state.present]


def _connection(found: resolvers.PartOfChat) -> Connection[ChatMessage]:
    cursors = [cursor_of((message.number,)) for message in found.messages]
    edges = [
        Edge(cursor=cursor, node=ChatMessage.of(message))
        for cursor, message in zip(cursors, found.messages, strict=True)
    ]
    start, end = (cursors[0], cursors[-1]) if cursors else (None, None)
    return Connection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=found.has_next,
            has_previous_page=found.has_previous,
            start_cursor=start,
            end_cursor=end,
        ),
    )


async def chat_of(info: Info, party_id: UUID) -> Chat | None:
    """The party's chat, for an accepted member of it; None for others, and before it is opened."""
    membership = await info.context.loaders.viewer_membership.load(party_id)
    if membership is None or membership.status is not MembershipStatus.ACCEPTED:
        return None
    view = await info.context.loaders.chat.load(party_id)
    return Chat.of(view) if view else None


async def _user(info: Info, user_id: UUID) -> User:
    view = await info.context.loaders.user.load(user_id)
    if view is None:
        raise errors.NotFound("user", user_id)
    return User.of(view)
