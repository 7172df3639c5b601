"""The life of a party as its neighbours live it, over HTTP."""

from datetime import timedelta
from typing import Any

from tests.api import PASSWORD, Api, Client
from tests.jobs import run_due
from tests.schema.test_story import JOINED, open_party

SEEN = (
    "query($id: ID!) { party(id: $id) { status cancelReason actualPrice placesLeft unitsLeft note joinBy } }"
)
HISTORY = "query($id: ID!) { party(id: $id) { history { kind at detail actor { nickname } } } }"
AMOUNTS = "query($id: ID!) { party(id: $id) { members { amount attendance status user { nickname } } } }"


async def later(api: Api, person: Client, **by: float) -> Client:
    """Let time pass, after which a token is too old: sign in again."""
    api.clock.move(**by)
    fields = "... on Tokens { accessToken }"
    tokens = await api.anybody.do("signIn", fields, email=person.email, password=PASSWORD)
    return person.with_token(tokens["accessToken"])


async def amounts(person: Client, party: str) -> list[tuple[str, int | None]]:
    seen = await person.ask(AMOUNTS, id=party)
    return [(member["user"]["nickname"], member["amount"]) for member in seen["members"]]


async def history(person: Client, party: str) -> list[tuple[str, str | None]]:
    seen = await person.ask(HISTORY, id=party)
    return [(event["kind"], event["actor"] and event["actor"]["nickname"]) for event in seen["history"]]


async def test_a_party_from_its_opening_to_its_end(api: Api):
    leader, one, other = [await api.neighbour(name) for name in ("파티장", "하나", "둘이")]
    party = await open_party(
        api, leader, approval="AUTO", capacity=4, itemCount=10, quantity=3, estimatedPrice=10_000
    )
    assert await amounts(leader, party) == [("파티장", 10_000)]
    await one.do("joinParty", partyId=party, quantity=3)
    await other.do("joinParty", partyId=party, quantity=1)
    estimated = [("파티장", 4_287), ("하나", 4_285), ("둘이", 1_428)]
    for person in (leader, one, api.anybody):
        assert await amounts(person, party) == estimated
    assert sum(amount or 0 for _, amount in estimated) == 10_000

    changed = await leader.do(
        "updateParty",
        "... on Party { note placesLeft estimatedPrice }",
        partyId=party,
        capacity=3,
        note="3번 출구에서 만나요",
        estimatedPrice=None,
    )
    assert (changed["note"], changed["placesLeft"], changed["estimatedPrice"]) == (
        "3번 출구에서 만나요",
        0,
        None,
    )
    assert await amounts(one, party) == [("파티장", None), ("하나", None), ("둘이", None)]

    leader, one = await later(api, leader, days=1), await later(api, one)
    assert (await one.do("leaveParty", partyId=party))["code"] == "TOO_LATE"
    done = await leader.do(
        "completeParty",
        "... on Party { status actualPrice members { amount attendance user { nickname } } }",
        partyId=party,
        actualPrice=12_000,
        attendance=[{"userId": one.id, "attended": True}, {"userId": other.id, "attended": False}],
    )
    assert (done["status"], done["actualPrice"]) == ("DONE", 12_000)
    assert done["members"] == [
        {"amount": 5_144, "attendance": "ATTENDED", "user": {"nickname": "파티장"}},
        {"amount": 5_142, "attendance": "ATTENDED", "user": {"nickname": "하나"}},
        {"amount": 1_714, "attendance": "NO_SHOW", "user": {"nickname": "둘이"}},
    ]
    refused = await leader.do("cancelParty", "... on PartyClosed { status }", partyId=party)
    assert (refused["code"], refused["status"]) == ("PARTY_CLOSED", "DONE")


async def test_a_party_that_too_few_join_does_not_take_place(api: Api):
    leader = await api.neighbour("파티장")
    party = await open_party(api, leader)
    leader = await later(api, leader, days=1)
    await run_due(api.parts.transactions)
    seen = await api.anybody.ask(SEEN, id=party)
    assert (seen["status"], seen["cancelReason"], seen["actualPrice"]) == (
        "CANCELED",
        "TOO_FEW_MEMBERS",
        None,
    )
    assert await history(leader, party) == [("CREATED", "파티장"), ("CANCELED", None)]


async def test_history_tells_members_who_changed_what_and_when_in_the_words_of_the_api(api: Api):
    leader, member = await api.neighbour("파티장"), await api.neighbour("파티원")
    party = await open_party(api, leader, estimatedPrice=5_000, approval="AUTO")
    await member.do("joinParty", partyId=party, quantity=2)
    began = api.clock.now
    api.clock.move(minutes=5)
    other = await open_party(api, leader)
    market = (await leader.ask("query($id: ID!) { party(id: $id) { market { id } } }", id=other))["market"][
        "id"
    ]
    before = (await leader.ask("query($id: ID!) { party(id: $id) { market { id } } }", id=party))["market"][
        "id"
    ]
    await leader.do("updateParty", partyId=party, marketId=market, estimatedPrice=6_000)
    events = (await member.ask(HISTORY, id=party))["history"]
    assert events == [
        {"kind": "CREATED", "at": began.isoformat(), "detail": {}, "actor": {"nickname": "파티장"}},
        {
            "kind": "JOIN_ACCEPTED",
            "at": began.isoformat(),
            "detail": {"user": member.id, "quantity": 2},
            "actor": {"nickname": "파티원"},
        },
        {
            "kind": "CHANGED",
            "at": (began + timedelta(minutes=5)).isoformat(),
            "detail": {
                "estimatedPrice": {"from": 5_000, "to": 6_000},
                "market": {"from": before, "to": market},
            },
            "actor": {"nickname": "파티장"},
        },
    ]


