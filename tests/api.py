"""The API as a client meets it: a real server on a port of its own, and people who speak to it over HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import count
from typing import Any

import argon2
import httpx
import uvicorn
from graphql import GraphQLSchema, build_schema

from app.asgi import Parts, make_app, make_parts
from app.cli import schema_text
from app.serve import Server, listening_socket, url_of
from app.settings import Settings
from app.transport.limits import TransportLimits
from app.transport.server import uvicorn_options
from models.base import new_id
from models.errors import Language
from resolvers.passwords import Passwords
from tests import live
from tests.conftest import MovableClock

PASSWORD = "정말 비밀이에요"
WITHIN_S = 15.0

_number = count(1)


@dataclass(frozen=True)
class Client:
    """Somebody who speaks GraphQL to the server, signed in or not."""

    http: httpx.AsyncClient
    access_token: str | None = None
    refresh_token: str | None = None
    language: Language = "en"
    id: str = ""
    email: str = ""
    #: What the proxy in front of the server says of this device: wrong passwords count for it.
    address: str = ""

    async def send(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer, whatever is in it."""
        headers = {"accept-language": self.language, "user-agent": "tests", "x-forwarded-for": self.address}
        if self.access_token is not None:
            headers["authorization"] = f"Bearer {self.access_token}"
        body = {"query": query, "variables": variables}
        response = await self.http.post("/graphql", json=body, headers=headers)
        answer: dict[str, Any] = response.json()
        return answer

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of an answer that has no errors; of a query with one field, what that field holds."""
        answer = await self.send(query, **variables)
        assert "errors" not in answer, answer
        data = answer["data"]
        return next(iter(data.values())) if len(data) == 1 else data

    async def fails(self, query: str, **variables: Any) -> dict[str, Any]:
        """The one error of an answer: its message and its extensions, the code among them."""
        answer = await self.send(query, **variables)
        (error,) = answer["errors"]
        return {"message": error["message"], **error["extensions"]}

    async def do(self, mutation: str, fields: str = "", /, **input: Any) -> dict[str, Any]:
        """The member of the union that a mutation answers with. `fields` are fragments on its members."""
        return await self.ask(document(mutation, fields), input=input)

    def subscribed(self, query: str, **variables: Any) -> AbstractAsyncContextManager[live.Events]:
        """A subscription of this device, on a socket of its own."""
        params = {"acceptLanguage": self.language}
        if self.access_token is not None:
            params["authorization"] = f"Bearer {self.access_token}"
        return live.subscribed(self.socket_url, params, query, variables)

    @property
    def socket_url(self) -> str:
        """Where WebSockets are opened."""
        return str(self.http.base_url.copy_with(scheme="ws", path="/graphql"))

    def at(self, api: "Api") -> "Client":
        """The same device, at another process of the same installation."""
        return replace(self, http=api.http)

    def speaking(self, language: Language) -> "Client":
        """The same person in another language."""
        return replace(self, language=language)

    def with_token(self, token: str | None) -> "Client":
        """The same device with another token, or with none."""
        return replace(self, access_token=token)


def document(mutation: str, fields: str = "") -> str:
    """A mutation of the API: one input, one union whose refusals have a code and a message."""
    input_type = f"{mutation[0].upper()}{mutation[1:]}Input"
    return (
        f"mutation($input: {input_type}!) {{ {mutation}(input: $input) "
        f"{{ __typename ... on Error {{ code message }} {fields} }} }}"
    )


def graphql_schema() -> GraphQLSchema:
    """The schema as clients see it, built from the text that they can read."""
    return build_schema(schema_text())


@dataclass
class Api:
    """The server, and what stands behind it for a test to prepare and to look at."""

    http: httpx.AsyncClient
    parts: Parts
    clock: MovableClock

    @property
    def anybody(self) -> Client:
        """Somebody without a token, on a device of their own."""
        return Client(self.http, address=_address())

    async def neighbour(
        self, nickname: str | None = None, point: tuple[float, float] = (37.5562, 126.9056)
    ) -> Client:
        """Somebody who has just signed up."""
        number = next(_number)
        email = f"person{number}@example.com"
        newcomer = self.anybody
        tokens = await newcomer.do(
            "signUp",
            "... on Tokens { accessToken refreshToken user { id } }",
            email=email,
            password=PASSWORD,
            nickname=nickname or f"새 이웃 {number}",
            address="서울 마포구 포은로8길 14",
            point={"latitude": point[0], "longitude": point[1]},
        )
        return Client(
            self.http,
            tokens["accessToken"],
            tokens["refreshToken"],
            id=tokens["user"]["id"],
            email=email,
            address=newcomer.address,
        )


def _address() -> str:
    number = next(_number)
    return f"10.0.{number // 256 % 256}.{number % 256}"


@asynccontextmanager
async def running_api(database_url: str, redis_url: str, **changed: Any) -> AsyncGenerator[Api, None]:
    """The server as `app.serve` runs it, in the loop of the test. Its settings may be changed."""
    values: dict[str, Any] = {
        # Of its own: what is counted in the same Redis for other servers is not counted here.
        "secret_key": f"a secret of tests, made for {new_id()}",
        "trusted_proxies": (ip_network("127.0.0.1"),),
        "drain_s": 0,
    }
    settings = Settings(database_url=database_url, redis_url=redis_url, **values | changed)
    clock = MovableClock()
    # What a password costs is for argon2 to test.
    passwords = Passwords(argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    parts = make_parts(settings, clock, passwords)
    application = make_app(parts)
    config = uvicorn.Config(
        application.asgi,
        loop="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        **uvicorn_options(TransportLimits()),
    )
    ready = asyncio.Event()
    server = _QuietServer(config, ready.set, application.drain)
    try:
        with listening_socket("127.0.0.1", 0) as listener:
            async with parts.events.running():
                serving = asyncio.create_task(server.serve([listener]))
                try:
                    async with asyncio.timeout(WITHIN_S):
                        await ready.wait()
                    async with httpx.AsyncClient(
                        base_url=url_of(listener), timeout=WITHIN_S, trust_env=False
                    ) as http:
                        yield Api(http, parts, clock)
                finally:
                    server.should_exit = True
                    async with asyncio.timeout(WITHIN_S):
                        await serving
    finally:
        await parts.close()


class _QuietServer(Server):
    """Leaves the signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield
