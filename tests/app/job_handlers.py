"""Jobs for tests of workers: here, because processes of their own perform them too."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.worker import Pace
from resolvers.jobs import job
from resolvers.transaction import Transaction

CRON_EVERY_SECOND = "* * * * * *"

BRISK = Pace(stale_after_s=0.6, stop_within_s=0.3)


async def make_effects(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE effects (key text NOT NULL)"))


async def effects(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return sorted(await connection.scalars(text("SELECT key FROM effects")))


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.02)


def _die_unless(marker: Path) -> None:
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


async def _act(tx: Transaction, key: str) -> None:
    await tx.session.execute(text("INSERT INTO effects VALUES (:key)"), {"key": key})


@job("test.act")
async def act(tx: Transaction, key: str) -> None:
    await _act(tx, key)


@job("test.die_once")
async def die_once(tx: Transaction, key: str, *, marker: str) -> None:
    """Kill the own process in the middle of the job, the first time."""
    await _act(tx, key)
    _die_unless(Path(marker))


@job("test.die", attempts=2)
async def die(tx: Transaction, key: str) -> None:
    await _act(tx, key)
    os.kill(os.getpid(), signal.SIGKILL)


@job("test.hang")
async def hang(tx: Transaction, key: str) -> None:
    await _act(tx, key)
    await asyncio.Event().wait()


@job("test.tick")
async def tick(tx: Transaction, key: str) -> None:
    await _act(tx, f"{key} {tx.now:%H:%M:%S.%f}")
