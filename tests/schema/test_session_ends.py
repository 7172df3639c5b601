"""Sockets end with the session that opened them, however it ends and whatever is lost on the way."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from resolvers import sessions
from tests.api import PASSWORD, Api, Client, running_api
from tests.conftest import transactions_on
from tests.live import Events
from tests.schema.talks import MESSAGES, NOTIFICATIONS, talk
from tests.schema.test_people import another_device
from tests.subscriptions.redis_server import RedisServer

TOKENS = "... on Tokens { accessToken refreshToken }"
ENDED = 4403


async def sign_out(phone: Client, other: Client) -> None:
    assert (await phone.do("signOut"))["__typename"] == "Viewer"


async def sign_out_from_afar(phone: Client, other: Client) -> None:
    listed = (await phone.ask("{ viewer { sessions { id isCurrent } } }"))["sessions"]
    (current,) = [each["id"] for each in listed if each["isCurrent"]]
    assert (await other.do("signOut", sessionId=current))["__typename"] == "Viewer"


async def change_password(phone: Client, other: Client) -> None:
    new = "훨씬 더 비밀이에요"
    changed = await other.do("changePassword", currentPassword=PASSWORD, newPassword=new)
    assert changed["__typename"] == "Tokens"


async def steal(phone: Client, other: Client) -> None:
    """Somebody has copied the refresh token, and uses it too."""
    codes = [
        (await other.do("refreshTokens", refreshToken=phone.refresh_token))["__typename"] for _ in range(2)
    ]
    assert codes == ["Tokens", "SessionExpired"]


async def withdraw(phone: Client, other: Client) -> None:
    assert (await other.do("withdraw", password=PASSWORD))["__typename"] == "Withdrawn"


End = Callable[[Client, Client], Awaitable[None]]


@pytest.mark.parametrize("end", [sign_out, sign_out_from_afar, change_password, steal, withdraw])
async def test_a_socket_ends_at_once_with_its_session(api: Api, end: End):
    person = await api.neighbour()
    phone = await another_device(api, person)
    async with (
        phone.subscribed(NOTIFICATIONS) as of_phone,
        person.subscribed(NOTIFICATIONS, after=0) as of_other,
    ):
        await end(phone, person)
        assert await of_phone.closed() == ENDED
        if end is withdraw:
            assert await of_other.closed() == ENDED
        else:
            await hears(api, person, of_other)


async def hears(api: Api, person: Client, events: Events) -> None:
    """The person is told of something."""
    one = await talk(api)
    await one.join(person)
    await one.say(one.leader, "여기예요")
    assert (await events.next())["kind"] == "CHAT_MESSAGE"


async def test_a_socket_ends_with_its_token_and_a_fresh_one_goes_on(api: Api):
    one = await talk(api)
    api.clock.move(minutes=14, seconds=59.7)
    async with one.member.subscribed(MESSAGES, id=one.party, after=0) as events:
        assert (await events.next())["number"] == 1
        api.clock.move(seconds=1)
        assert await events.closed() == ENDED
    tokens = await one.member.do("refreshTokens", TOKENS, refreshToken=one.member.refresh_token)
    member = one.member.with_token(tokens["accessToken"])
    async with member.subscribed(MESSAGES, id=one.party, after=0) as events:
        assert (await events.next())["number"] == 1


async def test_whoever_dies_between_commit_and_publish_ends_sockets_all_the_same(
    api: Api, fresh_engine: AsyncEngine
):
    """The relay publishes what it left."""
    person = await api.neighbour()
    token = api.parts.keys.tokens.read_access(str(person.access_token), api.clock.now)
    async with person.subscribed(NOTIFICATIONS) as events:
        async with transactions_on(fresh_engine, api.clock).write() as tx:
            viewer = await sessions.viewer_behind(tx, token)
            assert viewer is not None
            await sessions.sign_out(tx, viewer)
        assert await events.closed() == ENDED


async def end_silently(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE sessions SET ended_at = expires_at - interval '1 day'"))


async def test_after_a_gap_sessions_are_looked_up(
    fresh_url: str, fresh_engine: AsyncEngine, redis: RedisServer
):
    async with running_api(fresh_url, redis.url) as api:
        person = await api.neighbour()
        async with person.subscribed(NOTIFICATIONS, after=0) as events:
            await hears(api, person, events)
            await end_silently(fresh_engine)
            await redis.kill_subscribers()
            assert await events.closed() == ENDED


async def test_without_redis_sessions_are_looked_up_all_the_time(
    fresh_url: str, fresh_engine: AsyncEngine, redis: RedisServer
):
    async with running_api(fresh_url, redis.url) as api:
        person = await api.neighbour()
        async with person.subscribed(NOTIFICATIONS, after=0) as events:
            await hears(api, person, events)
            redis.kill()
            assert (await person.do("signOut"))["__typename"] == "Viewer"
            assert await events.closed() == ENDED
