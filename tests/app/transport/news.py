"""A schema whose events many subscribers see alike, unless a field looks at who asks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any, Self, cast

import strawberry
from graphql import GraphQLError
from strawberry.types import ExecutionResult, Info

from app.transport import Documents, EventExecutor
from app.transport.answers import Answer
from app.transport.operations import subscribe
from app.transport.requests import GraphQLRequest
from app.transport.shared import SharedAnswers


@dataclass
class Reader:
    """The context: somebody who reads the news, in a language."""

    name: str = "Ann"
    audience: str = "ko"
    expires_at: datetime | None = None
    seen: list[str] = field(default_factory=list[str])
    """What was resolved for all readers that share this list."""

    gate: asyncio.Event | None = None
    """What asynchronous fields wait for."""

    looked_at_viewer: bool = field(default=False, init=False)
    number: int = field(default_factory=count().__next__, init=False)

    async def for_operation(self) -> Self:
        return replace(self)

    def for_event(self) -> Self:
        return replace(self)

    def resumed_after(self, number: int) -> Self:
        return replace(self)

    async def until_over(self) -> str:
        return await asyncio.get_running_loop().create_future()

    @property
    def viewer(self) -> str:
        self.looked_at_viewer = True
        return self.name


ReaderInfo = Info[Reader, None]


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Author(Named):
    @strawberry.field
    def is_me(self, info: ReaderInfo) -> bool:
        return info.context.viewer == self.name

    @strawberry.field
    def greeting(self, info: ReaderInfo, mark: str = "!") -> str:
        return {"ko": "안녕하세요", "en": "Hello"}[info.context.audience] + mark


@strawberry.type
class Robot(Named):
    version: int


@strawberry.type
class News:
    number: int
    room: strawberry.Private[str]

    @property
    def shared_as(self) -> tuple[str, int] | None:
        return None if self.room == "private" else (self.room, self.number)

    @property
    def resume_point(self) -> int | None:
        return self.number

    @strawberry.field
    def text(self, info: ReaderInfo) -> str:
        info.context.seen.append(f"text {self.number}")
        return f"“{self.room}” {self.number}"

    @strawberry.field
    def by(self) -> Author | Robot:
        return Author(name="Ann") if self.number % 2 else Robot(name="R2", version=2)

    @strawberry.field
    async def later(self, info: ReaderInfo) -> str:
        info.context.seen.append(f"later {self.number}")
        await (info.context.gate.wait() if info.context.gate else asyncio.sleep(0))
        return "later"

    @strawberry.field
    def on_odd(self) -> int | None:
        if self.number % 2:
            raise ValueError("odd")
        return self.number

    @strawberry.field
    def must_be_even(self) -> int:
        if self.number % 2:
            raise ValueError("odd")
        return self.number

    @strawberry.field
    def older(self, count: int) -> list["News"]:
        return [News(number=self.number - n, room=self.room) for n in range(1, count + 1)]

    @strawberry.field
    def context_number(self, info: ReaderInfo) -> int:
        return info.context.number


@strawberry.type
class Query:
    hello: str = "world"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def news(self, room: str = "a", first: int = 1) -> AsyncGenerator[News, None]:
        for number in range(first, 4):
            yield News(number=number, room=room)

    @strawberry.subscription
    async def broken(self) -> AsyncGenerator[News, None]:
        yield News(number=1, room="a")
        raise ValueError("a secret")


def make_news(answers: SharedAnswers | None = None) -> strawberry.Schema:
    documents = Documents()
    documents.answers = answers or documents.answers
    return strawberry.Schema(
        Query,
        subscription=Subscription,
        types=[Author, Robot],
        extensions=[documents.extension],
        execution_context_class=EventExecutor,
    )


def formatted(error: GraphQLError, context: object) -> dict[str, Any]:
    return dict(error.formatted)


async def answers_of(schema: strawberry.Schema, request: GraphQLRequest, reader: Reader) -> list[Answer]:
    async with aclosing(subscribe(schema, request, reader)) as answers:
        return [answer async for answer in answers]


async def read(schema: strawberry.Schema, request: GraphQLRequest, reader: Reader) -> list[bytes]:
    return [answer.encode(formatted, reader) for answer in await answers_of(schema, request, reader)]


async def read_unshared(schema: strawberry.Schema, request: GraphQLRequest, reader: Reader) -> list[bytes]:
    """The same by strawberry alone."""
    results = await schema.subscribe(
        request.query,
        variable_values=request.variables,
        context_value=reader,
        operation_name=request.operation_name,
    )
    async with aclosing(cast(AsyncGenerator[ExecutionResult, None], results)) as stream:
        return [Answer.of(result, may_be_ours=True).encode(formatted, reader) async for result in stream]
