from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.performing import Outcome
from models.errors import NotFound
from resolvers.events import Event, listens
from resolvers.job_list import list_jobs
from resolvers.jobs import kind_of
from resolvers.transaction import Transaction, Transactions
from tests.conftest import MovableClock
from tests.jobs import run_due


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Painted(Event):
    house_id: UUID
    colour: Colour
    at: datetime
    day: date | None = None
    price: Decimal = Decimal(0)
    share: float = 0.0
    count: int = 0
    note: str | None = None
    rooms: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class Demolished(Event):
    house_id: UUID


heard: list[tuple[str, Event]] = []
deaf: set[str] = set()


@listens(Painted)
async def tell_neighbours(tx: Transaction, event: Painted) -> None:
    heard.append(("neighbours", event))


@listens(Painted, name="test.old_name")
async def tell_town(tx: Transaction, event: Painted) -> None:
    if "town" in deaf:
        raise RuntimeError("nobody at the town hall")
    heard.append(("town", event))


@pytest.fixture(autouse=True)
def _forget() -> None:
    heard.clear()
    deaf.clear()


def painted() -> Painted:
    return Painted(uuid4(), Colour.RED, datetime(2026, 11, 21, 3, tzinfo=UTC))


async def test_everybody_who_listens_hears_of_it_in_a_job_of_their_own(transactions: Transactions) -> None:
    event = painted()
    async with transactions.write() as tx:
        await tx.publish(event)
    ran = await run_due(transactions)
    assert [each.name for each in ran] == [
        f"listener:{__name__}.tell_neighbours",
        "listener:test.old_name",
    ]
    assert heard == [("neighbours", event), ("town", event)]


async def test_nobody_hears_of_what_was_rolled_back(fresh_transactions: Transactions) -> None:
    async def change() -> None:
        async with fresh_transactions.write() as tx:
            await tx.publish(painted())
            raise NotFound("party", uuid4())

    with pytest.raises(NotFound):
        await change()
    assert await run_due(fresh_transactions) == []


async def test_a_listener_that_fails_is_tried_again_alone(
    transactions: Transactions, clock: MovableClock
) -> None:
    deaf.add("town")
    async with transactions.write() as tx:
        await tx.publish(painted())
    assert [each.outcome for each in await run_due(transactions)] == [Outcome.DONE, Outcome.FAILED]
    deaf.clear()
    clock.move(seconds=5)
    assert [each.name for each in await run_due(transactions)] == ["listener:test.old_name"]
    assert [who for who, _ in heard] == ["neighbours", "town"]


async def test_the_same_event_published_twice_is_heard_twice(transactions: Transactions) -> None:
    event = painted()
    async with transactions.write() as tx:
        await tx.publish(event)
        await tx.publish(event)
    assert len(await run_due(transactions)) == 4


async def test_an_event_that_nobody_listens_to_writes_nothing(transactions: Transactions) -> None:
    async with transactions.write() as tx:
        await tx.publish(Demolished(uuid4()))
        assert await list_jobs(tx, None, 10) == []


async def test_only_a_dataclass_can_be_listened_to() -> None:
    class Bare:
        pass

    async def listener(tx: Transaction, event: object) -> None: ...

    with pytest.raises(TypeError, match="dataclass"):
        listens(Bare)(listener)  # pyright: ignore[reportArgumentType]


instants = st.datetimes(
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
events = st.builds(
    Painted,
    house_id=st.uuids(),
    colour=st.sampled_from(Colour),
    at=instants,
    day=st.none() | st.dates(),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    share=st.floats(allow_nan=False),
    count=st.integers(),
    note=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    rooms=st.lists(st.uuids()).map(tuple),
)


@given(events)
def test_an_event_comes_out_as_it_went_in(event: Painted) -> None:
    kind = kind_of("listener:test.old_name")
    payload = kind.payload.validate_json(kind.encode(uuid4(), {"event": event}))
    assert payload["event"] == event
    assert payload["event"].at.utcoffset() == event.at.utcoffset()
    assert type(payload["event"].colour) is Colour
