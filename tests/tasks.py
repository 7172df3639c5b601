"""Tasks that somebody has left behind."""

import asyncio
from typing import Any

ENDS_WITHIN_S = 5.0


async def left_since(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """What was begun since then and does not end.

    A server that serves many tests lives in the same loop, and makes tasks of a moment meanwhile.
    """
    left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=ENDS_WITHIN_S)
    return left
