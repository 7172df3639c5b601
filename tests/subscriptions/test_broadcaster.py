"""The backend alone, as whoever knows only the seam uses it. The first tests are faults of the stock one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from broadcaster import Broadcast, Event
from redis.asyncio import Redis

from subscriptions.broadcaster import RedisBackend, backend_for, client_for
from subscriptions.link import ConfirmedLate, LinkDown, LinkUp, NotConfirmed, Pace
from tests.subscriptions.redis_server import WITHIN_S, DeafProxy, RedisServer, until
from tests.tasks import left_since


@asynccontextmanager
async def connected(url: str, pace: Pace | None = None) -> AsyncGenerator[RedisBackend, None]:
    backend = RedisBackend(url, pace=pace)
    await backend.connect()
    try:
        yield backend
    finally:
        await backend.disconnect()


async def next_of(backend: RedisBackend, kind: type[Event]) -> Event:
    """The next event of exactly this kind."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            event = await backend.next_published()
            if type(event) is kind:
                return event


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
async def test_the_first_subscriber_gets_the_message_20_times_of_20(server: RedisServer, scheme: str):
    url = server.url if scheme == "unix" else server.tcp_url
    for number in range(20):
        async with connected(url) as backend:
            await backend.subscribe("channel")
            await backend.publish("channel", f"message {number}")
            assert await next_of(backend, Event) == Event("channel", f"message {number}")


async def test_it_stands_behind_the_stock_package(redis_url: str):
    backend = RedisBackend(redis_url, prefix="gonggu-stock-test:")
    async with Broadcast(backend=backend) as broadcast, broadcast.subscribe("channel") as subscriber:
        await broadcast.publish("channel", "안녕")
        async with asyncio.timeout(WITHIN_S):
            event = await subscriber.get()
    assert event.message == "안녕"


async def test_it_speaks_either_protocol_of_redis(server: RedisServer):
    for protocol in (2, 3):
        backend = RedisBackend(f"{server.url}?protocol={protocol}")
        await backend.connect()
        try:
            await backend.subscribe("channel")
            await backend.publish("channel", "hello")
            assert (await next_of(backend, Event)).message == "hello"
        finally:
            await backend.disconnect()


async def test_a_client_of_ones_own_can_be_used(server: RedisServer):
    def make() -> Redis:
        return client_for(server.url, Pace())

    backend = RedisBackend(make)
    await backend.connect()
    try:
        await backend.subscribe("channel")
        await backend.publish("channel", b"bytes too")
        assert (await next_of(backend, Event)).message == "bytes too"
    finally:
        await backend.disconnect()


async def test_twenty_first_subscribers_at_once_are_all_subscribed(server: RedisServer):
    async with connected(server.url) as backend:
        await asyncio.gather(*(backend.subscribe(f"channel {each}") for each in range(20)))
        assert await server.subscriptions() == 20
        for each in range(20):
            await backend.publish(f"channel {each}", "hello")
        heard = [(await next_of(backend, Event)).channel for _ in range(20)]
    assert heard == [f"channel {each}" for each in range(20)]


async def test_a_thousand_publish_at_once_and_nothing_is_lost(server: RedisServer):
    async with connected(server.url) as backend:
        await backend.subscribe("channel")
        await asyncio.gather(*(backend.publish("channel", str(each)) for each in range(1000)))
        heard = {(await next_of(backend, Event)).message for _ in range(1000)}
    assert heard == {str(each) for each in range(1000)}


async def test_what_is_published_together_comes_in_order(server: RedisServer):
    async with connected(server.url) as backend:
        await backend.subscribe("channel")
        await backend.publish_many([("channel", str(each)) for each in range(1000)])
        heard = [(await next_of(backend, Event)).message for _ in range(1000)]
    assert heard == [str(each) for each in range(1000)]


@pytest.mark.parametrize("fault", ["restart", "CLIENT KILL"])
async def test_it_heals_and_tells_of_the_gap(server: RedisServer, pace: Pace, fault: str):
    async with connected(server.url, pace) as backend:
        await backend.subscribe("old")
        await next_of(backend, LinkUp)
        for _ in range(3):
            if fault == "restart":
                server.kill()
                await server.start()
            else:
                await server.kill_subscribers()
            await next_of(backend, LinkDown)
            await next_of(backend, LinkUp)
            await backend.subscribe("new")
            for channel in ("old", "new"):
                assert await server.subscribers(channel) == 1
                await backend.publish(channel, "hello")
                assert await next_of(backend, Event) == Event(channel, "hello")
            await backend.unsubscribe("new")


