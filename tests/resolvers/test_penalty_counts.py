"""The cached count as long as Redis is well: right after each change, and cheap."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cache import make_redis
from resolvers.penalty_cache import PenaltyCache, Silent
from resolvers.penalty_tempo import Tempo
from resolvers.transaction import Unavailable
from tests.conftest import MovableClock
from tests.resolvers.penalty_world import TEMPO, Process, World, age, make_world, process
from tests.subscriptions.redis_server import RedisServer, redis_server, until

ANNA, BORA = uuid4(), uuid4()


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
    async with process(world, server.url) as here:
        await here.until_it_believes()
        world.statements.clear()
        yield here


@pytest.fixture
async def there(world: World, server: RedisServer) -> AsyncGenerator[Process, None]:
    """Another process."""
    async with process(world, server.url) as there:
        await there.until_it_believes()
        world.statements.clear()
        yield there


async def key_of(process: Process, user: object) -> bytes | None:
    held = await process.redis.get(f"gonggu:penalties:{user}")
    assert not isinstance(held, str)
    return held


async def test_a_hundred_people_are_one_round_trip_and_at_first_one_statement(world: World, here: Process):
    people = [uuid4() for _ in range(100)]
    await world.give(here, people[0])
    asked = await here.evals()
    assert await world.read(here, people) == dict.fromkeys(people, 0) | {people[0]: 1}
    await here.until_filled(100)
    # One to read and to take the leases, one to fill in.
    assert await here.evals() - asked == 2
    assert world.statements == [100]
    assert await world.read(here, people) == dict.fromkeys(people, 0) | {people[0]: 1}
    assert await here.evals() - asked == 3
    assert world.statements == [100]


async def test_each_change_counts_at_once_in_every_process(world: World, here: Process, there: Process):
    for count in (1, 2, 3):
        penalty = await world.give(here, ANNA)
        for each in (there, here, there):
            assert await world.read(each, [ANNA, BORA]) == {ANNA: count, BORA: 0}
    await world.revoke(there, penalty)
    assert await world.read(here, [ANNA]) == {ANNA: 2}
    assert await world.read(there, [ANNA]) == {ANNA: 2}


async def test_a_penalty_leaves_the_count_when_it_ends_and_not_when_the_cache_does(
    world: World, here: Process, clock: MovableClock
):
    await world.give(here, ANNA, days=90)
    clock.move(days=30)
    await world.give(here, ANNA, days=90)
    assert await world.read(here, [ANNA]) == {ANNA: 2}
    await here.until_filled(1)
    clock.move(days=60, microseconds=-1)
    assert await world.read(here, [ANNA]) == {ANNA: 2}
    clock.move(microseconds=1)
    assert await world.read(here, [ANNA]) == {ANNA: 1}
    clock.move(days=30)
    assert await world.read(here, [ANNA]) == {ANNA: 0}
    assert world.statements == [1]


async def test_nothing_is_kept_for_longer_than_a_day(world: World, here: Process):
    await world.read(here, [ANNA])
    await here.until_filled(1)
    assert 0 < await here.redis.ttl(f"gonggu:penalties:{ANNA}") <= 24 * 60 * 60


async def test_a_thousand_who_ask_at_once_make_one_statement_in_each_process(
    world: World, here: Process, there: Process
):
    await world.give(here, ANNA)
    world.may_answer.clear()
    reads = [asyncio.create_task(world.read(each, [ANNA])) for each in (here, there) for _ in range(1000)]
    await until(lambda: len(world.statements) == 2)
    world.may_answer.set()
    assert all(counts == {ANNA: 1} for counts in await asyncio.gather(*reads))
    assert world.statements == [1, 1]


async def test_who_comes_while_another_fills_in_looks_again_and_finds_it(
    world: World, server: RedisServer, here: Process
):
    patient = Tempo(believe_s=0.4, look_again_after_s=0.5)
    async with process(world, server.url, patient) as there:
        await there.until_it_believes()
        world.statements.clear()
        world.may_answer.clear()
        first = asyncio.create_task(world.read(here, [ANNA]))
        await until(lambda: world.statements == [1])
        second = asyncio.create_task(world.read(there, [ANNA]))
        await until(lambda: there.counts.counts["misses"] == 1)
        world.may_answer.set()
        assert await first == await second == {ANNA: 0}
        assert world.statements == [1]


async def test_nobody_waits_for_one_who_took_the_lease_and_does_not_fill_in(
    world: World, here: Process, there: Process
):
    world.may_answer.clear()
    first = asyncio.create_task(world.read(here, [ANNA]))
    await until(lambda: world.statements == [1])
    second = asyncio.create_task(world.read(there, [ANNA]))
    await until(lambda: world.statements == [1, 1])
    assert there.counts.counts["misses"] == 2
    world.may_answer.set()
    assert await first == await second == {ANNA: 0}


async def test_what_was_read_before_a_change_is_not_filled_in_after_it(
    world: World, here: Process, there: Process
):
    world.may_answer.clear()
    early = asyncio.create_task(world.read(here, [ANNA]))
    await until(lambda: world.statements == [1])
    await world.give(there, ANNA)
    late = asyncio.create_task(world.read(here, [ANNA]))
    await until(lambda: world.statements == [1, 1])
    world.may_answer.set()
    assert (await early, await late) == ({ANNA: 0}, {ANNA: 1})
    await until(lambda: here.counts.counts["refused_fills"] == 1)
    assert await world.read(there, [ANNA]) == {ANNA: 1}


async def test_two_writers_do_not_release_each_other(world: World, here: Process, there: Process):
    slow = asyncio.create_task(world.give(here, ANNA, pause_s=0.3))
    await until(lambda: here.counts.counts["blocks"] == 1)
    await world.give(there, ANNA)
    # The slow one is about to commit: nobody may keep what is read now.
    assert await world.read(there, [ANNA]) == {ANNA: 1}
    held = await key_of(here, ANNA)
    assert held is not None
    assert held.startswith(b"B ")
    await slow
    assert await key_of(here, ANNA) is None
    assert await world.read(there, [ANNA]) == {ANNA: 2}


async def test_a_writer_that_dies_after_its_commit_only_keeps_the_count_out_of_the_cache(
    world: World, server: RedisServer, here: Process
):
    async with process(world, server.url, Tempo(life_s=0.3, believe_s=0.4)) as writer:
        await world.read(here, [ANNA])
        await world.give(writer, ANNA, dies=True)
        filled = here.counts.counts["fills"]
        while here.counts.counts["fills"] == filled:
            assert await world.read(here, [ANNA]) == {ANNA: 1}
            await asyncio.sleep(0.01)
        assert await world.read(here, [ANNA]) == {ANNA: 1}


async def test_a_change_that_is_undone_does_not_count(world: World, here: Process):
    async def give_and_fail() -> None:
        async with world.transactions.write() as tx:
            here.counts.change(tx, ANNA)
            tx.beforehand.append(fail)

    async def fail() -> None:
        raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        await give_and_fail()
    assert await world.read(here, [ANNA]) == {ANNA: 0}


async def test_nobody_can_ask_a_process_that_has_stopped(world: World, server: RedisServer):
    world.may_read.clear()
    async with process(world, server.url) as here:
        waiting = asyncio.create_task(here.counts.of([ANNA]))
        await until(lambda: here.counts.counts["fallbacks"] + here.counts.counts["misses"] > 0)
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        await here.counts.of([ANNA])


async def test_asking_for_nobody_asks_nobody(here: Process):
    asked = await here.evals()
    assert await here.counts.of([]) == {}
    assert await here.evals() == asked


async def test_more_than_go_into_one_turn_are_asked_for_in_several(world: World, here: Process):
    people = [uuid4() for _ in range(2_500)]
    assert await world.read(here, people) == dict.fromkeys(people, 0)
    assert sorted(world.statements) == [500, 1000, 1000]


async def test_a_fill_bears_the_doubt_before_which_it_was_read(server: RedisServer):
    async with make_redis(server.url) as redis:
        cache = PenaltyCache(redis, TEMPO)
        first = await cache.read([ANNA], doubt=1)
        assert first is not None
        assert await cache.fill(first.lease, {ANNA: (1, 2)}) == 1
        again = await cache.read([ANNA], doubt=1)
        assert again is not None
        assert again.ends == {ANNA: (1, 2)}
        after = await cache.read([ANNA], doubt=2)
        assert after is not None
        assert (after.ends, list(after.leased)) == ({}, [ANNA])


async def test_a_block_stands_until_everybody_has_released_it(server: RedisServer):
    async with make_redis(server.url) as redis:
        cache = PenaltyCache(redis, TEMPO)
        for token in ("aa", "bb", "aa"):
            await cache.block(ANNA, token)
        assert await redis.get(f"gonggu:penalties:{ANNA}") == b"B aa bb"
        await cache.release(ANNA, "aa")
        assert await redis.get(f"gonggu:penalties:{ANNA}") == b"B bb"
        assert await redis.pttl(f"gonggu:penalties:{ANNA}") > 0
        await cache.release(ANNA, "bb")
        assert await redis.exists(f"gonggu:penalties:{ANNA}") == 0
        server.kill()
        with pytest.raises(Silent):
            await cache.block(ANNA, "cc")
