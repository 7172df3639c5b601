"""Chats on bare WebSockets of Starlette, which send the bytes that the real server sends: see `bench_live`.

`queues` has an `asyncio.Queue` and a task for each socket, `loop` one task that feeds all of them. They take
the requests of the real server, and read nothing of them but whose chat it is and the text. There is no
database, no Redis and no look at who asks; a message is encoded once.
"""

import asyncio
import gc
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Protocol

import orjson
import typer
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.transport import TransportLimits
from app.transport.server import uvicorn_options
from tests.benchmarks.fanout_servers import GC_THRESHOLDS

MESSAGE_ID = "Q2hhdE1lc3NhZ2U6MDE5ZGY0NzVlZjAwN2MyMWE3ZDE3MmE0ZTc2NDQ1NTE"
SENDER = {"id": "VXNlcjowMTk5Y2QzN2UzMzE3MTAwODAwMDAwMDAwMDAwMDAzMQ", "nickname": "이웃12"}


class Kind(StrEnum):
    """Which rival."""

    QUEUES = "queues"
    LOOP = "loop"


class Rival(Protocol):
    """What differs between them."""

    def tell(self, party_id: str, frame: str) -> None:
        """Send it, soon, to everybody who listens there."""
        ...

    async def listen(self, party_id: str, socket: WebSocket) -> None:
        """Keep the socket fed until it ends."""
        ...

    async def run(self) -> None:
        """What it does beside its sockets, until cancelled."""
        ...


class Queues:
    """A queue and a task for each socket."""

    def __init__(self) -> None:
        self._queues = defaultdict[str, set[asyncio.Queue[str]]](set)

    def tell(self, party_id: str, frame: str) -> None:
        """Put it into every queue."""
        for queue in self._queues[party_id]:
            queue.put_nowait(frame)

    async def listen(self, party_id: str, socket: WebSocket) -> None:
        """Send what comes."""
        queue = asyncio.Queue[str]()
        self._queues[party_id].add(queue)
        try:
            while True:
                await socket.send_text(await queue.get())
        finally:
            self._queues[party_id].discard(queue)

    async def run(self) -> None:
        """Nothing: each socket has its own task."""


class Loop:
    """One task for all sockets: the least that Starlette can do."""

    def __init__(self) -> None:
        self._sockets = defaultdict[str, set[WebSocket]](set)
        self._waiting = asyncio.Queue[tuple[str, str]]()

    def tell(self, party_id: str, frame: str) -> None:
        """Leave it to the one task."""
        self._waiting.put_nowait((party_id, frame))

    async def listen(self, party_id: str, socket: WebSocket) -> None:
        """Wait for the end."""
        self._sockets[party_id].add(socket)
        try:
            await socket.receive()
        finally:
            self._sockets[party_id].discard(socket)

    async def run(self) -> None:
        """Send each message on every socket."""
        while True:
            party_id, frame = await self._waiting.get()
            for socket in list(self._sockets[party_id]):
                await socket.send_text(frame)


class Chats:
    """The requests of both."""

    def __init__(self, rival: Rival) -> None:
        self._rival = rival
        self._last_numbers = Counter[str]()

    async def say(self, request: Request) -> Response:
        """The mutation."""
        said = orjson.loads(await request.body())["variables"]["input"]
        party_id: str = said["partyId"]
        self._last_numbers[party_id] += 1
        number = self._last_numbers[party_id]
        self._rival.tell(party_id, _frame(number, said["text"]))
        answer = {"data": {"sendChatMessage": {"__typename": "ChatMessage", "number": number}}}
        return Response(orjson.dumps(answer), media_type="application/json")

    async def listen(self, socket: WebSocket) -> None:
        """The subscription."""
        await socket.accept("graphql-transport-ws")
        await socket.receive_text()
        await socket.send_text('{"type":"connection_ack"}')
        wanted = orjson.loads(await socket.receive_text())
        await self._rival.listen(wanted["payload"]["variables"]["partyId"], socket)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncGenerator[None, None]:
        """Run what the rival has to run."""
        running = asyncio.create_task(self._rival.run())
        try:
            yield
        finally:
            running.cancel()


def _frame(number: int, text: str) -> str:
    message = {
        "id": MESSAGE_ID,
        "number": number,
        "kind": "CHAT",
        "sender": SENDER,
        "text": text,
        "sentAt": datetime.now(UTC),
    }
    frame = {"id": "1", "type": "next", "payload": {"data": {"chatMessages": message}}}
    return orjson.dumps(frame).decode()


async def serve(kind: Kind, port: int) -> None:
    """Serve until SIGTERM, with the options of the real server."""
    chats = Chats(Queues() if kind is Kind.QUEUES else Loop())
    routes = [Route("/graphql", chats.say, methods=["POST"]), WebSocketRoute("/graphql", chats.listen)]
    config = uvicorn.Config(
        Starlette(routes=routes, lifespan=chats.lifespan),
        port=port,
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        **uvicorn_options(TransportLimits()),
    )
    await uvicorn.Server(config).serve()


def main(
    kind: Annotated[Kind, typer.Option()],
    port: Annotated[int, typer.Option(help="The port to listen on.")],
) -> None:
    """Serve one of the two."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    uvloop.run(serve(kind, port))


if __name__ == "__main__":
    typer.run(main)
