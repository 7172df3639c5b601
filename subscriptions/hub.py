"""One per process: takes what comes from the backend, and gives it to everybody who listens.

However many listen to a channel, it is subscribed once and an event is decoded once. Nobody who reads
slowly holds up anybody else, and nobody who publishes waits.
"""

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn, Protocol, Self, TypeAlias, runtime_checkable

from broadcaster import BroadcastBackend, Event

from subscriptions.breaker import Breaker
from subscriptions.envelope import Envelope, Malformed, UnknownVersion
from subscriptions.link import ConfirmedLate, LinkDown, LinkUp, NotConfirmed
from subscriptions.listener import HubClosed, Listener, Policy
from subscriptions.tasks import end

log = logging.getLogger(__name__)

Heads: TypeAlias = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]
"""Asks the database for the highest number of each channel, in one query. It may leave channels out."""

Published: TypeAlias = Callable[[Sequence[Envelope]], None]
"""Is told what `publish` has published, so that nobody else needs to."""

_DELIVERIES_AT_A_STRETCH = 200
_HEADS_AT_ONCE = 10_000
_PAUSE_AFTER_FAULT_S = 1.0


class NotPublished(Exception):
    """The backend has not taken what was to be published."""


@runtime_checkable
class PublishesMany(Protocol):
    """What a backend may be able to do beyond the seam."""

    async def publish_many(self, messages: Sequence[tuple[str, str]]) -> None:
        """Publish to channels, in this order."""
        ...


@dataclass(frozen=True)
class Limits:
    """What the hub holds and how long it waits."""

    #: A channel stays subscribed for so long after the last listener has left.
    grace_s: float = 1
    #: Envelopes that wait to be published; more are dropped, for the relay to publish.
    publish_waiting: int = 10_000
    publish_at_once: int = 128
    publish_within_s: float = 2
    #: Publishing pauses after so many failures, for so long.
    failures: int = 3
    failures_pause_s: float = 1
    #: The numbers of readers are compared with the database: as a habit, and while nothing comes live.
    heads_every_s: float = 15
    heads_every_s_when_down: float = 1
    heads_within_s: float = 5
    #: What was committed just now may be on its way: a reader is behind only if it still is after this.
    settle_s: float = 0.5


class _Room:
    """A channel with its listeners."""

    __slots__ = ("empty_since", "listeners", "subscribing")

    def __init__(self) -> None:
        self.listeners = set[Listener]()
        self.subscribing: asyncio.Task[None] | None = None
        self.empty_since: float | None = None


