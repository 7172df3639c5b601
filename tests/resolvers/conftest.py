from collections.abc import AsyncGenerator, Generator

import argon2
import pytest
from redis.asyncio import Redis

from app.cache import make_redis
from resolvers.passwords import Passwords
from resolvers.penalty_counts import PenaltyCounts
from resolvers.sessions import Keys
from resolvers.transaction import Transactions
from tests.counts import counts_on
from tests.people import make_keys


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis, None]:
    """A client of the Redis of this run, whose keys others use too."""
    redis = make_redis(redis_url)
    yield redis
    await redis.aclose()


@pytest.fixture(scope="session")
def passwords() -> Generator[Passwords, None, None]:
    """Passwords that cost nothing: what they cost is for argon2 to test."""
    passwords = Passwords(argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield passwords
    passwords.close()


@pytest.fixture
def keys(redis: Redis, passwords: Passwords) -> Keys:
    """Keys of the test's own."""
    return make_keys(redis, passwords)


@pytest.fixture
async def counts(redis: Redis, fresh_transactions: Transactions) -> AsyncGenerator[PenaltyCounts, None]:
    """What one process remembers of penalties."""
    async with counts_on(redis, fresh_transactions) as counts:
        yield counts
