"""Two server processes of one installation: whoever is at the one hears what is done at the other."""

from collections.abc import AsyncGenerator

import pytest
import strawberry
from sqlalchemy.ext.asyncio import AsyncEngine

from models.base import new_id
from resolvers import memberships
from schema import ids
from tests.api import Api, running_api
from tests.conftest import transactions_on
from tests.schema.talks import MESSAGES, NOTIFICATIONS, PRESENCE, Talk, nickname, talk
from tests.schema.test_live_lists import PARTY
from tests.subscriptions.redis_server import RedisServer, until


@pytest.fixture
async def pair(fresh_url: str, redis: RedisServer) -> AsyncGenerator[tuple[Api, Api], None]:
    """Two servers that share both stores and their secret."""
    secret = f"a secret of tests, made for {new_id()}"
    async with (
        running_api(fresh_url, redis.url, secret_key=secret) as one,
        running_api(fresh_url, redis.url, secret_key=secret) as other,
    ):
        yield one, other


def across(one: Talk, other: Api) -> Talk:
    """The same talk, with the member at the other process."""
    return Talk(one.api, one.leader, one.member.at(other), one.party)


async def test_chat_presence_notifications_and_parties_cross(pair: tuple[Api, Api]):
    here, there = pair
    one = across(await talk(here), there)
    leader, member = {"nickname": await nickname(one.leader)}, {"nickname": await nickname(one.member)}
    async with (
        one.leader.subscribed(PRESENCE, id=one.party) as presence,
        one.leader.subscribed(NOTIFICATIONS, after=0) as notifications,
        one.member.subscribed(PARTY, id=one.party) as party,
    ):
        assert (await presence.next())["present"] == []
        assert (await notifications.next())["kind"] == "JOIN_REQUESTED"
        await party.next()
        async with (
            one.leader.subscribed(MESSAGES, id=one.party, after=1) as to_leader,
            one.member.subscribed(MESSAGES, id=one.party, after=1) as to_member,
        ):
            while (await presence.next())["present"] != [leader, member]:
                pass
            for number in range(2, 22):
                speaker = one.member if number % 2 else one.leader
                assert await one.say(speaker, f"{number}번") == number
            for events in (to_leader, to_member):
                assert [each["number"] for each in await events.some(20)] == list(range(2, 22))
            await one.leader.do("updateParty", partyId=one.party, note="3번 출구")
            assert (await party.next())["note"] == "3번 출구"
            await one.member.do("setTyping", partyId=one.party, isTyping=True)
            while (await presence.next())["typing"] != [member]:
                pass
            await one.member.do("leaveParty", partyId=one.party)
            assert [each["kind"] for each in await to_member.rest()] == ["LEFT"]
            assert (await to_leader.next())["kind"] == "LEFT"
            assert (await notifications.next())["kind"] == "MEMBER_LEFT"


async def test_sessions_end_at_every_process(pair: tuple[Api, Api]):
    here, there = pair
    person = await here.neighbour()
    async with person.at(there).subscribed(NOTIFICATIONS) as events:
        assert (await person.do("signOut"))["__typename"] == "Viewer"
        assert await events.closed() == 4403


async def test_a_redis_that_dies_and_comes_back_loses_nothing(pair: tuple[Api, Api], redis: RedisServer):
    here, there = pair
    one = across(await talk(here), there)
    await one.say(one.leader, "처음")
    async with (
        one.leader.subscribed(MESSAGES, id=one.party, after=0) as to_leader,
        one.member.subscribed(MESSAGES, id=one.party, after=0) as to_member,
        one.member.subscribed(NOTIFICATIONS, after=0) as to_mailbox,
    ):
        everybody = (to_leader, to_member)
        assert [[each["number"] for each in await events.some(2)] for events in everybody] == [[1, 2]] * 2
        await to_mailbox.some(2)
        redis.kill()
        hubs = [api.parts.events.live.hub for api in pair]
        await until(lambda: not any(hub.is_up for hub in hubs))
        for words in ("하나", "둘", "셋"):
            await one.say(one.leader, words)
        # By comparing numbers, about every second.
        assert [[each["number"] for each in await events.some(3)] for events in everybody] == [
            [3, 4, 5],
            [3, 4, 5],
        ]
        # Who can't be seen to be present is told.
        assert (await one.chat(one.member, "present { id }"))["present"] == []
        assert (await one.member.do("setTyping", partyId=one.party, isTyping=True))["__typename"] == "Chat"
        await one.leader.do("updateParty", partyId=one.party, capacity=3)
        heard = (await to_mailbox.next())["kind"]
        assert heard in {"CHAT_MESSAGE", "PARTY_CHANGED"}
        await redis.start()
        await until(lambda: all(hub.is_up for hub in hubs))
        number = await one.say(one.member, "돌아왔네요")
        for events in everybody:
            while (last := (await events.next())["number"]) < number:
                pass
            assert last == number


async def test_who_departs_hears_no_more_although_redis_is_away(pair: tuple[Api, Api], redis: RedisServer):
    here, there = pair
    one = across(await talk(here), there)
    async with (
        one.member.subscribed(MESSAGES, id=one.party, after=0) as messages,
        one.member.subscribed(PRESENCE, id=one.party) as presence,
    ):
        await messages.next()
        await presence.next()
        redis.kill()
        await one.member.at(here).do("leaveParty", partyId=one.party)
        await one.say(one.leader, "이제 우리끼리")
        assert [each["kind"] for each in await messages.rest()] == ["LEFT"]
        await presence.rest()


async def test_who_departs_by_a_process_that_dies_before_it_publishes_hears_no_more(
    pair: tuple[Api, Api], fresh_engine: AsyncEngine
):
    here, there = pair
    one = across(await talk(here), there)
    async with one.member.subscribed(MESSAGES, id=one.party, after=0) as messages:
        await messages.next()
        async with transactions_on(fresh_engine, here.clock).write() as tx:
            await memberships.leave_party(tx, ids.decode("User", strawberry.ID(one.member.id)), one.key)
        assert [each["kind"] for each in await messages.rest()] == ["LEFT"]
