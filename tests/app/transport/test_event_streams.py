import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.transport import TransportLimits
from app.transport.event_streams import COMPLETE, KEEP_ALIVE, next_
from tests.app.transport.test_http import code
from tests.app.transport.toy import Toy, ToyContext, eventually

STREAM = "text/event-stream"
URQL_QUERY = (
    "application/graphql-response+json, application/graphql+json, application/json, "
    "text/event-stream, multipart/mixed"
)
URQL_SUBSCRIPTION = "text/event-stream, multipart/mixed"


@contextlib.asynccontextmanager
async def streaming(
    http: httpx.AsyncClient, toy: Toy, query: str, accept: str = STREAM, **headers: str
) -> AsyncGenerator[httpx.Response]:
    headers = {"accept": accept} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.stream("POST", toy.url, json={"query": query}, headers=headers) as response:
        yield response


async def post(
    http: httpx.AsyncClient, toy: Toy, query: str, accept: str = STREAM, **headers: str
) -> httpx.Response:
    """The response to a request whose stream ends by itself, or which is none."""
    async with streaming(http, toy, query, accept, **headers) as response, asyncio.timeout(5):
        await response.aread()
    return response


async def pieces(response: httpx.Response, boundary: bytes = b"\n\n") -> AsyncGenerator[bytes]:
    """What is between the boundaries, as soon as the one behind it has come."""
    buffer = b""
    async for chunk in response.aiter_raw():
        *whole, buffer = (buffer + chunk).split(boundary)
        for piece in whole:
            yield piece
    assert not buffer


def results(stream: bytes) -> list[dict[str, Any]]:
    """The data of every event; the stream is whole."""
    assert stream.endswith(COMPLETE)
    assert b"\r" not in stream
    events = stream.removeprefix(KEEP_ALIVE).removesuffix(COMPLETE).split(b"\n\n")[:-1]
    assert all(event.startswith(b"event: next\ndata: ") for event in events)
    return [json.loads(event.removeprefix(b"event: next\ndata: ")) for event in events]


async def test_a_subscription_sends_its_events_in_order_and_completes(toy: Toy, http: httpx.AsyncClient):
    response = await post(http, toy, "subscription { count(to: 1000) }")
    assert response.status_code == 200
    assert results(response.content) == [{"data": {"count": number}} for number in range(1, 1001)]
    assert toy.context.stopped == ["count"]
    assert toy.endpoint.open_streams == 0


async def test_no_proxy_may_hold_a_stream_back(toy: Toy, http: httpx.AsyncClient):
    response = await post(http, toy, "subscription { count(to: 1) }")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"


async def test_an_event_comes_when_it_happens(toy: Toy, http: httpx.AsyncClient):
    async with streaming(http, toy, "subscription { greet }") as response, asyncio.timeout(5):
        received = pieces(response)
        assert await anext(received) == b":"
        assert await anext(received) == b'event: next\ndata: {"data":{"greet":"hello"}}'
        await received.aclose()


async def test_queries_and_mutations_answer_once_and_complete(toy: Toy, http: httpx.AsyncClient):
    for query, data in (
        ("{ hello }", {"hello": "hello world"}),
        ("mutation { add(a: 1, b: 2) }", {"add": 3}),
    ):
        response = await post(http, toy, query)
        answer = {"data": data, "extensions": {"cost": 1}}
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.content == next_(json.dumps(answer, separators=(",", ":")).encode()) + COMPLETE


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription ($to: Int!) { count(to: $to) }", "BAD_USER_INPUT"),
        ("subscription A { silence } subscription B { silence }", "OPERATION_RESOLUTION_FAILURE"),
    ],
)
async def test_a_request_error_is_one_event(toy: Toy, http: httpx.AsyncClient, query: str, expected: str):
    response = await post(http, toy, query)
    assert response.status_code == 200, "clients try again after anything else"
    (result,) = results(response.content)
    assert [error["extensions"]["code"] for error in result["errors"]] == [expected]
    assert "data" not in result


