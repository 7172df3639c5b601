"""Ending tasks for certain."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_ASK_AGAIN_AFTER_S = 0.5
_WITHIN_ASKS = 10


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended.

    One that swallows its cancellation, as `asyncio.wait_for` makes it on Python 3.11, is canceled again.
    """
    left = set(tasks)
    for _ in range(_WITHIN_ASKS):
        if not left:
            return
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_ASK_AGAIN_AFTER_S)
    if left:
        log.error("Tasks do not end: %s", ", ".join(sorted(task.get_name() for task in left)))


async def unswallowed(work: Awaitable[Result]) -> Result:
    """Await what may swallow a cancellation, and see to it that it is heard.

    redis-py waits with `asyncio.wait_for`, which on Python 3.11 forgets a cancellation that comes together
    with the result or the error of what it waits for. The task would go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        result = await work
    except Exception as problem:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from problem
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return result
