"""Changes and reads of penalties in every order, with Redis doing what it can to confuse them.

`TEST_EXAMPLES=500` makes a longer run, different each time.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cache import make_redis
from app.database import make_engine
from resolvers.penalty_tempo import Tempo
from subscriptions.tasks import end
from tests.conftest import MovableClock
from tests.databases import cloned
from tests.resolvers.penalty_world import Given, Process, World, age, make_world, process
from tests.subscriptions.redis_server import RedisServer, redis_server

EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "0"))
SEEDS = range(max(20, EXAMPLES))
STORMS = range(max(3, EXAMPLES // 20))


class Gates:
    """Places where everybody stops until chance lets them go on, in an order of its own."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.are_open = False
        self._waiting: list[asyncio.Future[None]] = []

    async def pass_one(self) -> None:
        if self.are_open:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None, None]:
        """While the body runs chance opens one after the other; then all stand open."""
        task = asyncio.create_task(self._open_for_ever())
        try:
            yield
        finally:
            await end([task])
            self.are_open = True
            while self._waiting:
                self._open(0)

    async def _open_for_ever(self) -> None:
        while True:
            if self._waiting:
                self._open(self.random.randrange(len(self._waiting)))
            await asyncio.sleep(self.random.choice([0, 0, 0, 0.0005, 0.002]))

    def _open(self, place: int) -> None:
        opened = self._waiting.pop(place)
        if not opened.done():
            opened.set_result(None)


class GatedWorld(World):
    """The database behind gates: before each statement and after, before each commit and after."""

    def __init__(self, engine: AsyncEngine, clock: MovableClock, gates: Gates) -> None:
        super().__init__(engine, clock)
        self.gates = gates

    async def pause(self) -> None:
        await self.gates.pass_one()

    async def expiries(self, ids: Sequence[UUID]) -> Mapping[UUID, Sequence[datetime]]:
        await self.gates.pass_one()
        found = await super().expiries(ids)
        await self.gates.pass_one()
        return found


class GatedRedis:
    """Redis behind gates, which does what it was asked for also when nobody waits for it any more."""

    def __init__(self, redis: Redis, gates: Gates) -> None:
        self._redis = redis
        self._gates = gates
        self._tasks = set[asyncio.Task[Any]]()

    async def eval(self, *words: Any) -> Any:
        task = asyncio.create_task(self._eval(*words))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _eval(self, *words: Any) -> Any:
        await self._gates.pass_one()
        answer: Any = await self._redis.eval(*words)
        await self._gates.pass_one()
        return answer

    async def aclose(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)
        await self._redis.aclose()


async def write(world: World, processes: Sequence[Process], people: Sequence[UUID], random: Random) -> None:
    """Give penalties and revoke them, now and then let time pass, and sometimes die after a commit."""
    given: list[Given] = []
    for _ in range(8):
        process, dies = random.choice(processes), random.random() < 0.1
        if given and random.random() < 0.3:
            await world.revoke(process, given.pop(), dies=dies)
        else:
            days = random.choice([1, 90])
            given.append(await world.give(process, random.choice(people), days, dies=dies))
        if random.random() < 0.2:
            world.clock.move(days=random.choice([0.5, 1]))


async def read(world: World, process: Process, people: Sequence[UUID], random: Random) -> None:
    while True:
        await world.read(process, random.sample(people, random.randint(1, len(people))))
        await asyncio.sleep(0)


