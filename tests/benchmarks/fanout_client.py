"""Many subscribers in a process of their own: `python -m tests.benchmarks.fanout_client --help`.

They speak graphql-transport-ws on bare protocols of asyncio with the least parser of frames, so that a
thousand of them take less than what they measure. Messages carry the second of the machine's monotonic clock
at which they were published, as `"at":…`.
"""

import asyncio
import base64
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

import orjson
import typer
import uvloop

CONNECT_WITHIN_S = 60
OPENING_AT_ONCE = 50

UPGRADE = (
    "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
    "sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)


@dataclass(frozen=True)
class Received:
    """What arrived, and how long after it was published."""

    connections: int
    messages: int
    bytes: int
    seconds: float
    p50_ms: float
    p99_ms: float
    slowest_ms: float


class Subscriber(asyncio.Protocol):
    """One socket with one subscription, which counts what it gets."""

    def __init__(
        self,
        path: str,
        subscribe: bytes,
        got: Callable[[bytes], None],
        init: bytes = b'{"type":"connection_init"}',
    ) -> None:
        """Make it ready to connect.

        Args:
            path: Of the endpoint.
            subscribe: The payload of the message `subscribe`, as JSON.
            got: Is told the text of each `next`.
            init: The first message, which says who this is.
        """
        self.is_subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._path = path
        self._subscribe = subscribe
        self._got = got
        self._init = init
        self._waiting = b""
        self._is_upgraded = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one by what it can do only
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(UPGRADE.format(path=self._path, key=key).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever still waits for the beginning."""
        if not self.is_subscribed.done():
            self.is_subscribed.set_exception(ConnectionError(f"closed by the server: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Take whole frames off what has come."""
        if self._waiting:
            data = self._waiting + data
        if not self._is_upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._waiting = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.is_subscribed.set_exception(ConnectionError(head[:200].decode()))
                self.transport.close()
                return
            self._is_upgraded = True
            self.send(self._init)
        at = 0
        while (end_at := _end_of_frame(data, at)) is not None:
            start, end_ = end_at
            self._take(data[at] & 0x0F, data[start:end_])
            at = end_
        self._waiting = data[at:]

    def send(self, text: bytes) -> None:
        """One text frame, masked by zeros: a mask protects proxies, not servers."""
        size = len(text)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + text)

    def _take(self, opcode: int, text: bytes) -> None:
        if opcode == 8:
            self.transport.close()
        elif b'"type":"next"' in text[:300]:
            self._got(text)
        elif text == b'{"type":"ping"}':
            self.send(b'{"type":"pong"}')
        elif text == b'{"type":"connection_ack"}':
            self.send(b'{"id":"1","type":"subscribe","payload":%b}' % self._subscribe)
            self.is_subscribed.set_result(None)


def _end_of_frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the payload of an unmasked frame begins and ends; None when it isn't all there."""
    have = len(data) - at
    if have < 2:
        return None
    size, start = data[at + 1], at + 2
    if size == 126:
        if have < 4:
            return None
        size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    elif size == 127:
        if have < 10:
            return None
        size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
    return (start, start + size) if start + size <= len(data) else None


class Crowd:
    """Subscribers to the same thing, and when each message reached each of them."""

    def __init__(self) -> None:
        self.subscribers: list[Subscriber] = []
        self._waited_s: list[float] = []
        self._bytes = 0
        self._began = 0.0
        self._wanted = sys.maxsize
        self._has_all = asyncio.Event()

    async def join(self, port: int, path: str, subscribe: bytes, connections: int) -> None:
        """Open so many sockets, some at once, and subscribe on each."""
        loop = asyncio.get_running_loop()
        gate = asyncio.Semaphore(OPENING_AT_ONCE)

        async def open_one() -> None:
            async with gate:
                _, subscriber = await loop.create_connection(
                    lambda: Subscriber(path, subscribe, self._got), "127.0.0.1", port
                )
                await subscriber.is_subscribed
                self.subscribers.append(subscriber)

        async with asyncio.timeout(CONNECT_WITHIN_S), asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(open_one())

    async def receive(self, messages: int, within_s: float) -> Received:
        """Wait until so many have arrived in all.

        Raises:
            TimeoutError: They have not.
        """
        self._wanted = messages
        if len(self._waited_s) < messages:
            async with asyncio.timeout(within_s):
                await self._has_all.wait()
        waited = sorted(self._waited_s)
        return Received(
            len(self.subscribers),
            len(waited),
            self._bytes,
            time.monotonic() - self._began,
            1000 * waited[len(waited) // 2],
            1000 * waited[int(len(waited) * 0.99)],
            1000 * waited[-1],
        )

    def leave(self) -> None:
        """Close all sockets."""
        for subscriber in self.subscribers:
            subscriber.transport.abort()

    def _got(self, text: bytes) -> None:
        now = time.monotonic()
        start = text.index(b'"at":') + 5
        self._began = self._began or now
        self._bytes += len(text)
        self._waited_s.append(now - float(text[start : text.index(b"}", start)].split(b",", 1)[0]))
        if len(self._waited_s) >= self._wanted:
            self._has_all.set()


async def listen(
    port: int, path: str, query: str, connections: int, messages: int, within_s: float
) -> Received:
    """Subscribe, say `ready`, and receive so many messages on each connection."""
    crowd = Crowd()
    await crowd.join(port, path, orjson.dumps({"query": query}), connections)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        return await crowd.receive(messages * connections, within_s)
    finally:
        crowd.leave()


def main(
    port: Annotated[int, typer.Option(help="Of the server, on this machine.")],
    query: Annotated[str, typer.Option(help="The subscription. It must ask for `at` last in its object.")],
    path: Annotated[str, typer.Option(help="Of the endpoint.")] = "/graphql",
    connections: Annotated[int, typer.Option(min=1)] = 1000,
    messages: Annotated[int, typer.Option(min=1, help="To wait for, on each connection.")] = 100,
    within_s: Annotated[float, typer.Option(help="To wait for them.")] = 60,
) -> None:
    """Write `ready` when all have subscribed, and what was `Received` as JSON at the end."""
    received = uvloop.run(listen(port, path, query, connections, messages, within_s))
    sys.stdout.buffer.write(orjson.dumps(received) + b"\n")


if __name__ == "__main__":
    typer.run(main)
