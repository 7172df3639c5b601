"""Parties as they change, for who looks at one of them and for who looks around a point."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
import strawberry

from resolvers.haversine import distance_m
from schema import ids
from subscriptions import channels
from subscriptions.regions import cell_of
from tests.api import WITHIN_S, Api, Client, running_api
from tests.factories import MANGWON, make_market
from tests.jobs import run_due
from tests.live import Events
from tests.schema.test_life import later
from tests.schema.test_story import open_party
from tests.subscriptions.redis_server import RedisServer, until

PARTY = "subscription($id: ID!) { partyChanges(partyId: $id) { status placesLeft note } }"
NEARBY = (
    "subscription($near: PointInput, $within: Int) { nearbyPartyChanges(near: $near, withinMeters: $within) "
    "{ kind distanceMeters party { id status placesLeft market { id } } } }"
)
NEAR = {"latitude": MANGWON[0], "longitude": MANGWON[1]}


@pytest.fixture
async def town(fresh_url: str, redis: RedisServer) -> AsyncGenerator[Api, None]:
    """A server that nobody else uses."""
    async with running_api(fresh_url, redis.url) as api:
        yield api


async def listening(redis: RedisServer, point: tuple[float, float] = MANGWON) -> None:
    """Wait until the changes at a point come."""
    channel = channels.region(cell_of(*point))
    async with asyncio.timeout(WITHIN_S):
        while not await redis.subscribers(channel):
            pass


async def market_at(api: Api, point: tuple[float, float]) -> str:
    async with api.parts.transactions.write() as tx:
        return ids.encode("Market", (await make_market(tx, point)).id)


async def kinds(events: Events, count: int) -> list[tuple[str, str, int]]:
    """Kind, status and places of the next changes."""
    changes = await events.some(count)
    return [(each["kind"], each["party"]["status"], each["party"]["placesLeft"]) for each in changes]


# One party


async def test_a_party_comes_as_it_is_then_after_each_change(shared_api: Api):
    leader, member = await shared_api.neighbour(), await shared_api.neighbour()
    party = await open_party(shared_api, leader, capacity=2)
    async with member.subscribed(PARTY, id=party) as events:
        assert await events.next() == {"status": "OPEN", "placesLeft": 1, "note": None}
        await leader.do("updateParty", partyId=party, note="3번 출구")
        assert await events.next() == {"status": "OPEN", "placesLeft": 1, "note": "3번 출구"}
        request = (await member.do("joinParty", "... on Membership { id }", partyId=party))["id"]
        assert (await events.next())["status"] == "OPEN"
        await leader.do("acceptMember", membershipId=request)
        assert await events.next() == {"status": "FULL", "placesLeft": 0, "note": "3번 출구"}
        await member.do("leaveParty", partyId=party)
        assert (await events.next())["status"] == "OPEN"
        await leader.do("cancelParty", partyId=party)
        assert (await events.next())["status"] == "CANCELED"


async def test_a_party_that_is_none_and_a_viewer_who_is_nobody_are_refused(shared_api: Api):
    leader = await shared_api.neighbour()
    party = await open_party(shared_api, leader)
    missing = ids.encode("Party", ids.decode("User", strawberry.ID(leader.id)))
    for person, id, code in (
        (leader, missing, "NOT_FOUND"),
        (leader, leader.id, "BAD_USER_INPUT"),
        (shared_api.anybody, party, "UNAUTHENTICATED"),
    ):
        async with person.subscribed(PARTY, id=id) as events:
            assert await events.refusal() == code


# Around a point


async def test_parties_appear_change_and_go_around_a_home(town: Api, redis: RedisServer):
    watcher, leader, member = [await town.neighbour() for _ in range(3)]
    async with watcher.subscribed(NEARBY) as events:
        await listening(redis)
        party = await open_party(town, leader, approval="AUTO", capacity=3)
        first = await events.next()
        assert (first["kind"], first["party"]["id"]) == ("APPEARED", party)
        assert first["distanceMeters"] == 0
        await member.do("joinParty", partyId=party)
        assert await kinds(events, 1) == [("CHANGED", "OPEN", 1)]
        await watcher.do("joinParty", partyId=party)
        assert await kinds(events, 1) == [("CHANGED", "FULL", 0)]
        await member.do("leaveParty", partyId=party)
        assert await kinds(events, 1) == [("CHANGED", "OPEN", 1)]
        await leader.do("cancelParty", partyId=party)
        assert await kinds(events, 1) == [("GONE", "CANCELED", 1)]


async def test_a_party_that_is_done_and_one_that_too_few_have_joined_are_gone(town: Api, redis: RedisServer):
    leader, member = await town.neighbour(), await town.neighbour()
    full = await open_party(town, leader, approval="AUTO", capacity=2)
    await member.do("joinParty", partyId=full)
    lonely = await open_party(town, leader)
    leader = await later(town, leader, hours=23, minutes=59)
    async with leader.subscribed(NEARBY) as events:
        await listening(redis)
        town.clock.move(minutes=1)
        await run_due(town.parts.transactions)
        gone = await events.next()
        assert (gone["kind"], gone["party"]["id"], gone["party"]["status"]) == ("GONE", lonely, "CANCELED")
        attendance = [{"userId": member.id, "attended": True}]
        await leader.do("completeParty", partyId=full, actualPrice=1_000, attendance=attendance)
        assert await kinds(events, 1) == [("GONE", "DONE", 0)]


def in_hours(api: Api, hours: float) -> str:
    return (api.clock.now + timedelta(hours=hours)).isoformat()


async def test_a_party_with_enough_members_leaves_the_list_when_its_time_to_join_has_passed(
    town: Api, redis: RedisServer
):
    leader, member = await town.neighbour(), await town.neighbour()
    party = await open_party(town, leader, approval="AUTO", joinBy=in_hours(town, 0.1))
    await member.do("joinParty", partyId=party)
    async with member.subscribed(NEARBY) as events:
        await listening(redis)
        town.clock.move(minutes=7)
        await run_due(town.parts.transactions)
        gone = await events.next()
        assert (gone["kind"], gone["party"]["id"], gone["party"]["status"]) == ("GONE", party, "OPEN")


async def test_a_party_moves_out_of_a_circle_and_into_another(town: Api, redis: RedisServer):
    leader, watcher = await town.neighbour(), await town.neighbour()
    busan = (35.1796, 129.0756)
    here, there = await market_at(town, MANGWON), await market_at(town, busan)
    at_busan = {"latitude": busan[0], "longitude": busan[1]}
    async with (
        watcher.subscribed(NEARBY) as seoul,
        watcher.subscribed(NEARBY, near=at_busan, within=1_000) as south,
    ):
        await listening(redis)
        await listening(redis, busan)
        party = await open_party(town, leader, marketId=here)
        assert (await seoul.next())["kind"] == "APPEARED"
        await leader.do("updateParty", partyId=party, marketId=there)
        gone, come = await seoul.next(), await south.next()
        assert (gone["kind"], come["kind"]) == ("GONE", "APPEARED")
        assert gone["party"]["market"]["id"] == there
        assert gone["distanceMeters"] == pytest.approx(distance_m(*MANGWON, *busan), abs=0.01)
        assert come["distanceMeters"] == 0
        await leader.do("updateParty", partyId=party, marketId=here)
        assert ((await seoul.next())["kind"], (await south.next())["kind"]) == ("APPEARED", "GONE")


async def test_the_edge_of_a_circle_is_exact(town: Api, redis: RedisServer):
    leader, watcher = await town.neighbour(), await town.neighbour()
    just_in, just_out = (MANGWON[0] + 0.044965, MANGWON[1]), (MANGWON[0] + 0.044967, MANGWON[1])
    assert distance_m(*MANGWON, *just_in) < 5_000 < distance_m(*MANGWON, *just_out)
    inside, outside = await market_at(town, just_in), await market_at(town, just_out)
    async with watcher.subscribed(NEARBY, near=NEAR, within=5_000) as events:
        await listening(redis, just_in)
        await open_party(town, leader, marketId=outside)
        party = await open_party(town, leader, marketId=inside)
        seen = await events.next()
        assert (seen["kind"], seen["party"]["id"]) == ("APPEARED", party)
        assert seen["distanceMeters"] == pytest.approx(distance_m(*MANGWON, *just_in), abs=0.01)
        await leader.do("updateParty", partyId=party, marketId=outside)
        assert (await events.next())["kind"] == "GONE"
        await leader.do("updateParty", partyId=party, marketId=inside)
        assert (await events.next())["kind"] == "APPEARED"


async def test_a_circle_that_is_none_and_a_viewer_who_is_nobody_are_refused(shared_api: Api):
    person = await shared_api.neighbour()
    wrong: list[tuple[Client, dict[str, Any], str]] = [
        (shared_api.anybody, {"near": NEAR}, "UNAUTHENTICATED"),
        (shared_api.anybody, {}, "UNAUTHENTICATED"),
        (person, {"near": NEAR, "within": 0}, "BAD_USER_INPUT"),
        (person, {"near": NEAR, "within": 50_001}, "BAD_USER_INPUT"),
        (person, {"near": {"latitude": 91, "longitude": 0}}, "BAD_USER_INPUT"),
    ]
    for client, variables, code in wrong:
        async with client.subscribed(NEARBY, **variables) as events:
            assert await events.refusal() == code


async def test_what_happened_while_no_events_came_is_told_after_them(town: Api, redis: RedisServer):
    leader, watcher = await town.neighbour(), await town.neighbour()
    here, far = await market_at(town, MANGWON), await market_at(town, (35.1796, 129.0756))
    moves, goes = [await open_party(town, leader, marketId=here) for _ in range(2)]
    counts = town.parts.events.live.hub.counts
    async with watcher.subscribed(NEARBY) as events:
        await listening(redis)
        redis.kill()
        await until(lambda: not town.parts.events.live.hub.is_up)
        new = await open_party(town, leader, marketId=here)
        await leader.do("updateParty", partyId=moves, marketId=far)
        await leader.do("cancelParty", partyId=goes)
        links = counts["links"]
        await redis.start()
        await until(lambda: counts["links"] > links)
        told: dict[str, str] = {}
        while told != {new: "CHANGED", moves: "GONE", goes: "GONE"}:
            change = await events.next()
            told[change["party"]["id"]] = change["kind"]


async def test_connections_that_are_cut_miss_nothing(town: Api, redis: RedisServer):
    leader, watcher = await town.neighbour(), await town.neighbour()
    here = await market_at(town, MANGWON)
    made: set[str] = set()
    seen: set[str] = set()
    async with watcher.subscribed(NEARBY) as events:
        await listening(redis)
        for _ in range(5):
            await redis.kill_subscribers()
            made |= {await open_party(town, leader, marketId=here) for _ in range(3)}
        while seen != made:
            seen.add((await events.next())["party"]["id"])
