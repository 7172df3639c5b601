"""Three servers that send the same bytes to everybody who subscribes: the endpoint and its two measures.

`gonggu` is the real hub on the memory backend, the real `follow` and the real endpoint, on a schema of one
subscription. `queues` is a bare WebSocket of Starlette with an `asyncio.Queue` for each socket, `loop` one
that is fed from a single loop; both encode a message once and know nothing of GraphQL but how it begins.

`POST /publish?subscribers=1000&messages=100&per_s=20` waits for the subscribers, publishes and returns.
"""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol, Self

import orjson
import strawberry
import typer
import uvicorn
import uvloop
from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.transport import Documents, EventExecutor, GraphQLEndpoint, TransportLimits
from app.transport.server import uvicorn_options
from subscriptions.broadcaster import backend_for
from subscriptions.envelope import Envelope
from subscriptions.feed import Page, follow
from subscriptions.hub import Hub

QUERY = "subscription { chatMessages { id number kind text sender { id nickname } at } }"
TEXT = "안녕하세요, 오늘 저녁 7시에 시장 앞에서 만나요! " * 4
CHANNEL = "chat:bench"
SUBSCRIBED_WITHIN_S = 30
GC_THRESHOLDS = 50_000, 20, 100
"""For all three. A thousand sockets are many objects to look at, and a message to all of them makes thousands
that soon go by themselves: with Python's defaults, looking took a fifth of the time."""


class Kind(StrEnum):
    """Which server."""

    GONGGU = "gonggu"
    QUEUES = "queues"
    LOOP = "loop"


class Server(Protocol):
    """What is measured."""

    @property
    def subscribers(self) -> int:
        """How many listen now."""
        ...

    async def publish(self, number: int) -> None:
        """Send one message to all of them."""
        ...


def _message(number: int) -> dict[str, Any]:
    sender = {"id": "VXNlcjowMTk4ZjNkYzI0", "nickname": "김이웃"}
    return {
        "id": f"TWVzc2FnZTowMTk4ZjNk{number:08}",
        "number": number,
        "kind": "TEXT",
        "text": TEXT,
        "sender": sender,
        "at": time.monotonic(),
    }


# The endpoint


@strawberry.type
class Sender:
    """Who wrote it."""

    id: strawberry.ID
    nickname: str


@strawberry.type
class Message:
    """A message, which knows which one it is."""

    id: strawberry.ID
    number: int
    kind: str
    text: str
    sender: Sender
    at: float

    @property
    def shared_as(self) -> str:
        """Its id is given once in the world."""
        return self.id

    @property
    def resume_point(self) -> int:
        """Its number."""
        return self.number


class Decoder:
    """Makes the message of an event once for all subscribers, who get the same event one after the other."""

    _last: tuple[Envelope, Message] | None = None

    def __call__(self, event: Envelope) -> Message:
        """The message of the event."""
        if self._last is not None and self._last[0] is event:
            return self._last[1]
        fields: dict[str, Any] = dict(event.data)
        message = Message(sender=Sender(**fields.pop("sender")), **fields)
        self._last = (event, message)
        return message


@dataclass
class BenchContext:
    """Nobody in particular."""

    hub: Hub
    decode: Decoder
    expires_at: datetime | None = None
    looked_at_viewer: bool = field(default=False, init=False)
    audience: str = "ko"

    async def for_operation(self) -> Self:
        """A copy."""
        return replace(self)

    def for_event(self) -> Self:
        """A copy."""
        return replace(self)

    def resumed_after(self, number: int) -> Self:
        """A copy."""
        return replace(self)

    async def until_over(self) -> str:
        """It never is."""
        return await asyncio.get_running_loop().create_future()


BenchInfo = strawberry.Info[BenchContext, None]


@strawberry.type
class Query:
    """Every schema needs one."""

    hello: str = "world"


@strawberry.type
class Subscription:
    """One chat."""

    @strawberry.subscription
    async def chat_messages(self, info: BenchInfo) -> AsyncGenerator[Message, None]:
        """Live messages, none of which is in a database."""

        async def read_after(cursor: int | None) -> Page[Message]:
            return Page([], 0)

        messages = follow(info.context.hub, CHANNEL, 0, read_after, info.context.decode)
        async with aclosing(messages):
            async for message in messages:
                yield message


