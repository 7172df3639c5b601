"""The relay: what was committed is published, whoever died in between, and the outbox is emptied."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from broadcaster import BroadcastBackend, Event
from sqlalchemy import text

from app.database import make_engine
from app.relay import Relay
from resolvers.outbox import LEFT_AFTER, NEEDED_FOR
from resolvers.transaction import Transactions
from subscriptions.broadcaster import RedisBackend
from subscriptions.envelope import Envelope
from subscriptions.hub import Hub
from subscriptions.listener import GAP
from subscriptions.tasks import end
from tests.conftest import MovableClock, transactions_on
from tests.subscriptions.redis_server import redis_server
from tests.tasks import left_since

WITHIN_S = 20.0


class Shelf(BroadcastBackend):
    """A backend that keeps what is published, and refuses while it is told to."""

    def __init__(self) -> None:  # the original raises NotImplementedError
        self.published = list[Envelope]()
        self.refuses = False
        self.asked = 0

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def subscribe(self, group: str) -> None: ...

    async def unsubscribe(self, group: str) -> None: ...

    async def publish(self, channel: str, message: Any) -> None:
        self.asked += 1
        if self.refuses:
            raise ConnectionError("Redis is away")
        self.published.append(Envelope.decode(message, channel))

    async def next_published(self) -> Event:
        return await asyncio.Event().wait() and Event("", "")  # never

    @property
    def numbers(self) -> list[int | None]:
        return [each.number for each in self.published]


@pytest.fixture(autouse=True)
async def _no_task_is_left() -> AsyncGenerator[None, None]:
    before = asyncio.all_tasks()
    yield
    assert not await left_since(before)


@asynccontextmanager
async def relaying(relay: Relay, hub: Hub) -> AsyncGenerator[asyncio.Task[Any], None]:
    task = asyncio.create_task(relay.run(hub), name="relay")
    try:
        yield task
    finally:
        await end([task])


BREAK_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
async def own_transactions(fresh_url: str, clock: MovableClock) -> AsyncGenerator[Transactions, None]:
    """Transactions on connections of the relay's own, to be broken."""
    engine = make_engine(fresh_url)
    yield transactions_on(engine, clock)
    await engine.dispose()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await is_so():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.01)


async def waiting(transactions: Transactions) -> int:
    async with transactions.read() as tx:
        return await tx.session.scalar(text("SELECT count(*) FROM outbox")) or 0


def empty(transactions: Transactions) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return await waiting(transactions) == 0

    return is_so


async def leave(transactions: Transactions, *numbers: int, older: timedelta = LEFT_AFTER) -> None:
    """Commit what nobody publishes: its process has died."""
    async with transactions.write() as tx:
        for number in numbers:
            tx.ring(Envelope("message", "chat:1", number))
    async with transactions.write() as tx:
        await tx.session.execute(
            text(
                "UPDATE outbox SET created_at = created_at - CAST(:by AS interval)"
                " WHERE number = ANY (:numbers)"
            ),
            {"by": older, "numbers": list(numbers)},
        )


async def test_what_a_dead_process_left_is_published_in_order_and_taken_away(
    fresh_transactions: Transactions,
):
    shelf, relay = Shelf(), Relay(fresh_transactions)
    await leave(fresh_transactions, 1, 2, 3)
    async with Hub(shelf) as hub, relaying(relay, hub):
        await until(empty(fresh_transactions))
        await leave(fresh_transactions, 4, older=timedelta(0))
        await until(empty(fresh_transactions))
    assert shelf.numbers == [1, 2, 3, 4]
    assert relay.relayed == 4


async def test_what_a_process_publishes_itself_is_only_taken_away(fresh_transactions: Transactions):
    shelf, relay = Shelf(), Relay(fresh_transactions, takes=False)
    async with Hub(shelf, published=relay.published) as hub, relaying(relay, hub):
        transactions = replace(fresh_transactions, publish=hub.publish)
        async with transactions.write() as tx:
            tx.ring(Envelope("message", "chat:1", 1))
        await until(empty(fresh_transactions))
    assert (shelf.numbers, relay.relayed) == ([1], 0)


