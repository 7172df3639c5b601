"""What people do with their account, over HTTP and over a socket."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from schema import ids
from tests.api import PASSWORD, WITHIN_S, Api, Client, document
from tests.factories import make_item, make_market
from tests.live import opened

NEW = "훨씬 더 비밀이에요"
TOKENS = "... on Tokens { accessToken refreshToken user { nickname } }"
SESSIONS = "{ viewer { sessions { id createdAt lastUsedAt userAgent isCurrent } } }"
PROFILE = "... on Viewer { user { nickname } home { address region point { latitude longitude } } }"
FIELD = "... on InvalidInput { field }"


async def sign_in(api: Api, person: Client, password: str = PASSWORD, address: str = "") -> dict[str, Any]:
    """What signIn answers on another device."""
    device = replace(api.anybody, address=address) if address else api.anybody
    fields = f"{TOKENS} ... on TooManyAttempts {{ retryAfterSeconds }}"
    return await device.do("signIn", fields, email=person.email, password=password)


async def another_device(api: Api, person: Client) -> Client:
    """The same person, signed in once more."""
    tokens = await sign_in(api, person)
    return replace(person, access_token=tokens["accessToken"], refresh_token=tokens["refreshToken"])


async def is_signed_in(person: Client) -> bool:
    answer = await person.send("{ viewer { email } }")
    if "errors" in answer:
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        return False
    return True


async def test_sessions_are_listed_and_ended_one_by_one(api: Api):
    person = await api.neighbour()
    api.clock.move(minutes=5)
    phone = await another_device(api, person)
    listed = (await person.ask(SESSIONS))["sessions"]
    assert [each["isCurrent"] for each in listed] == [False, True]
    assert {each["userAgent"] for each in listed} == {"tests"}
    assert listed[0]["createdAt"] == listed[0]["lastUsedAt"] == api.clock.now.isoformat()
    (of_phone,) = [each for each in (await phone.ask(SESSIONS))["sessions"] if each["isCurrent"]]
    ended = await person.do(
        "signOut", "... on Viewer { sessions { id isCurrent } }", sessionId=of_phone["id"]
    )
    assert ended["sessions"] == [{"id": listed[1]["id"], "isCurrent": True}]
    assert not await is_signed_in(phone)
    assert await is_signed_in(person)


async def test_somebody_elses_session_is_none_of_ones_own(shared_api: Api):
    person, other = await shared_api.neighbour(), await shared_api.neighbour()
    (session,) = (await other.ask(SESSIONS))["sessions"]
    refused = await person.do("signOut", "... on NotFound { kind id }", sessionId=session["id"])
    assert (refused["code"], refused["kind"], refused["id"]) == ("NOT_FOUND", "session", session["id"])
    assert await is_signed_in(other)


async def test_a_new_password_ends_the_other_sessions_and_goes_on_in_this_one(shared_api: Api):
    person = await shared_api.neighbour()
    phone = await another_device(shared_api, person)
    tokens = await person.do("changePassword", TOKENS, currentPassword=PASSWORD, newPassword=NEW)
    assert tokens["__typename"] == "Tokens"
    assert await is_signed_in(person.with_token(tokens["accessToken"]))
    assert not await is_signed_in(phone)
    refreshed = await shared_api.anybody.do("refreshTokens", refreshToken=tokens["refreshToken"])
    assert refreshed["__typename"] == "Tokens"
    assert (await sign_in(shared_api, person))["code"] == "WRONG_CREDENTIALS"
    assert (await sign_in(shared_api, person, NEW))["__typename"] == "Tokens"


async def test_a_password_stays_when_the_old_one_is_wrong_or_the_new_one_is_bad(shared_api: Api):
    person = await shared_api.neighbour()
    refused = await person.do("changePassword", FIELD, currentPassword=NEW, newPassword=NEW)
    assert refused["code"] == "WRONG_CREDENTIALS"
    refused = await person.do("changePassword", FIELD, currentPassword=PASSWORD, newPassword="short")
    assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "newPassword")
    assert (await sign_in(shared_api, person))["__typename"] == "Tokens"


async def test_what_is_left_out_of_a_profile_stays(shared_api: Api):
    person = await shared_api.neighbour()
    before = await person.do("updateProfile", PROFILE)
    name = f"{before['user']['nickname']}!"
    renamed = await person.do("updateProfile", PROFILE, nickname=name)
    assert renamed == before | {"user": {"nickname": name}}
    point = {"latitude": 35.1631, "longitude": 129.1636}
    moved = await person.do("updateProfile", PROFILE, address="부산광역시 해운대구 우동 1408", point=point)
    home = {"address": "부산광역시 해운대구 우동 1408", "region": "부산 해운대구", "point": point}
    assert moved == renamed | {"home": home}


@pytest.mark.parametrize(
    ("field", "input"),
    [
        ("nickname", {"nickname": None}),
        ("nickname", {"nickname": "망"}),
        ("address", {"address": None}),
        ("point", {"address": "서울", "point": None}),
        ("point", {"address": "서울 마포구"}),
        ("address", {"point": {"latitude": 37.5, "longitude": 127}}),
        ("point", {"address": "서울", "point": {"latitude": 91, "longitude": 127}}),
    ],
)
async def test_a_profile_is_not_emptied_and_an_address_keeps_its_point(
    shared_api: Api, field: str, input: dict[str, Any]
):
    person = await shared_api.neighbour()
    refused = await person.do("updateProfile", FIELD, **input)
    assert (refused["code"], refused["field"]) == ("INVALID_INPUT", field)


async def test_a_nickname_of_somebody_else_is_taken(shared_api: Api):
    person = await shared_api.neighbour()
    await shared_api.neighbour("이미 있는 별명")
    refused = await person.do("updateProfile", "... on NicknameTaken { nickname }", nickname="이미 있는 별명")
    assert (refused["code"], refused["nickname"]) == ("NICKNAME_TAKEN", "이미 있는 별명")


async def open_party(api: Api, leader: Client) -> str:
    async with api.parts.transactions.write() as tx:
        market, item = await make_market(tx), await make_item(tx)
    starts = api.clock.now + timedelta(days=1)
    party = await leader.do(
        "createParty",
        "... on Party { id }",
        marketId=ids.encode("Market", market.id),
        itemId=ids.encode("Item", item.id),
        itemCount=30,
        itemUnit="롤",
        capacity=3,
        startsAt=starts.isoformat(),
        endsAt=(starts + timedelta(hours=1)).isoformat(),
    )
    return party["id"]


async def test_nobody_withdraws_from_those_who_count_on_them(shared_api: Api):
    person = await shared_api.neighbour()
    party = await open_party(shared_api, person)
    fields = "... on OpenObligations { parties { id status leader { id } } }"
    refused = await person.do("withdraw", fields, password=PASSWORD)
    assert refused["code"] == "OPEN_OBLIGATIONS"
    assert refused["parties"] == [{"id": party, "status": "OPEN", "leader": {"id": person.id}}]
    assert await is_signed_in(person)


async def test_who_withdrew_is_nobody_any_more(api: Api):
    leader, person = await api.neighbour(), await api.neighbour("떠날 사람")
    phone, party = await another_device(api, person), await open_party(api, leader)
    await person.do("joinParty", partyId=party)
    refused = await person.do("withdraw", password="something else")
    assert refused["code"] == "WRONG_CREDENTIALS"
    gone = await person.do("withdraw", "... on Withdrawn { at }", password=PASSWORD)
    assert gone == {"__typename": "Withdrawn", "at": api.clock.now.isoformat()}

    for device in (person, phone):
        assert not await is_signed_in(device)
        refreshed = await api.anybody.do("refreshTokens", refreshToken=device.refresh_token)
        assert refreshed["code"] == "SESSION_EXPIRED"
        answer = await device.fails('mutation { withdraw(input: {password: ""}) { __typename } }')
        assert answer["code"] == "UNAUTHENTICATED"
    assert (await sign_in(api, person))["code"] == "WRONG_CREDENTIALS"

    # What others see.
    seen = "query($id: ID!) { party(id: $id) { members(status: [WITHDRAWN]) { user { id nickname } } } }"
    (member,) = (await leader.ask(seen, id=party))["members"]
    assert member["user"]["id"] == person.id
    assert member["user"]["nickname"].startswith("탈퇴한 이웃 ")
    node = "query($id: ID!) { node(id: $id) { ... on User { nickname } } }"
    assert await api.anybody.ask(node, id=person.id) == {"nickname": member["user"]["nickname"]}

    again = await api.anybody.do(
        "signUp",
        "... on Tokens { user { id nickname } }",
        email=person.email,
        password=PASSWORD,
        nickname="떠날 사람",
        address="서울 마포구",
        point={"latitude": 37.5, "longitude": 127},
    )
    assert again["user"]["id"] != person.id


async def test_a_nickname_of_the_departed_is_for_nobody(shared_api: Api):
    person = await shared_api.neighbour()
    refused = await person.do("updateProfile", FIELD, nickname="탈퇴한 이웃 아님")
    assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "nickname")


# Attempts


@asynccontextmanager
async def socket(person: Client) -> AsyncGenerator[ClientConnection, None]:
    """A socket of the person's device."""
    params = {"authorization": f"Bearer {person.access_token}"}
    async with opened(person.socket_url, params, {"x-forwarded-for": person.address}) as client:
        yield client