class Gonggu:
    """Publishes through the hub."""

    def __init__(self) -> None:
        self.hub = Hub(backend_for("memory://"))
        self._decode = Decoder()
        schema = strawberry.Schema(
            Query,
            subscription=Subscription,
            extensions=[Documents().extension],
            execution_context_class=EventExecutor,
        )
        self.endpoint = GraphQLEndpoint(
            schema,
            self._context,
            TransportLimits(),
            format_error=_formatted,
            now=lambda: datetime.now(UTC),
        )

    @property
    def subscribers(self) -> int:
        """Who listens to the hub."""
        return self.hub.sizes()["listeners"]

    async def publish(self, number: int) -> None:
        """As a mutation does after its commit."""
        self.hub.publish(Envelope("message", CHANNEL, number, _message(number)))

    async def _context(self, connection: HTTPConnection, params: Mapping[str, object]) -> BenchContext:
        return BenchContext(self.hub, self._decode)


def _formatted(error: GraphQLError, context: object) -> dict[str, Any]:
    return dict(error.formatted)


# What it is measured against


def _frame(number: int) -> str:
    payload = {"data": {"chatMessages": _message(number)}}
    return orjson.dumps({"id": "1", "type": "next", "payload": payload}).decode()


async def _begin(socket: WebSocket) -> None:
    await socket.accept("graphql-transport-ws")
    await socket.receive_text()
    await socket.send_text('{"type":"connection_ack"}')
    await socket.receive_text()


class Queues:
    """A queue and a task for each socket."""

    def __init__(self) -> None:
        self._queues = set[asyncio.Queue[str]]()

    @property
    def subscribers(self) -> int:
        """One for each queue."""
        return len(self._queues)

    async def publish(self, number: int) -> None:
        """Put it into every queue."""
        text = _frame(number)
        for queue in self._queues:
            queue.put_nowait(text)

    async def endpoint(self, socket: WebSocket) -> None:
        """Send what comes."""
        await _begin(socket)
        queue = asyncio.Queue[str]()
        self._queues.add(queue)
        try:
            while True:
                await socket.send_text(await queue.get())
        finally:
            self._queues.discard(queue)


class Loop:
    """One task for all sockets: the least that Starlette can do."""

    def __init__(self) -> None:
        self._sockets = set[WebSocket]()

    @property
    def subscribers(self) -> int:
        """The sockets."""
        return len(self._sockets)

    async def publish(self, number: int) -> None:
        """Send it on every socket."""
        text = _frame(number)
        for socket in list(self._sockets):
            await socket.send_text(text)

    async def endpoint(self, socket: WebSocket) -> None:
        """Wait for the end."""
        await _begin(socket)
        self._sockets.add(socket)
        try:
            await socket.receive()
        finally:
            self._sockets.discard(socket)


def _publishing(server: Server) -> Callable[[Request], Awaitable[Response]]:
    async def publish(request: Request) -> Response:
        options = {name: int(value) for name, value in request.query_params.items()}
        async with asyncio.timeout(SUBSCRIBED_WITHIN_S):
            while server.subscribers < options["subscribers"]:  # noqa: ASYNC110 - a counter has no event
                await asyncio.sleep(0.05)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(1, options["messages"] + 1):
            await server.publish(number)
            await asyncio.sleep(began + number / options["per_s"] - loop.time())
        return PlainTextResponse("done")

    return publish


async def serve(kind: Kind, port: int) -> None:
    """Serve until SIGTERM, with the options of the real server."""
    server = {Kind.GONGGU: Gonggu, Kind.QUEUES: Queues, Kind.LOOP: Loop}[kind]()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
        if isinstance(server, Gonggu):
            async with server.hub:
                yield
        else:
            yield

    app = Starlette(
        routes=[
            Route("/publish", _publishing(server), methods=["POST"]),
            WebSocketRoute("/graphql", server.endpoint),
        ],
        lifespan=lifespan,
    )
    options = uvicorn_options(TransportLimits())
    config = uvicorn.Config(
        app,
        port=port,
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        **options,
    )
    await uvicorn.Server(config).serve()


def main(
    kind: Annotated[Kind, typer.Option()],
    port: Annotated[int, typer.Option(help="The port to listen on.")],
) -> None:
    """Serve one of the three."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    uvloop.run(serve(kind, port))


if __name__ == "__main__":
    typer.run(main)
