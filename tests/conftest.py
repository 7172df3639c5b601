"""What every test stands on: a real PostgreSQL, a real Redis, and a clock that is moved, not waited for.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` name servers to use; without them the embedded pair is started once
for the whole run, however many workers share it.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker

from app.database import make_engine
from app.embedded.servers import embedded_servers
from resolvers.transaction import Transaction, Transactions
from tests.databases import cloned, make_template

_servers = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once, in the process that workers are made by; they inherit its environment."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    if not {"TEST_DATABASE_URL", "TEST_REDIS_URL"} <= os.environ.keys():
        directory = Path(_servers.enter_context(tempfile.TemporaryDirectory(prefix="gonggu-test-")))
        pair = _servers.enter_context(embedded_servers(directory / "data", durable=False))
        os.environ.setdefault("TEST_DATABASE_URL", pair.database_url)
        os.environ.setdefault("TEST_REDIS_URL", pair.redis_url)
    asyncio.run(make_template(os.environ["TEST_DATABASE_URL"]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    _servers.close()


class MovableClock:
    """Tells the time that the test says it is."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> datetime:
        """Let time pass: `clock.move(hours=3)`."""
        self.now += timedelta(**by)
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
def server_url() -> str:
    """The PostgreSQL server of this run."""
    return os.environ["TEST_DATABASE_URL"]


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The Redis server of this run."""
    return os.environ["TEST_REDIS_URL"]


@pytest.fixture(scope="session")
async def engine(server_url: str) -> AsyncGenerator[AsyncEngine, None]:
    """This worker's own database. Tests leave nothing in it: they roll back."""
    async with cloned(server_url) as url:
        engine = make_engine(url)
        yield engine
        await engine.dispose()


@pytest.fixture
async def connection(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection, None]:
    """One connection in a transaction that is rolled back when the test ends."""
    async with engine.connect() as connection:
        transaction = await connection.begin()
        yield connection
        await transaction.rollback()


@pytest.fixture
def transactions(connection: AsyncConnection, clock: MovableClock) -> Transactions:
    """Transactions that all share the test's connection: their commits are savepoints."""
    sessions = async_sessionmaker(
        connection, join_transaction_mode="create_savepoint", expire_on_commit=False
    )
    return Transactions(sessions, sessions, clock)


@pytest.fixture
async def tx(transactions: Transactions) -> AsyncGenerator[Transaction, None]:
    """One transaction, for tests of a single verb."""
    async with transactions.write() as tx:
        yield tx


@pytest.fixture
def session(tx: Transaction) -> AsyncSession:
    return tx.session


@pytest.fixture
async def fresh_url(server_url: str) -> AsyncGenerator[str, None]:
    """A database of the test's own, for commits, locks and several connections."""
    async with cloned(server_url) as url:
        yield url


@pytest.fixture
async def fresh_engine(fresh_url: str) -> AsyncGenerator[AsyncEngine, None]:
    engine = make_engine(fresh_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def fresh_transactions(fresh_engine: AsyncEngine, clock: MovableClock) -> Transactions:
    """Real transactions on real connections."""
    return transactions_on(fresh_engine, clock)


def transactions_on(engine: AsyncEngine, clock: MovableClock) -> Transactions:
    """The means to open transactions as the server has them."""
    return Transactions(
        async_sessionmaker(engine, expire_on_commit=False),
        async_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False),
        clock,
    )


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PORT"):
        monkeypatch.delenv(name, raising=False)
