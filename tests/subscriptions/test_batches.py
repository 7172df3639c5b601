import asyncio
from collections.abc import Sequence

import pytest

from subscriptions.batches import BatchReader, Cursor
from subscriptions.feed import Page, ReadFailed
from tests.subscriptions.lossy import Message, Table


async def test_ten_thousand_cursors_are_read_in_ten_queries():
    table = Table()
    for number in range(10_000):
        table.commit(f"channel {number}")
    async with BatchReader(table.read_many) as reader:
        pages = await asyncio.gather(*(reader.read(f"channel {each}", 0) for each in range(10_000)))
    assert all(len(page.rows) == 1 for page in pages)
    assert len(table.reads) == 10
    assert max(table.reads) == 1000


async def test_readers_at_the_same_place_share_a_page_and_others_do_not():
    table = Table()
    for _ in range(3):
        table.commit("channel")
    async with BatchReader(table.read_many) as reader:
        pages = await asyncio.gather(*(reader.of("channel")(after) for after in (0, 0, 0, 1, 2, None)))
    assert [len(page.rows) for page in pages] == [3, 3, 3, 2, 1, 0]
    assert [page.cursor for page in pages] == [3] * 6
    assert table.reads == [4]


async def test_each_reader_gets_a_failure_of_its_own():
    table = Table()
    table.is_away = True
    async with BatchReader(table.read_many) as reader:
        failures = await asyncio.gather(
            *(reader.read("channel", 0) for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(each, ReadFailed) for each in failures)
        assert len({id(each) for each in failures}) == 3
        table.is_away = False
        assert (await reader.read("channel", 0)).cursor == 0


async def test_a_query_that_hangs_is_given_up():
    async def read_many(cursors: Sequence[Cursor]) -> dict[Cursor, Page[Message]]:
        await asyncio.sleep(60)
        return {}

    async with BatchReader(read_many, within_s=0.05) as reader:
        with pytest.raises(ReadFailed, match="TimeoutError"):
            await reader.read("channel", 0)


async def test_a_reader_who_leaves_takes_nobody_along():
    table = Table()
    table.commit("channel")
    async with BatchReader(table.read_many) as reader:
        leaving = asyncio.create_task(reader.read("channel", 0))
        staying = asyncio.create_task(reader.read("channel", 0))
        await asyncio.sleep(0)
        leaving.cancel()
        assert len((await staying).rows) == 1


async def test_whoever_waits_when_it_closes_is_told():
    table = Table()
    async with BatchReader(table.read_many, window_s=60) as reader:
        waiting = asyncio.create_task(reader.read("channel", 0))
        await asyncio.sleep(0)
    with pytest.raises(ReadFailed):
        await waiting
    with pytest.raises(ReadFailed):
        await reader.read("channel", 0)
