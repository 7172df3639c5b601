"""What waits for a socket's one sender."""

import asyncio
from collections import deque


class Outbox:
    """A queue bounded in messages and in bytes, whose writers wait for space.

    So a slow reader slows its own operations down, and what waits for it stays bounded: one message per
    running operation beyond the bounds. A message larger than the bound passes when nothing else waits.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._has_messages = asyncio.Event()
        self._has_space = asyncio.Event()
        self._has_space.set()

    async def put(self, message: bytes) -> None:
        """Wait for space, which the end of the socket ends by cancelling."""
        while not self._fits(message):
            self._has_space.clear()
            await self._has_space.wait()
        self._messages.append(message)
        self._bytes += len(message)
        self._has_messages.set()

    def put_first(self, message: bytes) -> None:
        """For pings, which measure the peer and not the queue before them."""
        self._messages.appendleft(message)
        self._bytes += len(message)
        self._has_messages.set()

    async def get(self) -> bytes:
        """The next message, as soon as there is one."""
        while not self._messages:
            self._has_messages.clear()
            await self._has_messages.wait()
        message = self._messages.popleft()
        self._bytes -= len(message)
        self._has_space.set()
        return message

    def _fits(self, message: bytes) -> bool:
        if not self._messages:
            return True
        return len(self._messages) < self._max_messages and self._bytes + len(message) <= self._max_bytes
