"""What a stranger's document may cost: a coded refusal, found in no time, for each way to ask too much."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

import pytest
from graphql import GraphQLError, GraphQLSchema, get_introspection_query, parse, specified_rules
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from app.asgi import query_limits
from app.settings import Settings
from app.transport.documents import Documents
from schema import ids
from schema.limits import CEILING, QueryLimits, _Shapes, fragments_of, too_large  # pyright: ignore[reportPrivateUsage]
from tests.api import Api, graphql_schema

SCHEMA: GraphQLSchema = graphql_schema()
RULES = tuple(specified_rules)
NEAR = "near: {latitude: 37.5, longitude: 127}"
WITHIN_S = 0.05
"""CPU that a refusal may take, parsing and checking together."""


def words(*, of: Iterable[object]) -> str:
    return " ".join(map(str, of))


def on_party(selections: str, *fragments: str) -> str:
    return f'{{ party(id: "1") {{ {selections} }} }} {words(of=fragments)}'


def doubling(last: str, each: str = "...A{next} ...A{next}", levels: int = 60) -> str:
    """A document that stands for 2 to the power of `levels`."""
    fragments = [f"fragment A{level} on Party {{ {each.format(next=level + 1)} }}" for level in range(levels)]
    return on_party("...A0", *fragments, f"fragment A{levels} on Party {{ {last} }}")


def spreading_each_other(count: int) -> str:
    """Fragments each of which names all others: as many paths through them as there are orders."""
    names = [f"A{number}" for number in range(count)]
    fragments = [
        f"fragment {name} on Party {{ id {words(of=(f'...{other}' for other in names if other != name))} }}"
        for name in names
    ]
    return on_party("...A0", *fragments)


def side_by_side(count: int) -> str:
    spreads = words(of=(f"...A{number}" for number in range(count)))
    return on_party(spreads, *(f"fragment A{number} on Party {{ id }}" for number in range(count)))


def in_fragments(count: int) -> str:
    """One fragment within the other, in a chain."""
    fragments = [f"fragment A{number} on Query {{ ...A{number + 1} }}" for number in range(count)]
    return words(of=["{ ...A0 }", *fragments, f"fragment A{count} on Query {{ serverTime }}"])


def under_each_other(levels: int) -> str:
    return f'{{ party(id: "1") {"{ viewerMembership { party " * levels} {{ id }} {"} }" * levels} }}'


MEMBERS = "members { party { " * 3 + "id" + " } }" * 3
OF_TYPES = (
    "types { fields { type { fields { name type { name kind ofType { name kind ofType { name } } } } } } }"
)

TOO_MUCH = {
    "exponential fragments": ("TOO_MANY_FIELDS", doubling("id")),
    "exponential fragments without a field": ("GRAPHQL_VALIDATION_FAILED", doubling("...A60")),
    "exponential fragments, and deep": (
        "TOO_DEEP",
        doubling(
            "id",
            "a: viewerMembership {{ party {{ ...A{next} }} }} b: leader {{ ... on Node {{ ...A{next} }} }}",
        ),
    ),
    "exponential aliases": (
        "TOO_MANY_ALIASES",
        doubling("id", "a: id ...A{next} b: id ...A{next}", levels=7),
    ),
    "fragments that spread each other": ("GRAPHQL_VALIDATION_FAILED", spreading_each_other(14)),
    "a chain of fragments": ("TOO_MANY_REPEATS", in_fragments(200)),
    "hundreds of aliases": ("TOO_MANY_ALIASES", on_party(words(of=(f"a{n}: id" for n in range(650))))),
    "5,000 aliases": ("TOO_MANY_TOKENS", on_party(words(of=(f"a{n}: id" for n in range(5_000))))),
    "depth": ("TOO_DEEP", under_each_other(8)),
    "more depth than a parser has": ("TOO_DEEP", under_each_other(200)),
    "depth without fields": ("TOO_DEEP", "{ " + "... { " * 300 + "serverTime" + " }" * 301),
    "deep values": ("TOO_DEEP", f"{{ items(first: {'[' * 300}{']' * 300}) {{ edges {{ cursor }} }} }}"),
    "directives": ("TOO_MANY_DIRECTIVES", on_party("id @skip(if: true) " * 100)),
    "directives on one field": ("TOO_MANY_DIRECTIVES", on_party("id " + "@skip(if: true) " * 200)),
    "directives on a variable": (
        "TOO_MANY_DIRECTIVES",
        f"query ($n: Int {'@skip(if: true) ' * 200}) {{ items(first: $n) {{ edges {{ cursor }} }} }}",
    ),
    "directives on a fragment": (
        "TOO_MANY_DIRECTIVES",
        f"{{ ...A }} fragment A on Query {'@skip(if: true) ' * 200} {{ serverTime }}",
    ),
    "root fields": ("TOO_MANY_ROOT_FIELDS", f"{{ {'serverTime ' * 31} }}"),
    "root fields in a fragment": (
        "TOO_MANY_ROOT_FIELDS",
        f"{{ ...A }} fragment A on Query {{ {'serverTime ' * 31} }}",
    ),
    "operations": ("TOO_MANY_OPERATIONS", words(of=(f"query A{n} {{ serverTime }}" for n in range(6)))),
    "tokens": ("TOO_MANY_TOKENS", f"{{ {'serverTime ' * 2_000} }}"),
    "characters": ("DOCUMENT_TOO_LONG", "{ serverTime } #" + "x" * 100_000),
    "one field again and again": ("TOO_MANY_REPEATS", on_party("id " * 1_900)),
    "one field again and again, far below": (
        "TOO_MANY_REPEATS",
        on_party("leader { ... on User { " + "id " * 100 + "} }"),
    ),
    "one field in many places that are one": ("TOO_MANY_REPEATS", on_party("leader { id nickname } " * 80)),
    "one field again and again in a fragment that nobody names": (
        "TOO_MANY_REPEATS",
        f"{{ serverTime }} fragment A on Party {{ {'id ' * 1_900} }}",
    ),
    "fragments side by side": ("TOO_MANY_REPEATS", side_by_side(200)),
    "names that are nearly right": (
        "GRAPHQL_VALIDATION_FAILED",
        on_party(words(of=(f"... on UnbookmarkMarketResultInput{n} {{ id }}" for n in range(70)))),
    ),
    "an integer of 5,000 digits": (
        "GRAPHQL_VALIDATION_FAILED",
        f"{{ items(first: {'9' * 5_000}) {{ edges {{ cursor }} }} }}",
    ),
    "introspection within introspection": (
        "GRAPHQL_VALIDATION_FAILED",
        "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
    ),
    "introspection again and again": (
        "TOO_EXPENSIVE",
        f"{{ __schema {{ {words(of=(f'a{n}: {OF_TYPES}' for n in range(29)))} }} }}",
    ),
    "lists within lists": (
        "TOO_EXPENSIVE",
        f"{{ nearbyParties({NEAR}, first: 100) {{ edges {{ node {{ {MEMBERS} }} }} }} }}",
    ),
    "lists within lists by the page's default": (
        "TOO_EXPENSIVE",
        f"{{ nearbyParties({NEAR}) {{ edges {{ node {{ {MEMBERS} }} }} }} }}",
    ),
    "a huge page": ("TOO_EXPENSIVE", "{ items(first: 1000000000) { edges { cursor } } }"),
    "a negative page that pays for others": (
        "TOO_EXPENSIVE",
        "{ items(first: -1000000000) { edges { cursor } }"
        f" nearbyParties({NEAR}, first: 100) {{ edges {{ node {{ {MEMBERS} }} }} }} }}",
    ),
    "a page by a variable's default": (
        "TOO_EXPENSIVE",
        "query ($n: Int = 1000000) { items(first: $n) { edges { cursor } } }",
    ),
}


def check(text: str, variables: Mapping[str, Any] | None = None, limits: QueryLimits | None = None) -> Any:
    """What an empty cache of documents makes of it: the cost of its operation, or the code of the refusal."""
    documents = Documents(limits=limits)
    try:
        document = documents.parse(text)
    except GraphQLError as refusal:
        return (refusal.extensions or {})["code"]
    if errors := documents.validate(text, document, SCHEMA, RULES):
        return (errors[0].extensions or {})["code"]
    cost = documents.cost(document, SCHEMA, None, variables or {})
    return "TOO_EXPENSIVE" if cost > documents.limits.max_cost else cost


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_asks_too_much_is_refused_by_a_code_within_50_ms_of_cpu(name: str):
    code, text = TOO_MUCH[name]
    fastest = float("inf")
    for _ in range(4):
        began = time.process_time()
        assert check(text) == code
        fastest = min(fastest, time.process_time() - began)
    assert fastest <= WITHIN_S


def request(text: str) -> dict[str, str]:
    """Of several operations the first one is asked for."""
    return {"query": text} | ({"operationName": "A0"} if text.startswith("query A0") else {})


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_what_asks_too_much_is_refused_over_http(shared_api: Api, name: str):
    code, text = TOO_MUCH[name]
    response = await shared_api.http.post("/graphql", json=request(text))
    answer = response.json()
    assert answer["errors"][0]["extensions"]["code"] == code
    assert "data" not in answer


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_what_asks_too_much_is_refused_over_a_websocket_that_stays_open(shared_api: Api, name: str):
    code, text = TOO_MUCH[name]
    url = str(shared_api.http.base_url.join("/graphql")).replace("http", "ws", 1)
    protocol = Subprotocol("graphql-transport-ws")
    async with connect(url, subprotocols=[protocol], compression=None) as socket:
        await socket.send('{"type": "connection_init"}')
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        for id, query in (("1", text), ("2", "{ serverTime }")):
            await socket.send(json.dumps({"type": "subscribe", "id": id, "payload": request(query)}))
        refused = json.loads(await socket.recv())
        assert (refused["id"], refused["type"]) == ("1", "error")
        assert refused["payload"][0]["extensions"]["code"] == code
        assert json.loads(await socket.recv())["payload"]["extensions"] == {"cost": 1}


ENOUGH = [
    (1, "{ serverTime }"),
    (1, "{ __typename }"),
    # The connection, its edges, and two fields in each of them.
    (2 + 20 * 2, "{ items { edges { cursor __typename } } }"),
    (2 + 7 * 1, "{ items(first: 7) { edges { cursor } } }"),
    (2 + 20 * 1, "{ items(first: null) { edges { cursor } } }"),
    (2 + 20 * 1, "query ($n: Int) { items(first: $n) { edges { cursor } } }"),
    (2 + 3 * 1, "query ($n: Int = 3) { items(first: $n) { edges { cursor } } }"),
    (2, "{ items(first: 0) { edges { cursor } } }"),
    (2, "{ items(first: -5) { edges { cursor } } }"),
    # A list that has no argument for its length has ten rows; what is beside the rows is paid once.
    (1 + 1 + 10 * 2 + 1, on_party("members { id status } id")),
    (
        3 + 7 * (2 + 10 * 1),
        f"{{ nearbyParties({NEAR}, first: 7) {{ totalCount edges {{ node {{ members {{ id }} }} }} }} }}",
    ),
    # Of a chat's history what is asked for; of both, the larger one.
    (4 + 7 * 1, on_party("chat { messages(last: 7) { edges { cursor } } }")),
    (4 + 7 * 1, on_party("chat { messages(first: 7) { edges { cursor } } }")),
    (4 + 90 * 1, on_party("chat { messages(first: 90, last: 1) { edges { cursor } } }")),
    (4 + 90 * 1, on_party("chat { messages(first: null, last: 90) { edges { cursor } } }")),
    # By way of fragments it costs the same.
    (
        2 + 7 * 1,
        "{ ...A } fragment A on Query { items(first: 7) { ... { edges { ...B } } } }"
        " fragment B on ItemEdge { cursor }",
    ),
]


@pytest.mark.parametrize(("cost", "text"), ENOUGH, ids=[text for _, text in ENOUGH])
def test_a_field_costs_one_and_a_list_its_rows(cost: int, text: str):
    assert check(text) == cost


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        (50, 50),
        (100.0, 100),
        (0, 0),
        (-7, 0),
        (None, 20),
        ("100", 20),
        ([3], 20),
        (True, 1),
        (2**31, CEILING),
    ],
)
def test_a_variable_says_how_many_rows_there_are(given: object, rows: int):
    text = "query ($n: Int) { items(first: $n) { edges { cursor } } }"
    roomy = QueryLimits(max_cost=CEILING)
    assert check(text, {"n": given}, roomy) == min(CEILING, 2 + rows)


@pytest.mark.parametrize("first", [0, -1, 101, 2**31, 10**30, -(10**30), "10", 1.5, [1], True])
async def test_a_page_of_the_wrong_size_is_refused_by_a_code(shared_api: Api, first: object):
    text = "query ($n: Int) { items(first: $n) { edges { cursor } } }"
    answer = await shared_api.anybody.send(text, n=first)
    assert answer["errors"][0]["extensions"]["code"] in ("BAD_USER_INPUT", "TOO_EXPENSIVE", "BAD_REQUEST")


def test_what_costs_just_as_much_as_is_allowed_passes():
    text, cost = "{ items(first: 100) { edges { cursor } } }", 102
    assert check(text, limits=QueryLimits(max_cost=cost)) == cost
    assert check(text, limits=QueryLimits(max_cost=cost - 1)) == "TOO_EXPENSIVE"


AT_THE_LIMIT = [
    ("max_operations", "query A { serverTime } query B { serverTime }", 2),
    ("max_depth", under_each_other(1), 4),
    ("max_aliases", "{ a: serverTime b: serverTime }", 2),
    ("max_directives", "{ serverTime @skip(if: true) @include(if: true) }", 2),
    ("max_root_fields", "{ serverTime ... { itemCategories } }", 2),
    ("max_fields", on_party("...A ...A", "fragment A on Party { id }"), 5),
    ("max_repeats", "{ serverTime serverTime serverTime }", 3),
]


@pytest.mark.parametrize(("limit", "text", "most"), AT_THE_LIMIT, ids=[limit for limit, _, _ in AT_THE_LIMIT])
def test_each_limit_lets_just_as_much_pass_as_it_says(limit: str, text: str, most: int):
    document = parse(text)
    assert too_large(document, replace(QueryLimits(), **{limit: most})) == []
    (refusal,) = too_large(document, replace(QueryLimits(), **{limit: most - 1}))
    assert refusal.extensions is not None
    assert refusal.extensions["limit"] == most - 1
    assert refusal.message.endswith("Ask for less, or in several requests.")


def test_each_limit_is_a_setting_with_the_same_default():
    limits = [limit for limit in fields(QueryLimits) if limit.name.startswith("max_")]
    assert len(limits) == len(AT_THE_LIMIT) + 1
    for limit in limits:
        assert Settings.model_fields[limit.name].default == limit.default
    documents = Documents()
    assert Settings.model_fields["max_characters"].default == documents.max_length
    assert Settings.model_fields["max_tokens"].default == documents.max_tokens


def test_a_setting_changes_its_limit():
    ones = dict.fromkeys(["max_cost", *(limit for limit, _, _ in AT_THE_LIMIT)], 1)
    assert query_limits(Settings().model_copy(update=ones)) == replace(QueryLimits(), **ones)


async def test_the_price_of_an_operation_goes_out_with_its_answer(shared_api: Api):
    person = shared_api.anybody
    answer = await person.send("query ($n: Int) { items(first: $n) { edges { cursor } } }", n=9)
    assert answer["extensions"] == {"cost": 11}
    party = ids.encode("Party", UUID(int=0))
    query = "query ($id: ID!) { party(id: $id) { chat { messages { edges { cursor } } } } }"
    answer = await person.send(query, id=party)
    assert answer == {"data": {"party": None}, "extensions": {"cost": 4 + 50}}
    refused = await person.send(TOO_MUCH["lists within lists"][1])
    (error,) = refused["errors"]
    assert (
        error["extensions"]["cost"] == refused["extensions"]["cost"] > error["extensions"]["limit"] == 5_000
    )


FULL_INTROSPECTION = get_introspection_query(
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
)


async def test_what_graphiql_asks_at_its_start_passes(shared_api: Api):
    answer = await shared_api.anybody.send(FULL_INTROSPECTION)
    assert "errors" not in answer
    assert answer["data"]["__schema"]["types"]
    assert check(FULL_INTROSPECTION) == answer["extensions"]["cost"] < 4_000


async def test_no_refusal_says_more_than_the_document_did(shared_api: Api):
    answer = await shared_api.anybody.send(TOO_MUCH["characters"][1])
    assert len(json.dumps(answer)) < 500


@given(st.integers(0, 99), st.integers(0, 20), st.integers(0, 20))
def test_a_larger_page_never_costs_less(first: int, more: int, rows: int):
    text = (
        f"query ($n: Int, $m: Int) {{ nearbyParties({NEAR}, first: $n)"
        " { edges { node { members { id } } } } items(first: $m) { edges { node { id name } } } }"
    )
    roomy = QueryLimits(max_cost=CEILING)
    cheap, dear = (check(text, {"n": n, "m": rows}, roomy) for n in (first, first + more))
    assert dear - cheap == more * 12


def visits(text: str) -> int:
    """How many selections are looked at to measure a document."""
    document = parse(text)
    shapes = _Shapes(fragments_of(document))
    for operation in document.definitions[:1]:
        shapes.of(getattr(operation, "selection_set", None))
    return shapes.visits


def test_measuring_takes_time_by_the_length_of_a_document_not_by_what_it_stands_for():
    assert [visits(doubling("id", levels=levels)) for levels in (10, 20, 40, 80)] == [
        2 + 2 * levels + 1 for levels in (10, 20, 40, 80)
    ]