async def sign_in_over(client: ClientConnection, email: str, password: str) -> str:
    """The code that signIn answers over a socket, or the name of what it answers with."""
    payload = {"query": document("signIn"), "variables": {"input": {"email": email, "password": password}}}
    await client.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
    async with asyncio.timeout(WITHIN_S):
        answer = json.loads(await client.recv())["payload"]["data"]["signIn"]
        assert json.loads(await client.recv())["type"] == "complete"
    return answer.get("code", answer["__typename"])


async def test_eleven_wrong_passwords_shut_an_account_for_a_minute_from_everywhere(api: Api):
    person = await api.neighbour()
    for _ in range(10):
        assert (await sign_in(api, person, "wrong"))["code"] == "WRONG_CREDENTIALS"
    api.clock.move(seconds=20)
    refused = await sign_in(api, person)
    assert (refused["code"], refused["retryAfterSeconds"]) == ("TOO_MANY_ATTEMPTS", 40)
    refused = await person.do("withdraw", password=PASSWORD)
    assert refused["code"] == "TOO_MANY_ATTEMPTS"
    refused = await person.do("changePassword", currentPassword=PASSWORD, newPassword=NEW)
    assert refused["code"] == "TOO_MANY_ATTEMPTS"
    api.clock.move(seconds=40)
    assert (await sign_in(api, person))["__typename"] == "Tokens"


