"""What every field of the schema can reach."""

import asyncio
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from models.errors import Language
from models.users import Role
from resolvers.sessions import Keys, Viewer, still_signed_in
from resolvers.transaction import Transaction, Transactions
from schema.faults import Forbidden, Unauthenticated
from schema.live import Live
from schema.loaders import Loaders

SEEN_FOR_S = 1.0
"""For so long a session that lived is believed to live."""

SESSION_ENDED = "The session behind this token has ended. Sign in again."


@dataclass
class Context:
    """Lives as long as its HTTP request, or as long as its whole WebSocket.

    That is why it holds the means to open a transaction and never a transaction, and why each operation gets
    a copy of its own with fresh loaders.
    """

    transactions: Transactions
    keys: Keys
    live: Live
    #: Who asks, for `signed_in` to tell.
    who: Viewer | None = None
    #: When the session was looked up last, by the clock of the loop.
    seen_at: float = 0.0
    #: Why the token that came with the request is not good; None when it is, or when there was none.
    token_problem: str | None = None
    language: Language = "ko"
    user_agent: str | None = None
    #: Where the client is; None when it came by no network.
    address: str | None = None
    #: The number after which a stream goes on that was interrupted; it goes before the argument `after`.
    resume_after: int | None = None
    #: Whether anything has depended on who asks. Of an event, what did not is the same for everybody.
    looked_at_viewer: bool = field(default=False, init=False)
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        self.loaders = Loaders(self.transactions, self.live.penalty_counts, self._viewer_id)

    @property
    def signed_in(self) -> Viewer | None:
        """Who asks; None when nobody is signed in. Whatever depends on it asks here, and it is noted."""
        self.looked_at_viewer = True
        return self.who

    @property
    def viewer(self) -> Viewer:
        """Who asks. The one place where a field learns it, and is refused when nobody is signed in.

        Raises:
            Unauthenticated
        """
        if self.signed_in is None:
            raise Unauthenticated(self.token_problem or "Sign in first: this needs an access token.")
        return self.signed_in

    @property
    def viewer_id(self) -> UUID:
        """The id of who asks.

        Raises:
            Unauthenticated
        """
        return self.viewer.user_id

    @property
    def administrator(self) -> Viewer:
        """Who asks, an administrator.

        Raises:
            Unauthenticated, Forbidden
        """
        if self.viewer.role is not Role.ADMIN:
            raise Forbidden("Only administrators can do this.")
        return self.viewer

    @property
    def expires_at(self) -> datetime | None:
        """When the token ends, and with it the socket that it opened; None without a token."""
        return self.who.expires_at if self.who else None

    @property
    def audience(self) -> Hashable:
        """What an answer may depend on beside the viewer."""
        return self.language

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction for a mutation."""
        return self.transactions.write()

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction for a query."""
        return self.transactions.read()

    async def for_operation(self) -> Self:
        """A copy for one operation of a socket, which remembers nothing of earlier ones.

        Whoever has signed out meanwhile, here or on another device, is nobody on this socket too: the end of
        a session ends its sockets, and is looked up here as well, unless that was done a moment ago.
        """
        now = asyncio.get_running_loop().time()
        if self.who is not None and now - self.seen_at > SEEN_FOR_S:
            async with self.read() as tx:
                self.who = await still_signed_in(tx, self.who)
            self.seen_at = now
            self.token_problem = None if self.who else SESSION_ENDED
        return replace(self)

    def for_event(self) -> Self:
        """A copy for one event of a stream, which remembers nothing of earlier ones."""
        return replace(self)

    def resumed_after(self, number: int) -> Self:
        """A copy for a stream that goes on after this number."""
        return replace(self, resume_after=number)

    async def until_over(self) -> str:
        """Wait until the viewer's session has ended, and say so. Without a session, wait for ever."""
        if self.who is None:
            return await asyncio.get_running_loop().create_future()
        await self.live.session_ends.until_ended(self.who.session_id)
        return SESSION_ENDED

    def _viewer_id(self) -> UUID | None:
        return self.signed_in.user_id if self.signed_in else None


Info = strawberry.Info[Context, None]