async def test_a_relay_that_takes_nothing_leaves_what_others_left(fresh_transactions: Transactions):
    shelf, relay = Shelf(), Relay(fresh_transactions, takes=False)
    await leave(fresh_transactions, 1)

    async def has_measured() -> bool:
        return relay.backlog == 1 and relay.lag_s >= LEFT_AFTER.total_seconds()

    async with Hub(shelf) as hub, relaying(relay, hub):
        await until(has_measured)
    assert (shelf.numbers, await waiting(fresh_transactions)) == ([], 1)


async def test_what_was_published_in_the_last_moment_is_taken_away_at_the_end(
    fresh_transactions: Transactions,
):
    shelf, relay = Shelf(), Relay(fresh_transactions)
    envelope = Envelope("message", "chat:1", 1)
    async with Hub(shelf) as hub, relaying(relay, hub):
        async with fresh_transactions.write() as tx:
            tx.ring(envelope)
        relay.published([envelope])
    assert await waiting(fresh_transactions) == 0


async def test_rows_are_kept_and_counted_while_nothing_can_be_published(fresh_transactions: Transactions):
    shelf, relay = Shelf(), Relay(fresh_transactions)
    shelf.refuses = True
    await leave(fresh_transactions, 1, 2, older=timedelta(seconds=30))
    await leave(fresh_transactions, 3, older=NEEDED_FOR + timedelta(seconds=1))

    async def has_tried() -> bool:
        return shelf.asked > 2 and relay.backlog == 2

    async with Hub(shelf) as hub, relaying(relay, hub):
        await until(has_tried)
        assert await waiting(fresh_transactions) == 2, "the third is too old to be needed"
        assert 30 <= relay.lag_s < 60
        assert shelf.published == []
        shelf.refuses = False
        await until(empty(fresh_transactions))
    assert shelf.numbers == [1, 2]


async def test_relays_that_share_a_database_publish_each_row_once(fresh_transactions: Transactions):
    shelf = Shelf()
    await leave(fresh_transactions, *range(1, 501))
    async with Hub(shelf) as hub:
        relays = [Relay(fresh_transactions) for _ in range(3)]
        async with relaying(relays[0], hub), relaying(relays[1], hub), relaying(relays[2], hub):
            await until(empty(fresh_transactions))
    assert sorted(number or 0 for number in shelf.numbers) == list(range(1, 501))
    assert sum(each.relayed for each in relays) == 500


async def test_a_relay_goes_on_when_its_connections_are_broken(
    fresh_transactions: Transactions, own_transactions: Transactions
):
    shelf, relay = Shelf(), Relay(own_transactions)
    async with Hub(shelf) as hub, relaying(relay, hub) as task:
        for number in range(1, 6):
            async with fresh_transactions.write() as tx:
                await tx.session.execute(text(BREAK_OTHERS))
            await leave(fresh_transactions, number)
            await until(empty(fresh_transactions))
            assert not task.done()
    assert set(shelf.numbers) == {1, 2, 3, 4, 5}


async def test_a_relay_ends_quietly_while_the_database_is_away(
    fresh_transactions: Transactions, own_transactions: Transactions
):
    shelf, relay = Shelf(), Relay(own_transactions)
    async with Hub(shelf) as hub, relaying(relay, hub) as task:
        await leave(fresh_transactions, 1)
        await until(empty(fresh_transactions))
        relay.published([Envelope("message", "chat:1", 2)])
        async with fresh_transactions.read() as tx:
            await tx.session.execute(text(BREAK_OTHERS))
    assert task.cancelled()


async def test_a_subscriber_gets_what_a_dead_process_left_over_a_real_redis(
    fresh_transactions: Transactions,
):
    async with redis_server() as server:
        relay = Relay(fresh_transactions)
        hub = Hub(RedisBackend(server.url), published=relay.published)
        async with hub, relaying(relay, hub), hub.listen("chat:1") as live, asyncio.timeout(WITHIN_S):
            await leave(fresh_transactions, 1)
            event = await anext(live)
            while event is GAP:
                event = await anext(live)
    assert (event.channel, event.number, event.data) == ("chat:1", 1, None)
