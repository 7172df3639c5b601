import asyncio

from sqlalchemy import text

from resolvers.transaction import Transactions
from tests.conftest import MovableClock
from tests.jobs import run_due


async def test_old_sessions_are_forgotten_once_an_hour(
    transactions: Transactions, clock: MovableClock
) -> None:
    async with transactions.write() as tx:
        await tx.jobs.plant()
    clock.move(minutes=59)
    ran = [each.name for each in await run_due(transactions)]
    assert ran.count("sessions.forget") == 1
    clock.move(hours=5)
    ran = [each.name for each in await run_due(transactions)]
    assert ran.count("sessions.forget") == 1


async def test_however_many_workers_see_a_tick_it_starts_one_job(
    fresh_transactions: Transactions, clock: MovableClock
) -> None:
    async def worker() -> int:
        async with fresh_transactions.write() as tx:
            await tx.jobs.plant()
        return [each.name for each in await run_due(fresh_transactions)].count("sessions.forget")

    await asyncio.gather(*(worker() for _ in range(4)))
    for _ in range(10):
        clock.move(hours=1)
        assert sum(await asyncio.gather(*(worker() for _ in range(4)))) == 1


async def test_the_log_of_a_week_ago_is_added_up_and_dropped(
    transactions: Transactions, clock: MovableClock
) -> None:
    async with transactions.write() as tx:
        await tx.session.execute(
            text("""INSERT INTO jobs.pgqueuer_log (created, job_id, status, priority, entrypoint)
                SELECT CAST(:now AS timestamptz) - make_interval(days => day), 1, 'picked', 0, 'test.old'
                FROM unnest(ARRAY[1, 8, 8]) AS day"""),
            {"now": clock.now},
        )
        await tx.jobs.soon("jobs.tidy", "cron")
    await run_due(transactions)
    async with transactions.write() as tx:
        query = "SELECT count(*) FROM jobs.pgqueuer_log WHERE entrypoint = 'test.old'"
        assert await tx.session.scalar(text(query)) == 1
        query = "SELECT sum(count) FROM jobs.pgqueuer_statistics WHERE entrypoint = 'test.old'"
        assert await tx.session.scalar(text(query)) == 3