async def test_a_source_that_fails_ends_its_stream_and_keeps_its_secret(toy: Toy, http: httpx.AsyncClient):
    one, failure = results((await post(http, toy, "subscription { stumble }")).content)
    assert one == {"data": {"stumble": 1}}
    assert failure["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "secret" not in str(failure)


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("{ hello }", URQL_QUERY, "application/graphql-response+json"),
        ("subscription { count(to: 1) }", URQL_QUERY, STREAM),
        ("subscription { count(to: 1) }", URQL_SUBSCRIPTION, STREAM),
        ("{ hello }", "text/event-stream, application/json", STREAM),
        ("{ hello }", "text/event-stream;q=0.5, application/json;q=0.4", STREAM),
        ("{ hello }", "text/event-stream;q=0.5, application/json", "application/json"),
        ("{ subscription: hello }", "application/json, text/event-stream", "application/json"),
        ("subscription { count(to: 1) }", "application/json, text/event-stream;q=0.1", STREAM),
        ("subscription { count(to: 1) }", "*/*, Text/Event-Stream", STREAM),
    ],
)
async def test_a_query_is_streamed_to_who_prefers_it_and_a_subscription_to_who_can_take_it(
    toy: Toy, http: httpx.AsyncClient, query: str, accept: str, content_type: str
):
    response = await post(http, toy, query, accept)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{content_type}; charset=utf-8"


@pytest.mark.parametrize(
    "accept", ["", "*/*", "text/*, application/json", "application/json, text/event-stream;q=0"]
)
async def test_who_names_no_stream_is_told_how_to_subscribe(toy: Toy, http: httpx.AsyncClient, accept: str):
    response = await post(http, toy, "subscription { silence }", accept)
    assert (response.status_code, code(response)) == (400, "OPERATION_NOT_SUPPORTED")
    for way in ("WebSocket", "text/event-stream", "multipart/mixed;subscriptionSpec=1.0"):
        assert way in response.json()["errors"][0]["message"]


