"""Each row once, in order, from the cursor: whatever happens to the events, to Redis and to the database."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscriptions.batches import BatchReader
from subscriptions.broadcaster import RedisBackend
from subscriptions.feed import Page, ReadFailed, follow
from subscriptions.hub import Hub, Limits
from subscriptions.link import Pace
from subscriptions.listener import ReaderTooSlow
from tests.subscriptions.lossy import Fate, LossyBackend, Message, Table, message_of
from tests.subscriptions.redis_server import RedisServer, until

SOON = Limits(heads_every_s=0.05, heads_every_s_when_down=0.05, settle_s=0.01)
CHANNEL = "channel"


class Reader:
    """A subscriber: what it has received so far."""

    def __init__(self, after: int | None) -> None:
        self.after = after
        self.numbers: list[int] = []

    async def read(self, hub: Hub, reader: BatchReader[Message], channel: str = CHANNEL) -> None:
        rows = follow(hub, channel, self.after, reader.of(channel), message_of)
        async with aclosing(rows):
            async for row in rows:
                assert row.text == f"text {row.number}"
                self.numbers.append(row.number)

    def has(self, count: int) -> bool:
        return bool(self.numbers) and self.numbers[-1] >= count


@asynccontextmanager
async def reading(hub: Hub, table: Table, *readers: Reader) -> AsyncGenerator[None, None]:
    """Let them read, from before the body begins until it ends."""
    async with BatchReader(table.read_many, window_s=0.001) as batches:
        tasks = [asyncio.create_task(each.read(hub, batches)) for each in readers]
        await until(lambda: hub.sizes()["listeners"] == len(readers))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(each) for each in results} == {asyncio.CancelledError}


steps = st.lists(st.sampled_from([*Fate, "reconnect", "release", "wait"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(before=st.integers(0, 7), steps=steps, page=st.integers(1, 5))
async def test_it_gives_each_row_once_and_in_order(before: int, steps: list[Fate | str], page: int):
    backend, table = LossyBackend(), Table(page)
    for _ in range(before):
        table.commit(CHANNEL)
    readers = [Reader(after) for after in range(before + 1)]
    async with Hub(backend, heads=table.heads, limits=SOON) as hub, reading(hub, table, *readers):
        for step in steps:
            match step:
                case "reconnect":
                    backend.reconnect()
                case "release":
                    backend.release()
                case "wait":
                    await asyncio.sleep(0.001)
                case _:
                    envelope = table.commit(CHANNEL)
                    backend.fate = Fate(step)
                    if step is Fate.WITHOUT_DATA:
                        envelope = type(envelope)("message", CHANNEL, envelope.number)
                    await backend.publish(CHANNEL, envelope.encode())
        count = len(table.rows[CHANNEL])
        await until(lambda: all(each.has(count) for each in readers if each.after != count))
    for each in readers:
        assert each.numbers == list(range((each.after or 0) + 1, count + 1))


async def test_without_a_cursor_only_live_ones_come():
    backend, table = LossyBackend(), Table(page=2)
    for _ in range(10):
        table.commit(CHANNEL)
    live = Reader(None)
    async with Hub(backend) as hub, reading(hub, table, live):
        await until(lambda: bool(table.reads))
        await asyncio.sleep(0.01)
        for _ in range(5):
            hub.publish(table.commit(CHANNEL))
        await until(lambda: live.has(15))
        assert live.numbers == [11, 12, 13, 14, 15]


async def test_the_next_event_costs_no_read():
    backend, table = LossyBackend(), Table()
    reader = Reader(0)
    async with Hub(backend) as hub, reading(hub, table, reader):
        await until(lambda: bool(table.reads))
        for _ in range(100):
            hub.publish(table.commit(CHANNEL))
        await until(lambda: reader.has(100))
        assert len(table.reads) <= 2


async def test_what_is_committed_between_the_first_read_and_the_first_event_is_not_lost():
    backend, table = LossyBackend(), Table()
    reader = Reader(0)
    read_many = table.read_many

    async def and_then_commit(*args: object) -> object:
        pages = await read_many(*args)  # pyright: ignore[reportArgumentType]
        if len(table.reads) == 1:
            await backend.publish(CHANNEL, table.commit(CHANNEL).encode())
        return pages

    table.read_many = and_then_commit  # pyright: ignore[reportAttributeAccessIssue]
    async with Hub(backend) as hub, reading(hub, table, reader):
        await until(lambda: reader.has(1))


async def test_rows_that_are_gone_are_not_asked_for_again_and_again():
    backend, table = LossyBackend(), Table()

    async def read_after(after: int | None) -> Page[Message]:
        table.reads.append(1)
        return Page([Message(3, "text 3")] if (after or 0) < 3 else [], 7)

    async def heads(channels: object) -> dict[str, int]:
        return {CHANNEL: 7}

    async with Hub(backend, heads=heads, limits=SOON) as hub:
        rows = follow(hub, CHANNEL, 0, read_after)
        async with aclosing(rows):
            assert (await anext(rows)).number == 3
            waiting = asyncio.ensure_future(anext(rows))
            await until(lambda: hub.counts["heads_compared"] >= 5)
            assert len(table.reads) == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def test_a_database_that_is_away_for_a_while_is_waited_for():
    backend, table = LossyBackend(), Table()
    reader = Reader(0)
    table.commit(CHANNEL)
    table.is_away = True
    async with Hub(backend) as hub, reading(hub, table, reader):
        await until(lambda: len(table.reads) >= 3)
        hub.publish(table.commit(CHANNEL))
        table.is_away = False
        await until(lambda: reader.has(2))
        assert reader.numbers == [1, 2]


async def test_a_database_that_stays_away_ends_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("subscriptions.feed._READ_WITHIN_S", 0.2)
    table = Table()
    table.is_away = True
    async with Hub(LossyBackend()) as hub, BatchReader(table.read_many) as batches:
        with pytest.raises(ReadFailed, match="away"):
            await Reader(0).read(hub, batches)
        assert hub.sizes()["listeners"] == 0


async def test_a_slow_reader_catches_up_or_is_told_to_resume():
    backend, table = LossyBackend(), Table(page=1000)
    async with Hub(backend) as hub, BatchReader(table.read_many) as batches:

        async def publish(count: int) -> None:
            for _ in range(count):
                hub.publish(table.commit(CHANNEL))
            await until(lambda: hub.counts["received"] == len(table.rows[CHANNEL]) - 1)

        numbers: list[int] = []

        async def take_all(after: int) -> None:
            rows = follow(hub, CHANNEL, after, batches.of(CHANNEL), message_of)
            async with aclosing(rows):
                async for row in rows:
                    numbers.append(row.number)
                    if row.number == 1:
                        await publish(300)  # while nobody reads: too much once
                    if row.number == 301:
                        await publish(600)  # and twice more
                    if row.number == 901:
                        return

        table.commit(CHANNEL)
        with pytest.raises(ReaderTooSlow):
            await take_all(0)
        await take_all(numbers[-1])
    assert numbers == list(range(1, 902))


async def test_closing_it_by_name_ends_its_listening_at_once():
    table = Table()
    table.commit(CHANNEL)
    async with Hub(LossyBackend()) as hub, BatchReader(table.read_many) as batches:
        rows = follow(hub, CHANNEL, 0, batches.of(CHANNEL))
        async with aclosing(rows):
            await anext(rows)
            assert hub.sizes()["listeners"] == 1
        assert hub.sizes()["listeners"] == 0


async def test_ten_thousand_followers_resume_within_a_budget_of_reads():
    backend, table = LossyBackend(), Table()
    channels = [f"channel {number}" for number in range(10_000)]
    for channel in channels:
        for _ in range(3):
            table.commit(channel)
    readers = {channel: Reader(1) for channel in channels}
    async with (
        Hub(backend, heads=table.heads, limits=SOON) as hub,
        BatchReader(table.read_many) as batches,
    ):
        tasks = [asyncio.create_task(each.read(hub, batches, channel)) for channel, each in readers.items()]
        await until(lambda: all(each.has(3) for each in readers.values()), within_s=30)
        assert len(table.reads) <= 20
        table.reads.clear()
        table.head_reads.clear()
        # Nothing comes live any more; all are told by comparing numbers, with one query for all of them.
        backend.fate = Fate.LOST
        for channel in channels:
            hub.publish(table.commit(channel))
        await until(lambda: all(each.has(4) for each in readers.values()), within_s=30)
        assert len(table.reads) <= 20 + len(table.head_reads)
        assert max(table.head_reads) == 10_000
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert all(each.numbers == [2, 3, 4] for each in readers.values())


async def test_on_a_redis_that_is_killed_frozen_and_cut_off_nothing_is_lost(server: RedisServer, pace: Pace):
    chance = random.Random(7)
    table = Table(page=10)
    readers = [Reader(0) for _ in range(20)]
    limits = Limits(heads_every_s=1, heads_every_s_when_down=0.1, settle_s=0.05, publish_within_s=0.3)
    async with (
        Hub(RedisBackend(server.url, pace=pace)) as writing,
        Hub(RedisBackend(server.url, pace=pace), heads=table.heads, limits=limits) as hub,
        reading(hub, table, *readers),
    ):
        for fault in (server.kill_subscribers, server.kill, server.freeze, server.kill_subscribers):
            for number in range(40):
                writing.publish(table.commit(CHANNEL))
                await asyncio.sleep(chance.uniform(0, 0.01))
                if number == 20:
                    if fault == server.kill_subscribers:
                        await server.kill_subscribers()
                    else:
                        fault()
            if fault == server.kill:
                # Redis is away, and yet it comes.
                await until(lambda: all(each.has(len(table.rows[CHANNEL])) for each in readers))
                await server.start()
            if fault == server.freeze:
                await asyncio.sleep(1.5)
                server.thaw()
            await until(lambda: hub.is_up)
        await until(lambda: all(each.has(160) for each in readers))
    assert all(each.numbers == list(range(1, 161)) for each in readers)
