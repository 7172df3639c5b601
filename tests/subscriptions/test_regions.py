import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from math import asin, atan2, cos, degrees, radians, sin
from uuid import UUID

import h3
import pytest
from broadcaster import BroadcastBackend

from resolvers.haversine import EARTH_RADIUS_M, distance_m
from subscriptions import channels
from subscriptions.broadcaster import RedisBackend, backend_for
from subscriptions.envelope import Envelope
from subscriptions.hub import Hub
from subscriptions.link import Pace
from subscriptions.listener import GAP, ORDERED_ITEMS, Gap, HubClosed
from subscriptions.regions import (
    Around,
    Change,
    ChangeKind,
    Place,
    Regions,
    cell_of,
    cells_around,
    party_changed,
)
from tests.subscriptions.lossy import LossyBackend
from tests.subscriptions.redis_server import WITHIN_S, RedisServer, until

PARTY, LAST = UUID(int=1), UUID(int=99)
CITY_HALL = Place(37.5663, 126.9779)
NEAR, FAR, BUSAN = Place(37.5700, 126.9820), Place(37.4979, 127.0276), Place(35.1151, 129.0414)
WITHIN_M = 2_000


def away(place: Place, distance: float, bearing: float) -> Place:
    """The point that lies so many metres from another, in a direction in radians."""
    north, angle = radians(place.latitude), distance / EARTH_RADIUS_M
    there = asin(sin(north) * cos(angle) + cos(north) * sin(angle) * cos(bearing))
    east = atan2(sin(bearing) * sin(angle) * cos(north), cos(angle) - sin(north) * sin(there))
    return Place(degrees(there), (place.longitude + degrees(east) + 540) % 360 - 180)


@asynccontextmanager
async def process(backend: BroadcastBackend, grace_s: float = 5) -> AsyncGenerator[tuple[Hub, Regions], None]:
    async with Hub(backend) as hub, Regions(hub, distance_m, grace_s=grace_s) as regions:
        yield hub, regions


def tell(hub: Hub, version: int, was: Place | None, now: Place | None, party_id: UUID = PARTY) -> None:
    for envelope in party_changed(party_id, version, was, now):
        hub.publish(envelope)


async def next_of(around: Around) -> Change | Gap:
    async with asyncio.timeout(WITHIN_S):
        return await anext(around)


async def changes_until(around: Around, last: UUID) -> list[Change]:
    """What a circle is told of, up to a party that comes last."""
    changes: list[Change] = []
    while isinstance(change := await next_of(around), Change) and change.party_id != last:
        changes.append(change)
    return changes


@pytest.mark.parametrize(
    "place",
    [
        CITY_HALL,
        Place(33.2541, 126.5601),  # the south of 제주
        Place(*h3.cell_to_latlng(h3.get_pentagons(5)[0])),  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        Place(-16.7, 179.999),
        Place(89.9, 10),
        None,
    ],
    ids=["seoul", "jeju", "pentagon", "date line", "pole", "anywhere"],
)
def test_every_point_of_a_circle_is_in_a_cell_that_is_listened_to(place: Place | None):
    chance = random.Random(3)
    for _ in range(800):
        middle = place or Place(degrees(asin(chance.uniform(-1, 1))), chance.uniform(-180, 180))
        middle = away(middle, chance.uniform(0, 30_000), chance.uniform(0, 7))
        within_m = 10 ** chance.uniform(0, 4.7)
        cells = set(cells_around(*middle, within_m))
        for _ in range(10):
            # The edge is where it goes wrong.
            far = within_m * (1 - 10 ** chance.uniform(-9, 0))
            point = away(middle, far, chance.uniform(0, 7))
            assert cell_of(*point) in cells


def test_no_cell_is_listened_to_that_the_circle_is_far_from():
    for within_m, most in ((1, 4), (1_000, 4), (5_000, 7), (50_000, 91)):
        assert len(cells_around(*CITY_HALL, within_m)) <= most


