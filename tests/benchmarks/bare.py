"""What nearbyParties would be without GraphQL and without an ORM: the measure of `bench_nearby`.

One endpoint of Starlette, one statement by asyncpg, one encoding by orjson. It takes the same request as the
fixed query in `bench_nearby` and gives the same answer, and can do nothing else.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, cast
from uuid import UUID

import asyncpg
import orjson
import typer
import uvicorn
import uvloop
from sqlalchemy import make_url
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.transport.limits import TransportLimits
from app.transport.server import uvicorn_options
from resolvers.haversine import chord_of, distance_m, unit_vector

FIRST = 50
WITHIN_M = 10_000

STATEMENT = f"""
    SELECT party.id, item_count, item_unit, estimated_price, capacity, capacity - accepted_count, starts_at,
        ends_at, join_by, status, note, approval, leader.id, leader.nickname, market.id, market.name,
        market.kind, market.address, market.latitude, market.longitude, item.id, item.name, item.category,
        item.unit, page.chord
    FROM (
        SELECT id, chord FROM (
            SELECT id, market_position <-> cube($1::float8[]) AS chord FROM parties
            WHERE status = 'OPEN' AND join_by > $3
                AND market_position && cube_enlarge(cube($1::float8[]), $2::float8, 3)
            ORDER BY market_position <-> cube($1::float8[])
            FETCH FIRST (SELECT {FIRST + 1}) ROWS WITH TIES
        ) AS nearest
        WHERE chord <= $2 ORDER BY chord, id LIMIT {FIRST + 1}
    ) AS page
    JOIN parties AS party ON party.id = page.id
    JOIN users AS leader ON leader.id = party.leader_id
    JOIN markets AS market ON market.id = party.market_id
    JOIN items AS item ON item.id = party.item_id
    ORDER BY page.chord, page.id
"""  # noqa: S608 - made of constants


class Endpoint:
    """Answers with parties nearby."""

    pool: Any  # asyncpg is not typed

    def __init__(self, database_url: str) -> None:
        self._database_url = make_url(database_url).set(drivername="postgresql")

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncGenerator[None, None]:
        """Hold as many connections as the server does by default."""
        dsn = self._database_url.render_as_string(hide_password=False)
        settings = {"jit": "off", "timezone": "UTC"}
        create_pool = cast(Any, asyncpg).create_pool
        async with create_pool(dsn, max_size=10, server_settings=settings, reset=_as_it_is) as self.pool:
            yield

    async def nearby(self, request: Request) -> Response:
        """Read, ask, encode."""
        near = orjson.loads(await request.body())["variables"]["near"]
        latitude, longitude = near["latitude"], near["longitude"]
        rows = await self.pool.fetch(
            STATEMENT, unit_vector(latitude, longitude), chord_of(WITHIN_M), datetime.now(UTC)
        )
        edges = [_edge(row, latitude, longitude) for row in rows[:FIRST]]
        info = {"hasNextPage": len(rows) > FIRST, "endCursor": edges[-1]["cursor"] if edges else None}
        answer = {"data": {"nearbyParties": {"pageInfo": info, "edges": edges}}}
        return Response(orjson.dumps(answer), media_type="application/json")


async def _as_it_is(connection: Any) -> None:
    """Give a connection back without the round trip that would undo settings: there are none."""


def _id(kind: str, key: UUID) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{key.hex}".encode()).decode().rstrip("=")


def _edge(row: Sequence[Any], latitude: float, longitude: float) -> dict[str, Any]:
    cursor = base64.urlsafe_b64encode(orjson.dumps((row[24], str(row[0])))).decode()
    return {
        "cursor": cursor,
        "distanceMeters": distance_m(latitude, longitude, row[18], row[19]),
        "node": {
            "id": _id("Party", row[0]),
            "itemCount": row[1],
            "itemUnit": row[2],
            "estimatedPrice": row[3],
            "capacity": row[4],
            "placesLeft": row[5],
            "startsAt": row[6],
            "endsAt": row[7],
            "joinBy": row[8],
            "status": row[9],
            "note": row[10],
            "approval": row[11],
            "leader": {"id": _id("User", row[12]), "nickname": row[13]},
            "market": {
                "id": _id("Market", row[14]),
                "name": row[15],
                "kind": row[16],
                "address": row[17],
                "point": {"latitude": row[18], "longitude": row[19]},
            },
            "item": {"id": _id("Item", row[20]), "name": row[21], "category": row[22], "unit": row[23]},
        },
    }


def main(
    database_url: Annotated[str, typer.Option(help="Where the parties are.")],
    port: Annotated[int, typer.Option(help="The port to listen on.")],
) -> None:
    """Serve until SIGTERM, with the options of the real server."""
    endpoint = Endpoint(database_url)
    app = Starlette(routes=[Route("/nearby", endpoint.nearby, methods=["POST"])], lifespan=endpoint.lifespan)
    options = uvicorn_options(TransportLimits())
    config = uvicorn.Config(
        app, port=port, loop="none", log_config=None, access_log=False, server_header=False, **options
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    typer.run(main)
