"""Redis behind the seam of the `broadcaster` package: its `BroadcastBackend`, with another inside."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, cast

from broadcaster import BroadcastBackend, Event
from broadcaster._backends.memory import MemoryBackend
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from subscriptions.link import Link, LinkDown, LinkLost, NotConfirmed, Pace, Wire
from subscriptions.tasks import end, unswallowed

log = logging.getLogger(__name__)

PREFIX = "gonggu:"
PUBLISHING_CONNECTIONS = 4
_WAITING_EVENTS = 10_000


class RedisBackend(BroadcastBackend):
    """Publishes to Redis and subscribes, over a connection that is made anew whenever it breaks.

    Beside messages, `next_published` gives `LinkDown`, `LinkUp` and `ConfirmedLate`: what a subscriber has to
    know about the times in which messages may have been missed.

    Channels are the same in every database of a Redis server: give each installation that shares one a
    `prefix` of its own.
    """

    def __init__(
        self,
        redis: str | Callable[[], Redis],
        *,
        prefix: str = PREFIX,
        pace: Pace | None = None,
    ) -> None:
        """`redis` is a URL (redis://, rediss://, unix://), or makes a client that we may close.

        A client needs timeouts and a pool that waits for a free connection.
        """
        # The original only raises NotImplementedError: there is nothing to call.
        self._pace = pace or Pace()
        self._make = (lambda: client_for(redis, self._pace)) if isinstance(redis, str) else redis
        self._prefix = prefix
        self._wanted = set[str]()
        self._events = asyncio.Queue[Event](_WAITING_EVENTS)
        self._link: Link | None = None
        self._client: Redis | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._first_up = asyncio.Event()
        # A task group that is canceled while one of its tasks fails forgets that it was canceled.
        self._is_closing = False

    @property
    def is_up(self) -> bool:
        """Whether every channel is subscribed, and messages were seen to come."""
        return self._link is not None and self._link.is_up

    async def connect(self) -> None:
        """Begin. When Redis is away we go on without, and announce it when it has come."""
        self._is_closing = False
        self._first_up.clear()
        self._client = self._make()
        self._keeper = asyncio.create_task(self._keep(), name="redis link")
        try:
            async with asyncio.timeout(self._pace.answer_within_s):
                await self._first_up.wait()
        except TimeoutError:
            if not self.is_up:
                self._events.put_nowait(LinkDown())

    async def disconnect(self) -> None:
        """End the link and close every connection."""
        self._is_closing = True
        if self._keeper is not None:
            await end((self._keeper,))
            self._keeper = None
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def subscribe(self, group: str) -> None:
        """Subscribe to a channel, and return when Redis has confirmed.

        Raises:
            NotConfirmed: it has not, but will be asked again for as long as the channel is wanted; then
                `LinkUp` or `ConfirmedLate` says so.
        """
        self._wanted.add(group)
        if self._link is None:
            raise NotConfirmed("There is no connection to Redis.")
        self._link.ask(group)
        await self._link.confirm(group)

    async def unsubscribe(self, group: str) -> None:
        """Leave a channel, soon."""
        self._wanted.discard(group)
        if self._link is not None:
            self._link.ask(group)

    async def publish(self, channel: str, message: Any) -> None:
        """Publish one message. However many do so at once, they wait for one of a few connections.

        Raises:
            redis.exceptions.RedisError, OSError
        """
        name = self._prefix + channel
        await unswallowed(self._redis.publish(name, message))  # pyright: ignore[reportUnknownMemberType]

    async def publish_many(self, messages: Sequence[tuple[str, str]]) -> None:
        """Publish to channels, in this order and in one round trip.

        Raises:
            redis.exceptions.RedisError, OSError
        """
        async with self._redis.pipeline(transaction=False) as pipeline:
            for channel, message in messages:
                pipeline.publish(self._prefix + channel, message)  # pyright: ignore[reportUnknownMemberType]
            await unswallowed(pipeline.execute())

    async def next_published(self) -> Event:
        """Wait for what comes next, on any channel."""
        return await self._events.get()

    @property
    def _redis(self) -> Redis:
        if self._client is None:
            raise RedisConnectionError("The backend is not connected: call connect() first.")
        return self._client

    async def _keep(self) -> None:
        """Make links, one after another, for as long as we live."""
        failures = 0
        while not self._is_closing:
            # Not lent by the pool, which would take it back and mend it behind our back.
            wire = cast(Wire, self._redis.connection_pool.make_connection())  # pyright: ignore[reportUnknownMemberType]
            link = self._link = Link(wire, self._wanted, self._events, self.publish, self._pace, self._prefix)
            try:
                await link.run(self._first_up.set)
            except LinkLost as lost:
                self._say(lost, is_news=link.was_up or not failures)
            finally:
                self._link = None
            if link.was_up:
                await self._events.put(LinkDown())
            failures = 1 if link.was_up else failures + 1
            longest = min(self._pace.longest_pause_s, self._pace.first_pause_s * 2 ** (failures - 1))
            # By chance, so that many processes don't come back at the same moment.
            await asyncio.sleep(longest * random.uniform(0.5, 1))  # noqa: S311

    def _say(self, lost: LinkLost, *, is_news: bool) -> None:
        is_expected = isinstance(lost.__cause__, RedisError | OSError | LinkLost | None)
        level = logging.WARNING if is_news or not is_expected else logging.DEBUG
        log.log(level, "No live events: %s", lost, exc_info=None if is_expected else lost)


def backend_for(url: str) -> BroadcastBackend:
    """The backend of a URL: `memory://` for one process without Redis, else Redis."""
    return MemoryBackend(url) if url.startswith("memory:") else RedisBackend(url)


def client_for(url: str, pace: Pace) -> Redis:
    """A client with a small pool of its own, in which everybody gets a turn.

    The library's default pool raises when more publish at once than it has connections.
    """
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        max_connections=PUBLISHING_CONNECTIONS,
        timeout=2 * pace.answer_within_s,  # for a turn
        socket_timeout=pace.answer_within_s,
        socket_connect_timeout=pace.answer_within_s,
        retry=Retry(ConstantBackoff(0.02), 1),  # of a connection that was lost while it lay in the pool
        retry_on_error=[RedisConnectionError],
        health_check_interval=0,  # the probe is one
        protocol=2,
    )
    return Redis.from_pool(pool)
