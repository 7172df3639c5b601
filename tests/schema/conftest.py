from collections.abc import AsyncGenerator

import pytest

from tests.api import Api, running_api
from tests.databases import cloned
from tests.subscriptions.redis_server import RedisServer, redis_server


@pytest.fixture
async def api(fresh_url: str, redis_url: str) -> AsyncGenerator[Api, None]:
    """A server on a database of the test's own."""
    async with running_api(fresh_url, redis_url) as api:
        yield api


@pytest.fixture(scope="session")
async def shared_api(server_url: str, redis_url: str) -> AsyncGenerator[Api, None]:
    """A server for all tests that look only at what they have made themselves, and leave its clock alone."""
    async with cloned(server_url) as url, running_api(url, redis_url) as api:
        yield api


@pytest.fixture
async def redis() -> AsyncGenerator[RedisServer, None]:
    """A Redis of the test's own: to do harm to, and to see who is subscribed."""
    async with redis_server() as server:
        yield server
