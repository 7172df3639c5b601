"""One reader's end of a channel: what waits for it, never more than its policy allows."""

import asyncio
import sys
import time
from collections import Counter, deque
from enum import Enum
from typing import Final, TypeAlias

from subscriptions.envelope import Envelope


class Gap(Enum):
    """Events may have been missed: read the database, or ask for a fresh state."""

    GAP = "gap"


GAP: Final = Gap.GAP
LiveEvent: TypeAlias = Envelope | Gap


class Policy(Enum):
    """What to do for a reader that is slower than its channel."""

    #: Drop everything that waits and say so once: the reader catches up from the database.
    ORDERED = "ordered"
    #: Keep only the newest, as for positions.
    NEWEST = "newest"
    #: Drop the oldest, as for presence.
    RECENT = "recent"


ORDERED_ITEMS = 256
RECENT_ITEMS = 64
OVERFLOWS, WITHIN_S = 3, 30.0
"""A reader whose buffer overflows so often in so many seconds is sent away."""


class MustResume(Exception):
    """The stream ends here, with nothing lost: begin again from the last number seen."""


class ReaderTooSlow(MustResume):
    """The reader did not keep up, and catching up did not help."""


class HubClosed(MustResume):
    """The process is about to end."""


class Listener:
    """Gives events to one reader: `async for event in listener`. It ends by `MustResume` only."""

    __slots__ = ("_counts", "_end", "_items", "_limit", "_missed", "_overflows", "_waiter", "seen")

    def __init__(self, policy: Policy, counts: Counter[str]) -> None:
        #: The last number that the reader has had. Who sets it is woken when the database has more.
        self.seen: int | None = None
        kept = {Policy.ORDERED: None, Policy.NEWEST: 1, Policy.RECENT: RECENT_ITEMS}[policy]
        self._items = deque[Envelope](maxlen=kept)
        self._limit = ORDERED_ITEMS if kept is None else sys.maxsize
        self._counts = counts
        self._missed = False
        self._overflows = deque[float](maxlen=OVERFLOWS)
        self._waiter: asyncio.Future[None] | None = None
        self._end: MustResume | None = None

    def __aiter__(self) -> "Listener":
        return self

    async def __anext__(self) -> LiveEvent:
        while True:
            if self._end is not None:
                raise self._end
            if self._missed:
                # Before what waits: after reading the database, that is known already and is dropped.
                self._missed = False
                return GAP
            if self._items:
                return self._items.popleft()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def offer(self, envelope: Envelope) -> None:
        """Take an event. Never waits."""
        if len(self._items) >= self._limit:
            self._overflow()
            return
        self._items.append(envelope)
        if self._waiter is not None:
            self._wake()

    def gap(self) -> None:
        """Say that something may have been missed. Said twice before it is read, it is read once."""
        self._missed = True
        self._wake()

    def end(self, why: MustResume) -> None:
        """End the reading at once."""
        self._end = self._end or why
        self._items.clear()
        self._limit = 0
        self._wake()

    def _overflow(self) -> None:
        if self._end is not None:
            return
        self._counts["overflows"] += 1
        self._items.clear()
        now = time.monotonic()
        self._overflows.append(now)
        if len(self._overflows) == OVERFLOWS and now - self._overflows[0] <= WITHIN_S:
            self._counts["readers_too_slow"] += 1
            self.end(ReaderTooSlow("The reader is too slow for its channel; resume from the last number."))
        else:
            self.gap()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
