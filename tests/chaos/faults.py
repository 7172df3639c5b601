"""What goes wrong in a run, and when. A seed gives the same faults in the same order."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.chaos.kept import Kept
from tests.chaos.plan import Sent
from tests.chaos.world import World
from tests.subscriptions.redis_server import RedisServer

ROUND_S = 45.0
"""In so many seconds, everything goes wrong once."""

FROZEN_S = 5.0
AWAY_S = (0.3, 2.0)
SILENT_CHATS, SILENT = 5, 2
BURST = 300
"""More than a reader's buffer holds."""

LONG = 1_900


@dataclass(frozen=True)
class Stage:
    """What can be broken."""

    random: random.Random
    world: World
    redis: RedisServer
    servers: Sequence[Kept]
    worker: Kept
    #: What was committed silently counts as acknowledged.
    sent: list[Sent]

    async def some_server(self) -> Kept:
        """The server that has been up longest, which has the most clients.

        It falls when all stand: one that is just starting is waited for.
        """
        for server in self.servers:
            await server.listening()
        return min(self.servers, key=lambda server: (len(server.ends), self.random.random()))

    async def write_silently(self) -> None:
        """Commit messages in several chats that nobody publishes."""
        for room in self.random.sample(self.world.rooms, min(SILENT_CHATS, len(self.world.rooms))):
            self.sent.extend(await self.world.write_silently(room, SILENT))


Fault: TypeAlias = Callable[[Stage], Awaitable[None]]
"""Breaks something; it may take a while, and nothing else breaks meanwhile."""


async def redis_killed(stage: Stage) -> None:
    """SIGKILL, and a new one after a moment, which knows nothing."""
    stage.redis.kill()
    await asyncio.sleep(stage.random.uniform(*AWAY_S))
    await stage.redis.start()


async def redis_frozen(stage: Stage) -> None:
    """It holds its connections and says nothing."""
    stage.redis.freeze()
    try:
        await asyncio.sleep(FROZEN_S)
    finally:
        stage.redis.thaw()


async def redis_ends_subscribers(stage: Stage) -> None:
    """CLIENT KILL TYPE pubsub."""
    await stage.redis.kill_subscribers()


async def redis_ends_clients(stage: Stage) -> None:
    """CLIENT KILL TYPE normal."""
    await stage.redis.command("CLIENT", "KILL", "TYPE", "normal")


async def server_killed(stage: Stage) -> None:
    """SIGKILL; it is started again."""
    (await stage.some_server()).signal(signal.SIGKILL)


async def server_drained(stage: Stage) -> None:
    """SIGTERM, as in a rolling restart; it is started again."""
    (await stage.some_server()).signal(signal.SIGTERM)


async def database_ends_backends(stage: Stage) -> None:
    """pg_terminate_backend, of everybody's."""
    await stage.world.end_backends()


async def worker_killed(stage: Stage) -> None:
    """SIGKILL, while it owes others the publishing of what they have committed."""
    await stage.write_silently()
    stage.worker.signal(signal.SIGKILL)


async def writers_die(stage: Stage) -> None:
    """Between commit and publish, in several chats."""
    await stage.write_silently()


async def burst(stage: Stage) -> None:
    """More at once in one chat than buffers hold, and more bytes than sockets take from who doesn't read."""
    room = stage.random.choice(stage.world.rooms)
    stage.sent.extend(await stage.world.write_silently(room, BURST, LONG))


FAULTS: dict[str, Fault] = {
    "Redis is killed": redis_killed,
    "Redis is killed again": redis_killed,
    "Redis is killed a third time": redis_killed,
    f"Redis is frozen for {FROZEN_S:g} s": redis_frozen,
    "Redis ends subscribers": redis_ends_subscribers,
    "Redis ends other clients": redis_ends_clients,
    "a server is killed": server_killed,
    "a server is drained": server_drained,
    "PostgreSQL ends every backend": database_ends_backends,
    "the worker is killed": worker_killed,
    "writers die after the commit": writers_die,
    "a burst in one chat": burst,
}


def schedule(chance: random.Random, seconds: float) -> list[tuple[float, str]]:
    """When what goes wrong, in seconds from the beginning."""
    rounds = max(1, round(seconds / ROUND_S))
    names = [name for _ in range(rounds) for name in chance.sample(list(FAULTS), len(FAULTS))]
    step_s = seconds / len(names)
    return [(step_s * (place + chance.uniform(0, 0.7)), name) for place, name in enumerate(names)]