async def test_a_frozen_server_is_noticed_and_found_again(server: RedisServer, pace: Pace):
    async with connected(server.url, pace) as backend:
        await backend.subscribe("channel")
        server.freeze()
        await next_of(backend, LinkDown)
        await asyncio.sleep(2)  # frozen for 3 s together: long enough for attempts to fail
        server.thaw()
        await next_of(backend, LinkUp)
        await backend.publish("channel", "hello")
        assert (await next_of(backend, Event)).message == "hello"


async def test_a_server_that_answers_and_delivers_nothing_is_found(server: RedisServer, pace: Pace):
    async with DeafProxy(server.path).serve() as proxy, connected(proxy.url, pace) as backend:
        await backend.subscribe("channel")
        proxy.is_deaf = True
        async with Redis.from_url(proxy.url) as other:  # pyright: ignore[reportUnknownMemberType]
            assert await other.ping()  # pyright: ignore[reportUnknownMemberType, reportGeneralTypeIssues]
        await next_of(backend, LinkDown)
        # New connections are confirmed and as deaf: the link doesn't count as up.
        await asyncio.sleep(1.5 * pace.silent_within_s)
        assert not backend.is_up
        proxy.is_deaf = False
        await next_of(backend, LinkUp)
        await backend.publish("channel", "hello")
        assert (await next_of(backend, Event)).message == "hello"


async def test_without_redis_it_begins_and_catches_up(server: RedisServer):
    server.kill()
    pace = Pace(answer_within_s=0.3, longest_pause_s=0.2)
    async with connected(server.url, pace) as backend:
        assert type(await backend.next_published()) is LinkDown
        with pytest.raises(NotConfirmed):
            await backend.subscribe("channel")
        await server.start()
        await next_of(backend, LinkUp)
        assert await server.subscribers("channel") == 1


async def test_what_is_confirmed_late_is_announced(server: RedisServer):
    pace = Pace(confirm_within_s=0.2, silent_within_s=10)
    async with connected(server.url, pace) as backend:
        server.freeze()
        with pytest.raises(NotConfirmed, match="channel"):
            await backend.subscribe("channel")
        server.thaw()
        assert (await next_of(backend, ConfirmedLate)).channel == "channel"
        assert await server.subscribers("channel") == 1


async def test_whoever_waits_for_a_confirmation_is_told_when_the_link_breaks(server: RedisServer, pace: Pace):
    async with connected(server.url, pace) as backend:
        server.freeze()
        subscribing = asyncio.create_task(backend.subscribe("channel"))
        await asyncio.sleep(0.05)
        server.kill()
        with pytest.raises(NotConfirmed, match="lost"):
            await subscribing


async def test_leaving_and_coming_back_in_a_hurry_ends_subscribed(server: RedisServer):
    async with connected(server.url) as backend:
        for _ in range(50):
            await backend.subscribe("channel")
            await backend.unsubscribe("channel")
            await asyncio.sleep(0)
        await backend.subscribe("channel")
        await backend.publish("channel", "hello")
        assert (await next_of(backend, Event)).message == "hello"
        await backend.unsubscribe("channel")
        async with asyncio.timeout(WITHIN_S):
            while await server.subscribers("channel"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)


async def test_ten_thousand_channels_are_subscribed_again_after_a_restart(server: RedisServer):
    # So many at once keep a busy machine busy for longer than one is waited for.
    patient = Pace(answer_within_s=20, confirm_within_s=60, silent_within_s=10, longest_pause_s=0.3)
    async with connected(server.url, patient) as backend:
        await asyncio.gather(*(backend.subscribe(f"channel {each}") for each in range(10_000)))
        server.kill()
        await next_of(backend, LinkDown)
        await server.start()
        await next_of(backend, LinkUp)
        assert await server.subscriptions() == 10_000


async def test_a_process_that_stood_still_does_not_blame_redis(server: RedisServer):
    import time

    async with connected(server.url, Pace(probe_every_s=0.1, silent_within_s=0.5)) as backend:
        await next_of(backend, LinkUp)
        time.sleep(1)  # noqa: ASYNC251 - that is the point
        await backend.subscribe("channel")
        await backend.publish("channel", "hello")
        event = await backend.next_published()
        assert event == Event("channel", "hello")


async def test_it_can_be_closed_in_every_state(server: RedisServer, pace: Pace):
    before = asyncio.all_tasks()
    for prepare in (lambda: None, server.freeze, server.thaw, server.kill):
        backend = RedisBackend(server.url, pace=Pace(answer_within_s=0.3))
        await backend.connect()
        prepare()
        async with asyncio.timeout(5):
            await backend.disconnect()
    assert not await left_since(before)


async def test_a_url_names_the_backend():
    assert not isinstance(backend_for("memory://"), RedisBackend)
    backend = backend_for("redis://127.0.0.1:1/0")
    assert isinstance(backend, RedisBackend)
    await until(lambda: not backend.is_up)
