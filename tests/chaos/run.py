"""One run: everything is started, broken for a while, left in peace, and looked at."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.database import make_engine
from tests.benchmarks.processes import free_port
from tests.chaos.crowd import Crowd, crowd
from tests.chaos.faults import FAULTS, Stage, schedule
from tests.chaos.kept import EXPECTED_ENDS, Kept
from tests.chaos.logs import Lines
from tests.chaos.plan import Report, Sent
from tests.chaos.verdict import problems
from tests.chaos.world import SECRET, World
from tests.subscriptions.redis_server import RedisServer, redis_server

READY_WITHIN_S = 60.0
QUIET_WITHIN_S = 90.0
LAST_WORDS_WITHIN_S = 30.0
REPORT_WITHIN_S = 60.0
DRAIN_S = 2.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    seed: int
    seconds: float
    clients: int
    chats: int
    #: Messages a second in each chat, on average.
    messages_per_s: float = 1.0


@dataclass(frozen=True)
class Happened:
    """A fault, and when it began and was done, by the wall clock."""

    name: str
    began: float
    done: float


@dataclass
class Outcome:
    """What a run has come to. It has passed when there are no problems."""

    scale: Scale
    began: float
    report: Report = field(default_factory=Report)
    happened: list[Happened] = field(default_factory=list[Happened])
    problems: list[str] = field(default_factory=list[str])
    lines: Lines = field(default_factory=Lines)
    #: How the lives of each process have ended.
    ends: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    #: Until everybody had everything, after the last message.
    quiet_s: float = 0.0


async def run(database_url: str, scale: Scale, say: Say) -> Outcome:
    """Run on a database of its own, which has tables and no rows. `say` is told how far it is."""
    say("makes people and chats")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gonggu-chaos-")))
        engine = make_engine(database_url, pool_size=2)
        stack.push_async_callback(engine.dispose)
        world = World(engine)
        await world.build(scale.clients, scale.chats)
        redis = await stack.enter_async_context(redis_server())
        ports = [free_port(), free_port()]
        servers, worker = _processes(database_url, redis, ports, folder)
        kept = [*servers, worker]
        outcome = Outcome(scale, time.time(), ends={each.name: each.ends for each in kept})
        async with AsyncExitStack() as processes:
            for each in kept:
                await processes.enter_async_context(each.running())
            say("starts the servers")
            await asyncio.gather(*(each.listening() for each in servers))
            plan = world.plan(scale.seed, ports, scale.clients, scale.messages_per_s)
            people = await processes.enter_async_context(crowd(plan))
            say("lets the clients come")
            await people.until(lambda status: status.following == scale.clients, READY_WITHIN_S)
            outcome.began = time.time()
            stage = Stage(random.Random(f"{scale.seed} faults"), world, redis, servers, worker, [])
            async with _telling(people, outcome, say):
                await _break(stage, outcome)
            say("lets everybody come to rest")
            await _come_to_rest(world, people, outcome, stage.sent)
        for each in kept:
            outcome.lines.read(each.log)
            outcome.problems += [
                f"{each.name} ended with {code}" for code in each.ends if code not in EXPECTED_ENDS
            ]
        outcome.problems += [f"logged: {line}" for line in outcome.lines.unexpected]
    return outcome


def _processes(
    database_url: str, redis: RedisServer, ports: Sequence[int], folder: Path
) -> tuple[list[Kept], Kept]:
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis.url,
        "SECRET_KEY": SECRET,
        "JOBS": "external",
        "GONGGU_DRAIN_S": f"{DRAIN_S:g}",
        "GONGGU_PING_EVERY_S": "5",
        "GONGGU_PONG_WITHIN_S": "10",
        "GONGGU_LOG_FORMAT": "json",
    }
    servers = [
        Kept(
            f"server {number}",
            *("serve", "--port", str(port)),
            environment=environment,
            log=folder / f"server {number}.log",
            port=port,
        )
        for number, port in enumerate(ports, start=1)
    ]
    return servers, Kept("worker", "work", environment=environment, log=folder / "worker.log")


async def _break(stage: Stage, outcome: Outcome) -> None:
    """Break one thing after the other, each at its time or as soon as the one before lets it."""
    seconds = outcome.scale.seconds
    for at_s, name in schedule(stage.random, seconds):
        await asyncio.sleep(max(0, outcome.began + at_s - time.time()))
        began = time.time()
        await FAULTS[name](stage)
        outcome.happened.append(Happened(name, began, time.time()))
    await asyncio.sleep(max(0, outcome.began + seconds - time.time()))


@asynccontextmanager
async def _telling(people: Crowd, outcome: Outcome, say: Say) -> AsyncGenerator[None, None]:
    async def tell() -> None:
        while True:
            status, name = people.status, outcome.happened[-1].name if outcome.happened else "nothing yet"
            say(
                f"{time.time() - outcome.began:3.0f} of {outcome.scale.seconds:g} s · {status.following} "
                f"following · {status.sent} sent · {status.deliveries} delivered · "
                f"{status.breaks} broken · {name}"
            )
            await asyncio.sleep(0.5)

    telling = asyncio.create_task(tell(), name="tells how far it is")
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait([telling])


async def _come_to_rest(world: World, people: Crowd, outcome: Outcome, silent: list[Sent]) -> None:
    """Wait until everybody has everything; then say one last word, which has to come live."""
    began = time.monotonic()
    await people.stop_writing(READY_WITHIN_S)
    behind = await people.behind(await _heads(world), QUIET_WITHIN_S)
    outcome.quiet_s = time.monotonic() - began
    if not behind:
        await people.say_last_words(LAST_WORDS_WITHIN_S)
        behind = await people.behind(await _heads(world), QUIET_WITHIN_S)
    outcome.problems += [f"behind: {each}" for each in behind[:20]]
    await _see_the_outbox_emptied(world, outcome)
    outcome.report = await people.report(REPORT_WITHIN_S)
    outcome.report.sent += silent
    stored = await world.stored()
    outcome.problems += problems(outcome.report, stored)


async def _heads(world: World) -> dict[str, int]:
    """The head of every channel that anybody could follow; 0 where nothing has come yet."""
    return {**world.channels(), **(await world.stored()).heads}


async def _see_the_outbox_emptied(world: World, outcome: Outcome) -> None:
    try:
        async with asyncio.timeout(QUIET_WITHIN_S):
            while await world.waiting():  # noqa: ASYNC110 - the database has no event
                await asyncio.sleep(0.05)
    except TimeoutError:
        outcome.problems.append(f"{await world.waiting()} rows are left in the outbox")
