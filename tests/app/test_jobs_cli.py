import asyncio

import pytest
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from app import jobs_cli
from app.asgi import transactions_on
from app.jobs_cli import jobs
from app.servers import NotReady
from resolvers.jobs import job
from resolvers.transaction import Transaction, Transactions
from tests.conftest import MovableClock
from tests.jobs import run_due

runner = CliRunner()


@job("cli.break", attempts=1)
async def break_(tx: Transaction, key: str) -> None:
    raise RuntimeError("[red]the wire is cut")


@job("cli.break_often")
async def break_often(tx: Transaction, key: str) -> None:
    raise RuntimeError("no answer")


@pytest.fixture
def transactions(fresh_engine: AsyncEngine, clock: MovableClock) -> Transactions:
    return transactions_on(fresh_engine, clock)


@pytest.fixture(autouse=True)
def _environment(
    fresh_url: str, redis_url: str, _no_foreign_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("SECRET_KEY", "0123456789" * 4)
    monkeypatch.setattr(jobs_cli, "out", Console(width=200))


async def call(*arguments: str) -> Result:
    """In a thread: the command runs a loop of its own."""
    return await asyncio.to_thread(runner.invoke, jobs, list(arguments))


def id_of(result: Result, name: str) -> str:
    [line] = [line for line in result.output.splitlines() if f" {name} " in line]
    return line.split()[0]


async def test_it_says_when_there_are_no_jobs() -> None:
    assert "There are no jobs." in (await call("list")).output
    assert "No job is dead." in (await call("list", "--state", "dead")).output


async def test_it_lists_jobs_with_their_state_in_seouls_time(transactions: Transactions) -> None:
    async with transactions.write() as tx:
        await tx.jobs.soon("cli.break", "a")
        await tx.jobs.soon("cli.break_often", "b")
    await run_due(transactions)
    async with transactions.write() as tx:
        await tx.jobs.at("sessions.forget", tx.now, "c")
    result = await call("list")
    assert "2026-11-21 12:00:00" in result.output
    for state, name in [("waiting", "sessions.forget"), ("failed", "cli.break_often"), ("dead", "cli.break")]:
        output = (await call("list", "--state", state)).output
        assert f" {name} " in output
        assert output.count("2026-") == 1
    assert "RuntimeError: [red]the wire is cut" in result.output


async def test_a_limit_is_told(transactions: Transactions) -> None:
    async with transactions.write() as tx:
        for key in "abc":
            await tx.jobs.soon("cli.break", key)
    assert "The first 2" in (await call("list", "--limit", "2")).output


async def test_a_dead_job_is_retried(transactions: Transactions, clock: MovableClock) -> None:
    async with transactions.write() as tx:
        await tx.jobs.soon("cli.break", "a")
    await run_due(transactions)
    number = id_of(await call("list"), "cli.break")
    assert f"Job {number} is tried again." in (await call("retry", number)).output
    assert "No job is dead." in (await call("list", "--state", "dead")).output
    assert "waiting" in (await call("list")).output


async def test_all_dead_jobs_are_retried_but_for_those_with_a_newer_twin(transactions: Transactions) -> None:
    for key in ["a", "a", "b", "c"]:
        async with transactions.write() as tx:
            await tx.jobs.soon("cli.break", key)
        await run_due(transactions)
    async with transactions.write() as tx:
        await tx.jobs.soon("cli.break", "c")
    assert "2 dead jobs are tried again." in (await call("retry", "--all-dead")).output


async def test_a_dead_job_with_a_newer_twin_says_so(transactions: Transactions) -> None:
    async with transactions.write() as tx:
        await tx.jobs.soon("cli.break", "a")
    await run_due(transactions)
    number = id_of(await call("list"), "cli.break")
    async with transactions.write() as tx:
        await tx.jobs.soon("cli.break", "a")
    result = await call("retry", number)
    assert isinstance(result.exception, NotReady)
    assert "newer job" in str(result.exception)


async def test_a_job_is_canceled(transactions: Transactions) -> None:
    async with transactions.write() as tx:
        await tx.jobs.soon("cli.break", "a")
    number = id_of(await call("list"), "cli.break")
    assert f"Job {number} is canceled." in (await call("cancel", number)).output
    assert "There are no jobs." in (await call("list")).output


@pytest.mark.parametrize("command", ["retry", "cancel"])
async def test_a_number_that_no_job_has_is_told(command: str) -> None:
    result = await call(command, "4711")
    assert isinstance(result.exception, NotReady)
    assert "4711" in str(result.exception)


async def test_retry_wants_a_number_or_all() -> None:
    assert (await call("retry")).exit_code == 2
    assert (await call("retry", "1", "--all-dead")).exit_code == 2


async def test_every_command_explains_itself() -> None:
    for command in ["list", "retry", "cancel"]:
        result = await call(command, "--help")
        assert result.exit_code == 0
        assert "Usage" in result.output
