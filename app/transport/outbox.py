"""What waits for its turn on a socket."""

import asyncio
from collections import deque
from typing import Final

AT_A_STRETCH: Final = 64
"""Messages that pass the queue before one waits for the sender, so that a busy source lets others run."""


class Outbox:
    """A queue bounded in messages and in bytes, whose writers wait for space.

    So a slow reader slows its own operations down, and what waits for it stays bounded: one message per
    running operation beyond the bounds. A message larger than the bound passes when nothing else waits.

    One message is sent at a time. Whose turn it is knows by ``get``, or by ``claim`` when nothing waits, and
    ends it by ``release``.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._is_claimed = False
        self._is_closed = False
        self._left = AT_A_STRETCH
        self._wake = asyncio.Event()
        self._has_space = asyncio.Event()
        self._has_space.set()

    async def put(self, message: bytes) -> None:
        """Wait for space, which the end of the socket ends by cancelling."""
        while not self._fits(message):
            self._has_space.clear()
            await self._has_space.wait()
        self._messages.append(message)
        self._bytes += len(message)
        self._wake.set()

    def put_first(self, message: bytes) -> None:
        """For pings, which measure the peer and not the queue before them."""
        self._messages.appendleft(message)
        self._bytes += len(message)
        self._wake.set()

    async def get(self) -> bytes:
        """The next message, as soon as there is one and nobody sends: it has the turn then."""
        while not self._messages or self._is_claimed:
            self._wake.clear()
            await self._wake.wait()
        message = self._messages.popleft()
        self._bytes -= len(message)
        self._has_space.set()
        self._is_claimed = True
        self._left = AT_A_STRETCH
        return message

    def claim(self) -> bool:
        """Take the turn past the queue. Only when nothing waits there, so that nothing is overtaken."""
        if self._messages or self._is_claimed or self._is_closed or not self._left:
            return False
        self._is_claimed = True
        self._left -= 1
        return True

    def release(self) -> None:
        """End the turn: the message has left, or never will."""
        self._is_claimed = False
        if self._messages or self._is_closed:
            self._wake.set()

    def close(self) -> None:
        """Let nothing pass the queue any more."""
        self._is_closed = True

    async def silence(self) -> None:
        """Wait until nobody sends."""
        while self._is_claimed:
            self._wake.clear()
            await self._wake.wait()

    def _fits(self, message: bytes) -> bool:
        if not self._messages:
            return True
        return len(self._messages) < self._max_messages and self._bytes + len(message) <= self._max_bytes
