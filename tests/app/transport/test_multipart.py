import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.transport import TransportLimits
from tests.app.transport.test_event_streams import pieces, post, streaming
from tests.app.transport.test_http import code
from tests.app.transport.toy import Toy, ToyContext, eventually

APOLLO = (
    "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,"
    "application/graphql-response+json,application/json;q=0.9"
)
BOUNDARY = b"\r\n--graphql"
PART = b"\r\ncontent-type: application/json\r\n\r\n"


def parts(body: bytes) -> list[Any]:
    """The JSON of every part; the body is whole."""
    opening, *found, closing = body.split(BOUNDARY)
    assert (opening, closing) == (b"", b"--\r\n")
    assert all(part.startswith(PART) for part in found)
    return [json.loads(part.removeprefix(PART)) for part in found]


async def test_a_subscription_sends_its_events_in_order_and_ends(toy: Toy, http: httpx.AsyncClient):
    response = await post(http, toy, "subscription { count(to: 100) }", APOLLO)
    assert response.status_code == 200
    assert response.headers["content-type"] == 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
    assert response.headers["x-accel-buffering"] == "no"
    assert parts(response.content) == [{"payload": {"data": {"count": number}}} for number in range(1, 101)]
    assert toy.context.stopped == ["count"]


async def test_a_part_is_whole_when_it_happens(toy: Toy, http: httpx.AsyncClient):
    async with streaming(http, toy, "subscription { greet }", APOLLO) as response, asyncio.timeout(5):
        received = pieces(response, BOUNDARY)
        assert await anext(received) == b""
        assert await anext(received) == PART + b'{"payload":{"data":{"greet":"hello"}}}'
        await received.aclose()


@pytest.mark.parametrize(
    "accept",
    [
        "multipart/mixed;subscriptionSpec=1.0",
        'multipart/mixed; boundary="graphql"; subscriptionSpec="1.0", application/json',
        "Multipart/Mixed;subscriptionspec=1.0;q=0.1, application/json",
        "multipart/mixed, multipart/mixed;subscriptionSpec=1.0",
        "multipart/mixed;subscriptionSpec=1.0, text/event-stream",
        "text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0",
    ],
)
async def test_who_asks_for_the_specification_gets_it(toy: Toy, http: httpx.AsyncClient, accept: str):
    response = await post(http, toy, "subscription { count(to: 1) }", accept)
    assert parts(response.content) == [{"payload": {"data": {"count": 1}}}]


@pytest.mark.parametrize(
    ("accept", "status", "expected"),
    [
        ("multipart/mixed", 406, "NOT_ACCEPTABLE"),
        ("multipart/mixed;subscriptionSpec=2.0", 406, "NOT_ACCEPTABLE"),
        ("multipart/mixed;deferSpec=20220824, application/json", 400, "OPERATION_NOT_SUPPORTED"),
        ("multipart/*, application/json", 400, "OPERATION_NOT_SUPPORTED"),
        ("multipart/mixed;subscriptionSpec=1.0;q=0, application/json", 400, "OPERATION_NOT_SUPPORTED"),
    ],
)
async def test_other_multiparts_are_not_spoken(
    toy: Toy, http: httpx.AsyncClient, accept: str, status: int, expected: str
):
    response = await post(http, toy, "subscription { silence }", accept)
    assert (response.status_code, code(response)) == (status, expected)


async def test_only_subscriptions_come_in_parts(toy: Toy, http: httpx.AsyncClient):
    response = await post(http, toy, "{ hello }", APOLLO)
    assert response.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    response = await post(http, toy, "{ hello }", "multipart/mixed;subscriptionSpec=1.0")
    assert (response.status_code, code(response)) == (406, "NOT_ACCEPTABLE")


async def test_an_error_of_the_operation_is_a_payload_that_nobody_retries(toy: Toy, http: httpx.AsyncClient):
    for query, expected in (
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { stumble }", "INTERNAL_SERVER_ERROR"),
    ):
        last = parts((await post(http, toy, query, APOLLO)).content)[-1]
        assert last["payload"]["errors"][0]["extensions"]["code"] == expected
        assert "secret" not in str(last)


async def test_heartbeats_are_empty_objects(http: httpx.AsyncClient):
    async with (
        Toy(TransportLimits(keep_alive_s=0.05)).serve() as toy,
        streaming(http, toy, "subscription { silence }", APOLLO) as response,
        asyncio.timeout(5),
    ):
        received = pieces(response, BOUNDARY)
        assert [await anext(received) for _ in range(4)] == [b"", *[PART + b"{}"] * 3]
        await received.aclose()


async def test_the_end_of_a_token_or_a_session_is_a_fatal_error(http: httpx.AsyncClient):
    ends_soon = ToyContext(expires_at=datetime.now(UTC) + timedelta(seconds=0.3))
    is_over = ToyContext()
    is_over.over.set()
    for context in (ends_soon, is_over):
        async with Toy(context=context).serve() as toy:
            response = await post(http, toy, "subscription { silence }", APOLLO)
            (last,) = parts(response.content)
            assert last["payload"] is None
            assert last["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
            assert context.stopped == context.started


async def test_a_client_that_hangs_up_stops_its_source(toy: Toy, http: httpx.AsyncClient):
    async with streaming(http, toy, "subscription { silence }", APOLLO):
        await eventually(lambda: toy.context.started == ["silence"])
    await eventually(lambda: toy.context.stopped == ["silence"] and toy.endpoint.open_streams == 0)
