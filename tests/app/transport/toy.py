"""A schema with one field per thing that a transport can get wrong, and a server for it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self, cast

import strawberry
import uvicorn
from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Route, WebSocketRoute
from strawberry.types import Info
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from app.transport import (
    ConnectionRefused,
    Documents,
    EventExecutor,
    GraphQLEndpoint,
    OperationContext,
    TransportLimits,
)
from app.transport.server import uvicorn_options


@dataclass
class ToyContext:
    expires_at: datetime | None = None
    started: list[str] = field(default_factory=list[str])
    stopped: list[str] = field(default_factory=list[str])
    over: asyncio.Event = field(default_factory=asyncio.Event)
    resume_after: int | None = None
    looked_at_viewer: bool = False
    audience: str = "ko"

    async def for_operation(self) -> Self:
        return self

    def for_event(self) -> Self:
        return replace(self, looked_at_viewer=False)

    def resumed_after(self, number: int) -> Self:
        return replace(self, resume_after=number)

    async def until_over(self) -> str:
        await self.over.wait()
        return "The session has ended."

    @contextlib.contextmanager
    def noting(self, what: str) -> Generator[None]:
        self.started.append(what)
        try:
            yield
        finally:
            self.stopped.append(what)


ToyInfo = Info[ToyContext, None]


@strawberry.type
class Item:
    name: str
    parts: list["Item"] = strawberry.field(default_factory=list["Item"])


@strawberry.type
class Numbered:
    number: int

    @property
    def resume_point(self) -> int:
        return self.number

    @property
    def shared_as(self) -> None:
        return None


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def length(self, text: str) -> int:
        return len(text)

    @strawberry.field
    def big(self, size: int) -> str:
        return "x" * size

    @strawberry.field
    async def slow(self, info: ToyInfo) -> str:
        with info.context.noting("slow"):
            await asyncio.sleep(60)
        return "done"

    @strawberry.field
    async def pause(self, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return True

    @strawberry.field
    def fail(self) -> str | None:
        raise ValueError("a secret")

    @strawberry.field
    def fail_hard(self) -> str:
        raise ValueError("a secret")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def add(self, a: int, b: int) -> int:
        return a + b


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, info: ToyInfo, to: int) -> AsyncGenerator[int, None]:
        with info.context.noting("count"):
            for number in range(1, to + 1):
                yield number

    @strawberry.subscription
    async def silence(self, info: ToyInfo) -> AsyncGenerator[int, None]:
        with info.context.noting("silence"):
            await asyncio.Event().wait()
            yield 0

    @strawberry.subscription
    async def flood(self, info: ToyInfo, size: int) -> AsyncGenerator[str, None]:
        with info.context.noting("flood"):
            while True:
                info.context.started.append("event")
                yield "x" * size

    @strawberry.subscription
    async def stumble(self) -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("a secret")

    @strawberry.subscription
    async def greet(self, info: ToyInfo) -> AsyncGenerator[str, None]:
        with info.context.noting("greet"):
            yield "hello"
            await asyncio.Event().wait()

    @strawberry.subscription
    async def numbers(self, info: ToyInfo, to: int) -> AsyncGenerator[Numbered, None]:
        for number in range((info.context.resume_after or 0) + 1, to + 1):
            yield Numbered(number=number)

    @strawberry.subscription
    async def items(self, count: int) -> AsyncGenerator[Item, None]:
        for number in range(count):
            yield Item(name=str(number), parts=[Item(name="a"), Item(name="b")])


def make_schema() -> strawberry.Schema:
    return strawberry.Schema(
        Query,
        Mutation,
        Subscription,
        extensions=[Documents().extension],
        execution_context_class=EventExecutor,
    )


def format_error(error: GraphQLError, context: OperationContext | None) -> dict[str, Any]:
    formatted = cast(dict[str, Any], dict(error.formatted))
    if not (error.extensions or {}).get("code"):
        formatted |= {"message": "internal", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}
    return formatted


@dataclass
class Toy:
    """A served endpoint; tokens are: none (let in), "bad" (refused), "broken", "slow", "old"."""

    limits: TransportLimits = field(default_factory=TransportLimits)
    allowed_origins: tuple[str, ...] = ()
    ide_path: str | None = None
    context: ToyContext = field(default_factory=ToyContext)
    port: int = 0

    def __post_init__(self) -> None:
        self.endpoint = GraphQLEndpoint(
            make_schema(),
            self.make_context,
            self.limits,
            format_error=format_error,
            allowed_origins=self.allowed_origins,
            now=lambda: datetime.now(UTC),
            ide_path=self.ide_path,
        )

    async def make_context(self, connection: HTTPConnection, params: Mapping[str, object]) -> ToyContext:
        token = params.get("token", connection.headers.get("authorization"))
        if token == "bad":
            raise ConnectionRefused("UNAUTHENTICATED", "Sign in again. " + "다시 로그인하세요. " * 20)
        if token == "broken":
            raise ValueError("a secret")
        if token == "slow":
            await asyncio.sleep(60)
        if token == "old":
            return ToyContext(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
        return self.context

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncGenerator["Toy"]:
        app = Starlette(routes=[Route("/graphql", self.endpoint), WebSocketRoute("/graphql", self.endpoint)])
        config = uvicorn.Config(
            app, log_level="critical", lifespan="off", **uvicorn_options(self.limits), loop="none"
        )
        server = LoopServer(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            task = asyncio.create_task(server.serve([listener]))
            try:
                await eventually(lambda: server.started)
                yield self
            finally:
                server.should_exit = server.force_exit = True
                await task

    def socket(self, **headers: str) -> connect:
        return connect(
            self.url.replace("http", "ws", 1),
            subprotocols=[Subprotocol("graphql-transport-ws")],
            additional_headers=headers,
            compression=None,
            ping_interval=None,
        )

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncGenerator[ClientConnection]:
        async with self.socket() as client:
            await client.send('{"type":"connection_init"}')
            assert await client.recv() == '{"type":"connection_ack"}'
            yield client


class LoopServer(uvicorn.Server):
    """Serves in the loop of the test and leaves the signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def eventually(claim: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not claim():  # noqa: ASYNC110 - what is waited for is in no event
            await asyncio.sleep(0.01)
