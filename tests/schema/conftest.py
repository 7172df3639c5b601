from collections.abc import AsyncGenerator

import pytest

from tests.api import Api, running_api
from tests.databases import cloned


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