async def test_history_is_for_members_and_applicants_stay_between_them_and_the_leader(api: Api):
    leader, member, rejected, waiting, stranger = [
        await api.neighbour(name) for name in ("파티장", "파티원", "거절된 이웃", "기다리는 이웃", "남남남")
    ]
    party = await open_party(api, leader)
    request = await rejected.do("joinParty", JOINED, partyId=party)
    await leader.do("rejectMember", membershipId=request["id"])
    request = await member.do("joinParty", JOINED, partyId=party)
    await leader.do("acceptMember", membershipId=request["id"])
    await waiting.do("joinParty", partyId=party)
    await waiting.do("withdrawRequest", partyId=party)
    for person in (api.anybody, stranger, rejected, waiting):
        assert await history(person, party) == []
    assert await history(member, party) == [
        ("CREATED", "파티장"),
        ("JOIN_REQUESTED", "파티원"),
        ("JOIN_ACCEPTED", "파티장"),
    ]
    assert await history(leader, party) == [
        ("CREATED", "파티장"),
        ("JOIN_REQUESTED", "거절된 이웃"),
        ("JOIN_REJECTED", "파티장"),
        ("JOIN_REQUESTED", "파티원"),
        ("JOIN_ACCEPTED", "파티장"),
        ("JOIN_REQUESTED", "기다리는 이웃"),
        ("REQUEST_WITHDRAWN", "기다리는 이웃"),
    ]
    await member.do("leaveParty", partyId=party)
    assert await history(member, party) == []


async def test_a_place_that_is_given_back_is_taken_by_the_next(api: Api):
    leader, one, other = [await api.neighbour() for _ in range(3)]
    party = await open_party(api, leader, approval="AUTO", capacity=2)
    place = await one.do("joinParty", JOINED, partyId=party)
    assert (await other.do("joinParty", partyId=party))["code"] == "PARTY_FULL"
    left = await one.do("leaveParty", JOINED, partyId=party)
    assert (left["id"], left["status"], left["party"]["placesLeft"]) == (place["id"], "LEFT", 1)
    taken = await other.do("joinParty", JOINED, partyId=party)
    assert taken["status"] == "ACCEPTED"
    removed = await leader.do("removeMember", JOINED, membershipId=taken["id"], reason="연락이 안 돼요")
    assert (removed["status"], removed["party"]["placesLeft"]) == ("REMOVED", 1)
    assert (await other.do("joinParty", partyId=party))["code"] == "ALREADY_DECIDED"
    assert (await one.do("joinParty", JOINED, partyId=party))["status"] == "ACCEPTED"


async def test_null_empties_note_and_price_and_leaves_everything_else(api: Api):
    leader = await api.neighbour()
    party = await open_party(api, leader, note="글", estimatedPrice=1_000)
    fields = "note estimatedPrice capacity minMembers itemUnit approval startsAt endsAt joinBy item { id }"
    query = f"query($id: ID!) {{ party(id: $id) {{ {fields} }} }}"
    before = await leader.ask(query, id=party)
    names = "marketId itemId itemCount itemUnit capacity minMembers startsAt endsAt joinBy approval quantity"
    nothing: dict[str, Any] = dict.fromkeys(names.split())
    same = await leader.do("updateParty", f"... on Party {{ {fields} }}", partyId=party, **nothing)
    assert {field: same[field] for field in before} == before
    emptied = await leader.do(
        "updateParty", f"... on Party {{ {fields} }}", partyId=party, note=None, estimatedPrice=None
    )
    assert {field: emptied[field] for field in before} == before | {"note": None, "estimatedPrice": None}


async def test_nobody_but_the_leader_ends_or_changes_a_party(api: Api):
    leader, member, rejected = [await api.neighbour() for _ in range(3)]
    party = await open_party(api, leader)
    request = await member.do("joinParty", JOINED, partyId=party)
    await leader.do("acceptMember", membershipId=request["id"])
    turned_down = await rejected.do("joinParty", JOINED, partyId=party)
    await leader.do("rejectMember", membershipId=turned_down["id"])
    before = await api.anybody.ask(SEEN, id=party)
    attempts: dict[str, dict[str, Any]] = {
        "updateParty": {"note": "내 파티"},
        "cancelParty": {},
        "completeParty": {"actualPrice": 1, "attendance": []},
    }
    for person in (await later(api, member, hours=25), await later(api, rejected)):
        for mutation, more in attempts.items():
            refused = await person.do(mutation, partyId=party, **more)
            assert refused["code"] == "NOT_PARTY_LEADER"
    assert await api.anybody.ask(SEEN, id=party) == before
