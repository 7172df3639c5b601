"""Parties by the million, clustered like Korean cities: `python -m tests.benchmarks.parties --help`.

They obey every constraint, and are the same for the same seed and time. Memberships and events are left out:
nothing measured here reads them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.database import make_engine, migrate
from tests.benchmarks.cities import CITIES, shares

BATCH = 25_000
COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
SOURCE = "benchmark"


@dataclass(frozen=True)
class Scale:
    """How many rows of each kind."""

    parties: int = 1_000_000
    markets: int = 3_000
    items: int = 500
    users: int = 50_000


@dataclass(frozen=True)
class World:
    """What the generated rows have in common."""

    scale: Scale
    now: datetime
    seed: float = 0.5
    """From -1 to 1, as PostgreSQL's setseed wants it."""


# Keys follow from the kind and the number, so that rows find each other without a look-up. They look like
# UUIDv7 and sort by number, which is how real ones land in an index.
KEY = (
    "(lpad(to_hex(1760000000000 + {number}), 12, '0') || '7{kind}00"
    "8' || lpad(to_hex({number}), 15, '0'))::uuid"
)

# Box and Muller: two numbers from a normal distribution out of two from a uniform one.
POINT = """
    SELECT number, city,
        latitudes[city] + spreads[city] * radius * cos(angle) AS latitude,
        longitudes[city] + spreads[city] / cos(radians(latitudes[city])) * radius * sin(angle) AS longitude
    FROM (
        SELECT number, 1 + width_bucket(random(), CAST(:shares AS float8[])) AS city,
            sqrt(-2 * ln(1 - random())) AS radius, 2 * pi() * random() AS angle,
            CAST(:latitudes AS float8[]) AS latitudes, CAST(:longitudes AS float8[]) AS longitudes,
            CAST(:spreads AS float8[]) AS spreads
        FROM generate_series(1, :count) AS number
    ) AS drawn
"""

USERS = f"""
    INSERT INTO users (id, email, password_hash, nickname, role, home_address, home_region,
        home_latitude, home_longitude, created_at)
    SELECT {KEY.format(kind=1, number="number")}, 'neighbour' || number || '@example.com', 'none',
        '이웃' || number, 'USER', (CAST(:names AS text[]))[city] || ' ' || number || '번길',
        (CAST(:names AS text[]))[city], latitude, longitude, CAST(:now AS timestamptz) - interval '400 days'
    FROM ({POINT}) AS homes
"""  # noqa: S608 - made of constants

MARKETS = f"""
    INSERT INTO markets (id, source, source_id, name, kind, address, region, latitude, longitude, updated_at)
    SELECT {KEY.format(kind=2, number="number")}, :source, number::text,
        (CAST(:names AS text[]))[city] || ' '
            || (ARRAY['중앙시장', '마트', '슈퍼', '백화점'])[1 + number % 4] || ' ' || number,
        (ARRAY['TRADITIONAL_MARKET', 'LARGE_MART', 'SUPERMARKET', 'DEPARTMENT_STORE'])[1 + number % 4],
        (CAST(:names AS text[]))[city] || ' 시장로 ' || number, (CAST(:names AS text[]))[city],
        latitude, longitude, :now
    FROM ({POINT}) AS places
"""  # noqa: S608 - made of constants

ITEMS = f"""
    INSERT INTO items (id, source, source_id, category, name, unit, updated_at)
    SELECT {KEY.format(kind=3, number="number")}, :source, number::text,
        (ARRAY['생활용품', '과일', '채소', '축산물', '곡류'])[1 + number % 5],
        (ARRAY['휴지', '사과', '양파', '삼겹살', '쌀'])[1 + number % 5] || ' ' || number,
        (ARRAY['롤', '개', 'kg', 'g', 'kg'])[1 + number % 5], :now
    FROM generate_series(1, :count) AS number
"""  # noqa: S608 - made of constants

