import asyncio
from collections.abc import AsyncGenerator

import pytest

from subscriptions.link import Pace
from tests.subscriptions.redis_server import RedisServer, redis_server
from tests.tasks import left_since


@pytest.fixture
async def server() -> AsyncGenerator[RedisServer, None]:
    """A Redis of the test's own."""
    async with redis_server() as server:
        yield server


@pytest.fixture
def pace() -> Pace:
    """As in production, but sooner at its wits' end."""
    return Pace(probe_every_s=0.2, silent_within_s=1, longest_pause_s=0.3)


@pytest.fixture(autouse=True)
async def _no_task_is_left() -> AsyncGenerator[None, None]:
    """Every task has an owner that ends it."""
    before = asyncio.all_tasks()
    yield
    assert not await left_since(before)