async def test_http_and_sockets_count_together(api: Api):
    person = await api.neighbour()
    async with socket(person) as client:
        for _ in range(5):
            assert await sign_in_over(client, person.email, "wrong") == "WRONG_CREDENTIALS"
            assert (await sign_in(api, person, "wrong", person.address))["code"] == "WRONG_CREDENTIALS"
        assert await sign_in_over(client, person.email, PASSWORD) == "TOO_MANY_ATTEMPTS"
        # The device has no more attempts at anybody's account.
        assert await sign_in_over(client, "other@example.com", "wrong") == "TOO_MANY_ATTEMPTS"
    assert (await sign_in(api, person, address=person.address))["code"] == "TOO_MANY_ATTEMPTS"
    other = await api.neighbour()
    assert (await sign_in(api, other, address=person.address))["code"] == "TOO_MANY_ATTEMPTS"
    assert (await sign_in(api, other))["__typename"] == "Tokens"


async def test_a_forged_address_buys_no_attempts(api: Api):
    person = await api.neighbour()
    for number in range(10):
        forged = f"198.51.100.{number}, {person.address}"
        refused = await sign_in(api, replace(person, email=f"nobody{number}@example.com"), "wrong", forged)
        assert refused["code"] == "WRONG_CREDENTIALS"
    refused = await sign_in(api, person, PASSWORD, f"198.51.100.99, {person.address}")
    assert refused["code"] == "TOO_MANY_ATTEMPTS"
