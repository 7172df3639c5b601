"""What a program does wrong is coded, told what to do, and never shows the inside of the server."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from resolvers.pages import cursor_of
from schema import ids
from tests.api import Api, document, graphql_schema
from tests.factories import make_item, make_market, make_party, make_user

# Fixed, as it is in the names of tests, which have to be the same in every worker.
NOTHING = UUID("01900000-0000-7000-8000-000000000000")
ITEM = ids.encode("Item", NOTHING)
PARTY = ids.encode("Party", NOTHING)
NEAR = "near: {latitude: 37.5, longitude: 127}"
COUNT, ALL = "{ totalCount }", "{ totalCount edges { cursor } }"
BAD = "BAD_USER_INPUT"
INVALID = "GRAPHQL_VALIDATION_FAILED"

FAULTS = [
    (f'{{ party(id: "{ITEM}") {{ id }} }}', BAD, "id of a Item, not of a Party"),
    ('{ party(id: "garbage") { id } }', BAD, "not an id"),
    ('{ party(id: "") { id } }', BAD, "not an id"),
    ('{ node(id: "UGFydHk6MQ") { id } }', BAD, "not an id"),
    ('{ node(id: "공구") { id } }', BAD, "not an id"),
    ("{ items(first: 0) { edges { cursor } } }", BAD, "1 to 100"),
    ("{ items(first: -1) { edges { cursor } } }", BAD, "1 to 100"),
    ("{ items(first: 101) { edges { cursor } } }", BAD, "1 to 100"),
    ("{ markets(first: 0) { edges { cursor } } }", BAD, "1 to 100"),
    (f"{{ nearbyParties({NEAR}, first: 101) {{ edges {{ cursor }} }} }}", BAD, "1 to 100"),
    (f"{{ nearbyParties({NEAR}, withinMeters: 0) {{ edges {{ cursor }} }} }}", BAD, "1 to 50000"),
    (f"{{ nearbyParties({NEAR}, withinMeters: -5) {{ edges {{ cursor }} }} }}", BAD, "1 to 50000"),
    (f"{{ nearbyParties({NEAR}, withinMeters: 50001) {{ edges {{ cursor }} }} }}", BAD, "1 to 50000"),
    (f"{{ markets({NEAR}, withinMeters: 0) {{ edges {{ cursor }} }} }}", BAD, "1 to 50000"),
    ("{ nearbyParties { edges { cursor } } }", BAD, "Give `near`, or sign in"),
    ("{ nearbyParties(near: {latitude: 91, longitude: 0}) { edges { cursor } } }", BAD, "-90 to 90"),
    ("{ markets(near: {latitude: 0, longitude: 181}) { edges { cursor } } }", BAD, "-180 to 180"),
    ('{ items(after: "garbage") { edges { cursor } } }', BAD, "cursor"),
    ('{ items(after: "") { edges { cursor } } }', BAD, "cursor"),
    (f'{{ items(after: "{cursor_of(("쌀", 5))}") {{ edges {{ cursor }} }} }}', BAD, "cursor"),
    (f'{{ items(after: "{cursor_of((chr(0), NOTHING))}") {{ edges {{ cursor }} }} }}', BAD, "cursor"),
    (f'{{ markets(after: "{cursor_of(("쌀", NOTHING))}") {{ edges {{ cursor }} }} }}', BAD, "cursor"),
    (f'{{ nearbyParties({NEAR}, after: "W10=") {{ edges {{ cursor }} }} }}', BAD, "cursor"),
    (
        f'{{ nearbyParties({NEAR}, filter: {{itemIds: ["{PARTY}"]}}) {{ edges {{ cursor }} }} }}',
        BAD,
        "id of a Party, not of a Item",
    ),
    (
        f'{{ nearbyParties({NEAR}, filter: {{startsAfter: "2026-12-01T10:00"}}) {{ edges {{ cursor }} }} }}',
        INVALID,
        "with its offset",
    ),
    ("{ nothing }", INVALID, "nothing"),
    ("{", "GRAPHQL_PARSE_FAILED", "Syntax Error"),
]


@pytest.mark.parametrize(("query", "code", "message"), FAULTS, ids=[query for query, _, _ in FAULTS])
async def test_a_fault_is_coded_and_says_what_to_do(shared_api: Api, query: str, code: str, message: str):
    error = await shared_api.anybody.fails(query)
    assert error["code"] == code
    assert message in error["message"]


@pytest.mark.parametrize(
    "moment",
    [
        "2026-12-01T10:00:00",
        "2026-12-01",
        "tomorrow",
        "",
        1,
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:00:00-10:00",
        "2026-13-01T00:00:00Z",
    ],
)
async def test_a_time_without_an_offset_or_outside_the_calendar_is_malformed(shared_api: Api, moment: object):
    query = (
        f"query($at: DateTime!) {{ nearbyParties({NEAR}, filter: {{startsAfter: $at}}) {{ totalCount }} }}"
    )
    error = await shared_api.anybody.fails(query, at=moment)
    assert error["code"] == BAD
    assert "ISO 8601 with its offset" in error["message"]


@pytest.mark.parametrize(
    "moment", ["2026-12-01T10:00:00Z", "2026-12-01T19:00:00+09:00", "0001-01-01T00:00:00Z"]
)
async def test_a_time_with_an_offset_is_understood(shared_api: Api, moment: str):
    query = (
        f"query($at: DateTime!) {{ nearbyParties({NEAR}, filter: {{startsBefore: $at}}) {{ totalCount }} }}"
    )
    assert await shared_api.anybody.ask(query, at=moment) == {"totalCount": 0}


async def test_a_hundred_ids_are_enough(shared_api: Api):
    query = f"query($ids: [ID!]) {{ nearbyParties({NEAR}, filter: {{itemIds: $ids}}) {{ totalCount }} }}"
    assert await shared_api.anybody.ask(query, ids=[ITEM] * 100) == {"totalCount": 0}
    assert (await shared_api.anybody.fails(query, ids=[ITEM] * 101))["code"] == BAD


async def test_an_id_of_a_kind_that_is_no_node_is_nothing(shared_api: Api):
    for id in (ids.encode("Session", NOTHING), ITEM, PARTY):
        assert await shared_api.anybody.ask("query($id: ID!) { node(id: $id) { id } }", id=id) is None
    assert await shared_api.anybody.ask("query($id: ID!) { party(id: $id) { id } }", id=PARTY) is None


SIGNED_IN: dict[str, dict[str, Any]] = {
    "signOut": {},
    "bookmarkItem": {"itemId": ITEM},
    "unbookmarkItem": {"itemId": ITEM},
    "bookmarkMarket": {"marketId": ids.encode("Market", NOTHING)},
    "unbookmarkMarket": {"marketId": ids.encode("Market", NOTHING)},
    "createParty": {
        "marketId": ids.encode("Market", NOTHING),
        "itemId": ITEM,
        "itemCount": 10,
        "itemUnit": "개",
        "capacity": 2,
        "startsAt": "2026-11-22T10:00:00+09:00",
        "endsAt": "2026-11-22T11:00:00+09:00",
        "note": "같이 사요",
    },
    "changePassword": {"currentPassword": "long enough", "newPassword": "long enough"},
    "updateProfile": {
        "nickname": "새이웃",
        "address": "서울 마포구",
        "point": {"latitude": 37.5, "longitude": 127},
    },
    "withdraw": {"password": "long enough"},
    "updateParty": {
        "partyId": PARTY,
        "marketId": ids.encode("Market", NOTHING),
        "itemId": ITEM,
        "itemCount": 10,
        "itemUnit": "개",
        "capacity": 2,
        "startsAt": "2026-11-22T10:00:00+09:00",
        "note": "같이 사요",
        "quantity": 1,
    },
    "cancelParty": {"partyId": PARTY},
    "completeParty": {"partyId": PARTY, "actualPrice": 10_000, "attendance": []},
    "joinParty": {"partyId": PARTY, "quantity": 1},
    "withdrawRequest": {"partyId": PARTY},
    "leaveParty": {"partyId": PARTY},
    "removeMember": {"membershipId": ids.encode("Membership", NOTHING), "reason": "늦었어요"},
    "acceptMember": {"membershipId": ids.encode("Membership", NOTHING)},
    "rejectMember": {"membershipId": ids.encode("Membership", NOTHING), "reason": "다음에"},
    "openChat": {"partyId": PARTY},
    "closeChat": {"partyId": PARTY},
    "sendChatMessage": {"partyId": PARTY, "text": "안녕하세요", "clientKey": "1"},
    "markChatRead": {"partyId": PARTY, "number": 1},
    "setTyping": {"partyId": PARTY, "isTyping": True},
    "markNotificationsRead": {"upToNumber": 1},
    "deleteNotification": {"notificationId": ids.encode("Notification", NOTHING)},
    "setNotificationPreference": {"kind": "PARTY_FULL", "inApp": True, "sms": False},
    "correctAttendance": {"partyId": PARTY, "attendance": []},
    "penalize": {"partyId": PARTY, "userId": ids.encode("User", NOTHING), "reason": "안 왔어요"},
    "revokePenalty": {"penaltyId": ids.encode("Penalty", NOTHING), "reason": "착오예요"},
    "objectToPenalty": {"penaltyId": ids.encode("Penalty", NOTHING), "text": "갔는데요"},
    "decideObjection": {
        "objectionId": ids.encode("Objection", NOTHING),
        "decision": "UPHELD",
        "reason": "안 왔대요",
    },
}
"""Mutations that need a viewer, each with an input that is well-formed."""

OPEN: dict[str, dict[str, Any]] = {
    "signUp": {
        "email": "new@example.com",
        "password": "long enough",
        "nickname": "새이웃",
        "address": "서울 마포구",
        "point": None,
    },
    "signIn": {"email": "new@example.com", "password": "long enough"},
    "refreshTokens": {"refreshToken": "token"},
}


@pytest.mark.parametrize("mutation", SIGNED_IN)
async def test_what_needs_a_viewer_refuses_strangers_bad_tokens_and_ended_sessions(
    shared_api: Api, mutation: str
):
    leaver = await shared_api.neighbour()
    await leaver.do("signOut")
    for person in (shared_api.anybody, shared_api.anybody.with_token("bad"), leaver):
        error = await person.fails(document(mutation), input=SIGNED_IN[mutation])
        assert error["code"] == "UNAUTHENTICATED"
        assert "ign in" in error["message"]


def test_every_mutation_is_either_open_or_for_viewers():
    mutations = graphql_schema().mutation_type
    assert mutations is not None
    assert mutations.fields.keys() == OPEN.keys() | SIGNED_IN.keys()


HOSTILE: list[Any] = ["\x00", "a\x00b", "", " ", "%", "'", "x" * 3000, "\u202e", "😀", "{0}", "ﷺ" * 30]
EXTREME: list[Any] = [0, -1, 2**31 - 1, -(2**31)]


@pytest.mark.parametrize("mutation", [*OPEN, *SIGNED_IN])
async def test_no_text_and_no_number_in_an_input_breaks_the_server(shared_api: Api, mutation: str):
    person = await shared_api.neighbour()
    good = {**OPEN, **SIGNED_IN}[mutation]
    for name, value in good.items():
        for odd in EXTREME if isinstance(value, int) else HOSTILE if isinstance(value, str) else []:
            answer = await person.send(document(mutation), input=good | {name: odd})
            codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
            assert "INTERNAL_SERVER_ERROR" not in codes, (name, odd, answer)


QUERIES = [
    "query($odd: String) { items(search: $odd) { edges { cursor } } }",
    "query($odd: String) { items(category: $odd) { edges { cursor } } }",
    "query($odd: String) { items(after: $odd) { edges { cursor } } }",
    "query($odd: String) { markets(search: $odd) { edges { cursor } } }",
    f"query($odd: String) {{ markets(search: $odd, {NEAR}) {{ edges {{ cursor }} }} }}",
    f"query($odd: String) {{ nearbyParties({NEAR}, filter: {{search: $odd}}) {ALL} }}",
    f"query($odd: String) {{ nearbyParties({NEAR}, filter: {{category: $odd}}) {ALL} }}",
    f"query($odd: String) {{ nearbyParties({NEAR}, after: $odd) {{ edges {{ cursor }} }} }}",
    "query($odd: ID!) { node(id: $odd) { id } }",
    "query($odd: ID!) { party(id: $odd) { id } }",
]


@pytest.mark.parametrize("query", QUERIES)
async def test_no_text_in_a_query_breaks_the_server(shared_api: Api, query: str):
    for odd in HOSTILE:
        answer = await shared_api.anybody.send(query, odd=odd)
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert codes in ([], [BAD]), (odd, answer)


@pytest.mark.parametrize("odd", EXTREME)
async def test_no_number_in_a_query_breaks_the_server(shared_api: Api, odd: int):
    query = f"query($n: Int) {{ nearbyParties({NEAR}, filter: {{minPlacesLeft: $n}}) {ALL} }}"
    assert await shared_api.anybody.ask(query, n=odd)


async def test_an_error_of_the_server_is_masked(api: Api):
    async with api.parts.transactions.write() as tx:
        await make_item(tx)
        await tx.session.execute(text("ALTER TABLE item_bookmarks RENAME TO hidden"))
    person = await api.neighbour()
    answer = await person.send("{ items { edges { node { name isBookmarked } } } }")
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}
    assert error["path"][:2] == ["items", "edges"]
    assert "item_bookmarks" not in json.dumps(answer)
    assert "SELECT" not in json.dumps(answer)


def statements_of(api: Api) -> list[str]:
    """What operations ask the database from now on; grows by itself."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        # What the server does all the time has tasks with names.
        task = asyncio.current_task()
        if task is not None and task.get_name().startswith("Task-"):
            statements.append(statement)

    event.listen(api.parts.engine.sync_engine, "before_cursor_execute", note)
    return statements


