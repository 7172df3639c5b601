from collections.abc import AsyncGenerator

import httpx
import pytest

from tests.app.transport.toy import Toy


@pytest.fixture(scope="session")
async def shared_toy() -> AsyncGenerator[Toy]:
    async with Toy().serve() as toy:
        yield toy


@pytest.fixture
def toy(shared_toy: Toy) -> Toy:
    shared_toy.context.started.clear()
    shared_toy.context.stopped.clear()
    return shared_toy


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        yield client