def test_a_change_is_published_where_the_party_is_and_where_it_was():
    def names(was: Place | None, now: Place | None) -> list[str]:
        return [each.channel for each in party_changed(PARTY, 1, was, now)]

    there, far = (channels.region(cell_of(*place)) for place in (CITY_HALL, BUSAN))
    assert names(None, CITY_HALL) == names(CITY_HALL, None) == names(NEAR, CITY_HALL) == [there]
    assert names(CITY_HALL, BUSAN) == sorted([there, far])
    assert names(None, None) == []
    one, other = party_changed(PARTY, 1, CITY_HALL, BUSAN)
    assert one.data == other.data
    assert one.id != other.id  # each is a row of the outbox


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_a_circle_is_told_what_appears_changes_and_goes(redis_url: str, kind: str):
    backend = backend_for("memory://" if kind == "memory" else redis_url)
    async with process(backend) as (hub, regions), regions.around(*CITY_HALL, WITHIN_M) as around:
        moves = [
            (None, NEAR), (NEAR, NEAR), (NEAR, FAR), (FAR, FAR), (FAR, NEAR), (NEAR, BUSAN), (BUSAN, NEAR),
            (NEAR, None), (None, FAR), (FAR, None),
        ]  # fmt: skip
        for version, (was, now) in enumerate(moves):
            tell(hub, version, was, now)
        tell(hub, 0, None, CITY_HALL, LAST)
        changes = [await next_of(around) for _ in range(7)]
        near_m, far_m = distance_m(*CITY_HALL, *NEAR), distance_m(*CITY_HALL, *FAR)
        assert changes == [
            Change(PARTY, 0, ChangeKind.APPEARED, near_m),
            Change(PARTY, 1, ChangeKind.CHANGED, near_m),
            Change(PARTY, 2, ChangeKind.GONE, far_m),
            Change(PARTY, 4, ChangeKind.APPEARED, near_m),
            Change(PARTY, 5, ChangeKind.GONE, distance_m(*CITY_HALL, *BUSAN)),
            Change(PARTY, 6, ChangeKind.APPEARED, near_m),
            Change(PARTY, 7, ChangeKind.GONE, None),
        ]
        assert await next_of(around) == Change(LAST, 0, ChangeKind.APPEARED, 0)


async def test_circles_know_in_the_end_what_a_search_of_all_parties_would_find():
    chance = random.Random(5)
    moves: list[tuple[UUID, int, Place | None, Place | None]] = []
    places: dict[UUID, Place | None] = {}
    for version in range(1, 200):
        party_id, goes = UUID(int=chance.randrange(40)), chance.random() < 0.2
        now = None if goes else away(CITY_HALL, chance.uniform(0, 40_000), chance.uniform(0, 7))
        moves.append((party_id, version, places.get(party_id), now))
        places[party_id] = now
    chance.shuffle(moves)  # late, early, and again
    async with process(LossyBackend()) as (hub, regions), AsyncExitStack() as stack:
        circles: list[tuple[Place, float, Around]] = []
        for _ in range(100):
            middle = away(CITY_HALL, chance.uniform(0, 30_000), chance.uniform(0, 7))
            within_m = chance.uniform(100, 15_000)
            around = await stack.enter_async_context(regions.around(*middle, within_m))
            circles.append((middle, within_m, around))
        for party_id, version, was, now in moves * 2:
            tell(hub, version, was, now, party_id)
        cells = {cell for middle, within_m, _ in circles for cell in cells_around(*middle, within_m)}
        heard = sum(any(place and cell_of(*place) in cells for place in move[2:]) for move in moves)
        await until(lambda: len(regions._came) == heard)  # pyright: ignore[reportPrivateUsage]
        for number, (middle, within_m, around) in enumerate(circles, 1000):
            tell(hub, 1, None, middle, last := UUID(int=number))
            versions: dict[UUID, int] = {}
            known = set[UUID]()
            for change in await changes_until(around, last):
                if change.party_id.int >= 1000:
                    continue  # the last of another circle
                assert change.version > versions.get(change.party_id, 0)
                versions[change.party_id] = change.version
                if change.kind is ChangeKind.GONE:
                    known.discard(change.party_id)
                else:
                    known.add(change.party_id)
            found = {
                each
                for each, place in places.items()
                if place is not None and distance_m(*middle, *place) <= within_m
            }
            assert known == found


async def test_what_comes_twice_or_late_is_told_once():
    async with process(LossyBackend()) as (hub, regions), regions.around(*CITY_HALL, WITHIN_M) as around:
        for version in (1, 1, 3, 2, 3, 4):
            tell(hub, version, NEAR, NEAR)
        tell(hub, 1, None, NEAR, LAST)
        assert [change.version for change in await changes_until(around, LAST)] == [1, 3, 4]


