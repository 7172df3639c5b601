"""What tests of sources do with a simulator."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from importers.items import ItemRow
from importers.markets import MarketRow
from importers.runs import Rejected
from importers.sources import Raw, Source
from tests.simulators.app import Simulator, serving


@asynccontextmanager
async def asking(simulator: Simulator) -> AsyncGenerator[httpx.AsyncClient, None]:
    """The simulator at its URL, and a client to ask it with."""
    async with serving(simulator), httpx.AsyncClient(trust_env=False) as client:
        yield client


async def fetched(source: Source, client: httpx.AsyncClient) -> list[Raw]:
    """All that a source has, window by window, as the pipeline asks for it."""
    total = await source.total(client)
    raws: list[Raw] = []
    for first in range(1, total + 1, source.window):
        raws += await source.fetch(client, first, min(first + source.window - 1, total))
    return raws


async def read(source: Source, client: httpx.AsyncClient) -> list[ItemRow | MarketRow | Rejected]:
    """The same, parsed."""
    return list(source.parse(await fetched(source, client)))
