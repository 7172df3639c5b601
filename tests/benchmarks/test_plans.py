"""Whatever the planner may think of the values, nearbyParties stops early in the order of its indexes."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.database import make_engine
from models.parties import PartyStatus
from resolvers.near import Around
from resolvers.nearby import PartyFilter
from resolvers.pages import PageOf
from tests.benchmarks.parties import Scale, World, analyse, generate
from tests.benchmarks.plans import Kind, ask, explain, scans_of_parties, stops_early
from tests.databases import cloned

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
PARTIES = 40_000
SEOUL = Around(37.5562, 126.9056, 10_000)
GANGNEUNG = Around(37.7519, 128.8761, 50_000)
OPEN, FULL = PartyStatus.OPEN, PartyStatus.FULL


@pytest.fixture(scope="module")
async def engine(server_url: str) -> AsyncGenerator[AsyncEngine, None]:
    """A database with as many parties as a test can wait for."""
    async with cloned(server_url) as url:
        engine = make_engine(url)
        async with engine.begin() as connection:
            await generate(connection, World(Scale(PARTIES, markets=300, items=50, users=500), NOW))
        await analyse(engine)
        yield engine
        await engine.dispose()


@pytest.mark.parametrize("kind", ["custom", "generic"])
@pytest.mark.parametrize("statuses", [(OPEN,), (OPEN, FULL)], ids=["open", "open-and-full"])
@pytest.mark.parametrize("near", [SEOUL, GANGNEUNG], ids=["in-seoul", "in-gangneung"])
async def test_nearby_parties_are_read_in_the_order_of_the_index(
    connection: AsyncConnection, near: Around, statuses: tuple[PartyStatus, ...], kind: Kind
):
    page, first = await ask(connection, NOW, near, PartyFilter(statuses), PageOf(20))
    _, second = await ask(connection, NOW, near, PartyFilter(statuses), PageOf(50, page.cursors[-1]))
    expected = sorted(map(stops_early, statuses))
    for sent in (first, second):
        assert scans_of_parties(await explain(connection, sent, kind)) == expected


async def test_the_plan_tells_another_way_from_the_right_one(connection: AsyncConnection):
    _, sent = await ask(connection, NOW, SEOUL, PartyFilter(), PageOf(20))
    await connection.execute(text("SET LOCAL enable_indexscan = off"))
    assert scans_of_parties(await explain(connection, sent, "custom")) != [stops_early(OPEN)]


async def test_the_same_seed_and_time_give_the_same_parties(server_url: str):
    digest = text("SELECT md5(string_agg(party::text, '' ORDER BY id)) FROM parties AS party")
    async with cloned(server_url) as url:
        other = make_engine(url)
        digests: list[str | None] = []
        for _ in range(2):
            async with other.connect() as once:
                await generate(once, World(Scale(1_000, markets=50, items=50, users=50), NOW))
                digests.append(await once.scalar(digest))
        assert digests[0] is not None
        assert digests[0] == digests[1]
        await other.dispose()
