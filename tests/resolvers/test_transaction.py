import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import func, select, text

from app.database import make_engine
from models.errors import PartyFull, SessionExpired
from models.items import Item
from resolvers.transaction import Transactions, Unavailable
from tests.conftest import MovableClock, transactions_on
from tests.factories import make_item


async def count(transactions: Transactions) -> int | None:
    async with transactions.read() as tx:
        return await tx.session.scalar(select(func.count()).select_from(Item))


async def test_what_is_written_is_there_afterwards(fresh_transactions: Transactions):
    async with fresh_transactions.write() as tx:
        await make_item(tx)
        assert await count(fresh_transactions) == 0
    assert await count(fresh_transactions) == 1


@pytest.mark.parametrize("problem", [PartyFull(2), ValueError("a bug"), asyncio.CancelledError()])
async def test_a_refusal_a_bug_and_a_client_who_hangs_up_leave_nothing_behind(
    fresh_transactions: Transactions, problem: BaseException
):

    async def fail() -> None:
        async with fresh_transactions.write() as tx:
            await make_item(tx)
            raise problem

    with pytest.raises(type(problem)):
        await fail()
    assert await count(fresh_transactions) == 0


async def test_a_refusal_that_keeps_its_changes_is_raised_and_they_are_kept(
    fresh_transactions: Transactions,
):

    async def refuse() -> None:
        async with fresh_transactions.write() as tx:
            await make_item(tx)
            raise SessionExpired

    with pytest.raises(SessionExpired):
        await refuse()
    assert await count(fresh_transactions) == 1


async def test_deeds_are_done_around_the_commit_in_their_order(fresh_transactions: Transactions):
    seen: list[tuple[str, int | None]] = []

    def deed(name: str) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            seen.append((name, await count(fresh_transactions)))

        return look

    async with fresh_transactions.write() as tx:
        await make_item(tx)
        tx.beforehand += [deed("before"), deed("right before")]
        tx.afterwards += [deed("after"), deed("long after")]
    assert seen == [("before", 0), ("right before", 0), ("after", 1), ("long after", 1)]


async def test_what_fails_before_the_commit_undoes_it_and_what_fails_afterwards_does_not(
    fresh_transactions: Transactions, caplog: pytest.LogCaptureFixture
):
    done: list[str] = []

    async def fail() -> None:
        raise OSError("Redis is away")

    async def hang() -> None:
        await asyncio.Event().wait()

    async def work() -> None:
        done.append("the last")

    async def attempt() -> None:
        async with fresh_transactions.write() as tx:
            await make_item(tx)
            tx.beforehand.append(fail)
            tx.afterwards.append(work)

    with pytest.raises(Unavailable):
        await attempt()
    assert (await count(fresh_transactions), done) == (0, [])
    async with fresh_transactions.write() as tx:
        await make_item(tx)
        tx.afterwards += [fail, hang, work]
    assert (await count(fresh_transactions), done) == (1, ["the last"])
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        OSError,
        TimeoutError,
    ]


async def test_the_time_stands_still_within_a_transaction(transactions: Transactions, clock: MovableClock):
    async with transactions.write() as tx:
        began = tx.now
        clock.move(hours=1)
        assert tx.now == began
    async with transactions.read() as tx:
        assert tx.now == clock.now != began


async def test_a_database_that_can_not_be_reached_is_unavailable(clock: MovableClock):
    engine = make_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none", connect_within_s=2)
    for opened in (transactions_on(engine, clock).write(), transactions_on(engine, clock).read()):
        with pytest.raises(Unavailable, match="Try again"):
            async with opened as tx:
                await tx.session.execute(text("SELECT 1"))
    await engine.dispose()


async def test_a_pool_without_a_free_connection_is_unavailable(fresh_url: str, clock: MovableClock):
    engine = make_engine(fresh_url, pool_size=1, connect_within_s=1)
    transactions = transactions_on(engine, clock)
    async with transactions.write() as tx:
        await tx.session.execute(text("SELECT 1"))
        with pytest.raises(Unavailable):
            await count(transactions)
    assert await count(transactions) == 0
    await engine.dispose()


async def test_a_connection_that_breaks_is_unavailable_and_the_next_one_works(
    fresh_url: str, clock: MovableClock
):
    engine = make_engine(fresh_url)
    transactions = transactions_on(engine, clock)

    async def lose_the_connection() -> None:
        async with transactions.write() as tx:
            mine = await tx.session.scalar(text("SELECT pg_backend_pid()"))
            async with transactions.read() as other:
                await other.session.execute(text(f"SELECT pg_terminate_backend({mine}, 5000)"))
            await tx.session.execute(text("SELECT 1"))

    with pytest.raises(Unavailable):
        await lose_the_connection()
    assert await count(transactions) == 0
    await engine.dispose()


async def test_a_mistake_in_sql_is_not_called_unavailable(transactions: Transactions):
    with pytest.raises(Exception, match="no_such_table") as problem:
        async with transactions.write() as tx:
            await tx.session.execute(text("SELECT * FROM no_such_table"))
    assert not isinstance(problem.value, Unavailable)