async def test_twenty_items_are_looked_up_among_the_bookmarks_by_one_statement(api: Api):
    person = await api.neighbour()
    async with api.parts.transactions.write() as tx:
        made = [await make_item(tx) for _ in range(20)]
    await person.do("bookmarkItem", itemId=ids.encode("Item", made[7].id))
    statements = statements_of(api)
    items = await person.ask("{ items(first: 20) { edges { node { isBookmarked } } } }")
    marks = [edge["node"]["isBookmarked"] for edge in items["edges"]]
    assert (len(marks), marks.count(True)) == (20, 1)
    assert len([each for each in statements if "FROM item_bookmarks" in each]) == 1
    # Who asks, the items, the bookmarks.
    assert len(statements) == 3


async def test_what_parties_show_of_their_members_takes_as_many_statements_for_twenty_as_for_one(api: Api):
    person = await api.neighbour()
    async with api.parts.transactions.write() as tx:
        market, item = await make_market(tx), await make_item(tx)
        for _ in range(20):
            await make_party(tx, await make_user(tx), market, item)
    statements = statements_of(api)
    query = (
        "query($first: Int) { nearbyParties(first: $first) { edges { node { leader { nickname }"
        " market { isBookmarked } item { isBookmarked } members { user { nickname } party { id } }"
        " viewerMembership { status } } } } }"
    )
    counts: list[int] = []
    for first in (1, 20):
        statements.clear()
        found = await person.ask(query, first=first)
        assert len(found["edges"]) == first
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 9
