"""A client of graphql-transport-ws that costs as little as Python allows, for thousands in one process."""

import asyncio
import base64
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import orjson

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FINAL = 0x80
MASKED = 0x80
NO_MASK = bytes(4)
"""A client has to mask; this mask changes nothing, and nothing on the way could be fooled."""


class Failed(Exception):
    """A client did not get what it waited for. The kind is alike for all whom the same befell."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Closed(Exception):
    """The server closed the socket, with a code of the protocol."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@asynccontextmanager
async def step(name: str, within_s: float | None) -> AsyncGenerator[None, None]:
    """Something that a client waits for; for as long as it takes, where `within_s` is None.

    Raises:
        Failed: Whatever went wrong with the connection, or nothing came in time.
    """
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError:
        raise Failed(f"{name}: nothing within {within_s:g} s") from None
    except Closed as closed:
        raise Failed(f"{name}: closed with {closed.code}") from None
    except (OSError, asyncio.IncompleteReadError) as error:
        raise Failed(f"{name}: {type(error).__name__}") from None


class ClientSocket:
    """One socket. It never waits for what it writes to leave: who uses it waits for answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int, path: str, source: str) -> "ClientSocket":
        """Connect from an address of this machine and upgrade.

        Raises:
            Failed: The server answered with another status than 101.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        try:
            writer.write(_upgrade(port, path))
            head = await reader.readuntil(b"\r\n\r\n")
            status = head.split(b" ", 2)[1].decode()
            if status != "101":
                raise Failed(f"upgrade: HTTP {status}")
        except BaseException:
            writer.close()
            raise
        return cls(reader, writer)

    async def initialise(self, token: str) -> None:
        """Say who this is and wait until the server agrees."""
        self._send({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        while (await self.receive())["type"] != "connection_ack":
            pass

    def start(self, id_: str, document: str, variables: dict[str, Any]) -> None:
        """Start an operation of any kind."""
        payload = {"query": document, "variables": variables}
        self._send({"id": id_, "type": "subscribe", "payload": payload})

    async def receive(self) -> dict[str, Any]:
        """The next message that is no ping; those are answered.

        Raises:
            Closed, IncompleteReadError, OSError
        """
        while True:
            kind, payload = await self._frame()
            if kind == TEXT:
                message: dict[str, Any] = orjson.loads(payload)
                if message["type"] != "ping":
                    return message
                self._send({"type": "pong"})
            elif kind == PING:
                self._write(PONG, payload)
            elif kind == CLOSE:
                raise Closed(int.from_bytes(payload[:2]) if payload else 1005)

    def close(self) -> None:
        """Say goodbye and leave."""
        self._write(CLOSE, (1000).to_bytes(2))
        self._writer.close()

    def _send(self, message: dict[str, Any]) -> None:
        self._write(TEXT, orjson.dumps(message))

    def _write(self, kind: int, payload: bytes) -> None:
        if self._writer.is_closing():
            return  # whoever reads will learn of it
        size = len(payload)
        length = bytes([MASKED | size]) if size < 126 else bytes([MASKED | 126]) + size.to_bytes(2)
        self._writer.write(bytes([FINAL | kind]) + length + NO_MASK + payload)

    async def _frame(self) -> tuple[int, bytes]:
        first, size = await self._reader.readexactly(2)
        if not first & FINAL:
            raise Failed("a message in pieces")
        if size >= 126:
            size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8))
        return first & 0x0F, await self._reader.readexactly(size)


def _upgrade(port: int, path: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
        "sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
    ).encode()