async def test_streams_need_a_post_of_json_like_everything(toy: Toy, http: httpx.AsyncClient):
    params = {"query": "subscription { silence }"}
    got = await http.get(toy.url, params=params, headers={"accept": STREAM})
    assert (got.status_code, code(got)) == (405, "METHOD_NOT_ALLOWED")
    form = await http.post(toy.url, data=params, headers={"accept": STREAM})
    assert (form.status_code, code(form)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_stream_goes_on_after_the_last_event_id(toy: Toy, http: httpx.AsyncClient):
    response = await post(http, toy, "subscription { numbers(to: 5) { number } }", last_event_id="3")
    assert response.content == (
        KEEP_ALIVE
        + next_(b'{"data":{"numbers":{"number":4}}}', 4)
        + next_(b'{"data":{"numbers":{"number":5}}}', 5)
        + COMPLETE
    )


@pytest.mark.parametrize(
    "value", ["", "-1", "+1", "1.0", "0x1", "one", "1, 2", "9" * 19, "1_0", "\xb2", "null"]
)
async def test_an_id_that_we_never_gave_is_refused(toy: Toy, http: httpx.AsyncClient, value: str):
    headers = [
        (b"accept", STREAM.encode()),
        (b"content-type", b"application/json"),
        (b"last-event-id", value.encode("latin-1")),
    ]
    response = await http.post(toy.url, content=b'{"query":"subscription { silence }"}', headers=headers)
    assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


async def test_silence_is_broken_by_comments(http: httpx.AsyncClient):
    async with (
        Toy(TransportLimits(keep_alive_s=0.05)).serve() as toy,
        streaming(http, toy, "subscription { silence }") as response,
        asyncio.timeout(5),
    ):
        received = pieces(response)
        assert [await anext(received) for _ in range(4)] == [b":"] * 4
        await received.aclose()


async def test_a_client_that_hangs_up_stops_its_source(toy: Toy, http: httpx.AsyncClient):
    for query in ("silence", "flood(size: 1000)"):
        async with streaming(http, toy, f"subscription {{ {query} }}") as response:
            await anext(response.aiter_raw())
        name = query.partition("(")[0]
        await eventually(lambda name=name: name in toy.context.stopped and toy.endpoint.open_streams == 0)


async def test_a_stream_ends_with_its_token(http: httpx.AsyncClient):
    expires_at = datetime.now(UTC) + timedelta(seconds=0.3)
    async with Toy(context=ToyContext(expires_at=expires_at)).serve() as toy:
        (last,) = results((await post(http, toy, "subscription { silence }")).content)
        assert datetime.now(UTC) >= expires_at
        assert last["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        assert "refresh" in last["errors"][0]["message"]
        assert toy.context.stopped == ["silence"]
        late = await post(http, toy, "subscription { silence }")
        assert (late.status_code, code(late)) == (401, "UNAUTHENTICATED")
        assert late.headers["www-authenticate"] == "Bearer"


async def test_a_stream_ends_with_its_session(http: httpx.AsyncClient):
    async with Toy().serve() as toy, streaming(http, toy, "subscription { silence }") as response:
        await eventually(lambda: toy.context.started == ["silence"])
        toy.context.over.set()
        async with asyncio.timeout(5):
            (last,) = results(await response.aread())
        assert last["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        assert last["errors"][0]["message"] == "The session has ended."
        assert toy.context.stopped == ["silence"]


async def test_a_refused_viewer_gets_no_stream(toy: Toy, http: httpx.AsyncClient):
    refused = await post(http, toy, "subscription { silence }", authorization="bad")
    broken = await post(http, toy, "subscription { silence }", authorization="broken")
    assert (refused.status_code, code(refused)) == (401, "UNAUTHENTICATED")
    assert (broken.status_code, code(broken)) == (500, "INTERNAL_SERVER_ERROR")
    assert toy.context.started == []
    assert toy.endpoint.open_streams == 0


async def test_a_context_that_takes_too_long_is_503(http: httpx.AsyncClient):
    async with Toy(TransportLimits(execution_s=0.2)).serve() as toy:
        response = await post(http, toy, "subscription { silence }", authorization="slow")
        assert (response.status_code, code(response)) == (503, "SERVICE_UNAVAILABLE")
        assert toy.endpoint.open_streams == 0


async def test_streams_are_bounded_in_number_and_queries_are_not_among_them(http: httpx.AsyncClient):
    async with Toy(TransportLimits(max_streams=2)).serve() as toy, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(streaming(http, toy, "subscription { silence }"))
        refused = await post(http, toy, "subscription { silence }")
        assert (refused.status_code, code(refused)) == (503, "TOO_MANY_STREAMS")
        assert (await post(http, toy, "{ hello }")).status_code == 200
        await stack.aclose()
        await eventually(lambda: toy.endpoint.open_streams == 0)
        assert (await post(http, toy, "subscription { count(to: 1) }")).status_code == 200


async def test_a_reader_that_stops_reading_stops_its_source_and_is_dropped():
    body = b'{"query":"subscription { flood(size: 10000) }"}'
    loop = asyncio.get_running_loop()
    async with Toy(TransportLimits(send_s=0.5)).serve() as toy:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.setblocking(False)
            await loop.sock_connect(peer, ("127.0.0.1", toy.port))
            head = b"POST /graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n"
            head += b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
            await loop.sock_sendall(peer, head + body)
            await eventually(lambda: toy.endpoint.open_streams == 1)
            await eventually(lambda: toy.endpoint.open_streams == 0)
            assert toy.context.stopped == ["flood"]
        # What the kernel and uvicorn buffer, a few MB at most; not all of half a second.
        assert toy.context.started.count("event") < 1000


async def test_a_session_nobody_can_watch_breaks_the_stream_off(http: httpx.AsyncClient):
    async with (
        Toy(context=Unwatchable()).serve() as toy,
        streaming(http, toy, "subscription { silence }") as response,
    ):
        with pytest.raises(httpx.TransportError):
            await response.aread()
        await eventually(lambda: toy.endpoint.open_streams == 0)


class Unwatchable(ToyContext):
    async def until_over(self) -> str:
        raise ConnectionError("Redis is away")