class Hub:
    """Use it as a context: `async with Hub(backend) as hub`. It connects the backend, and disconnects it."""

    def __init__(
        self,
        backend: BroadcastBackend,
        *,
        heads: Heads | None = None,
        published: Published | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._backend = backend
        self._heads = heads
        self._published = published
        self._limits = limits or Limits()
        self._rooms: dict[str, _Room] = {}
        self._empty: dict[str, _Room] = {}
        self._to_publish = deque[Envelope]()
        self._publish_wake = asyncio.Event()
        self._breaker = Breaker(self._limits.failures, self._limits.failures_pause_s)
        self._heads_wake = asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()
        self._is_open = False
        #: Whether live events come. Without, readers are woken by comparing numbers with the database.
        self.is_up = True
        #: What has happened since the start, by name, for metrics.
        self.counts = Counter[str]()

    async def __aenter__(self) -> Self:
        await self._backend.connect()
        self._is_open = True
        self._own(self._for_ever(self._dispatch), "hub dispatches")
        self._own(self._for_ever(self._publish_waiting), "hub publishes")
        self._own(self._for_ever(self._sweep), "hub leaves channels")
        if self._heads is not None:
            self._own(self._for_ever(self._compare_heads), "hub compares heads")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        for room in self._rooms.values():
            for listener in room.listeners:
                listener.end(HubClosed("The server is about to stop; resume from the last number."))
        await end(self._tasks)
        await self._backend.disconnect()

    @asynccontextmanager
    async def listen(self, channel: str, policy: Policy = Policy.ORDERED) -> AsyncGenerator[Listener, None]:
        """Listen to a channel: when the body begins, its events come.

        When the backend is away they don't; the listener is told by a gap when they do.

        Raises:
            HubClosed
        """
        if not self._is_open:
            raise HubClosed("The server is about to stop.")
        room = self._rooms.get(channel)
        if room is None:
            room = self._rooms[channel] = _Room()
        listener = Listener(policy, self.counts)
        room.listeners.add(listener)
        self._empty.pop(channel, None)
        try:
            if room.subscribing is None:
                room.subscribing = self._own(self._subscribe(channel), f"hub subscribes {channel}")
            subscribing = room.subscribing
            if not subscribing.done():
                # Shared by all who come meanwhile, and not ended by one of them who leaves.
                await asyncio.wait((subscribing,))
            if not self._is_open:
                raise HubClosed("The server is about to stop.")
            subscribing.result()
            yield listener
        finally:
            room.listeners.discard(listener)
            if not room.listeners:
                room.empty_since = time.monotonic()
                self._empty[channel] = room

    def publish(self, envelope: Envelope) -> None:
        """Publish soon, perhaps. Never waits and never fails: the relay publishes what is lost here."""
        if not self._is_open:
            return
        if len(self._to_publish) >= self._limits.publish_waiting:
            self.counts["publish_dropped"] += 1
            return
        self._to_publish.append(envelope)
        self._publish_wake.set()

    async def send(self, envelopes: Sequence[Envelope]) -> None:
        """Publish now, in this order; for the relay, which has to know whether it worked.

        Raises:
            NotPublished
        """
        messages = [(each.channel, each.encode()) for each in envelopes]
        try:
            async with asyncio.timeout(self._limits.publish_within_s):
                if isinstance(self._backend, PublishesMany):
                    await self._backend.publish_many(messages)
                else:
                    for channel, message in messages:
                        await self._backend.publish(channel, message)
        except Exception as problem:
            self.counts["publish_failed"] += len(messages)
            raise NotPublished(f"{type(problem).__name__}: {problem}") from problem
        self.counts["published"] += len(messages)

    def sizes(self) -> dict[str, int]:
        """What the hub holds now, by name, for metrics."""
        return {
            "channels": len(self._rooms),
            "listeners": sum(len(room.listeners) for room in self._rooms.values()),
            "publish_waiting": len(self._to_publish),
        }

    def _own(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _for_ever(self, work: Callable[[], Awaitable[NoReturn]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                self.counts["faults"] += 1
                log.exception("Live events pause for %g s: %s", _PAUSE_AFTER_FAULT_S, work.__name__)
            await asyncio.sleep(_PAUSE_AFTER_FAULT_S)
            self._gap_for_all()

    async def _dispatch(self) -> NoReturn:
        left = _DELIVERIES_AT_A_STRETCH
        while True:
            event = await self._backend.next_published()
            if isinstance(event, LinkUp):
                self.is_up = True
                self.counts["links"] += 1
                self._gap_for_all()
                self._heads_wake.set()
            elif isinstance(event, LinkDown):
                self.is_up = False
                self._heads_wake.set()
            elif isinstance(event, ConfirmedLate):
                self._gap_for(self._rooms.get(event.channel))
            else:
                left -= 1 + self._deliver(event)
                if left <= 0:
                    # What has arrived at once must not fill the buffers of those who had no time to read.
                    await asyncio.sleep(0)
                    left = _DELIVERIES_AT_A_STRETCH

    def _deliver(self, event: Event) -> int:
        self.counts["received"] += 1
        room = self._rooms.get(event.channel)
        if room is None or not room.listeners:
            return 0
        try:
            envelope = Envelope.decode(event.message, event.channel)
        except Malformed:
            self.counts["malformed"] += 1
            return 0
        except UnknownVersion:
            self.counts["unknown_version"] += 1
            return 0
        for listener in room.listeners:
            listener.offer(envelope)
        self.counts["delivered"] += len(room.listeners)
        return len(room.listeners)

    def _gap_for_all(self) -> None:
        for room in self._rooms.values():
            self._gap_for(room)

    def _gap_for(self, room: _Room | None) -> None:
        if room is not None:
            self.counts["gaps"] += len(room.listeners)
            for listener in room.listeners:
                listener.gap()

    async def _subscribe(self, channel: str) -> None:
        try:
            await self._backend.subscribe(channel)
        except NotConfirmed as problem:
            # The backend goes on asking, and the gap that it announces then covers what is missed now.
            self.counts["unconfirmed"] += 1
            log.debug("%s", problem)
        except Exception:
            self._rooms[channel].subscribing = None  # the next one tries again
            raise

    async def _sweep(self) -> NoReturn:
        """Leave the channels that nobody has listened to for a while."""
        while True:
            await asyncio.sleep(self._limits.grace_s / 2)
            due = time.monotonic() - self._limits.grace_s
            for channel, room in list(self._empty.items()):
                if room.empty_since is None or room.empty_since > due or channel not in self._empty:
                    continue
                if room.subscribing is not None and not room.subscribing.done():
                    continue
                del self._empty[channel], self._rooms[channel]
                await self._backend.unsubscribe(channel)

    async def _publish_waiting(self) -> NoReturn:
        while True:
            await self._publish_wake.wait()
            self._publish_wake.clear()
            while self._to_publish:
                count = min(len(self._to_publish), self._limits.publish_at_once)
                batch = [self._to_publish.popleft() for _ in range(count)]
                if not self._breaker.allows():
                    self.counts["publish_dropped"] += count
                    continue
                try:
                    await self.send(batch)
                except NotPublished as problem:
                    self._breaker.failed()
                    log.debug("Not published: %s", problem)
                else:
                    self._breaker.succeeded()
                    if self._published is not None:
                        self._published(batch)

    async def _compare_heads(self) -> NoReturn:
        """Wake the readers whose last number is below what the database has."""
        while True:
            usual_s = self._limits.heads_every_s if self.is_up else self._limits.heads_every_s_when_down
            try:
                # By chance, so that processes that started together don't ask together.
                async with asyncio.timeout(usual_s * random.uniform(0.8, 1)):  # noqa: S311
                    await self._heads_wake.wait()
            except TimeoutError:
                pass
            self._heads_wake.clear()
            channels = [
                channel
                for channel, room in self._rooms.items()
                if any(listener.seen is not None for listener in room.listeners)
            ]
            for start in range(0, len(channels), _HEADS_AT_ONCE):
                await self._wake_those_behind(channels[start : start + _HEADS_AT_ONCE])

    async def _wake_those_behind(self, channels: Sequence[str]) -> None:
        assert self._heads is not None  # noqa: S101 - else nobody compares
        try:
            async with asyncio.timeout(self._limits.heads_within_s):
                heads = await self._heads(channels)
        except Exception as problem:
            self.counts["heads_failed"] += 1
            log.warning("Heads could not be compared: %s: %s", type(problem).__name__, problem)
            return
        self.counts["heads_compared"] += 1
        if self.is_up:
            await asyncio.sleep(self._limits.settle_s)
        for channel, head in heads.items():
            room = self._rooms.get(channel)
            for listener in room.listeners if room is not None else ():
                if listener.seen is not None and listener.seen < head:
                    self.counts["gaps"] += 1
                    self.counts["behind"] += 1
                    listener.gap()
