"""A server with the page, and a schema of the shapes that the page and its first example ask for."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Route, WebSocketRoute
from strawberry.types import Info

from app.graphiql import graphiql_routes
from app.transport import Documents, EventExecutor, GraphQLEndpoint, TransportLimits
from app.transport.server import uvicorn_options
from tests.app.transport.toy import LoopServer, eventually, format_error

RIGHT: Final = "correct horse battery staple"
"""The password that signs in."""


@dataclass
class Desk:
    """Gives out tokens: "access 1" with "refresh 1", then "access 2" with "refresh 2"."""

    lifetime: timedelta = timedelta(minutes=15)
    given: int = 0
    ended: bool = False
    seen: list[str | None] = field(default_factory=list[str | None])
    """The `Authorization` of each operation that asked who is there."""

    def tokens(self) -> "Tokens":
        self.given += 1
        return Tokens(
            access_token=f"access {self.given}",
            access_token_expires_at=datetime.now(UTC) + self.lifetime,
            refresh_token=f"refresh {self.given}",
            user=User(nickname="망원동토박이"),
        )


@dataclass
class Asked:
    desk: Desk
    authorization: str | None
    expires_at: datetime | None = None
    looked_at_viewer: bool = True
    audience: str = "ko"

    async def for_operation(self) -> "Asked":
        return self

    def for_event(self) -> "Asked":
        return self

    def resumed_after(self, number: int) -> "Asked":
        return self

    async def until_over(self) -> str:
        return await asyncio.get_running_loop().create_future()


@strawberry.type
class User:
    nickname: str


@strawberry.type
class Tokens:
    access_token: str
    access_token_expires_at: datetime
    refresh_token: str
    user: User


@strawberry.interface
class Error:
    code: str
    message: str


@strawberry.type
class WrongCredentials(Error):
    code: str = "WRONG_CREDENTIALS"
    message: str = "The e-mail address or the password is wrong."


@strawberry.type
class SessionExpired(Error):
    code: str = "SESSION_EXPIRED"
    message: str = "The session has ended."


@strawberry.type
class Viewer:
    user: User


@strawberry.type
class Named:
    name: str


@strawberry.type
class Party:
    id: strawberry.ID
    item: Named
    market: Named
    leader: User
    places_left: int
    starts_at: datetime


@strawberry.type
class NearbyPartyEdge:
    distance_meters: float
    node: Party


@strawberry.type
class PageInfo:
    has_next_page: bool = False
    end_cursor: str | None = None


@strawberry.type
class NearbyPartyConnection:
    total_count: int
    edges: list[NearbyPartyEdge]
    page_info: PageInfo


@strawberry.input
class PointInput:
    latitude: float
    longitude: float


@strawberry.input
class SignInInput:
    email: str
    password: str


@strawberry.input
class RefreshTokensInput:
    refresh_token: str


@strawberry.input
class SignOutInput:
    session_id: strawberry.ID | None = None


PARTIES = [
    ("참기름 12병", "망원시장", "망원동토박이", 2, 38.2),
    ("화장지 30롤", "이마트 은평점", "합정감자", 1, 2410.5),
]


@strawberry.type
class Query:
    @strawberry.field
    def nearby_parties(
        self, near: PointInput, within_meters: int = 10000, first: int = 20
    ) -> NearbyPartyConnection:
        starts_at = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
        edges = [
            NearbyPartyEdge(
                distance_meters=distance,
                node=Party(
                    id=strawberry.ID(f"party-{number}"),
                    item=Named(name=item),
                    market=Named(name=market),
                    leader=User(nickname=leader),
                    places_left=places,
                    starts_at=starts_at,
                ),
            )
            for number, (item, market, leader, places, distance) in enumerate(PARTIES)
        ]
        return NearbyPartyConnection(total_count=len(edges), edges=edges, page_info=PageInfo())

    @strawberry.field
    def authorization(self, info: Info[Asked, None]) -> str | None:
        info.context.desk.seen.append(info.context.authorization)
        return info.context.authorization


@strawberry.type
class Mutation:
    @strawberry.mutation
    def sign_in(
        self, info: Info[Asked, None], input: SignInInput
    ) -> Annotated[Tokens | WrongCredentials, strawberry.union("SignInResult")]:
        return info.context.desk.tokens() if input.password == RIGHT else WrongCredentials()

    @strawberry.mutation
    def refresh_tokens(
        self, info: Info[Asked, None], input: RefreshTokensInput
    ) -> Annotated[Tokens | SessionExpired, strawberry.union("RefreshTokensResult")]:
        desk = info.context.desk
        if desk.ended or input.refresh_token != f"refresh {desk.given}":
            return SessionExpired()
        return desk.tokens()

    @strawberry.mutation
    def sign_out(
        self, info: Info[Asked, None], input: SignOutInput
    ) -> Annotated[Viewer | SessionExpired, strawberry.union("SignOutResult")]:
        info.context.desk.ended = True
        return Viewer(user=User(nickname="망원동토박이"))


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def authorizations(self, info: Info[Asked, None], times: int) -> AsyncGenerator[str, None]:
        for number in range(times):
            yield f"{number}: {info.context.authorization}"


@asynccontextmanager
async def serving(desk: Desk, files: Path) -> AsyncGenerator[str]:
    """The page and a GraphQL endpoint, on a port of their own."""

    async def make_context(connection: HTTPConnection, params: Mapping[str, object]) -> Asked:
        given = params.get("authorization", connection.headers.get("authorization"))
        return Asked(desk, str(given) if given else None)

    limits = TransportLimits()
    endpoint = GraphQLEndpoint(
        strawberry.Schema(
            Query,
            Mutation,
            Subscription,
            extensions=[Documents().extension],
            execution_context_class=EventExecutor,
        ),
        make_context,
        limits,
        format_error=format_error,
        now=lambda: datetime.now(UTC),
    )
    app = Starlette(
        routes=[
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", endpoint),
            *graphiql_routes(files),
        ]
    )
    server = LoopServer(
        uvicorn.Config(app, log_level="critical", lifespan="off", loop="none", **uvicorn_options(limits))
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve([listener]))
        try:
            await eventually(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            await task
