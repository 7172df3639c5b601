import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.performing import Outcome, pause_after, perform
from models.errors import DomainError, NotFound
from resolvers import job_rows
from resolvers.job_list import JobState, list_jobs
from resolvers.job_rows import Claim
from resolvers.jobs import Schedule, UnknownJob, cron, job, kinds
from resolvers.transaction import Transaction, Transactions
from tests.conftest import MovableClock
from tests.jobs import run_due

calls: list[tuple[object, ...]] = []
broken: set[str] = set()


@job("test.note")
async def note(tx: Transaction, key: UUID, *, count: int = 0, at: datetime | None = None) -> None:
    calls.append((key, count, at, tx.now))


@job("test.break")
async def break_(tx: Transaction, key: str) -> None:
    await tx.jobs.soon("test.note", UUID(int=1))
    if key in broken:
        raise RuntimeError("the wire is cut")


@job("test.refuse")
async def refuse(tx: Transaction, key: str) -> None:
    class Stolen(DomainError):
        keeps_changes = True
        message_ko = message_en = "Stolen."

    await tx.jobs.soon("test.note", UUID(int=1))
    raise Stolen


@job("test.repeat")
async def repeat(tx: Transaction, key: str, *, left: int) -> None:
    if left:
        await tx.jobs.at("test.repeat", tx.now + timedelta(hours=1), key, left=left - 1)


@job("test.slow", within_s=0.05)
async def slow(tx: Transaction, key: str) -> None:
    await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def _forget_calls() -> None:
    calls.clear()
    broken.clear()


async def pick(transactions: Transactions, *, stale_after_s: float = 30) -> Claim | None:
    async with transactions.write() as tx:
        connection = await tx.session.connection()
        claims = await job_rows.claim(
            connection, kinds(), uuid4(), tx.now, limit=1, stale_after_s=stale_after_s
        )
    return claims[0] if claims else None


async def states(transactions: Transactions) -> list[tuple[str, JobState]]:
    async with transactions.write() as tx:
        return [(line.name, line.state) for line in await list_jobs(tx, None, 100)]


async def test_a_job_runs_when_its_time_has_come_and_not_before(
    transactions: Transactions, clock: MovableClock
) -> None:
    key, at = uuid4(), clock.now + timedelta(hours=3)
    async with transactions.write() as tx:
        await tx.jobs.at("test.note", at, key, count=3, at=at)
    clock.move(hours=3, microseconds=-1)
    assert await run_due(transactions) == []
    clock.move(microseconds=1)
    assert await run_due(transactions) == [("test.note", str(key), Outcome.DONE)]
    assert calls == [(key, 3, at, at)]
    assert await run_due(transactions) == []


async def test_jobs_run_in_the_order_of_their_time(transactions: Transactions, clock: MovableClock) -> None:
    keys = [UUID(int=hour) for hour in range(1, 5)]
    async with transactions.write() as tx:
        for key in reversed(keys):
            await tx.jobs.at("test.note", clock.now + timedelta(hours=key.int), key)
    clock.move(hours=3)
    await run_due(transactions)
    assert [call[0] for call in calls] == keys[:3]


async def test_a_rollback_drops_the_job(fresh_transactions: Transactions) -> None:
    async def change() -> None:
        async with fresh_transactions.write() as tx:
            await tx.jobs.soon("test.note", uuid4())
            raise NotFound("party", uuid4())

    with pytest.raises(NotFound):
        await change()
    assert await states(fresh_transactions) == []


async def test_a_rollback_undoes_a_cancellation_and_a_move(
    fresh_transactions: Transactions, clock: MovableClock
) -> None:
    async with fresh_transactions.write() as tx:
        await tx.jobs.at("test.note", clock.now + timedelta(hours=1), UUID(int=1))
        await tx.jobs.at("test.note", clock.now + timedelta(hours=1), UUID(int=2))

    async def change() -> None:
        async with fresh_transactions.write() as tx:
            await tx.jobs.cancel("test.note", UUID(int=1))
            await tx.jobs.at("test.note", clock.now + timedelta(hours=9), UUID(int=2))
            raise NotFound("party", uuid4())

    with pytest.raises(NotFound):
        await change()
    clock.move(hours=1)
    assert len(await run_due(fresh_transactions)) == 2


async def test_a_second_at_moves_the_job(transactions: Transactions, clock: MovableClock) -> None:
    key = uuid4()
    async with transactions.write() as tx:
        await tx.jobs.at("test.note", clock.now + timedelta(hours=1), key, count=1)
        await tx.jobs.at("test.note", clock.now + timedelta(hours=5), key, count=2)
    clock.move(hours=1)
    assert await run_due(transactions) == []
    clock.move(hours=4)
    await run_due(transactions)
    assert [call[1] for call in calls] == [2]


