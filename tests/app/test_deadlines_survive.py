"""A server is killed, and the deadline acts all the same, and once: another server does it."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.settings import ROOT
from schema import ids
from tests.api import PASSWORD, Client, document
from tests.app.job_handlers import until
from tests.conftest import MovableClock, transactions_on
from tests.factories import make_item, make_market

WITHIN_S = 60.0
STALE_AFTER_S = 30
"""As `app.worker.Pace` has it: without a sign of life for so long, a running job is picked again."""

JOINING_FOR_S = 3.0
"""Long enough to kill a server before, or to lock a row."""

ACCOUNT = {
    "password": PASSWORD,
    "address": "서울 마포구 포은로8길 14",
    "point": {"latitude": 37.5562, "longitude": 126.9056},
}


@asynccontextmanager
async def server(folder: Path, url: str, redis_url: str) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """A server in a process of its own, its worker inside; killed at the end, if it lives."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "COLUMNS": "200",
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": "a secret of tests, 32 characters or more",
        "JOBS": "internal",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "serve", "--port", "0"),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def address(process: asyncio.subprocess.Process) -> str:
    """Where it listens, as it says itself."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(WITHIN_S):
        while line := (await process.stdout.readline()).decode():
            said += line
            if found := re.search(r"listens on (http://[\d.]+:\d+)/graphql", line):
                return found[1]
    raise AssertionError(f"the server did not start:\n{said}")


async def open_party(url: str, engine: AsyncEngine) -> UUID:
    """Open a party over HTTP that nobody will join in time."""
    async with transactions_on(engine, MovableClock()).write() as tx:
        market, item = await make_market(tx), await make_item(tx)
    async with httpx.AsyncClient(base_url=url, timeout=WITHIN_S, trust_env=False) as http:
        anybody = Client(http)
        tokens = await anybody.do(
            "signUp", "... on Tokens { accessToken }", **ACCOUNT, email="a@example.com", nickname="파티장"
        )
        leader = anybody.with_token(tokens["accessToken"])
        now = datetime.fromisoformat(await leader.ask("{ serverTime }"))
        party = await leader.ask(
            document("createParty", "... on Party { id }"),
            input={
                "marketId": ids.encode("Market", market.id),
                "itemId": ids.encode("Item", item.id),
                "itemCount": 10,
                "itemUnit": "개",
                "capacity": 4,
                "joinBy": (now + timedelta(seconds=JOINING_FOR_S)).isoformat(),
                "startsAt": (now + timedelta(hours=1)).isoformat(),
                "endsAt": (now + timedelta(hours=2)).isoformat(),
            },
        )
        return ids.decode("Party", party["id"])


async def endings(engine: AsyncEngine, party: UUID) -> list[tuple[str, str]]:
    """How the party has ended, by its history."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT kind, detail ->> 'reason' FROM party_events"
                " WHERE party_id = :id AND kind = 'CANCELED'"
            ),
            {"id": party},
        )
        return [(row[0], row[1]) for row in rows]


async def jobs(engine: AsyncEngine, party: UUID) -> list[tuple[str, str]]:
    """Names and states of the party's jobs."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT entrypoint, status FROM jobs.pgqueuer WHERE dedupe_key LIKE :key ORDER BY 1"),
            {"key": f"%{party}%"},
        )
        return [(row[0], row[1]) for row in rows]


CANCELED = [("CANCELED", "TOO_FEW_MEMBERS")]


async def test_a_server_killed_before_the_deadline_leaves_it_to_the_next(
    tmp_path: Path, fresh_url: str, fresh_engine: AsyncEngine, redis_url: str
):
    async with server(tmp_path, fresh_url, redis_url) as first:
        party = await open_party(await address(first), fresh_engine)
        first.kill()
        await first.wait()
    assert await endings(fresh_engine, party) == []
    assert await jobs(fresh_engine, party) == [
        ("party.give_up", "queued"),
        ("party.joining_ends", "queued"),
        ("party.meeting_ends", "queued"),
    ]
    async with server(tmp_path, fresh_url, redis_url) as second:
        await address(second)
        await until(lambda: is_over(fresh_engine, party), WITHIN_S)
    assert await endings(fresh_engine, party) == CANCELED


async def test_a_server_killed_in_the_middle_of_the_deadline_leaves_it_to_the_next(
    tmp_path: Path, fresh_url: str, fresh_engine: AsyncEngine, redis_url: str
):
    async with server(tmp_path, fresh_url, redis_url) as first:
        party = await open_party(await address(first), fresh_engine)
        async with fresh_engine.connect() as connection:
            # The handler is picked and hangs at the party's row.
            await connection.execute(text("SELECT 1 FROM parties WHERE id = :id FOR UPDATE"), {"id": party})
            await until(lambda: is_running(fresh_engine, party), WITHIN_S)
            first.kill()
            await first.wait()
            await connection.rollback()
    assert await endings(fresh_engine, party) == []
    # Nobody waits for half a minute here: the dead worker's last sign of life was long ago.
    async with fresh_engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE jobs.pgqueuer SET heartbeat = heartbeat - make_interval(secs => :s)"
                " WHERE status = 'picked'"
            ),
            {"s": STALE_AFTER_S},
        )
    async with (
        server(tmp_path, fresh_url, redis_url) as second,
        server(tmp_path, fresh_url, redis_url) as third,
    ):
        await asyncio.gather(address(second), address(third))
        await until(lambda: is_over(fresh_engine, party), WITHIN_S)
    assert await endings(fresh_engine, party) == CANCELED


async def is_over(engine: AsyncEngine, party: UUID) -> bool:
    return not await jobs(engine, party)


async def is_running(engine: AsyncEngine, party: UUID) -> bool:
    """Whether the deadline is picked, and waits for the row."""
    async with engine.connect() as connection:
        waiting = await connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
    return ("party.joining_ends", "picked") in await jobs(engine, party) and bool(waiting)