# A fifth is OPEN, a tenth FULL. A tenth of what is OPEN or FULL is past joinBy: people still meet there.
# Markets and items are popular to different degrees; each member takes the same part of the pack.
PARTIES = f"""
    INSERT INTO parties (id, leader_id, market_id, market_position, item_id, item_count, item_unit,
        estimated_price, actual_price, capacity, min_members, accepted_count, accepted_quantity,
        starts_at, ends_at, join_by, status, cancel_reason, done_at, note, approval, created_at, version)
    SELECT {KEY.format(kind=4, number="number")}, {KEY.format(kind=1, number="leader")},
        market.id, market.position, item.id, capacity * portion, coalesce(item.unit, '개'),
        capacity * portion * price, CASE status WHEN 'DONE' THEN capacity * portion * price END,
        capacity, 2, accepted, accepted * portion,
        join_by + interval '1 hour', join_by + interval '3 hours', join_by,
        status, CASE status WHEN 'CANCELED' THEN 'BY_LEADER' END,
        CASE status WHEN 'DONE' THEN join_by + interval '4 hours' END,
        CASE WHEN number % 3 = 0 THEN '정문 앞에서 만나요. ' || number END,
        CASE WHEN number % 2 = 0 THEN 'AUTO' ELSE 'MANUAL' END,
        least(join_by, CAST(:now AS timestamptz)) - age, 1
    FROM (
        SELECT *,
            CASE status WHEN 'OPEN' THEN 1 + floor(taken * (capacity - 1))::int
                WHEN 'FULL' THEN capacity
                WHEN 'DONE' THEN 2 + floor(taken * (capacity - 1))::int
                ELSE 1 + floor(taken * capacity)::int END AS accepted,
            CAST(:now AS timestamptz) + CASE
                WHEN status IN ('DONE', 'CANCELED') THEN -(interval '4 hours' + moment * interval '365 days')
                WHEN moment < 0.1 THEN -moment * interval '10 hours'
                ELSE moment * interval '14 days' END AS join_by
        FROM (
            SELECT number,
                (ARRAY['OPEN', 'FULL', 'DONE', 'CANCELED'])[
                    1 + width_bucket(random(), ARRAY[0.2, 0.3, 0.9])] AS status,
                2 + floor(random() * 7)::int AS capacity, 1 + floor(random() * 10)::int AS portion,
                500 + 100 * floor(random() * 100)::int AS price,
                random() AS taken, random() AS moment, random() * interval '7 days' AS age,
                1 + floor(random() * :users)::int AS leader,
                1 + floor(power(random(), 1.3) * :markets)::int AS market_number,
                1 + floor(power(random(), 2) * :items)::int AS item_number
            FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS number
        ) AS drawn
    ) AS party
    JOIN markets AS market ON market.id = {KEY.format(kind=2, number="market_number")}
    JOIN items AS item ON item.id = {KEY.format(kind=3, number="item_number")}
"""  # noqa: S608 - made of constants


async def generate(
    connection: AsyncConnection, world: World, progress: Callable[[int], None] = lambda made: None
) -> None:
    """Fill the tables of a fresh database; the caller commits and analyses. `progress` hears of each batch.

    The draws are the same each time, for `setseed` stands before them and one connection makes them.
    """
    scale = world.scale
    cities = {
        "shares": shares(),
        "names": [city.name for city in CITIES],
        "latitudes": [city.latitude for city in CITIES],
        "longitudes": [city.longitude for city in CITIES],
        "spreads": [city.spread for city in CITIES],
    }
    await connection.execute(text("SELECT setseed(:seed)"), {"seed": world.seed})
    now = {"now": world.now}
    await connection.execute(text(USERS), {"count": scale.users, **now, **cities})
    await connection.execute(text(MARKETS), {"count": scale.markets, "source": SOURCE, **now, **cities})
    await connection.execute(text(ITEMS), {"count": scale.items, "source": SOURCE, **now})
    drawn_from = {"users": scale.users, "markets": scale.markets, "items": scale.items, **now}
    for first in range(1, scale.parties + 1, BATCH):
        last = min(first + BATCH - 1, scale.parties)
        await connection.execute(text(PARTIES), {"first": first, "last": last, **drawn_from})
        progress(last - first + 1)


def main(
    database_url: Annotated[str, typer.Option(help="A database without parties; it is migrated first.")],
    count: Annotated[int, typer.Option(min=1, help="How many parties.")] = 1_000_000,
) -> None:
    """Fill a database with parties clustered like Korean cities: a minute for a million."""
    asyncio.run(fill(database_url, World(Scale(parties=count), datetime.now(UTC))))


async def fill(database_url: str, world: World) -> None:
    """Migrate, generate with a progress bar, and analyse.

    Raises:
        typer.BadParameter: When there are parties already.
    """
    url = make_url(database_url).set(drivername="postgresql+asyncpg")
    engine = make_engine(url.render_as_string(hide_password=False), statement_within_s=600)
    try:
        await migrate(engine)
        async with engine.begin() as connection:
            if await connection.scalar(text("SELECT EXISTS (SELECT FROM parties)")):
                raise typer.BadParameter("this database has parties already; give a new one")
            with Progress(*COLUMNS, console=Console(stderr=True)) as bar:
                task = bar.add_task("parties", total=world.scale.parties)
                await generate(connection, world, lambda made: bar.advance(task, made))
        await analyse(engine)
    finally:
        await engine.dispose()


async def analyse(engine: AsyncEngine) -> None:
    """Tell the planner what is there, as autovacuum would in time."""
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("VACUUM ANALYZE"))


if __name__ == "__main__":
    typer.run(main)
