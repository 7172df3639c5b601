import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.settings import DBSettings
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.asgi import transactions_on, utc_now
from app.database import make_engine
from app.settings import ROOT
from app.worker import Pace, Worker, work
from models.base import Row
from resolvers.job_list import JobState, list_jobs
from resolvers.job_rows import write
from resolvers.transaction import Transactions
from tests.app.job_handlers import BRISK, effects, make_effects, until


@pytest.fixture
async def base(fresh_engine: AsyncEngine) -> AsyncEngine:
    """A database of the test's own, with a table for the effects of jobs."""
    await make_effects(fresh_engine)
    return fresh_engine


@pytest.fixture
def real(base: AsyncEngine) -> Transactions:
    """Transactions by the real clock, as the worker's are."""
    return transactions_on(base, utc_now)


@asynccontextmanager
async def working(url: str, pace: Pace = BRISK) -> AsyncGenerator[Worker]:
    """A worker in this process, with connections of its own."""
    engine = make_engine(url)
    listening = make_engine(url, pool_size=1).execution_options(isolation_level="AUTOCOMMIT")
    worker = Worker(transactions_on(engine), listening, pace)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await listening.dispose()
        await engine.dispose()


@asynccontextmanager
async def process(url: str, *arguments: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A worker in a process of its own; killed at the end, if it lives."""
    command = [sys.executable, "-m", "tests.app.worker_process", url, *arguments]
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


@pytest.fixture
async def admin(fresh_url: str) -> AsyncGenerator[AsyncEngine, None]:
    engine = make_engine(fresh_url).execution_options(isolation_level="AUTOCOMMIT")
    yield engine
    await engine.dispose()


async def has_effects(engine: AsyncEngine, count: int) -> bool:
    return len(await effects(engine)) >= count


async def stands(transactions: Transactions, state: JobState, name: str) -> bool:
    async with transactions.read() as tx:
        return name in [line.name for line in await list_jobs(tx, state, 1000)]


async def test_a_committed_job_runs_in_a_worker_of_another_connection(
    fresh_url: str, base: AsyncEngine, real: Transactions
) -> None:
    async with working(fresh_url):
        async with real.write() as tx:
            await tx.jobs.soon("test.act", "a")
            await asyncio.sleep(0.1)  # long enough for a worker that could see it
            assert await effects(base) == []
        await until(lambda: has_effects(base, 1))
    assert await effects(base) == ["a"]


async def test_a_worker_wakes_for_a_job_that_is_moved_earlier(
    fresh_url: str, base: AsyncEngine, real: Transactions
) -> None:
    async with working(fresh_url, Pace(stale_after_s=300)):
        async with real.write() as tx:
            await tx.jobs.at("test.act", tx.now + timedelta(hours=1), "a")
        async with real.write() as tx:
            await tx.jobs.at("test.act", tx.now + timedelta(seconds=0.3), "a")
        await until(lambda: has_effects(base, 1), within_s=10)


async def test_two_workers_run_each_of_200_jobs_once(
    fresh_url: str, base: AsyncEngine, real: Transactions
) -> None:
    async with real.write() as tx:
        for number in range(200):
            await tx.jobs.soon("test.act", f"{number:03}")
    async with working(fresh_url, Pace()) as one, working(fresh_url, Pace()) as two:
        await until(lambda: has_effects(base, 200))
    assert await effects(base) == [f"{number:03}" for number in range(200)]
    assert one.counts["done"] + two.counts["done"] == 200
    assert min(one.counts["done"], two.counts["done"]) > 0


async def test_a_job_whose_process_is_killed_in_the_middle_runs_again_and_acts_once(
    fresh_url: str, base: AsyncEngine, real: Transactions, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    async with real.write() as tx:
        await tx.jobs.soon("test.die_once", "a", marker=str(marker))
    async with process(fresh_url) as first:
        assert await asyncio.wait_for(first.wait(), 30) == -9
    assert marker.exists()
    assert await effects(base) == []
    async with working(fresh_url):
        await until(lambda: has_effects(base, 1))
    assert await effects(base) == ["a"]


async def test_a_job_written_before_its_process_was_killed_runs_in_the_next(
    fresh_url: str, base: AsyncEngine, real: Transactions
) -> None:
    async with process(fresh_url) as first:
        await until(lambda: stands(real, JobState.WAITING, "cron:sessions.forget:17 * * * *:Asia/Seoul"))
        async with real.write() as tx:
            await tx.jobs.at("test.act", tx.now + timedelta(seconds=0.5), "a")
        first.kill()
        await first.wait()
    assert await effects(base) == []
    async with working(fresh_url):
        await until(lambda: has_effects(base, 1))
    assert await effects(base) == ["a"]


async def test_a_job_that_kills_its_process_each_time_is_dead_in_the_end(
    fresh_url: str, base: AsyncEngine, real: Transactions
) -> None:
    async with real.write() as tx:
        await tx.jobs.soon("test.die", "a")
    for _ in range(2):
        async with process(fresh_url) as worker:
            assert await asyncio.wait_for(worker.wait(), 30) == -9
    async with working(fresh_url):
        await until(lambda: stands(real, JobState.DEAD, "test.die"))
    assert await effects(base) == []
    async with real.write() as tx:
        [line] = await list_jobs(tx, JobState.DEAD, 10)
    assert line.error == "The process ended 2 times while it ran."


async def test_a_long_job_shows_signs_of_life_and_is_not_picked_again(
    fresh_url: str, base: AsyncEngine, real: Transactions
) -> None:
    async with real.write() as tx:
        await tx.jobs.soon("test.hang", "a")
    async with working(fresh_url) as one, working(fresh_url) as two:
        await until(lambda: stands(real, JobState.RUNNING, "test.hang"))
        await asyncio.sleep(3 * BRISK.stale_after_s)
        assert one.counts["picked"] + two.counts["picked"] == 1


async def test_a_tick_that_two_processes_see_starts_one_job(
    fresh_url: str, base: AsyncEngine, real: Transactions
) -> None:
    async with process(fresh_url, "cron"), process(fresh_url, "cron"):
        await until(lambda: has_effects(base, 4))
    async with base.connect() as connection:
        query = """SELECT count(*) FILTER (WHERE entrypoint = 'test.tick' AND status = 'queued'),
            count(*) FILTER (WHERE entrypoint LIKE 'cron:test.tick%' AND status = 'successful'),
            extract(epoch FROM max(created) - min(created)) FROM jobs.pgqueuer_log"""
        started, ticks, seconds = (await connection.execute(text(query))).one()
    assert started <= ticks <= seconds + 2


async def test_work_goes_on_after_every_connection_was_closed(
    fresh_url: str, base: AsyncEngine, real: Transactions, admin: AsyncEngine
) -> None:
    async with working(fresh_url) as worker:
        async with real.write() as tx:
            await tx.jobs.soon("test.act", "before")
        await until(lambda: has_effects(base, 1))
        async with admin.connect() as connection:
            ended = await connection.scalar(
                text("""SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()""")
            )
        assert ended > 0
        await base.dispose()
        async with real.write() as tx:
            await tx.jobs.soon("test.act", "later")
        await until(lambda: has_effects(base, 2))
        assert worker.counts["restarts"] >= 1


async def test_a_worker_that_starts_before_its_database_waits_for_it(
    fresh_url: str, base: AsyncEngine, real: Transactions, admin: AsyncEngine
) -> None:
    name = make_url(fresh_url).database
    async with admin.connect() as connection:
        await connection.execute(text("ALTER TABLE jobs.pgqueuer RENAME TO away"))
    async with working(fresh_url) as worker:
        async with asyncio.timeout(20):
            while worker.counts["restarts"] < 2:  # noqa: ASYNC110 - nothing else tells of it
                await asyncio.sleep(0.02)
        async with admin.connect() as connection:
            await connection.execute(text("ALTER TABLE jobs.away RENAME TO pgqueuer"))
        async with real.write() as tx:
            await tx.jobs.soon("test.act", f"{name}")
        await until(lambda: has_effects(base, 1))


async def test_stopping_does_not_wait_for_a_job_that_hangs_and_gives_it_back(
    fresh_url: str, base: AsyncEngine, real: Transactions
) -> None:
    async with real.write() as tx:
        await tx.jobs.soon("test.hang", "a")
    loop = asyncio.get_running_loop()
    async with working(fresh_url):
        await until(lambda: stands(real, JobState.RUNNING, "test.hang"))
        began = loop.time()
    assert loop.time() - began < 3
    async with real.write() as tx:
        [line] = [each for each in await list_jobs(tx, None, 10) if each.name == "test.hang"]
    assert (line.state, line.attempts) == (JobState.WAITING, 0)
    assert await effects(base) == []


async def test_a_name_that_the_worker_does_not_know_stays_and_holds_up_nobody(
    fresh_url: str, base: AsyncEngine, real: Transactions
) -> None:
    async with real.write() as tx:
        connection = await tx.session.connection()
        await write(connection, "test.of_tomorrow", "a", tx.now, b"{}", replace=True)
        await tx.jobs.at("test.act", tx.now + timedelta(seconds=0.2), "b")
    async with working(fresh_url):
        await until(lambda: has_effects(base, 1))
    assert await stands(real, JobState.WAITING, "test.of_tomorrow")


async def test_work_needs_nothing_but_transactions(base: AsyncEngine, real: Transactions) -> None:
    task = asyncio.create_task(work(real, pace=BRISK))
    async with real.write() as tx:
        await tx.jobs.soon("test.act", "a")
    await until(lambda: has_effects(base, 1))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_the_tables_are_as_pgqueuer_wants_them_and_its_tools_read_them(
    fresh_url: str, real: Transactions
) -> None:
    async with real.write() as tx:
        await tx.jobs.soon("test.act", "a")
    settings = DBSettings(db_schema="jobs")
    url = make_url(fresh_url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    try:
        queries = Queries(
            AsyncpgDriver(connection),  # pyright: ignore[reportUnknownArgumentType]
            QueryBuilderEnvironment(settings),
            QueryQueueBuilder(settings),
            QuerySchedulerBuilder(settings),
        )
        await QueueManager(queries).verify_structure()
        assert not (await queries.plan_upgrade()).statements
        assert [each.entrypoint for each in await queries.queue_size()] == ["test.act"]
    finally:
        await connection.close()  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.filterwarnings("ignore:Did not recognize type 'cube'")
async def test_alembic_wants_nothing_of_the_jobs_tables(fresh_engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Row.metadata))

    async with fresh_engine.connect() as connection:
        assert "jobs" not in str(await connection.run_sync(differences))
