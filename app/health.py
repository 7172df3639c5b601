"""Whether the process is alive, and whether it can serve."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.cache import RedisClient

Check = Callable[[], Awaitable[None]]
"""Raises when what it asks does not answer."""

WITHIN_S = 2.0


class Health:
    """Liveness depends on nothing but this process; readiness on whatever an answer needs."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        #: Set when the server stops, so that a load balancer sends nobody new.
        self.is_draining = False

    def routes(self) -> list[Route]:
        """`/livez` and `/readyz`."""
        return [Route("/livez", self._live), Route("/readyz", self._ready)]

    async def _live(self, request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _ready(self, request: Request) -> Response:
        names = list(self._checks)
        states = await asyncio.gather(*(self._state(self._checks[name]) for name in names))
        report = dict(zip(names, states, strict=True)) | ({"server": "draining"} if self.is_draining else {})
        ready = all(state == "ok" for state in report.values())
        return JSONResponse(report, 200 if ready else 503, headers={"cache-control": "no-store"})

    async def _state(self, check: Check) -> str:
        try:
            async with asyncio.timeout(WITHIN_S):
                await check()
        except TimeoutError:
            return f"no answer within {WITHIN_S:g} s"
        except Exception as problem:  # whatever a driver raises: it is not ready
            return type(problem).__name__
        return "ok"


def answers(engine: AsyncEngine) -> Check:
    """PostgreSQL runs a statement."""

    async def check() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    return check


def pings(redis: RedisClient) -> Check:
    """Redis answers a PING."""

    async def check() -> None:
        await redis.ping()  # pyright: ignore[reportUnknownMemberType] - redis-py leaves **kwargs untyped

    return check
