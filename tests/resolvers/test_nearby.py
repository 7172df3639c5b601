from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from models.base import new_id, table_of
from models.items import Item
from models.markets import Market
from models.parties import Approval, CancelReason, Party, PartyStatus
from models.users import User
from resolvers.haversine import distance_m
from resolvers.near import Around
from resolvers.nearby import MOST_COUNTED, NearbyParty, PartyFilter, count_nearby, nearby_parties
from resolvers.pages import MalformedCursor, PageOf, cursor_of
from resolvers.transaction import Transaction
from tests.conftest import MovableClock
from tests.factories import MANGWON, make_item, make_market, make_user

Point = tuple[float, float]

OPEN, FULL, DONE, CANCELED = PartyStatus
HERE = Around(*MANGWON, within_m=10_000)
HOUR = timedelta(hours=1)


class Stage(NamedTuple):
    """What every party needs, where nothing else is asked for."""

    tx: Transaction
    leader: User
    market: Market
    item: Item


@pytest.fixture
async def stage(tx: Transaction) -> Stage:
    return await set_up(tx)


async def set_up(tx: Transaction) -> Stage:
    return Stage(tx, await make_user(tx), await make_market(tx), await make_item(tx))


async def place(stage: Stage, *parties: dict[str, Any]) -> list[UUID]:
    """Parties straight into the table, joinable and half full but for the changes that each is given."""
    starts_at = stage.tx.now + timedelta(days=1)
    rows: list[dict[str, Any]] = []
    for changes in parties:
        status = changes.get("status", OPEN)
        values: dict[str, Any] = {
            "id": new_id(),
            "leader_id": stage.leader.id,
            "market_id": stage.market.id,
            "item_id": stage.item.id,
            "item_count": 30,
            "item_unit": "롤",
            "estimated_price": None,
            "actual_price": 30_000 if status is DONE else None,
            "cancel_reason": CancelReason.BY_LEADER if status is CANCELED else None,
            "done_at": stage.tx.now if status is DONE else None,
            "capacity": 4,
            "min_members": 2,
            "accepted_count": 4 if status is FULL else 2,
            "accepted_quantity": 4 if status is FULL else 2,
            "starts_at": starts_at,
            "ends_at": changes.get("starts_at", starts_at) + HOUR,
            "join_by": changes.get("starts_at", starts_at),
            "status": status,
            "note": None,
            "approval": Approval.AUTO,
            "created_at": stage.tx.now,
        }
        row = values | changes
        rows.append(row | {"at": row["market_id"]})
    party, market = table_of(Party), table_of(Market)
    # The database copies the point itself: a cube can't be bound.
    position = select(market.c.position).where(market.c.id == bindparam("at")).scalar_subquery()
    await stage.tx.session.execute(insert(party).values(market_position=position), rows)
    return [row["id"] for row in rows]


async def found(stage: Stage, around: Around = HERE, **wanted: Any) -> list[UUID]:
    """The parties of one large page, whose number must be what is counted."""
    page = await nearby_parties(stage.tx, around, PartyFilter(**wanted), PageOf(100))
    assert await count_nearby(stage.tx, around, PartyFilter(**wanted)) == len(page.rows)
    return [row.party.id for row in page.rows]


async def walk(tx: Transaction, around: Around, wanted: PartyFilter, size: int) -> list[NearbyParty]:
    """All pages, one after the other."""
    page = await nearby_parties(tx, around, wanted, PageOf(size))
    rows = list(page.rows)
    assert not page.has_previous
    while page.has_next:
        assert len(page.rows) == size
        page = await nearby_parties(tx, around, wanted, PageOf(size, page.cursors[-1]))
        assert page.has_previous
        rows += page.rows
    return rows


# ── the order ───────────────────────────────────────────────────────────────────────────────────────────────

