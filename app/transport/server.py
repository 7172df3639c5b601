"""uvicorn's protocols with bounds on what a silent peer can hold."""

import asyncio
import socket
from typing import Any, Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from app.transport.limits import KIB, TransportLimits
from app.transport.sockets import ABORT_EXTENSION, WRITE_EXTENSION

HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 22\r\nconnection: close\r\n\r\n"
    b"Send shorter headers.\r\n"
)


class HttpProtocol(HttpToolsProtocol):
    """Also limits the head of a request, in time and in bytes.

    uvicorn's keep-alive timeout covers only the silence between two requests: a connection that sends
    nothing, or half a head, stays for ever; and its parser collects a header of any length.
    """

    head_s: float = 10.0
    max_head_bytes: int = 32 * KIB
    unread_s: float = 30.0
    """A peer that acknowledges nothing for so long is gone, whatever waits for it."""

    _head_timer: asyncio.TimerHandle | None = None
    _is_in_head: bool = True
    _head_bytes: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock at once: this peer may never send a byte."""
        super().connection_made(transport)
        self._start_head_timer()
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
            return
        # asyncio leaves it out on listeners made elsewhere; head and body of a response are two writes,
        # and the second would wait 40 ms for the peer to acknowledge the first.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        user_timeout: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux only
        if user_timeout is not None:
            # Otherwise close() waits for ever for a full write buffer to leave.
            connection.setsockopt(socket.IPPROTO_TCP, user_timeout, int(self.unread_s * 1000))

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then look whether it is still in a head."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._head_bytes or self.transport.is_closing():
            return
        self._start_head_timer()
        if self._head_bytes > self.max_head_bytes:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        """End the head, or refuse one that came in a single piece."""
        self._is_in_head = False
        self._head_bytes = 0
        self._stop_head_timer()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.max_head_bytes:
            self._refuse_head()
            return
        # Before the task of this request runs: it may have to drop a peer that doesn't read.
        self.scope["extensions"] = {ABORT_EXTENSION: self.transport.abort}  # type: ignore[typeddict-item]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next byte belongs to a new head."""
        if not self.transport.is_closing():
            super().on_message_complete()
        self._is_in_head = True
        self._head_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Pass the body on, unless its head was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """The WebSocket protocol takes the connection over."""
        self._stop_head_timer()
        super().handle_websocket_upgrade()

    def _refuse_head(self) -> None:
        self.transport.write(HEAD_TOO_LARGE)
        self.transport.close()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self._give_up_on_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up_on_head(self) -> None:
        self._head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:  # pyright: ignore
            self._start_head_timer()  # half a request sent early must not take the answer to the one before
        else:
            self.transport.abort()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Also lets the application drop a connection, and drops one whose close frame is not taken.

    uvicorn closes a peer that stopped reading but then waits for its write buffer for ever.
    """

    async def run_asgi(self) -> None:
        """Run the application with the means to abort in its scope."""
        extensions: dict[str, Any] = self.scope["extensions"]  # type: ignore[typeddict-item]
        extensions[ABORT_EXTENSION] = self.transport.abort
        extensions[WRITE_EXTENSION] = self.write_text
        await super().run_asgi()

    def write_text(self, text: bytes) -> bool:
        """Send a text frame at once, if nothing stands in the way; else it has to be sent by the way of ASGI.

        Through ASGI bytes become text and bytes again, and a frame is made of three pieces: that takes longer
        than the kernel needs to take it.
        """
        is_free = (
            self.writable.is_set()
            and self.conn.state is State.OPEN
            and not (self.close_sent or self.disconnected or self.conn.extensions)
        )
        if is_free:
            self.transport.write(_text_frame(text))
        return is_free

    async def send(self, message: ASGISendEvent) -> None:
        """Send; after a close, wait a bounded time for the peer's."""
        if message["type"] == "websocket.http.response.body":
            # uvicorn sends the end of a refusal to a peer that has hung up, and forgets that it has answered.
            if self.conn.eof_sent:
                raise ClientDisconnected
            await super().send(message)
            self.handshake_complete = not message.get("more_body", False)
            return
        await super().send(message)
        if message["type"] == "websocket.close" and self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)


def _text_frame(text: bytes) -> bytes:
    """RFC 6455, 5.2: final, not masked, with the shortest length that fits."""
    size = len(text)
    if size < 126:
        return b"\x81%c%b" % (size, text)
    if size < 65536:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), text)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), text)


def uvicorn_options(limits: TransportLimits) -> dict[str, Any]:
    """Arguments for ``uvicorn.Config`` that the transports count on."""
    return {
        "http": HttpProtocol,
        "ws": WebSocketProtocol,
        "ws_max_size": limits.max_message_bytes,
        # 17 µs per delivery, 46 KB per socket, and 12 kB that inflate to 12 MB.
        "ws_per_message_deflate": False,
        # The endpoint pings in the protocol, where a browser's client sees it too.
        "ws_ping_interval": None,
        "ws_ping_timeout": None,
        "backlog": 4096,
        # uvicorn believes X-Forwarded-For from anything on this machine; `app.addresses` asks who may say it.
        "proxy_headers": False,
    }