async def test_once_leaves_a_live_job_as_it_is(transactions: Transactions, clock: MovableClock) -> None:
    key = uuid4()
    async with transactions.write() as tx:
        await tx.jobs.once("test.note", clock.now + timedelta(hours=1), key, count=1)
        await tx.jobs.once("test.note", clock.now, key, count=2)
    assert await run_due(transactions) == []
    clock.move(hours=1)
    await run_due(transactions)
    assert [call[1] for call in calls] == [1]


async def test_a_canceled_job_does_not_run(transactions: Transactions, clock: MovableClock) -> None:
    async with transactions.write() as tx:
        await tx.jobs.soon("test.note", UUID(int=1))
    async with transactions.write() as tx:
        await tx.jobs.cancel("test.note", UUID(int=1))
        await tx.jobs.cancel("test.note", UUID(int=2))
    assert await run_due(transactions) == []


async def test_a_job_that_raises_leaves_nothing_and_is_tried_again(
    transactions: Transactions, clock: MovableClock
) -> None:
    broken.add("a")
    async with transactions.write() as tx:
        await tx.jobs.soon("test.break", "a")
    assert await run_due(transactions) == [("test.break", "a", Outcome.FAILED)]
    assert await states(transactions) == [("test.break", JobState.FAILED)]
    broken.clear()
    clock.move(seconds=5)
    assert [each.outcome for each in await run_due(transactions)] == [Outcome.DONE, Outcome.DONE]
    assert len(calls) == 1


async def test_a_refusal_that_keeps_its_changes_keeps_none_in_a_job(transactions: Transactions) -> None:
    async with transactions.write() as tx:
        await tx.jobs.soon("test.refuse", "a")
    assert [each.outcome for each in await run_due(transactions)] == [Outcome.FAILED]
    assert calls == []


async def test_a_job_that_takes_too_long_is_stopped(transactions: Transactions) -> None:
    async with transactions.write() as tx:
        await tx.jobs.soon("test.slow", "a")
    assert [each.outcome for each in await run_due(transactions)] == [Outcome.FAILED]


async def test_a_poisoned_job_is_dead_after_eight_attempts_and_keeps_its_error(
    transactions: Transactions, clock: MovableClock
) -> None:
    broken.add("a")
    async with transactions.write() as tx:
        await tx.jobs.soon("test.break", "a")
    outcomes: list[Outcome] = []
    for _ in range(12):
        outcomes += [each.outcome for each in await run_due(transactions)]
        clock.move(hours=1)
    assert outcomes == [Outcome.FAILED] * 7 + [Outcome.DEAD]
    async with transactions.write() as tx:
        [line] = await list_jobs(tx, JobState.DEAD, 10)
    assert line.attempts == 8
    assert (line.error or "").startswith("RuntimeError: the wire is cut\n")


async def test_a_crash_counts_as_an_attempt(transactions: Transactions) -> None:
    async with transactions.write() as tx:
        await tx.jobs.soon("test.note", uuid4())
    for attempt in range(1, 9):
        crashed = await pick(transactions, stale_after_s=0)
        assert crashed is not None
        assert crashed.attempts == attempt
    claim = await pick(transactions, stale_after_s=0)
    assert claim is not None
    assert await perform(transactions, claim) is Outcome.DEAD
    assert calls == []


async def test_pauses_grow_and_differ() -> None:
    assert timedelta(seconds=2.5) <= pause_after(1) <= timedelta(seconds=5)
    assert timedelta(minutes=30) <= pause_after(30) <= timedelta(hours=1)
    assert len({pause_after(3) for _ in range(20)}) > 1


async def test_a_stalled_worker_whose_job_was_picked_again_commits_nothing(
    fresh_transactions: Transactions,
) -> None:
    async with fresh_transactions.write() as tx:
        await tx.jobs.soon("test.break", "a")
    stalled = await pick(fresh_transactions)
    assert stalled is not None
    assert await pick(fresh_transactions) is None
    second = await pick(fresh_transactions, stale_after_s=0)
    assert second is not None
    assert await perform(fresh_transactions, stalled) is Outcome.LOST
    assert await states(fresh_transactions) == [("test.break", JobState.RUNNING)]
    assert await perform(fresh_transactions, second) is Outcome.DONE
    assert await states(fresh_transactions) == [("test.note", JobState.WAITING)]


async def test_a_stalled_worker_can_not_fail_or_give_back_what_another_runs(
    fresh_transactions: Transactions,
) -> None:
    broken.add("a")
    async with fresh_transactions.write() as tx:
        await tx.jobs.soon("test.break", "a")
    stalled = await pick(fresh_transactions)
    second = await pick(fresh_transactions, stale_after_s=0)
    assert stalled is not None
    assert second is not None
    assert await perform(fresh_transactions, stalled) is Outcome.LOST
    async with fresh_transactions.write() as tx:
        assert not await job_rows.give_back(await tx.session.connection(), stalled)
    assert await states(fresh_transactions) == [("test.break", JobState.RUNNING)]


