import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from subscriptions.tasks import end, unswallowed


async def swallowing() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return


async def failing_instead() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise ConnectionError("lost at the same moment") from None


@pytest.mark.parametrize("swallow", [swallowing, failing_instead])
async def test_a_swallowed_cancellation_is_heard(swallow: Callable[[], Awaitable[None]]):
    went_on = False

    async def work() -> None:
        nonlocal went_on
        with suppress(ConnectionError):
            await unswallowed(swallow())
        went_on = True

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not went_on


async def test_a_timeout_around_what_swallows_it_still_expires():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await unswallowed(swallowing())


async def test_what_goes_wrong_by_itself_stays_what_it_was():
    async def work() -> None:
        raise ConnectionError("lost")

    with pytest.raises(ConnectionError):
        await unswallowed(work())


async def test_a_task_that_swallows_its_cancellation_is_canceled_again():
    async def stubborn() -> None:
        await swallowing()
        await asyncio.sleep(60)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end([task])
    assert task.done()