CENTRES = st.one_of(
    st.sampled_from([MANGWON, (90.0, 0.0), (-90.0, 45.0), (89.99, 180.0), (10.0, 180.0), (-0.01, -180.0)]),
    # PostgreSQL's radians() refuses to round 5e-324 to nothing.
    st.tuples(st.floats(-90, 90, allow_subnormal=False), st.floats(-180, 180, allow_subnormal=False)),
)
STEPS = st.one_of(
    st.just(0.0),
    st.integers(-4, 4).map(lambda step: step * 0.01),
    st.floats(-0.5, 0.5, allow_subnormal=False),
)


@st.composite
def neighbourhoods(draw: st.DrawFn) -> tuple[Point, list[Point]]:
    """A centre and points around it: across the pole and the date line, on one spot, on the centre itself."""
    north, east = centre = draw(CENTRES)
    points: list[Point] = []
    for up, right in draw(st.lists(st.tuples(STEPS, STEPS), min_size=1, max_size=12)):
        # A degree to the east is shorter in the north; at the pole any longitude is near.
        longitude = east + (right * 300 if abs(north) > 89 else right)
        points.append((max(-90.0, min(90.0, north + up)), (longitude + 180) % 360 - 180))
    return centre, points


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(
    neighbourhood=neighbourhoods(),
    parties=st.lists(st.tuples(st.integers(0, 11), st.sampled_from([OPEN, FULL])), min_size=1, max_size=25),
    within_m=st.sampled_from([1.0, 1_200.0, 10_000.0, 50_000.0, 3_000_000.0]),
    size=st.integers(1, 9),
)
@example(neighbourhood=(MANGWON, [MANGWON]), parties=[(0, OPEN)] * 25, within_m=1.0, size=1)
@example(
    neighbourhood=((90.0, 0.0), [(90.0, 120.0), (89.95, -60.0)]),
    parties=[(0, OPEN), (1, FULL)] * 5,
    within_m=10_000.0,
    size=2,
)
@example(
    neighbourhood=((10.0, 180.0), [(10.0, -179.99), (10.0, 179.99), (10.0, -180.0)]),
    parties=[(0, OPEN), (1, OPEN), (2, OPEN), (1, FULL)] * 3,
    within_m=10_000.0,
    size=5,
)
async def test_pages_of_any_size_give_each_party_once_in_the_order_of_brute_force(
    engine: AsyncEngine,
    neighbourhood: tuple[Point, list[Point]],
    parties: list[tuple[int, PartyStatus]],
    within_m: float,
    size: int,
):
    centre, points = neighbourhood
    async with engine.connect() as connection, AsyncSession(connection) as session:
        stage = await set_up(Transaction(session, MovableClock().now))
        markets = [await make_market(stage.tx, point) for point in points]
        spots = [(points[number % len(points)], markets[number % len(points)].id) for number, _ in parties]
        rows = [
            {"market_id": market, "status": status}
            for (_, market), (_, status) in zip(spots, parties, strict=True)
        ]
        ids = await place(stage, *rows)
        around = Around(*centre, within_m)
        listed = await walk(stage.tx, around, PartyFilter(statuses=(OPEN, FULL)), size)
        counted = await count_nearby(stage.tx, around, PartyFilter(statuses=(OPEN, FULL)))
    distances = {party: distance_m(*centre, *point) for party, (point, _) in zip(ids, spots, strict=True)}
    check_order(listed, distances, within_m)
    assert counted == len(listed)


def check_order(listed: Sequence[NearbyParty], distances: dict[UUID, float], within_m: float) -> None:
    """Compare with brute force. A micrometre, the rounding of a distance, decides nothing."""
    one_micrometre = 1e-6
    ids = [row.party.id for row in listed]
    assert len(set(ids)) == len(ids)
    assert [row.distance_m for row in listed] == [distances[party] for party in ids]
    assert {party for party, metres in distances.items() if metres < within_m - one_micrometre} <= set(ids)
    assert all(distances[party] <= within_m + one_micrometre for party in ids)
    for one, next_one in pairwise(listed):
        assert one.distance_m <= next_one.distance_m + one_micrometre
        if one.party.market.id == next_one.party.market.id:
            assert one.party.id < next_one.party.id


