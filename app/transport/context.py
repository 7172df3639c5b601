"""What the composition root hands to the transports."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime
from typing import Any, Protocol, Self, runtime_checkable

from graphql import GraphQLError
from starlette.requests import HTTPConnection


class OperationContext(Protocol):
    """The context value of strawberry, of which the transports read one thing."""

    @property
    def expires_at(self) -> datetime | None:
        """When the viewer's token ends, with a time zone; None is never."""
        ...

    async def for_operation(self) -> Self:
        """The context of one operation of a socket, which remembers nothing of the operations before.

        Sees again whether the viewer's session lives: the socket may be hours older than the operation.
        """
        ...

    def for_event(self) -> Self:
        """The context of one event of a stream, with fresh loaders."""
        ...

    def resumed_after(self, number: int) -> Self:
        """The context of a stream that goes on after the event of this number."""
        ...

    async def until_over(self) -> str:
        """Wait until the viewer's session has ended, wherever it was ended, and say so in a sentence."""
        ...

    @property
    def looked_at_viewer(self) -> bool:
        """Whether anything in this context has depended on who asks."""
        ...

    @property
    def audience(self) -> Hashable:
        """What an answer may depend on beside the viewer: the language."""
        ...


@runtime_checkable
class StreamEvent(Protocol):
    """What the source of a subscription may yield, for the transports to know more of it."""

    @property
    def shared_as(self) -> Hashable:
        """Two events with the same value are the same event; None is like no other.

        It looks the same to everybody who asks the same in the same language, unless a field looks at the
        viewer.
        """
        ...

    @property
    def resume_point(self) -> int | None:
        """The number to go on after when the stream is interrupted behind this event."""
        ...


class ConnectionRefused(Exception):
    """Raised by ``MakeContext``: this connection may not speak.

    A socket is closed with 4403 and the reason; an HTTP request is answered with 401 and the code.
    Both reach the client: say what it should do.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


MakeContext = Callable[[HTTPConnection, Mapping[str, object]], Awaitable[OperationContext]]
"""Makes the context of one HTTP request or of one whole socket.

The second argument is the payload of connection_init, empty over HTTP.
"""

FormatError = Callable[[GraphQLError, OperationContext | None], dict[str, Any]]
"""Makes the dict that leaves.

An error with ``extensions.code`` was coded on purpose: pass it on. One without came out of a resolver
or an extension: its ``original_error`` tells which, and its message may be internal.
The context is None when the request was refused before it was made.
"""
