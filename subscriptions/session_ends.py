"""Tells open sockets that their session has ended, wherever that was done."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Self, TypeAlias
from uuid import UUID

from subscriptions import channels
from subscriptions.envelope import Envelope
from subscriptions.hearing import hear
from subscriptions.hub import Hub
from subscriptions.listener import GAP, LiveEvent
from subscriptions.tasks import end

log = logging.getLogger(__name__)

KIND = "session_ended"

Living: TypeAlias = Callable[[Sequence[UUID]], Awaitable[set[UUID]]]
"""Asks the database which of these sessions have not ended, in one query."""

_AT_ONCE = 10_000
_CHECK_WITHIN_S = 10.0


def sessions_ended(session_ids: Sequence[UUID]) -> Envelope:
    """Says that sessions have ended. However many: what is too large to travel is looked up."""
    return Envelope(KIND, channels.session_ends(), data={"sessions": [str(each) for each in session_ids]})


class SessionEnds:
    """One per process, however many sockets wait: `async with SessionEnds(hub, living) as ends`.

    An event ends the waiting at once. Whoever missed it is found by asking the database: for everybody after
    a gap, now and then, and every second while no events come; for who has just begun to wait within one.
    """

    def __init__(self, hub: Hub, living: Living, *, every_s: float = 15, often_s: float = 1) -> None:
        self._hub = hub
        self._living = living
        self._every_s = every_s
        self._often_s = often_s
        self._waiting: dict[UUID, set[asyncio.Future[None]]] = {}
        # Their sessions may have ended between signing in and beginning to wait.
        self._unchecked = set[UUID]()
        self._check_all = asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        self._tasks = {
            asyncio.create_task(
                hear(self._hub, channels.session_ends(), self._hear), name="session ends are heard"
            ),
            asyncio.create_task(self._check_for_ever(), name="session ends are looked up"),
        }
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop. Who still waits is not told that the session has ended, for it has not: cancel it."""
        await end(self._tasks)

    async def until_ended(self, session_id: UUID) -> None:
        """Return as soon as the session has ended. Its owner cancels what no longer needs to know."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(session_id, set())
        waiters.add(waiter)
        self._unchecked.add(session_id)
        try:
            await waiter
        finally:
            waiters.discard(waiter)
            if not waiters and self._waiting.get(session_id) is waiters:
                del self._waiting[session_id]
                self._unchecked.discard(session_id)

    def _ended(self, session_id: UUID) -> None:
        for waiter in self._waiting.get(session_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    def _hear(self, event: LiveEvent) -> None:
        match event.data if event is not GAP else None:
            case {"sessions": [*session_ids]}:
                for each in session_ids:
                    self._ended(UUID(each))
            case _:
                self._check_all.set()

    async def _check_for_ever(self) -> NoReturn:
        clock = asyncio.get_running_loop().time
        all_at = clock()
        while True:
            try:
                async with asyncio.timeout(self._often_s):
                    await self._check_all.wait()
            except TimeoutError:
                pass
            if self._check_all.is_set() or not self._hub.is_up or clock() >= all_at:
                self._check_all.clear()
                all_at = clock() + self._every_s
                sessions = list(self._waiting)
            else:
                sessions = list(self._unchecked)
            self._unchecked.clear()
            for start in range(0, len(sessions), _AT_ONCE):
                if not await self._check(sessions[start : start + _AT_ONCE]):
                    all_at = clock()

    async def _check(self, sessions: Sequence[UUID]) -> bool:
        """End those that the database says are over. Whether it has answered."""
        try:
            async with asyncio.timeout(_CHECK_WITHIN_S):
                living = await self._living(sessions)
        except Exception as problem:
            log.warning("Sessions could not be looked up: %s: %s", type(problem).__name__, problem)
            return False
        for each in sessions:
            if each not in living:
                self._ended(each)
        return True