async def test_equal_distances_are_ordered_by_id_whatever_their_markets_and_statuses(stage: Stage):
    same_spot = await make_market(stage.tx)
    each = [{"market_id": stage.market.id}, {"market_id": same_spot.id}, {"status": FULL}]
    ids = await place(stage, *(each * 20))
    listed = await walk(stage.tx, HERE, PartyFilter(statuses=(FULL, OPEN)), 7)
    assert [row.party.id for row in listed] == sorted(ids)


async def test_a_party_at_ones_own_spot_is_listed_first(stage: Stage):
    away = await make_market(stage.tx, (37.57, 126.92))
    farther, at_hand = await place(stage, {"market_id": away.id}, {})
    page = await nearby_parties(stage.tx, HERE, PartyFilter(), PageOf())
    assert [row.party.id for row in page.rows] == [at_hand, farther]
    assert page.rows[0].distance_m == 0.0


async def test_the_radius_decides_who_is_in(stage: Stage):
    north = await make_market(stage.tx, (MANGWON[0] + 0.01, MANGWON[1]))  # 1,112 m
    (party,) = await place(stage, {"market_id": north.id})
    assert await found(stage, Around(*MANGWON, 1_113)) == [party]
    assert await found(stage, Around(*MANGWON, 1_111)) == []


async def test_a_cursor_of_another_list_is_refused(stage: Stage):
    with pytest.raises(MalformedCursor):
        await nearby_parties(stage.tx, HERE, PartyFilter(), PageOf(20, cursor_of(("휴지", new_id()))))


async def test_a_market_that_moves_takes_its_parties_along(stage: Stage):
    (party,) = await place(stage, {})
    stage.market.latitude += 1
    await stage.tx.session.flush()
    assert await found(stage) == []
    assert await found(stage, Around(MANGWON[0] + 1, MANGWON[1], 10)) == [party]


# ── the filters ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_without_a_filter_only_open_parties_are_listed(stage: Stage):
    party, *_ = await place(stage, {}, {"status": FULL}, {"status": DONE}, {"status": CANCELED})
    assert await found(stage) == [party]


@pytest.mark.parametrize("status", PartyStatus)
async def test_parties_are_found_by_their_status(stage: Stage, status: PartyStatus):
    ids = await place(stage, *({"status": one} for one in PartyStatus))
    assert await found(stage, statuses=[status]) == [ids[list(PartyStatus).index(status)]]


async def test_a_status_named_twice_lists_each_party_once(stage: Stage):
    ids = await place(stage, {}, {"status": FULL})
    assert await found(stage, statuses=[FULL, OPEN, FULL]) == sorted(ids)


async def test_no_status_finds_nothing(stage: Stage):
    await place(stage, {})
    assert await found(stage, statuses=[]) == []


async def test_an_open_party_that_nobody_can_join_any_more_is_not_near(stage: Stage, clock: MovableClock):
    await place(stage, {"join_by": clock.now})
    (joinable,) = await place(stage, {"join_by": clock.now + timedelta(seconds=1)})
    assert await found(stage) == [joinable]


async def test_a_full_party_is_listed_until_it_ends(stage: Stage, clock: MovableClock):
    on_now, over = await place(
        stage,
        {"status": FULL, "starts_at": clock.now - HOUR, "ends_at": clock.now + timedelta(seconds=1)},
        {"status": FULL, "starts_at": clock.now - HOUR, "ends_at": clock.now},
    )
    listed = await found(stage, statuses=[FULL])
    assert on_now in listed
    assert over not in listed


async def test_dead_parties_are_not_listed_among_the_living(stage: Stage, clock: MovableClock):
    past: datetime = clock.now - 2 * HOUR
    await place(stage, *({"status": status, "starts_at": past} for status in PartyStatus))
    assert await found(stage, statuses=[OPEN, FULL]) == []


