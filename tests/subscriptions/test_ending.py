"""A stream that ends before its source does leaves neither its source nor a task behind."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from subscriptions.ending import until


class Source:
    """Gives what it is given, and knows whether it was closed."""

    def __init__(self, *items: int, ends: bool = False) -> None:
        self.items = asyncio.Queue[int]()
        for item in items:
            self.items.put_nowait(item)
        self.ends = ends
        self.is_closed = False

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            while not (self.ends and self.items.empty()):
                yield await self.items.get()
        finally:
            self.is_closed = True


async def test_everything_comes_until_it_is_over():
    source, over = Source(1, 2), asyncio.Event()
    seen: list[int] = []

    async def ended() -> None:
        await over.wait()

    async with aclosing(until(ended(), source())) as stream:
        async for item in stream:
            seen.append(item)
            if item == 2:
                over.set()
    assert seen == [1, 2]
    assert source.is_closed


async def test_it_is_over_also_while_nothing_comes():
    source = Source()

    async def soon() -> None:
        await asyncio.sleep(0)

    async with asyncio.timeout(5):
        assert [item async for item in until(soon(), source())] == []
    assert source.is_closed


async def never() -> None:
    await asyncio.Event().wait()


async def test_what_ends_by_itself_needs_no_other_end():
    source = Source(1, ends=True)
    assert [item async for item in until(never(), source())] == [1]
    assert source.is_closed


async def test_what_the_end_raises_is_raised():
    source = Source()

    async def refused() -> None:
        raise PermissionError("no place in the party")

    async with asyncio.timeout(5):
        with pytest.raises(PermissionError, match="no place"):
            _ = [item async for item in until(refused(), source())]
    assert source.is_closed


async def test_what_the_source_raises_is_raised():
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise ConnectionError("gone")

    async with aclosing(until(never(), failing())) as stream:
        assert await anext(stream) == 1
        with pytest.raises(ConnectionError, match="gone"):
            await anext(stream)


async def test_a_reader_who_leaves_ends_both():
    source, was_ended = Source(1), asyncio.Event()

    async def over() -> None:
        try:
            await never()
        finally:
            was_ended.set()

    async with aclosing(until(over(), source())) as stream:
        assert await anext(stream) == 1
        waiting = asyncio.create_task(_next(stream))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert source.is_closed
    assert was_ended.is_set()


async def _next(stream: AsyncGenerator[int, None]) -> int:
    return await anext(stream)
