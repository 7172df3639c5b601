import asyncio
import tracemalloc
from collections import Counter

import pytest

from subscriptions import listener as limits
from subscriptions.envelope import Envelope
from subscriptions.listener import GAP, HubClosed, Listener, LiveEvent, Policy, ReaderTooSlow


def event(number: int) -> Envelope:
    return Envelope("k", "c", number)


async def waiting(listener: Listener) -> list[LiveEvent]:
    """What can be read without waiting."""
    events: list[LiveEvent] = []
    try:
        async with asyncio.timeout(0.01):
            async for each in listener:
                events.append(each)
    except TimeoutError:
        pass
    return events


def numbers(events: list[LiveEvent]) -> list[int | None]:
    return [each.number for each in events if each is not GAP]


async def test_an_ordered_reader_gets_everything_up_to_the_limit():
    listener = Listener(Policy.ORDERED, Counter())
    for number in range(256):
        listener.offer(event(number))
    assert numbers(await waiting(listener)) == list(range(256))


async def test_an_overflow_drops_everything_and_says_so_once():
    counts = Counter[str]()
    listener = Listener(Policy.ORDERED, counts)
    for number in range(260):
        listener.offer(event(number))
    events = await waiting(listener)
    assert events[0] is GAP
    # The 257th was dropped with those that waited: the database has it.
    assert numbers(events) == [257, 258, 259]
    assert counts["overflows"] == 1


async def test_the_third_overflow_within_30_seconds_sends_the_reader_away(monkeypatch: pytest.MonkeyPatch):
    counts = Counter[str]()
    listener = Listener(Policy.ORDERED, counts)
    for number in range(3 * 257):
        listener.offer(event(number))
    with pytest.raises(ReaderTooSlow, match="resume"):
        await anext(listener)
    assert counts["readers_too_slow"] == 1
    monkeypatch.setattr(limits, "WITHIN_S", -1.0)
    patient = Listener(Policy.ORDERED, Counter())
    for number in range(10 * 257):
        patient.offer(event(number))
    assert await anext(patient) is GAP


async def test_of_positions_only_the_newest_waits():
    listener = Listener(Policy.NEWEST, Counter())
    for number in range(1000):
        listener.offer(event(number))
    assert numbers(await waiting(listener)) == [999]


async def test_of_presence_the_oldest_is_dropped():
    listener = Listener(Policy.RECENT, Counter())
    for number in range(1000):
        listener.offer(event(number))
    assert numbers(await waiting(listener)) == list(range(1000 - 64, 1000))


async def test_gaps_that_nobody_has_read_are_one():
    listener = Listener(Policy.NEWEST, Counter())
    listener.gap()
    listener.offer(event(1))
    listener.gap()
    events = await waiting(listener)
    assert events[0] is GAP
    assert numbers(events) == [1]
    assert len(events) == 2


async def test_the_end_reaches_a_reader_that_waits_and_one_that_comes_later():
    listener = Listener(Policy.ORDERED, Counter())
    reading = asyncio.create_task(anext(listener))  # pyright: ignore[reportArgumentType]
    await asyncio.sleep(0)
    listener.end(HubClosed("over"))
    with pytest.raises(HubClosed):
        await reading
    listener.offer(event(1))
    with pytest.raises(HubClosed):
        await anext(listener)


@pytest.mark.parametrize("policy", Policy)
async def test_the_memory_of_a_reader_that_never_reads_is_bounded(policy: Policy):
    listener = Listener(policy, Counter())
    tracemalloc.start()
    try:
        for number in range(100_000):
            listener.offer(Envelope("k", "c", number, {"text": "x" * 500}))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000
