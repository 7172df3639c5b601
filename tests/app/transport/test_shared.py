import asyncio
from typing import Any

import orjson
import pytest
from graphql import OperationDefinitionNode, parse

from app.transport.answers import Answer
from app.transport.requests import GraphQLRequest
from app.transport.shared import SharedAnswers, variables_below_root
from tests.app.transport.news import Reader, answers_of, make_news, read, read_unshared
from tests.app.transport.toy import eventually

FRAGMENTS = """
    subscription S($room: String!, $with: Boolean = true, $count: Int! = 2) {
        ...Root
    }
    fragment Root on Subscription { all: news(room: $room) { ...Item ... on News { n: number } } }
    fragment Item on News { __typename older(count: $count) { number text @include(if: $with) } }
"""

DOCUMENTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "plain": ("subscription { news { number text } }", [{}]),
    "fragments": (FRAGMENTS, [{"room": "a"}, {"room": "b"}, {"room": "a", "with": False}]),
    "aliases": ("subscription { one: news { a: text b: text c: number } }", [{}]),
    "typename of the root": (
        "subscription { news { __typename by { __typename ... on Named { name } } } }",
        [{}],
    ),
    "include": (
        "subscription ($with: Boolean!, $without: Boolean = false) { news { number @skip(if: $without) "
        "text @include(if: $with) ... @include(if: $with) { again: text } } }",
        [{"with": True}, {"with": False}, {"with": True, "without": True}],
    ),
    "unions": (
        "subscription ($mark: String!) { news { by { ... on Author { greeting(mark: $mark) } "
        "... on Robot { version } ... on Named { name } } } }",
        [{"mark": "?"}, {"mark": "."}],
    ),
    "who asks": ("subscription { news { number by { ... on Author { isMe } name: __typename } } }", [{}]),
    "errors": ("subscription { news { number onOdd older(count: 2) { onOdd number } } }", [{}]),
    "null to the root": ("subscription { news { number mustBeEven } }", [{}]),
    "null in a list": ("subscription ($n: Int!) { news { older(count: $n) { mustBeEven } } }", [{"n": 3}]),
    "later": ("subscription { news { later number older(count: 1) { later text } } }", [{}]),
    "private events": ('subscription { news(room: "private") { number text } }', [{}]),
    "a source that fails": ("subscription { broken { number } }", [{}]),
    "unknown": ("subscription { nothing }", [{}]),
    "no value": ("subscription ($room: String!) { news(room: $room) { number } }", [{}]),
}
REFUSED = {"unknown", "no value"}


@pytest.mark.parametrize("name", list(DOCUMENTS))
async def test_shared_answers_are_what_everybody_would_have_got_alone(name: str):
    query, values = DOCUMENTS[name]
    shared, alone = make_news(), make_news()
    readers = [Reader(name=name, audience=language) for language in ("ko", "en") for name in ("Ann", "Bob")]
    asked = [(GraphQLRequest(query, variables), reader) for variables in values for reader in readers] * 3
    expected = [await read_unshared(alone, request, reader) for request, reader in asked]
    one_by_one = [await read(shared, request, reader) for request, reader in asked]
    shared = make_news()
    at_once = await asyncio.gather(*(read(shared, request, reader) for request, reader in asked))
    if name not in REFUSED:  # by strawberry without a code
        assert one_by_one == expected
    assert at_once == one_by_one
    assert all(b'"data"' in answers[0] for answers in one_by_one) == (name not in REFUSED)


async def test_an_event_is_executed_once_for_all_who_ask_the_same():
    schema, seen = make_news(), list[str]()
    request = GraphQLRequest("subscription { news { number text later } }")
    await asyncio.gather(*(read(schema, request, Reader(name=str(n), seen=seen)) for n in range(50)))
    assert sorted(seen) == [f"{what} {number}" for what in ("later", "text") for number in (1, 2, 3)]


async def test_arguments_that_choose_the_events_do_not_part_those_who_get_the_same_ones():
    schema, seen = make_news(), list[str]()
    query = "subscription ($first: Int!, $room: String!) { news(first: $first, room: $room) { text } }"
    for first in (1, 2, 3):
        request = GraphQLRequest(query, {"first": first, "room": "a"})
        assert len(await read(schema, request, Reader(seen=seen))) == 4 - first
    assert seen == ["text 1", "text 2", "text 3"]
    await read(schema, GraphQLRequest(query, {"first": 3, "room": "b"}), Reader(seen=seen))
    assert seen[3:] == ["text 3"]


async def test_what_looks_at_who_asks_is_for_him_alone_and_not_tried_again():
    answers = SharedAnswers()
    schema, seen = make_news(answers), list[str]()
    request = GraphQLRequest("subscription { news { text by { ... on Author { isMe } } } }")
    mine = await read(schema, request, Reader(name="Ann", seen=seen))
    yours = await read(schema, request, Reader(name="Bob", seen=seen))
    assert [orjson.loads(answer)["data"]["news"]["by"].get("isMe") for answer in mine] == [True, None, True]
    assert [orjson.loads(answer)["data"]["news"]["by"].get("isMe") for answer in yours] == [
        False,
        None,
        False,
    ]
    assert len(seen) == 6
    assert len(answers) == 0


