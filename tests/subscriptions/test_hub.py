import asyncio
import tracemalloc
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
from broadcaster import Event

from subscriptions.broadcaster import RedisBackend, backend_for
from subscriptions.envelope import Envelope
from subscriptions.hub import Hub, Limits, NotPublished
from subscriptions.link import ConfirmedLate, LinkDown, LinkUp, Pace
from subscriptions.listener import GAP, HubClosed, Listener, LiveEvent, Policy, ReaderTooSlow
from tests.subscriptions.lossy import LossyBackend
from tests.subscriptions.redis_server import WITHIN_S, RedisServer, until
from tests.tasks import left_since


async def next_of(live: Listener) -> Envelope:
    """The next event that is no gap."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            event = await anext(live)
            if event is not GAP:
                return event


async def until_gap(live: Listener) -> None:
    async with asyncio.timeout(WITHIN_S):
        while await anext(live) is not GAP:
            pass


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_what_is_published_reaches_everybody_who_listens(redis_url: str, kind: str):
    backend = backend_for("memory://" if kind == "memory" else redis_url)
    async with Hub(backend) as hub, AsyncExitStack() as stack:
        lives = [await stack.enter_async_context(hub.listen("hub test")) for _ in range(10)]
        sent = Envelope("k", "hub test", 1, {"text": "안녕"})
        hub.publish(sent)
        received = [await next_of(live) for live in lives]
        assert received == [sent] * 10
        # Decoded once: they share it.
        assert len({id(each) for each in received}) == 1
        hub.publish(Envelope("k", "another", 1))
        await hub.send([Envelope("k", "hub test", 2)])
        assert (await next_of(lives[0])).number == 2


async def test_two_processes_hear_each_other(server: RedisServer):
    async with (
        Hub(RedisBackend(server.url)) as one,
        Hub(RedisBackend(server.url)) as other,
        one.listen("channel") as live,
    ):
        other.publish(Envelope("k", "channel", 1))
        assert (await next_of(live)).number == 1


async def test_a_channel_is_subscribed_once_however_many_listen(server: RedisServer):
    async with Hub(RedisBackend(server.url)) as hub, AsyncExitStack() as stack:
        lives = await asyncio.gather(
            *(stack.enter_async_context(hub.listen("channel")) for _ in range(100)),
        )
        assert await server.subscribers("channel") == 1
        hub.publish(Envelope("k", "channel", 1))
        assert [(await next_of(live)).number for live in lives] == [1] * 100
        assert hub.sizes() == {"channels": 1, "listeners": 100, "publish_waiting": 0}


async def test_a_channel_is_left_a_moment_after_the_last_listener():
    backend = LossyBackend()
    async with Hub(backend, limits=Limits(grace_s=0.1)) as hub:
        for _ in range(20):  # who comes back at once finds it as it was
            async with hub.listen("channel"):
                await asyncio.sleep(0)
        assert (backend.subscribes, backend.unsubscribes) == (1, 0)
        await until(lambda: backend.unsubscribes == 1)
        assert hub.sizes()["channels"] == 0
        async with hub.listen("channel") as live:
            hub.publish(Envelope("k", "channel", 1))
            assert (await next_of(live)).number == 1


async def test_one_of_the_first_listeners_may_leave_without_ending_the_others():
    backend = LossyBackend()
    async with Hub(backend) as hub:

        async def listen() -> int | None:
            async with hub.listen("channel") as live:
                return (await next_of(live)).number

        leaving, staying = asyncio.create_task(listen()), asyncio.create_task(listen())
        await asyncio.sleep(0)
        leaving.cancel()
        await until(lambda: "channel" in backend.subscribed)
        hub.publish(Envelope("k", "channel", 1))
        assert await staying == 1
        assert leaving.cancelled()


async def test_a_gap_reaches_every_listener_after_a_restart(server: RedisServer, pace: Pace):
    async with Hub(RedisBackend(server.url, pace=pace)) as hub, AsyncExitStack() as stack:
        lives = [
            await stack.enter_async_context(hub.listen(f"channel {number}", policy))
            for number in range(5)
            for policy in Policy
        ]
        server.kill()
        await until(lambda: not hub.is_up)
        await server.start()
        for live in lives:
            await until_gap(live)
        assert hub.is_up
        for number in range(5):
            hub.publish(Envelope("k", f"channel {number}", 7))
        assert [(await next_of(live)).number for live in lives] == [7] * 15


async def test_a_late_confirmation_is_a_gap_on_its_channel_alone():
    backend = LossyBackend()
    async with Hub(backend) as hub, hub.listen("late") as late, hub.listen("other") as other:
        backend.events.put_nowait(ConfirmedLate("late"))
        await until_gap(late)
        hub.publish(Envelope("k", "other", 1))
        event: LiveEvent = await anext(other)
        assert event is not GAP


async def test_what_nobody_understands_is_counted_and_harms_nobody():
    backend = LossyBackend()
    async with Hub(backend) as hub, hub.listen("channel") as live:
        for message in ("nonsense", '{"v": 99}', Envelope("k", "elsewhere", 1).encode()):
            backend.put(Event("channel", message))
        hub.publish(Envelope("k", "channel", 1))
        assert (await next_of(live)).number == 1
        assert (hub.counts["malformed"], hub.counts["unknown_version"]) == (2, 1)


async def test_a_burst_overflows_nobody_who_reads():
    backend = LossyBackend()
    async with Hub(backend) as hub, AsyncExitStack() as stack:
        lives = [await stack.enter_async_context(hub.listen("channel")) for _ in range(20)]

        async def read(live: Listener) -> list[int | None]:
            return [(await next_of(live)).number for _ in range(2000)]

        readers = [asyncio.create_task(read(live)) for live in lives]
        for number in range(2000):
            backend.put(Event("channel", Envelope("k", "channel", number).encode()))
        assert await asyncio.gather(*readers) == [list(range(2000))] * 20
        assert hub.counts["overflows"] == 0


async def test_a_slow_reader_costs_bounded_memory_and_holds_up_nobody(server: RedisServer):
    async with (
        Hub(RedisBackend(server.url)) as hub,
        hub.listen("channel") as slow,
        hub.listen("channel") as live,
    ):
        await hub.send([Envelope("k", "channel", 0)])
        await next_of(live)
        tracemalloc.start()
        try:
            for start in range(1, 5000, 100):
                await hub.send([Envelope("k", "channel", n, "x" * 1000) for n in range(start, start + 100)])
                for number in range(start, start + 100):
                    assert (await next_of(live)).number == number
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 1_500_000  # of 5 MB that were sent, 5 times what may wait
        with pytest.raises(ReaderTooSlow):
            await anext(slow)


async def test_publishing_never_waits_and_a_breaker_spares_a_dead_redis(server: RedisServer):
    limits = Limits(failures=2, failures_pause_s=0.3, publish_waiting=100, publish_within_s=0.2)
    async with Hub(RedisBackend(server.url), limits=limits) as hub:
        server.freeze()
        for _ in range(1000):
            hub.publish(Envelope("k", "channel", 1))
        assert hub.counts["publish_dropped"] == 900
        await until(lambda: hub.counts["publish_failed"] == 100)
        hub.publish(Envelope("k", "channel", 1))
        await until(lambda: hub.counts["publish_failed"] == 101)
        for _ in range(50):
            hub.publish(Envelope("k", "channel", 1))
        await until(lambda: hub.counts["publish_dropped"] == 950)
        with pytest.raises(NotPublished):
            await hub.send([Envelope("k", "channel", 1)])
        server.thaw()

        def published() -> bool:
            hub.publish(Envelope("k", "channel", 2))
            return hub.counts["published"] > 0

        await until(published)


async def test_what_is_published_when_redis_was_restarted_meanwhile_arrives(server: RedisServer, pace: Pace):
    async with Hub(RedisBackend(server.url, pace=pace)) as hub, hub.listen("channel") as live:
        await hub.send([Envelope("k", "channel", 1)])
        server.kill()
        await until(lambda: not hub.is_up)
        await server.start()
        await until(lambda: hub.is_up)
        await hub.send([Envelope("k", "channel", 2)])
        while (await next_of(live)).number != 2:
            pass


async def test_readers_behind_the_database_are_told_and_no_others():
    backend = LossyBackend()
    asked: list[list[str]] = []

    async def heads(channels: Sequence[str]) -> dict[str, int]:
        asked.append(sorted(channels))
        return {"behind": 5, "level": 5}

    limits = Limits(heads_every_s=0.1, settle_s=0.01)
    async with (
        Hub(backend, heads=heads, limits=limits) as hub,
        hub.listen("behind") as behind,
        hub.listen("level") as level,
        hub.listen("behind") as beside,
        hub.listen("without numbers"),
    ):
        behind.seen, level.seen, beside.seen = 4, 5, 5
        await until_gap(behind)
        assert asked[-1] == ["behind", "level"]
        for live in (level, beside):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(live)


async def test_heads_are_compared_at_once_and_often_while_redis_is_away():
    backend = LossyBackend()
    asked = 0

    async def heads(channels: Sequence[str]) -> dict[str, int]:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise ConnectionError("The database is away too.")
        return {"channel": asked}

    limits = Limits(heads_every_s=60, heads_every_s_when_down=0.05)
    async with Hub(backend, heads=heads, limits=limits) as hub, hub.listen("channel") as live:
        live.seen = 0
        backend.events.put_nowait(LinkDown())
        for _ in range(5):
            await until_gap(live)
        assert hub.counts["heads_failed"] == 1
        backend.events.put_nowait(LinkUp())
        await until(lambda: hub.is_up)


async def test_closing_ends_every_listener_and_leaves_no_task(server: RedisServer):
    before = asyncio.all_tasks()
    async with Hub(RedisBackend(server.url)) as hub:

        async def listen(number: int) -> None:
            async with hub.listen(f"channel {number}") as live:
                await next_of(live)

        tasks = [asyncio.create_task(listen(number)) for number in range(100)]
        await until(lambda: hub.sizes()["listeners"] == 100)
        for task in tasks[:50]:
            task.cancel()
        server.freeze()
        late = asyncio.create_task(listen(1000))
        await asyncio.sleep(0)
    results = await asyncio.gather(*tasks, late, return_exceptions=True)
    assert [type(each) for each in results] == [asyncio.CancelledError] * 50 + [HubClosed] * 51
    assert not await left_since(before)
    with pytest.raises(HubClosed):
        async with hub.listen("channel"):
            pass


async def test_a_fault_of_the_backend_is_survived():
    class Faulty(LossyBackend):
        faults = 1

        async def next_published(self) -> Event:
            if self.faults:
                self.faults -= 1
                raise RuntimeError("a fault")
            return await super().next_published()

        async def subscribe(self, group: str) -> None:
            if self.subscribes == 0:
                self.subscribes += 1
                raise RuntimeError("another fault")
            await super().subscribe(group)

    async with Hub(Faulty()) as hub:
        with pytest.raises(RuntimeError, match="another"):
            async with hub.listen("channel"):
                pass
        async with hub.listen("channel") as live:
            await until_gap(live)
            hub.publish(Envelope("k", "channel", 1))
            assert (await next_of(live)).number == 1
        assert hub.counts["faults"] == 1
