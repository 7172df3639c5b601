"""The count while Redis is slow, away, full, new or old: always right, never late, never poisoned."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cache import make_redis
from resolvers.penalty_tempo import Tempo
from tests.conftest import MovableClock
from tests.resolvers.penalty_world import Process, World, age, make_world, process
from tests.subscriptions.redis_server import RedisServer, redis_server, until

ANNA = uuid4()
TEMPO = Tempo(believe_s=0.4, life_s=1, rest_s=0.2)
NOWHERE = "unix:///nowhere/redis.sock"


@pytest.fixture
async def server() -> AsyncGenerator[RedisServer, None]:
    """A Redis of the test's own, that has been running for long."""
    async with redis_server() as server:
        async with make_redis(server.url) as redis:
            await age(redis)
        yield server


@pytest.fixture
async def world(fresh_engine: AsyncEngine, clock: MovableClock) -> World:
    return await make_world(fresh_engine, clock)


@pytest.fixture
async def here(world: World, server: RedisServer) -> AsyncGenerator[Process, None]:
    async with process(world, server.url, TEMPO) as here:
        await keep(world, here)
        yield here


@pytest.fixture
async def cut_off(world: World) -> AsyncGenerator[Process, None]:
    """A process that can't reach Redis, while others can."""
    async with process(world, NOWHERE, TEMPO) as cut_off:
        yield cut_off


async def keep(world: World, process: Process, count: int = 0) -> None:
    """See that Redis holds Anna's count, and that this process would believe it."""
    await process.until_it_believes()
    async with asyncio.timeout(15):
        while not process.counts.counts["hits"]:
            assert await world.read(process, [ANNA]) == {ANNA: count}
            await asyncio.sleep(0.02)
    world.statements.clear()


async def took(work: Awaitable[object]) -> float:
    started = time.monotonic()
    await work
    return time.monotonic() - started


async def test_a_frozen_redis_is_waited_for_a_moment_and_then_left_alone(
    world: World, server: RedisServer, here: Process
):
    server.freeze()
    try:
        assert 0.1 < await took(world.read(here, [ANNA])) < 0.6
        for _ in range(2):
            await world.read(here, [ANNA])
        assert await took(asyncio.gather(*(world.read(here, [ANNA, uuid4()]) for _ in range(64)))) < 0.6
    finally:
        server.thaw()
    await keep(world, here)


async def test_what_changed_while_redis_was_frozen_counts_when_it_is_not(
    world: World, server: RedisServer, here: Process
):
    async with process(world, server.url, TEMPO) as there:
        await there.until_it_believes()
        server.freeze()
        try:
            await world.give(here, ANNA)
        finally:
            server.thaw()
        # The other process has not noticed that anything was wrong.
        for _ in range(100):
            assert await world.read(there, [ANNA]) == {ANNA: 1}
        await keep(world, there, 1)


async def test_a_change_that_only_its_writer_cannot_announce_counts_for_everybody_at_once(
    world: World, here: Process, cut_off: Process
):
    for count in (1, 2, 3):
        giving = asyncio.create_task(world.give(cut_off, ANNA))
        while not giving.done():
            await world.read(here, [ANNA])
        assert await world.read(here, [ANNA]) == {ANNA: count}
        await keep(world, here, count)
    assert cut_off.counts.counts["doubts"] == 3


async def test_a_change_without_redis_waits_until_everybody_knows_and_the_next_ones_do_not(world: World):
    tempo = Tempo(believe_s=0.3)
    async with process(world, NOWHERE, tempo) as cut_off:
        assert 0.3 < await took(world.give(cut_off, ANNA)) < 2
        await asyncio.sleep(0.1)
        assert await took(world.give(cut_off, ANNA)) < 0.3
        assert await world.read(cut_off, [ANNA]) == {ANNA: 2}


