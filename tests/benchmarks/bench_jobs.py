"""How late jobs run, beside PgQueuer alone: `python -m tests.benchmarks.bench_jobs --pending 1000000`.

Both perform the same rows of the same table in turn, in this process: ours with its transaction and its
acknowledgement for each job, PgQueuer's own QueueManager with a handler that does nothing.
"""

import asyncio
import json
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Annotated, Any, cast

import asyncpg
import typer
import uvloop
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.models import Job
from pgqueuer.domain.settings import DBSettings
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.asgi import transactions_on
from app.database import make_engine
from app.embedded.servers import embedded_servers
from app.worker import Pace, work
from resolvers.jobs import job
from resolvers.transaction import Transaction, Transactions
from tests.databases import TEMPLATE, cloned, make_template

console = Console()
lateness_ms: list[float] = []
Start = Callable[[], Awaitable[None]]

TELL_OF_DELETES = """
    CREATE TRIGGER bench_deletes AFTER DELETE ON jobs.pgqueuer EXECUTE FUNCTION jobs.fn_pgqueuer_changed()
"""


@job("bench.due")
async def due_job(tx: Transaction, key: str, *, due: datetime) -> None:
    note(due)


@job("bench.pending")
async def pending_job(tx: Transaction, key: str, *, due: datetime) -> None:
    raise RuntimeError("a pending job is days away")


def note(due: datetime) -> None:
    lateness_ms.append((datetime.now(UTC) - due).total_seconds() * 1000)


async def fill(engine: AsyncEngine, pending: int) -> None:
    """Jobs spread over the next sixty days, none of them within the next hour."""
    statement = """
        INSERT INTO jobs.pgqueuer (priority, entrypoint, payload, execute_after, dedupe_key, status)
        SELECT 0, 'bench.pending', '{}', now() + interval '1 hour' + random() * interval '60 days',
            '["bench.pending", "' || number || '"]', 'queued' FROM generate_series(1, $1::bigint) AS number
    """
    async with engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.execute(statement, pending, timeout=1800)
        await raw.execute("VACUUM ANALYZE jobs.pgqueuer", timeout=1800)
        # What was just written goes to the disk now, not while the first of the two is measured.
        await raw.execute("CHECKPOINT", timeout=1800)


async def due_jobs(transactions: Transactions, count: int, within_s: float) -> None:
    """Jobs at random moments of the seconds to come, and a pause before the first."""
    random, start = Random(7), datetime.now(UTC) + timedelta(seconds=2 + count / 500)
    async with transactions.write() as tx:
        for number in range(count):
            when = start + timedelta(seconds=random.uniform(0, within_s))
            await tx.jobs.at("bench.due", when, str(number), due=when)


async def stock(url: str) -> None:
    """PgQueuer's own QueueManager, as its documentation starts it."""
    settings = DBSettings(db_schema="jobs")
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await cast(Any, asyncpg).connect(address)
    try:
        queries = Queries(
            AsyncpgDriver(connection),
            QueryBuilderEnvironment(settings),
            QueryQueueBuilder(settings),
            QuerySchedulerBuilder(settings),
        )
        manager = QueueManager(queries)
        manager.min_dequeue_poll_interval = timedelta(seconds=Pace().look_every_s)

        async def handle(job: Job) -> None:
            note(datetime.fromisoformat(json.loads(job.payload or b"")["due"]))

        manager.entrypoint("bench.due")(handle)
        manager.entrypoint("bench.pending")(handle)
        await manager.run()
    finally:
        await connection.close()


async def measure(transactions: Transactions, start: Start, count: int, within_s: float) -> list[float]:
    """Milliseconds that each job was late."""
    lateness_ms.clear()
    await due_jobs(transactions, count, within_s)
    task = asyncio.ensure_future(start())
    async with asyncio.timeout(within_s * 3 + 60):
        while len(lateness_ms) < count and not task.done():  # noqa: ASYNC110 - it must not disturb
            await asyncio.sleep(0.2)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return list(lateness_ms)


def show(results: dict[str, list[float]]) -> None:
    """The medians and the tails, and how many times PgQueuer's they are."""
    table = Table("", "jobs", "p50 ms", "p99 ms", "worst ms", title="Late by")
    p: dict[str, tuple[float, float]] = {}
    for name, values in results.items():
        cuts = statistics.quantiles(values, n=100)
        p[name] = cuts[49], cuts[98]
        table.add_row(name, str(len(values)), f"{cuts[49]:.1f}", f"{cuts[98]:.1f}", f"{max(values):.1f}")
    console.print(table)
    (ours50, ours99), (stock50, stock99) = p["ours"], p["PgQueuer alone"]
    console.print(
        f"ours / PgQueuer alone: p50 {ours50 / stock50:.2f}, p99 {ours99 / stock99:.2f}; wanted: 2 at most"
    )


async def bench(server_url: str, pending: int, due: int, within_s: float, rounds: int, pace: Pace) -> None:
    """Fill, then measure both in turn."""
    await make_template(server_url)
    async with cloned(server_url, TEMPLATE) as url:
        engine = make_engine(url)
        transactions = transactions_on(engine)
        console.print(f"writing {pending:,} pending jobs …")
        await fill(engine, pending)
        results: dict[str, list[float]] = {"ours": [], "PgQueuer alone": []}
        starts: dict[str, Start] = {
            "ours": lambda: work(transactions, url, pace),
            "PgQueuer alone": lambda: stock(url),
        }
        for number in range(rounds):
            order = list(starts.items())
            for name, start in order if number % 2 == 0 else reversed(order):
                async with engine.begin() as connection:
                    if name != "ours":
                        # Its own trigger tells of deletes as well, and it wakes by them.
                        await connection.execute(text(TELL_OF_DELETES))
                results[name] += await measure(transactions, start, due, within_s)
                async with engine.begin() as connection:
                    await connection.execute(text("DROP TRIGGER IF EXISTS bench_deletes ON jobs.pgqueuer"))
                    await connection.execute(
                        text("DELETE FROM jobs.pgqueuer WHERE entrypoint <> 'bench.pending'")
                    )
                console.print(f"round {number + 1} of {rounds}: {name} done")
        show(results)
        await engine.dispose()


def main(
    pending: Annotated[int, typer.Option(min=0, help="Jobs that are days away.")] = 1_000_000,
    due: Annotated[int, typer.Option(min=100, help="Jobs that fall due while it measures.")] = 2_000,
    within_s: Annotated[float, typer.Option(min=1, help="Seconds over which they fall due.")] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each of the two is measured.")] = 2,
    at_once: Annotated[int, typer.Option(min=1, max=9, help="Jobs that ours performs at once.")] = 4,
    database_url: Annotated[
        str | None, typer.Option(help="A server to use, whose `postgres` database may be entered.")
    ] = None,
) -> None:
    """Print how late jobs are, ours beside PgQueuer alone."""
    if database_url is not None:
        uvloop.run(bench(database_url, pending, due, within_s, rounds, Pace(at_once=at_once)))
        return
    with (
        tempfile.TemporaryDirectory(prefix="gonggu-bench-") as directory,
        embedded_servers(Path(directory) / "data") as pair,
    ):
        uvloop.run(bench(pair.database_url, pending, due, within_s, rounds, Pace(at_once=at_once)))


if __name__ == "__main__":
    typer.run(main)