async def everybody(
    world: World, processes: Sequence[Process], random: Random, *troubles: Callable[[], Awaitable[None]]
) -> None:
    """Two write and each process reads twice at once, and one trouble comes after another."""
    people = [uuid4() for _ in range(3)]
    writing = [
        asyncio.create_task(write(world, processes, people, Random(random.random()))) for _ in range(2)
    ]
    reading = [
        asyncio.create_task(read(world, each, people, Random(random.random())))
        for each in processes
        for _ in range(2)
    ]
    is_over = asyncio.Event()
    aside = [asyncio.create_task(again_and_again(each, is_over)) for each in troubles]
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*writing)
            await asyncio.wait(reading, timeout=0.2, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        is_over.set()
        await asyncio.gather(*aside)
        await end([*reading, *writing])
    for each in reading:
        if not each.cancelled() and (problem := each.exception()) and not isinstance(problem, AssertionError):
            raise problem


async def again_and_again(trouble: Callable[[], Awaitable[None]], is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        await trouble()


@pytest.fixture(scope="module")
async def table(server_url: str) -> AsyncGenerator[AsyncEngine, None]:
    async with cloned(server_url) as url:
        engine = make_engine(url)
        await make_world(engine, MovableClock())
        yield engine
        await engine.dispose()


@pytest.fixture(scope="module")
async def server() -> AsyncGenerator[RedisServer, None]:
    async with redis_server() as server:
        yield server


async def gated(stack: AsyncExitStack, world: GatedWorld, server: RedisServer, tempo: Tempo) -> list[Process]:
    """Two processes, before the gates work."""
    processes: list[Process] = []
    for _ in range(2):
        redis: Any = GatedRedis(make_redis(server.url), world.gates)
        processes.append(await stack.enter_async_context(process(world, server.url, tempo, redis)))
    return processes


@pytest.mark.parametrize("seed", SEEDS)
async def test_in_every_order_a_read_counts_what_was_committed_before_it(
    table: AsyncEngine, server: RedisServer, clock: MovableClock, seed: int
):
    random = Random(seed)
    async with make_redis(server.url) as redis:
        await age(redis)
    world = GatedWorld(table, clock, Gates(random))
    async with AsyncExitStack() as stack:
        processes = await gated(stack, world, server, Tempo(answer_within_s=30))
        async with world.gates.working():
            for each in processes:
                await each.until_it_believes()
            await everybody(world, processes, random)
        assert world.wrong == []
        assert sum(each.counts.counts["hits"] + each.counts.counts["misses"] for each in processes)


@pytest.mark.parametrize("seed", STORMS)
async def test_whatever_redis_forgets_or_does_too_late_a_read_counts_what_was_committed_before_it(
    table: AsyncEngine, server: RedisServer, clock: MovableClock, seed: int
):
    """Commands time out here and are carried out afterwards."""
    random, tempo = (
        Random(seed),
        Tempo(answer_within_s=0.03, life_s=1, believe_s=0.1, rest_s=0.01, lease_s=0.5),
    )
    world = GatedWorld(table, clock, Gates(random))
    async with AsyncExitStack() as stack:
        processes = await gated(stack, world, server, tempo)
        async with world.gates.working():
            for _ in range(3):
                await everybody(world, processes, random, partial(forget, server, random))
    if world.slowest_s < tempo.life_s / 2:
        assert world.wrong == []


async def forget(server: RedisServer, random: Random) -> None:
    """Evict what may be evicted, rarely everything."""
    await asyncio.sleep(random.uniform(0, 0.05))
    if random.random() < 0.02:
        await server.command("FLUSHALL")
    await server.command("EVAL", EVICT, "0")


# A block is the one thing that Redis must not drop: see the decision.
EVICT = """
for _, key in ipairs(redis.call('KEYS', 'gonggu:penalties:*')) do
    if string.sub(redis.call('GET', key), 1, 1) ~= 'B' then redis.call('DEL', key) end
end
return 0
"""


@pytest.mark.parametrize("seed", STORMS)
async def test_while_redis_dies_and_freezes_a_read_counts_what_was_committed_before_it(
    table: AsyncEngine, clock: MovableClock, seed: int
):
    random, tempo = Random(seed), Tempo(answer_within_s=0.05, life_s=1, believe_s=0.1, rest_s=0.05)
    world = World(table, clock)
    async with redis_server() as server, AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(process(world, server.url, tempo)) for _ in range(2)]
        for _ in range(4):
            await everybody(world, processes, random, partial(trouble, server, random))
    if world.slowest_s < tempo.life_s / 2:
        assert world.wrong == []


async def trouble(server: RedisServer, random: Random) -> None:
    """Kill Redis and start it anew, or let it stand still for a moment."""
    await asyncio.sleep(random.uniform(0, 0.2))
    if random.random() < 0.2:
        server.kill()
        await server.start()
    else:
        server.freeze()
        await asyncio.sleep(random.uniform(0, 0.15))
        server.thaw()


STEPS = (
    "give",
    "give",
    "read",
    "read",
    "read",
    "revoke",
    "time",
    "evict",
    "flush",
    "restart",
    "freeze",
    "settle",
)


@settings(
    max_examples=max(15, EXAMPLES),
    derandomize=not EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1)), min_size=5, max_size=20))
async def test_after_any_sequence_of_changes_and_losses_the_count_is_a_recount(
    table: AsyncEngine, server: RedisServer, steps: list[tuple[str, int]]
):
    tempo = Tempo(answer_within_s=0.05, life_s=0.4, believe_s=0.06, rest_s=0.02)
    world, people, given = World(table, MovableClock()), [uuid4(), uuid4()], list[Given]()
    async with process(world, server.url, tempo) as one, process(world, server.url, tempo) as other:
        processes = (one, other)
        for step, number in steps:
            acting, person = processes[number], people[number]
            match step:
                case "give":
                    given.append(await world.give(acting, person))
                case "revoke" if given:
                    await world.revoke(acting, given.pop(number if len(given) > 1 else 0))
                case "time":
                    world.clock.move(days=50)
                case "evict":
                    await server.command("DEL", f"gonggu:penalties:{person}")
                case "flush":
                    await server.command("FLUSHALL")
                case "restart":
                    server.kill()
                    await server.start()
                case "freeze":
                    server.freeze()
                    try:
                        await world.read(acting, people)
                        given.append(await world.give(acting, person))
                    finally:
                        server.thaw()
                case "settle":
                    await acting.until_it_believes()
                case _:
                    pass
            for each in processes:
                await world.read(each, people)
