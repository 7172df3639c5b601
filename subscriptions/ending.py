"""Streams that end before their source does."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from subscriptions.tasks import end

Item = TypeVar("Item")


async def until(
    over: Coroutine[Any, Any, None], source: AsyncGenerator[Item, None]
) -> AsyncGenerator[Item, None]:
    """Everything from the source, until `over` has returned. What it raises is raised here."""
    ending = asyncio.create_task(over, name="waits for the end of a stream")
    step: asyncio.Task[Item] | None = None
    async with aclosing(source):
        try:
            while True:
                step = asyncio.create_task(_next(source), name="waits for the next of a stream")
                await asyncio.wait((step, ending), return_when=asyncio.FIRST_COMPLETED)
                if ending.done():
                    ending.result()
                    return
                try:
                    item = step.result()
                except StopAsyncIteration:
                    return
                yield item
        finally:
            await end([ending] if step is None else [ending, step])


async def _next(source: AsyncGenerator[Item, None]) -> Item:
    return await anext(source)