async def test_parties_are_found_by_their_items(stage: Stage):
    apples, pears = await make_item(stage.tx), await make_item(stage.tx)
    of_apples, of_pears, _ = await place(stage, {"item_id": apples.id}, {"item_id": pears.id}, {})
    assert await found(stage, item_ids=[apples.id]) == [of_apples]
    assert await found(stage, item_ids=[apples.id, pears.id]) == sorted([of_apples, of_pears])
    assert await found(stage, item_ids=[]) == []


async def test_parties_are_found_by_the_category_of_their_item(stage: Stage):
    apples = await make_item(stage.tx, category="과일")
    of_apples, _ = await place(stage, {"item_id": apples.id}, {})
    assert await found(stage, category="과일") == [of_apples]
    assert await found(stage, category="과") == []


async def test_parties_are_found_by_their_markets(stage: Stage):
    other = await make_market(stage.tx)
    there, _ = await place(stage, {"market_id": other.id}, {})
    assert await found(stage, market_ids=[other.id]) == [there]
    assert await found(stage, market_ids=[]) == []


async def test_parties_are_found_from_a_start_on_and_before_another(stage: Stage, clock: MovableClock):
    soon, later = clock.now + HOUR, clock.now + 5 * HOUR
    first, second = await place(stage, {"starts_at": soon}, {"starts_at": later})
    assert await found(stage, starts_after=soon) == sorted([first, second])
    assert await found(stage, starts_after=soon + timedelta(seconds=1)) == [second]
    assert await found(stage, starts_before=later) == [first]
    assert await found(stage, starts_after=soon, starts_before=soon) == []


async def test_parties_are_found_by_the_places_left(stage: Stage):
    one_left, two_left = await place(stage, {"accepted_count": 3}, {"accepted_count": 2})
    assert await found(stage, min_places_left=1) == sorted([one_left, two_left])
    assert await found(stage, min_places_left=2) == [two_left]


@pytest.mark.parametrize("typed", ["참기름", "ㅊㄱㄹ", "참길", "기름"])
async def test_parties_are_found_by_what_is_typed_of_their_item(stage: Stage, typed: str):
    oil = await make_item(stage.tx, name="참기름")
    of_oil, _ = await place(stage, {"item_id": oil.id}, {})
    assert await found(stage, search=typed) == [of_oil]


@pytest.mark.parametrize("typed", ["망원시장", "ㅁㅇㅅㅈ"])
async def test_parties_are_found_by_what_is_typed_of_their_market(stage: Stage, typed: str):
    mangwon = await make_market(stage.tx, name="망원시장")
    there, _ = await place(stage, {"market_id": mangwon.id}, {})
    assert await found(stage, search=typed) == [there]


async def test_a_search_for_nothing_finds_everything(stage: Stage):
    (party,) = await place(stage, {})
    assert await found(stage, search="  ") == [party]


async def test_filters_are_all_meant_at_once(stage: Stage):
    apples = await make_item(stage.tx, category="과일")
    both, *_ = await place(
        stage,
        {"item_id": apples.id, "accepted_count": 2},
        {"item_id": apples.id, "accepted_count": 3},
        {"accepted_count": 2},
    )
    assert await found(stage, category="과일", min_places_left=2, search=apples.name) == [both]


# ── the count ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_counting_stops_at_a_thousand(stage: Stage):
    await place(stage, *({"capacity": 5} for _ in range(MOST_COUNTED - 1)))
    assert await count_nearby(stage.tx, HERE, PartyFilter()) == MOST_COUNTED - 1
    await place(stage, {}, {}, {"status": FULL})
    assert await count_nearby(stage.tx, HERE, PartyFilter()) == MOST_COUNTED
    assert await count_nearby(stage.tx, HERE, PartyFilter(statuses=(OPEN, FULL))) == MOST_COUNTED
