"""The ASGI application behind the one path of GraphQL."""

import asyncio
import random
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import strawberry
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app.transport import messages
from app.transport.context import FormatError, MakeContext
from app.transport.documents import Documents, DocumentsExtension
from app.transport.handshake import is_allowed_origin, refuse
from app.transport.http import HttpTransport
from app.transport.limits import TransportLimits
from app.transport.sockets import Socket, SocketSettings
from app.transport.streams import Stream, StreamSettings


class GraphQLEndpoint:
    """GraphQL by POST, answered at once or as a stream, and by graphql-transport-ws, on the same path."""

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: MakeContext,
        limits: TransportLimits,
        *,
        format_error: FormatError,
        allowed_origins: Collection[str] = (),
        now: Callable[[], datetime],
        ide_path: str | None = None,
    ) -> None:
        """Wire the transports.

        Args:
            schema: With the extension of a ``Documents`` among its extensions.
            make_context: Authorises a request or a socket, for all transports in one place.
            limits: What a client may ask for.
            format_error: Makes the dict that leaves, and hides what is internal.
            allowed_origins: Like ``https://gonggu.example``; pages of other origins than these and our
                own may open no socket.
            now: The clock by which tokens end, with a time zone.
            ide_path: Where a browser that opens the endpoint is sent.
        """
        documents = _documents_of(schema)
        of_streams = StreamSettings(limits, format_error, now)
        self._http = HttpTransport(schema, documents, make_context, of_streams, ide_path)
        self._settings = SocketSettings(schema, documents, make_context, limits, format_error, now)
        self._allowed_origins = tuple(allowed_origins)
        self._sockets: dict[Socket, asyncio.Task[Any] | None] = {}
        self._is_draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one socket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
        else:
            raise NotImplementedError(f"mount it on a path: it can't serve {scope['type']!r}")

    @property
    def open_sockets(self) -> int:
        """How many are open now, those in their closing included."""
        return len(self._sockets)

    @property
    def open_streams(self) -> int:
        """How many subscriptions are served over plain HTTP now."""
        return len(self._http.streams)

    async def drain(self, within_s: float = 20.0) -> None:
        """Stop serving sockets and streams: no new one, no new operation, and all closed by and by.

        In random order and evenly over the time given, so that the other processes see their clients come
        one after the other. Sockets are closed with 1012 and streams break off, after which clients come back
        at once. Call it before the server begins to stop, because that closes everything at the same moment.
        """
        self._is_draining = True
        self._http.streams.refuse_new()
        for socket in self._sockets:
            socket.refuse_operations()
        streams = self._http.streams.open
        connections = [*self._sockets, *streams]
        random.shuffle(connections)
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number, connection in enumerate(connections):
            if connection in self._sockets or connection in streams:
                await asyncio.sleep(start + within_s * number / len(connections) - loop.time())
                _ask_to_come_back(connection)
        # Each needs a moment to tell its peer and to stop what it runs, and has its own bound on that.
        if closing := [task for task in (*self._sockets.values(), *streams.values()) if task is not None]:
            await asyncio.wait(closing, timeout=3 * self._settings.limits.close_s)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if self._is_draining:
            await refuse(scope, send, 503, "This server is going away: connect again.")
            return
        if not is_allowed_origin(Headers(scope=scope), self._allowed_origins):
            await refuse(scope, send, 403, "Pages of this origin may not connect: ask for it to be allowed.")
            return
        socket = Socket(self._settings, scope, receive, send)
        self._sockets[socket] = asyncio.current_task()
        try:
            await socket.serve()
        finally:
            del self._sockets[socket]


def _ask_to_come_back(connection: Socket | Stream) -> None:
    if isinstance(connection, Stream):
        connection.cut()
    else:
        connection.end(messages.SERVICE_RESTART, "Service restart")


def _documents_of(schema: strawberry.Schema) -> Documents:
    for extension in schema.get_extensions():
        if isinstance(extension, DocumentsExtension):
            return extension.documents
    raise TypeError("the schema keeps no documents: give it extensions=[Documents().extension]")
