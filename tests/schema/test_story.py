"""What neighbours do with the API from the first day on, over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from resolvers.transaction import Transaction
from schema import ids
from tests.api import PASSWORD, Api, Client
from tests.factories import make_item, make_market

SEOUL = (37.5562, 126.9056)
NEARBY = """{
  nearbyParties { totalCount edges { distanceMeters node { id placesLeft } } pageInfo { hasNextPage } }
}"""
MEMBERS = "query($id: ID!) { party(id: $id) { members { status user { nickname } } } }"
JOINED = "... on Membership { id status quantity user { nickname } party { id placesLeft } }"


async def catalogue(api: Api) -> tuple[str, str]:
    """The ids of a market and an item."""

    async def make(tx: Transaction) -> tuple[str, str]:
        market = await make_market(tx, SEOUL, name="망원시장")
        item = await make_item(tx, name="두루마리 휴지 30롤")
        return ids.encode("Market", market.id), ids.encode("Item", item.id)

    async with api.parts.transactions.write() as tx:
        return await make(tx)


async def open_party(api: Api, leader: Client, **changes: Any) -> str:
    """The id of a new party, by createParty."""
    market, item = await catalogue(api)
    starts = api.clock.now + timedelta(days=1)
    values = {
        "marketId": market,
        "itemId": item,
        "itemCount": 30,
        "itemUnit": "롤",
        "capacity": 3,
        "startsAt": starts.isoformat(),
        "endsAt": (starts + timedelta(hours=1)).isoformat(),
    }
    party = await leader.do("createParty", "... on Party { id }", **values | changes)
    assert party["__typename"] == "Party", party
    return party["id"]


async def members(person: Client, party: str) -> list[tuple[str, str]]:
    """The nicknames and statuses that a person sees in a party."""
    seen = await person.ask(MEMBERS, id=party)
    return [(member["user"]["nickname"], member["status"]) for member in seen["members"]]


async def test_neighbours_find_a_party_join_it_and_fill_it(api: Api):
    leader, near, far = [
        await api.neighbour("파티장", SEOUL),
        await api.neighbour("가까운 이웃", (SEOUL[0] + 0.01, SEOUL[1])),
        await api.neighbour("부산 사람", (35.1796, 129.0756)),
    ]
    party = await open_party(api, leader, note="같이 사요", quantity=10)

    # Around the home of each, for no point is given.
    found = await near.ask(NEARBY)
    assert found["totalCount"] == 1
    assert found["pageInfo"] == {"hasNextPage": False}
    (edge,) = found["edges"]
    assert edge["node"] == {"id": party, "placesLeft": 2}
    assert edge["distanceMeters"] == pytest.approx(1112, abs=1)
    assert (await far.ask(NEARBY))["edges"] == []

    request = await near.do("joinParty", JOINED, partyId=party, quantity=12)
    assert (request["status"], request["quantity"]) == ("REQUESTED", 12)
    accepted = await leader.do("acceptMember", JOINED, membershipId=request["id"])
    assert (accepted["__typename"], accepted["status"]) == ("Membership", "ACCEPTED")
    assert accepted["party"] == {"id": party, "placesLeft": 1}

    second = await far.do("joinParty", JOINED, partyId=party)
    rejected = await leader.do("rejectMember", JOINED, membershipId=second["id"], reason="너무 멀어요")
    assert rejected["status"] == "REJECTED"

    last = await api.neighbour("마지막 이웃", SEOUL)
    request = await last.do("joinParty", JOINED, partyId=party, quantity=8)
    await leader.do("acceptMember", membershipId=request["id"])
    full = await api.anybody.ask(
        "query($id: ID!) { party(id: $id) { status placesLeft unitsLeft note leader { nickname }"
        " market { name } item { name } viewerMembership { id } } }",
        id=party,
    )
    assert full == {
        "status": "FULL",
        "placesLeft": 0,
        "unitsLeft": 0,
        "note": "같이 사요",
        "leader": {"nickname": "파티장"},
        "market": {"name": "망원시장"},
        "item": {"name": "두루마리 휴지 30롤"},
        "viewerMembership": None,
    }
    assert (await near.ask(NEARBY))["edges"] == []


async def test_an_auto_party_lets_in_whoever_comes_first(api: Api):
    party = await open_party(api, await api.neighbour(), approval="AUTO", capacity=2)
    first = await (await api.neighbour()).do("joinParty", JOINED, partyId=party)
    second = await (await api.neighbour()).do("joinParty", JOINED, partyId=party)
    assert (first["status"], second["code"]) == ("ACCEPTED", "PARTY_FULL")


async def test_applicants_are_between_them_and_the_leader(api: Api):
    leader, member = await api.neighbour("파티장"), await api.neighbour("파티원")
    one, other, stranger = [await api.neighbour(f"신청자 {number}") for number in range(3)]
    party = await open_party(api, leader, capacity=5)
    request = await member.do("joinParty", JOINED, partyId=party)
    await leader.do("acceptMember", membershipId=request["id"])
    requests = [await person.do("joinParty", JOINED, partyId=party) for person in (one, other)]
    await leader.do("rejectMember", membershipId=requests[1]["id"])

    accepted = [("파티장", "ACCEPTED"), ("파티원", "ACCEPTED")]
    for person in (api.anybody, stranger, member):
        assert await members(person, party) == accepted
    assert await members(one, party) == [*accepted, ("신청자 0", "REQUESTED")]
    assert await members(other, party) == [*accepted, ("신청자 1", "REJECTED")]
    assert await members(leader, party) == [*accepted, ("신청자 0", "REQUESTED"), ("신청자 1", "REJECTED")]

    only = "query($id: ID!) { party(id: $id) { members(status: [REQUESTED, REJECTED]) { status } } }"
    assert (await stranger.ask(only, id=party))["members"] == []
    assert (await leader.ask(only, id=party))["members"] == [{"status": "REQUESTED"}, {"status": "REJECTED"}]

    # Nor by the way round through the node.
    node = "query($id: ID!) { node(id: $id) { ... on Membership { status } } }"
    assert await stranger.ask(node, id=requests[0]["id"]) is None
    assert await other.ask(node, id=requests[0]["id"]) is None
    assert await one.ask(node, id=requests[0]["id"]) == {"status": "REQUESTED"}
    assert await leader.ask(node, id=requests[0]["id"]) == {"status": "REQUESTED"}
    assert await api.anybody.ask(node, id=request["id"]) == {"status": "ACCEPTED"}


async def test_the_viewer_sees_what_others_do_not_and_their_parties_in_pages(api: Api):
    viewer, leader = await api.neighbour("나야나", SEOUL), await api.neighbour("파티장")
    led = await open_party(api, viewer)
    joined = await open_party(api, leader, capacity=2)
    await viewer.do("joinParty", partyId=joined)
    seen = await viewer.ask(
        "{ viewer { email role user { id nickname } home { address region point { latitude } }"
        " parties(first: 1) { edges { cursor node { id viewerMembership { role status } } }"
        "   pageInfo { hasNextPage hasPreviousPage endCursor } }"
        " led: parties(role: LEADER, status: [OPEN]) { edges { node { id } } } } }"
    )
    assert seen["role"] == "USER"
    assert seen["user"] == {"id": viewer.id, "nickname": "나야나"}
    assert seen["home"]["region"] == "서울 마포구"
    (edge,) = seen["parties"]["edges"]
    assert edge["node"] == {"id": joined, "viewerMembership": {"role": "MEMBER", "status": "REQUESTED"}}
    assert seen["parties"]["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "endCursor": edge["cursor"],
    }
    assert seen["led"]["edges"] == [{"node": {"id": led}}]
    rest = await viewer.ask(
        "query($after: String) { viewer { parties(first: 1, after: $after) { edges { node { id } }"
        " pageInfo { hasNextPage hasPreviousPage } } } }",
        after=edge["cursor"],
    )
    assert rest["parties"] == {
        "edges": [{"node": {"id": led}}],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": True},
    }


async def test_every_kind_of_node_is_found_again_by_its_id(api: Api):
    leader = await api.neighbour()
    party = await open_party(api, leader)
    seen = await leader.ask(
        "query($id: ID!) { party(id: $id) { id leader { id } market { id } item { id } members { id } } }",
        id=party,
    )
    nodes = {
        "Party": seen["id"],
        "User": seen["leader"]["id"],
        "Market": seen["market"]["id"],
        "Item": seen["item"]["id"],
        "Membership": seen["members"][0]["id"],
    }
    for kind, id in nodes.items():
        found = await api.anybody.ask("query($id: ID!) { node(id: $id) { __typename id } }", id=id)
        assert found == {"__typename": kind, "id": id}


async def test_tokens_rotate_and_a_session_that_ends_takes_its_tokens_along(api: Api):
    person = await api.neighbour("이웃")
    fields = "... on Tokens { accessToken refreshToken }"
    fresh = await person.do("refreshTokens", fields, refreshToken=person.refresh_token)
    assert (await person.with_token(fresh["accessToken"]).ask("{ viewer { user { id } } }"))["user"] == {
        "id": person.id
    }
    reused = await person.do("refreshTokens", fields, refreshToken=person.refresh_token)
    assert reused["code"] == "SESSION_EXPIRED"
    for token in (person.access_token, fresh["accessToken"]):
        error = await person.with_token(token).fails("{ viewer { email } }")
        assert error["code"] == "UNAUTHENTICATED"
    # What is open to anyone stays open, so that a client can sign in again.
    assert await person.ask("{ serverTime }")
    again = await person.do("signIn", fields, email=person.email, password=PASSWORD)
    me = person.with_token(again["accessToken"])
    assert (await me.do("signOut", "... on Viewer { user { nickname } }"))["user"] == {"nickname": "이웃"}
    assert (await me.fails("{ viewer { email } }"))["code"] == "UNAUTHENTICATED"


async def test_an_access_token_ends_with_its_time(api: Api):
    person = await api.neighbour()
    api.clock.move(minutes=15)
    assert (await person.fails("{ viewer { email } }"))["code"] == "UNAUTHENTICATED"
    assert (await person.do("refreshTokens", refreshToken=person.refresh_token))["__typename"] == "Tokens"


async def test_bookmarks_are_seen_by_their_owner_alone(api: Api):
    market, item = await catalogue(api)
    owner, other = await api.neighbour(), await api.neighbour()
    for _ in range(2):
        marked = await owner.do("bookmarkItem", "... on Item { isBookmarked }", itemId=item)
        assert marked == {"__typename": "Item", "isBookmarked": True}
        marked = await owner.do("bookmarkMarket", "... on Market { isBookmarked }", marketId=market)
        assert marked == {"__typename": "Market", "isBookmarked": True}
    await other.do("unbookmarkItem", itemId=item)
    lists = (
        "{ viewer { bookmarkedItems { edges { node { id } } } bookmarkedMarkets { edges { node { id } } } } }"
    )
    assert await owner.ask(lists) == {
        "bookmarkedItems": {"edges": [{"node": {"id": item}}]},
        "bookmarkedMarkets": {"edges": [{"node": {"id": market}}]},
    }
    assert await other.ask(lists) == {"bookmarkedItems": {"edges": []}, "bookmarkedMarkets": {"edges": []}}
    for person, seen in ((owner, True), (other, False), (api.anybody, False)):
        query = "{ items { edges { node { isBookmarked } } } markets { edges { node { isBookmarked } } } }"
        lists_of = await person.ask(query)
        for name in ("items", "markets"):
            assert lists_of[name]["edges"] == [{"node": {"isBookmarked": seen}}]
    unmarked = await owner.do("unbookmarkItem", "... on Item { isBookmarked }", itemId=item)
    assert unmarked["isBookmarked"] is False


async def test_the_catalogue_is_open_to_anyone(api: Api):
    await catalogue(api)
    found = await api.anybody.ask(
        '{ items(search: "ㅎㅈ") { edges { node { name category code } } } itemCategories'
        ' markets(search: "ㅁㅇ", near: {latitude: 37.5, longitude: 126.9}) {'
        "   edges { distanceMeters node { name kind point { latitude } } } } }"
    )
    assert found["items"]["edges"][0]["node"]["name"] == "두루마리 휴지 30롤"
    assert found["itemCategories"] == ["생활용품"]
    (edge,) = found["markets"]["edges"]
    assert edge["node"]["kind"] == "TRADITIONAL_MARKET"
    assert edge["distanceMeters"] == pytest.approx(6269, rel=0.01)


async def test_nobody_is_the_viewer_without_a_token(api: Api):
    assert await api.anybody.ask("{ viewer { email } }") is None


async def test_somebody_with_a_bad_token_is_told_so(api: Api):
    for token in ("bad", "a.b.c", "a" * 5000):
        error = await api.anybody.with_token(token).fails("{ viewer { email } }")
        assert error["code"] == "UNAUTHENTICATED"
        assert "Sign in" in error["message"]


async def test_the_time_of_the_server_is_the_clock_of_its_transactions(api: Api):
    assert await api.anybody.ask("{ serverTime }") == api.clock.now.isoformat()