async def test_two_that_run_one_job_at_the_same_time_commit_it_once(fresh_transactions: Transactions) -> None:
    async with fresh_transactions.write() as tx:
        await tx.jobs.soon("test.break", "a")
    first = await pick(fresh_transactions)
    second = await pick(fresh_transactions, stale_after_s=0)
    assert first is not None
    assert second is not None
    outcomes = await asyncio.gather(perform(fresh_transactions, first), perform(fresh_transactions, second))
    assert outcomes == [Outcome.LOST, Outcome.DONE]


@pytest.mark.parametrize("change", ["cancel", "move"])
async def test_a_running_job_that_is_canceled_or_moved_commits_nothing(
    fresh_transactions: Transactions, clock: MovableClock, change: str
) -> None:
    async with fresh_transactions.write() as tx:
        await tx.jobs.soon("test.break", "a")
    running = await pick(fresh_transactions)
    assert running is not None
    async with fresh_transactions.write() as tx:
        if change == "cancel":
            await tx.jobs.cancel("test.break", "a")
        else:
            await tx.jobs.at("test.break", clock.now + timedelta(hours=1), "a")
    assert await perform(fresh_transactions, running) is Outcome.LOST
    clock.move(hours=1)
    assert len(await run_due(fresh_transactions)) == (0 if change == "cancel" else 2)


async def test_a_job_can_start_itself_again(transactions: Transactions, clock: MovableClock) -> None:
    async with transactions.write() as tx:
        await tx.jobs.soon("test.repeat", "a", left=2)
    for _ in range(3):
        assert [each.outcome for each in await run_due(transactions)] == [Outcome.DONE]
        clock.move(hours=1)
    assert await run_due(transactions) == []


async def test_a_name_that_this_process_does_not_know_is_left_alone(
    fresh_transactions: Transactions,
) -> None:
    async with fresh_transactions.write() as tx:
        connection = await tx.session.connection()
        await job_rows.write(connection, "test.of_tomorrow", "a", tx.now, b"{}", replace=True)
    assert await run_due(fresh_transactions) == []
    assert await states(fresh_transactions) == [("test.of_tomorrow", JobState.WAITING)]


async def test_a_job_without_a_handler_can_not_be_written(tx: Transaction) -> None:
    with pytest.raises(UnknownJob, match=r"test\.typo"):
        await tx.jobs.soon("test.typo", "a")


async def test_arguments_that_the_handler_does_not_take_are_refused_when_the_job_is_written(
    tx: Transaction,
) -> None:
    with pytest.raises(ValidationError):
        await tx.jobs.soon("test.note", uuid4(), amount=3)
    with pytest.raises(ValidationError):
        await tx.jobs.soon("test.repeat", "a")
    with pytest.raises(ValidationError):
        await tx.jobs.soon("test.note", "no uuid")


async def test_a_time_without_an_offset_is_refused(tx: Transaction) -> None:
    with pytest.raises(ValueError, match="no offset"):
        await tx.jobs.at("test.note", datetime(2026, 11, 21), uuid4())  # noqa: DTZ001


async def test_two_handlers_can_not_have_one_name() -> None:
    with pytest.raises(ValueError, match=r"test\.note"):
        job("test.note")(note)


async def test_a_handler_without_a_key_is_refused() -> None:
    async def handler(tx: Transaction) -> None: ...

    with pytest.raises(TypeError, match="key"):
        job("test.keyless")(handler)


async def test_a_schedule_is_by_the_clock_of_seoul() -> None:
    schedule = Schedule("30 9 * * *", "test.note", "Asia/Seoul")
    assert schedule.after(datetime(2026, 11, 21, 0, 29, tzinfo=UTC)) == datetime(
        2026, 11, 21, 0, 30, tzinfo=UTC
    )
    assert schedule.after(datetime(2026, 11, 21, 0, 30, tzinfo=UTC)) == datetime(
        2026, 11, 22, 0, 30, tzinfo=UTC
    )
    with pytest.raises(ValueError, match="cron"):
        cron("every day", "test.note")


async def test_times_are_by_the_clock_of_the_transaction(
    fresh_engine: AsyncEngine, fresh_transactions: Transactions, clock: MovableClock
) -> None:
    async with fresh_transactions.write() as tx:
        await tx.jobs.soon("test.note", uuid4())
    async with fresh_engine.connect() as connection:
        assert await connection.scalar(text("SELECT execute_after FROM jobs.pgqueuer")) == clock.now