@pytest.mark.parametrize("lost", ["killed", "flushed", "restored"])
async def test_a_redis_that_forgets_a_block_is_not_believed_until_its_writer_must_have_ended(
    world: World, server: RedisServer, here: Process, lost: str
):
    async with process(world, server.url, TEMPO) as there:
        await there.until_it_believes()
        # An entry, which is what a restored Redis remembers.
        await server.command("SAVE")
        giving = asyncio.create_task(world.give(there, ANNA, pause_s=0.5))
        await until(lambda: there.counts.counts["blocks"] == 1)
        if lost == "flushed":
            await server.command("FLUSHALL")
        else:
            server.kill()
            if lost == "killed":
                (server.path.parent / "dump.rdb").unlink()
            await server.start()
        while not giving.done():
            await world.read(here, [ANNA])
        for _ in range(100):
            assert await world.read(here, [ANNA]) == {ANNA: 1}
        await keep(world, here, 1)


async def test_an_old_redis_that_comes_back_with_old_entries_is_not_believed(
    world: World, server: RedisServer, here: Process
):
    await server.command("SAVE")
    await world.give(here, ANNA)
    server.kill()
    await server.start()
    assert await server.command("EXISTS", f"gonggu:penalties:{ANNA}") == 1
    for _ in range(100):
        assert await world.read(here, [ANNA]) == {ANNA: 1}
    await keep(world, here, 1)


async def test_an_entry_that_is_gone_is_read_again(world: World, server: RedisServer, here: Process):
    await server.command("DEL", f"gonggu:penalties:{ANNA}")
    assert await world.read(here, [ANNA]) == {ANNA: 0}
    assert world.statements == [1]


async def test_a_block_that_was_evicted_is_made_good_after_the_commit(
    world: World, server: RedisServer, here: Process
):
    giving = asyncio.create_task(world.give(here, ANNA, pause_s=0.3))
    await until(lambda: here.counts.counts["blocks"] == 1)
    await server.command("DEL", f"gonggu:penalties:{ANNA}")
    before = here.counts.counts["fills"]
    assert await world.read(here, [ANNA]) == {ANNA: 0}
    await here.until_filled(before + 1)
    await giving
    assert await world.read(here, [ANNA]) == {ANNA: 1}


async def test_a_full_redis_still_tells_what_it_knows_and_changes_are_right(
    world: World, server: RedisServer, here: Process
):
    await server.command("CONFIG", "SET", "maxmemory", "1")
    assert await world.read(here, [ANNA]) == {ANNA: 0}
    assert world.statements == []
    await world.give(here, ANNA)
    assert await world.read(here, [ANNA, uuid4()]) != {}
    await server.command("CONFIG", "SET", "maxmemory", "0")
    await keep(world, here, 1)


async def test_a_slow_redis_does_later_what_it_was_asked_for_and_harms_nobody(
    world: World, server: RedisServer, here: Process
):
    others = [uuid4() for _ in range(5)]
    for _ in range(3):
        server.freeze()
        try:
            # What times out here is done when it thaws: leases, fills, blocks.
            await asyncio.gather(*(world.read(here, [ANNA, each]) for each in others))
            await world.give(here, ANNA)
        finally:
            server.thaw()
        await asyncio.gather(*(world.read(here, [ANNA, each]) for each in others))
        await here.until_it_believes()
        await world.read(here, [ANNA, *others])
        assert await world.read(here, [ANNA, *others])


async def test_redis_is_not_believed_while_the_database_cannot_be_asked_for_doubts(
    world: World, here: Process, fresh_engine: AsyncEngine
):
    async def execute(statement: str) -> None:
        async with fresh_engine.begin() as connection:
            await connection.execute(text(statement))

    await execute("ALTER SEQUENCE penalty_doubts RENAME TO hidden")
    await asyncio.sleep(1.1 * TEMPO.believe_s)
    assert await world.read(here, [ANNA]) == {ANNA: 0}
    assert world.statements == [1]
    await execute("ALTER SEQUENCE hidden RENAME TO penalty_doubts")
    await keep(world, here)
