"""Clients that others wrote, as their users use them: a query, a mutation and a subscription each."""

from typing import Any

import pytest

from tests.api import Api, Client
from tests.clients.cable import cable_to
from tests.clients.conftest import StartClient
from tests.clients.script import Script
from tests.schema.scenes import Scene

GREETING = "안녕하세요"
SPOKEN = ["몇 시에 만날까요?", "세 시요.\n망원역 2번 출구에서요 🙂", "네!"]
HISTORY = """query($id: ID!) {
  party(id: $id) { chat { messages(first: 100) { edges { node { number text } } } } }
}"""


async def talking(api: Api) -> tuple[Client, Client, str]:
    """The leader and the one member of a party, whose chat is open because it is full."""
    scene = Scene(api, await api.neighbour("리더"), await api.neighbour("멤버"))
    party = await scene.party()
    await scene.place(party)
    # In the language of clients that name none.
    return scene.leader.speaking("ko"), scene.neighbour, party


def scene_of(api: Api, person: Client, **more: Any) -> dict[str, Any]:
    url = f"{api.http.base_url}".rstrip("/") + "/graphql"
    return {"url": url, "token": person.access_token, "refreshToken": person.refresh_token, **more}


async def say(person: Client, party: str, text: str) -> None:
    said = await person.do("sendChatMessage", "... on ChatMessage { text }", partyId=party, text=text)
    assert said["text"] == text


async def history(person: Client, party: str) -> list[dict[str, Any]]:
    data = await person.ask(HISTORY, id=party)
    return [edge["node"] for edge in data["chat"]["messages"]["edges"]]


async def hears(client: Script, messages: list[dict[str, Any]]) -> None:
    for message in messages:
        assert await client.tells("heard") == message


CLIENTS = [
    ("graphql-ws.mjs",),
    ("graphql-sse.mjs",),
    ("apollo.mjs", "websocket"),
    ("apollo.mjs", "multipart"),
]


@pytest.mark.parametrize("client_and_transport", CLIENTS, ids=" ".join)
async def test_a_client_asks_says_and_hears_what_another_member_says(
    api: Api, start_client: StartClient, client_and_transport: tuple[str, ...]
):
    leader, member, party = await talking(api)
    script, *transport = client_and_transport
    scene = scene_of(api, member, partyId=party, last=SPOKEN[-1])
    async with start_client(script, scene, *transport) as client:
        assert await client.tells("asked") == "멤버"
        assert await client.tells("said") == GREETING
        before = await history(leader, party)
        assert before[-1]["text"] == GREETING
        await hears(client, before)
        for text in SPOKEN:
            await say(leader, party, text)
        await hears(client, (await history(leader, party))[len(before) :])
        await client.ends()


@pytest.mark.parametrize("transport", ["websocket", "event-stream"])
async def test_urql_asks_says_and_hears_though_its_queries_accept_event_streams(
    api: Api, start_client: StartClient, transport: str
):
    leader, member, party = await talking(api)
    scene = scene_of(api, member, partyId=party, last=SPOKEN[-1])
    async with start_client("urql.mjs", scene, transport) as client:
        for told, value in (("asked", "멤버"), ("said", GREETING)):
            assert "text/event-stream" in await client.tells("accepted")
            assert (await client.tells("got")).startswith("application/graphql-response+json")
            assert await client.tells(told) == value
        if transport == "event-stream":
            assert await client.tells("accepted") == "text/event-stream, multipart/mixed"
            assert (await client.tells("got")).startswith("text/event-stream")
        before = await history(leader, party)
        await hears(client, before)
        for text in SPOKEN:
            await say(leader, party, text)
        await hears(client, (await history(leader, party))[len(before) :])
        await client.ends()


async def test_a_socket_whose_token_ends_is_closed_and_goes_on_with_a_new_token_without_loss(
    api: Api, start_client: StartClient
):
    leader, member, party = await talking(api)
    almost = api.parts.settings.access_lifetime.total_seconds() - 0.5
    api.clock.move(seconds=almost)
    scene = scene_of(api, member, partyId=party, last=SPOKEN[-1])
    async with start_client("resume-graphql-ws.mjs", scene) as client:
        before = await history(leader, party)
        await hears(client, before)
        api.clock.move(seconds=1)
        leader = leader.with_token((await _refreshed(leader))["accessToken"])
        await say(leader, party, SPOKEN[0])
        heard_before_the_end = await _heard_until_closed(client)
        assert await client.tells("refreshed") == "Tokens"
        for text in SPOKEN[1:]:
            await say(leader, party, text)
        rest = (await history(leader, party))[len(before) :]
        assert heard_before_the_end == rest[: len(heard_before_the_end)]
        await hears(client, rest[len(heard_before_the_end) :])
        assert await client.tells("closed") == 1000
        await client.ends()


async def _refreshed(person: Client) -> dict[str, Any]:
    return await person.do(
        "refreshTokens", "... on Tokens { accessToken refreshToken }", refreshToken=person.refresh_token
    )


async def _heard_until_closed(client: Script) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    while True:
        told = await client.line()
        if "closed" in told:
            assert told["closed"] == 4403
            return heard
        heard.append(told["heard"])


async def test_notifications_over_event_streams_go_on_behind_the_last_event_after_a_break(
    api: Api, start_client: StartClient
):
    stage = Scene(api, await api.neighbour(), await api.neighbour())
    party = await stage.party(capacity=10, itemCount=20)
    async with cable_to(api.http.base_url.port or 0) as (cable, port):
        scene = scene_of(api, stage.leader, last=4)
        scene["url"] = f"http://127.0.0.1:{port}/graphql"
        async with start_client("resume-graphql-sse.mjs", scene) as client:
            assert await client.tells("connected") is False
            for number in (1, 2):
                await stage.request(party)
                assert await client.tells("notified") == {"number": number, "kind": "JOIN_REQUESTED"}
            cable.cut()
            await stage.request(party)
            cable.mend()
            assert await client.tells("connected") is True
            assert await client.tells("notified") == {"number": 3, "kind": "JOIN_REQUESTED"}
            await stage.request(party)
            assert await client.tells("notified") == {"number": 4, "kind": "JOIN_REQUESTED"}
            await client.ends()