async def test_every_event_has_a_context_of_its_own():
    reader = Reader()
    request = GraphQLRequest('subscription { news(room: "private") { contextNumber } }')
    numbers = [
        orjson.loads(answer)["data"]["news"]["contextNumber"]
        for answer in await read(make_news(), request, reader)
    ]
    assert len({reader.number, *numbers}) == 4


@pytest.mark.parametrize("room", ["a", "private"])
async def test_every_answer_tells_where_to_go_on(room: str):
    schema = make_news()
    request = GraphQLRequest("subscription ($room: String!) { news(room: $room) { number } }", {"room": room})
    for _ in range(2):
        answers = await answers_of(schema, request, Reader())
        assert [answer.resume_point for answer in answers] == [1, 2, 3]


async def test_when_the_first_is_cancelled_the_others_execute():
    schema, seen, gate = make_news(), list[str](), asyncio.Event()
    request = GraphQLRequest("subscription { news { later } }")
    first = asyncio.create_task(read(schema, request, Reader(seen=seen, gate=gate)))
    await eventually(lambda: seen == ["later 1"])
    others = [asyncio.create_task(read(schema, request, Reader(seen=seen, gate=gate))) for _ in range(3)]
    await asyncio.sleep(0)
    assert seen == ["later 1"]
    first.cancel()
    await asyncio.wait([first])
    await eventually(lambda: len(seen) > 1)
    gate.set()
    assert [len(answers) for answers in await asyncio.gather(*others)] == [3, 3, 3]


async def test_nobody_waits_for_another_for_ever():
    schema, seen = make_news(SharedAnswers(wait_s=0.05)), list[str]()
    request = GraphQLRequest("subscription { news { later } }")
    stuck = asyncio.create_task(read(schema, request, Reader(seen=seen, gate=asyncio.Event())))
    await eventually(lambda: seen == ["later 1"])
    async with asyncio.timeout(5):
        assert len(await read(schema, request, Reader(seen=seen))) == 3
    stuck.cancel()
    await asyncio.wait([stuck])


async def put(answers: SharedAnswers, event: int, size: int) -> None:
    async def execute() -> Answer:
        return Answer(None, [], None, was_executed=True, payload=b"x" * size)

    await answers.get(answers.question("same"), event, execute)


async def test_what_is_kept_is_bounded_in_number_and_in_bytes():
    few, small = SharedAnswers(max_answers=10), SharedAnswers(max_bytes=1000)
    question = few.question("same"), small.question("same")
    for event in range(100):
        await put(few, event, 100)
        await put(small, event, 100)
    assert len(few) == len(small) == 10
    assert few.find(question[0], 99) is not None
    assert few.find(question[0], 89) is None
    await put(small, 100, 2000)
    assert len(small) == 0, "an answer over the bound pushes out all, itself last"


async def test_an_answer_of_yesterday_is_not_given_again():
    answers = SharedAnswers(useless_after_s=0.0)
    question = answers.question("same")
    await put(answers, 1, 100)
    assert answers.find(question, 1) is None


async def test_a_question_is_forgotten_with_the_last_who_asks_it():
    answers = SharedAnswers()
    question = answers.question("same")
    question.personal_until = 1.0
    assert answers.question("same") is question
    assert answers.question("other") is not question
    del question
    assert answers.question("same").personal_until == 0.0


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("subscription ($a: Int) { news(first: $a) { number } }", ""),
        ("subscription ($a: Int) { news(first: $a) { older(count: $a) { number } } }", "a"),
        ("subscription ($a: Int, $b: Boolean!) { news(first: $a) @include(if: $b) { number } }", "b"),
        ("subscription ($a: Boolean!) { ... @include(if: $a) { news { number } } }", "a"),
        ("subscription ($a: Int) @x(if: $a) { news { number } }", "a"),
        ("subscription ($a: Int) { ...F } fragment F on Subscription { news(first: $a) { number } }", ""),
        (
            "subscription ($a: Int, $b: Int) { ...F } fragment F on Subscription "
            "{ news(first: $a) { ...G ...G } } fragment G on News { older(count: $b) { number } }",
            "b",
        ),
        ("subscription ($a: Int) { news { older(count: {x: [{y: $a}]}) { number } } }", "a"),
        ("subscription ($a: Int) { news { ...F @x(if: $a) } } fragment F on News { number }", "a"),
        ("subscription ($unused: Int) { news { number } }", ""),
    ],
)
def test_an_answer_depends_on_variables_below_the_root_and_in_directives(query: str, names: str):
    document = parse(query)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert variables_below_root(document, operation) == frozenset(names)