async def test_what_nobody_understands_is_counted_and_harms_nobody():
    cell = channels.region(cell_of(*NEAR))
    async with process(LossyBackend()) as (hub, regions), regions.around(*CITY_HALL, WITHIN_M) as around:
        for data in (None, "x", {"party": "x"}, {"party": str(PARTY), "version": 1, "was": 3, "now": None}):
            hub.publish(Envelope("party", cell, data=data))
        tell(hub, 1, None, NEAR, LAST)
        assert await changes_until(around, LAST) == []
        assert hub.counts["malformed"] == 4


async def test_a_cell_is_listened_to_once_and_left_a_while_after_the_last():
    backend = LossyBackend()
    async with process(backend, grace_s=0.1) as (hub, regions):
        cells = len(cells_around(*CITY_HALL, 5_000))
        for _ in range(20):
            async with regions.around(*CITY_HALL, 5_000), regions.around(*CITY_HALL, 5_000):
                assert hub.sizes()["listeners"] == cells
        assert backend.subscribes == cells
        await until(lambda: regions.cells == 0 and hub.sizes()["listeners"] == 0)
        async with regions.around(*CITY_HALL, WITHIN_M) as around:
            tell(hub, 1, None, NEAR)
            assert await changes_until(around, PARTY) == []


async def test_a_gap_of_many_cells_is_told_once(server: RedisServer, pace: Pace):
    async with (
        process(RedisBackend(server.url, pace=pace)) as (hub, regions),
        regions.around(*CITY_HALL, 30_000) as wide,
        regions.around(*CITY_HALL, WITHIN_M) as narrow,
    ):
        server.kill()
        await until(lambda: not hub.is_up)
        await server.start()
        for around in (wide, narrow):
            assert await next_of(around) is GAP
        tell(hub, 1, None, NEAR)
        for around in (wide, narrow):
            assert isinstance(await next_of(around), Change)


async def test_who_looks_while_redis_is_away_is_told_when_it_is_back(server: RedisServer, pace: Pace):
    async with process(RedisBackend(server.url, pace=pace)) as (hub, regions):
        server.kill()
        await until(lambda: not hub.is_up)
        async with regions.around(*CITY_HALL, WITHIN_M) as around:
            await server.start()
            assert await next_of(around) is GAP
            tell(hub, 1, None, NEAR)
            assert isinstance(await next_of(around), Change)


async def test_who_reads_too_slowly_has_a_gap_and_holds_up_nobody():
    async with (
        process(LossyBackend()) as (hub, regions),
        regions.around(*CITY_HALL, WITHIN_M) as slow,
        regions.around(*CITY_HALL, WITHIN_M) as live,
    ):
        for version in range(ORDERED_ITEMS + 1):
            tell(hub, version, NEAR, NEAR)
            assert isinstance(await next_of(live), Change)
        assert await next_of(slow) is GAP
        tell(hub, 1000, NEAR, NEAR)
        assert await next_of(slow) == Change(PARTY, 1000, ChangeKind.CHANGED, distance_m(*CITY_HALL, *NEAR))


async def test_a_fault_of_the_backend_is_survived():
    class Faulty(LossyBackend):
        faults = 1

        async def subscribe(self, group: str) -> None:
            if self.faults:
                self.faults -= 1
                raise RuntimeError("a fault")
            await super().subscribe(group)

    async with process(Faulty()) as (hub, regions), regions.around(*CITY_HALL, WITHIN_M) as around:
        tell(hub, 1, None, NEAR)
        tell(hub, 1, None, NEAR, LAST)
        assert [change.kind for change in await changes_until(around, LAST)] == [ChangeKind.APPEARED]


async def test_the_end_of_the_hub_or_of_the_regions_ends_the_looking():
    async with Hub(LossyBackend()) as hub:
        async with Regions(hub, distance_m) as regions, AsyncExitStack() as stack:
            around = await stack.enter_async_context(regions.around(*CITY_HALL, WITHIN_M))
            await regions.__aexit__()
            with pytest.raises(HubClosed):
                await next_of(around)
            with pytest.raises(HubClosed):
                await stack.enter_async_context(regions.around(*CITY_HALL, WITHIN_M))
        async with Regions(hub, distance_m) as regions, regions.around(*CITY_HALL, WITHIN_M) as around:
            await hub.__aexit__()
            with pytest.raises(HubClosed):
                await next_of(around)
            async with regions.around(*CITY_HALL, WITHIN_M) as late:
                with pytest.raises(HubClosed):
                    await next_of(late)
