import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import pytest

from subscriptions import channels
from subscriptions.broadcaster import RedisBackend, backend_for
from subscriptions.envelope import Envelope
from subscriptions.hub import Hub
from subscriptions.link import LinkDown, LinkUp, Pace
from subscriptions.listener import ORDERED_ITEMS, OVERFLOWS, ReaderTooSlow
from subscriptions.session_ends import SessionEnds, sessions_ended
from tests.subscriptions.lossy import LossyBackend
from tests.subscriptions.redis_server import WITHIN_S, RedisServer, until


class Sessions:
    """Stands for the table of sessions."""

    def __init__(self) -> None:
        self.over = set[UUID]()
        self.asked: list[int] = []
        self.failures = 0

    async def living(self, sessions: Sequence[UUID]) -> set[UUID]:
        self.asked.append(len(sessions))
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("The database is away.")
        return set(sessions) - self.over


class Waiting:
    """Sockets that wait for the ends of their sessions."""

    def __init__(self, ends: SessionEnds, sessions: Sequence[UUID]) -> None:
        self.tasks = [asyncio.create_task(ends.until_ended(each)) for each in sessions]

    @property
    def ended(self) -> int:
        return sum(task.done() for task in self.tasks)

    async def __aenter__(self) -> "Waiting":
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with suppress(asyncio.CancelledError):
                await task


def ids(count: int) -> list[UUID]:
    return [UUID(int=number) for number in range(1, count + 1)]


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_every_socket_of_a_session_hears_its_end_and_no_other_does(redis_url: str, kind: str):
    backend = backend_for("memory://" if kind == "memory" else redis_url)
    one, other, third = ids(3)
    async with (
        Hub(backend) as hub,
        SessionEnds(hub, Sessions().living) as ends,
        Waiting(ends, [one, one, other, third]) as waiting,
    ):
        await until(lambda: hub.sizes()["listeners"] == 1)
        async with hub.listen(channels.session_ends()):  # waits for the confirmation, too
            hub.publish(sessions_ended([one, third]))
            await until(lambda: waiting.ended == 3)
        assert not waiting.tasks[2].done()


async def test_however_many_wait_one_listens_and_one_query_asks_for_ten_thousand():
    backend = LossyBackend()
    sessions = Sessions()
    people = ids(20_001)
    async with (
        Hub(backend) as hub,
        SessionEnds(hub, sessions.living, often_s=0.05) as ends,
        Waiting(ends, people) as waiting,
    ):
        await until(lambda: sum(sessions.asked) >= 20_001)
        assert hub.sizes()["listeners"] == 1
        assert max(sessions.asked) <= 10_000
        assert len(sessions.asked) <= 6
        before = len(sessions.asked)
        sessions.over = set(people[:100])
        backend.reconnect()
        await until(lambda: waiting.ended == 100)
        assert len(sessions.asked) <= before + 6
        hub.publish(sessions_ended(people[100:20_000]))  # too large to travel: they are looked up
        sessions.over = set(people[:20_000])
        await until(lambda: waiting.ended == 20_000)


async def test_an_end_that_came_before_the_waiting_is_found_soon():
    sessions = Sessions()
    sessions.over = set(ids(1))
    async with (
        Hub(LossyBackend()) as hub,
        SessionEnds(hub, sessions.living, every_s=60, often_s=0.05) as ends,
        asyncio.timeout(WITHIN_S),
    ):
        await ends.until_ended(UUID(int=1))
        assert sessions.asked == [1]


async def test_ends_that_no_event_tells_of_are_found_now_and_then():
    sessions = Sessions()
    people = ids(2)
    async with (
        Hub(LossyBackend()) as hub,
        SessionEnds(hub, sessions.living, every_s=0.3, often_s=0.05) as ends,
        Waiting(ends, people) as waiting,
    ):
        await until(lambda: len(sessions.asked) >= 2)
        sessions.over = {people[0]}
        await until(lambda: waiting.ended == 1)
        assert not waiting.tasks[1].done()


async def test_while_no_events_come_everybody_is_looked_up_often(caplog: pytest.LogCaptureFixture):
    backend = LossyBackend()
    sessions = Sessions()
    people = ids(2)
    async with (
        Hub(backend) as hub,
        SessionEnds(hub, sessions.living, every_s=60, often_s=0.05) as ends,
        Waiting(ends, people) as waiting,
    ):
        backend.events.put_nowait(LinkDown())
        await until(lambda: sessions.asked.count(2) >= 3)
        sessions.failures = 3
        sessions.over = {people[0]}
        with caplog.at_level(logging.CRITICAL, "subscriptions.session_ends"):
            await until(lambda: waiting.ended == 1)
        backend.events.put_nowait(LinkUp())
        await until(lambda: hub.is_up)


async def test_a_lookup_that_failed_is_tried_again_though_events_come():
    sessions = Sessions()
    sessions.failures = 2
    sessions.over = set(ids(1))
    async with (
        Hub(LossyBackend()) as hub,
        SessionEnds(hub, sessions.living, every_s=60, often_s=0.05) as ends,
        asyncio.timeout(WITHIN_S),
    ):
        await ends.until_ended(UUID(int=1))
        assert len(sessions.asked) == 3


async def test_an_end_published_while_redis_was_away_is_found_when_it_is_back(
    server: RedisServer, pace: Pace
):
    sessions = Sessions()
    people = ids(2)
    async with (
        Hub(RedisBackend(server.url, pace=pace)) as hub,
        SessionEnds(hub, sessions.living, every_s=60, often_s=30) as ends,
        Waiting(ends, people) as waiting,
    ):
        await until(lambda: len(sessions.asked) == 1)
        server.kill()
        await until(lambda: not hub.is_up)
        sessions.over = {people[1]}
        await server.start()
        await until(lambda: waiting.ended == 1)


async def test_a_listener_that_is_sent_away_listens_again():
    sessions = Sessions()
    (one,) = ids(1)
    async with (
        Hub(LossyBackend()) as hub,
        SessionEnds(hub, sessions.living, every_s=60, often_s=60) as ends,
        Waiting(ends, [one]) as waiting,
    ):
        await until(lambda: bool(sessions.asked))
        (room,) = hub._rooms.values()  # pyright: ignore[reportPrivateUsage] - the end that a burst would bring
        (listener,) = room.listeners
        for _ in range(OVERFLOWS * (ORDERED_ITEMS + 1)):
            listener.offer(Envelope("k", channels.session_ends(), data={"sessions": []}))
        with pytest.raises(ReaderTooSlow):
            raise listener._end or AssertionError  # pyright: ignore[reportPrivateUsage]
        await until(lambda: len(sessions.asked) == 2)
        hub.publish(sessions_ended([one]))
        await until(lambda: waiting.ended == 1)


async def test_closing_leaves_the_waiting_to_their_owners():
    async with Hub(LossyBackend()) as hub:
        async with SessionEnds(hub, Sessions().living) as ends:
            waiting = asyncio.create_task(ends.until_ended(UUID(int=1)))
            await until(lambda: hub.sizes()["listeners"] == 1)
        assert hub.sizes()["listeners"] == 0
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
