import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from app.transport import TransportLimits
from tests.app.transport.toy import Toy, eventually

JSON = "application/json"
RESPONSE = "application/graphql-response+json"


def code(response: httpx.Response) -> str:
    (error,) = response.json()["errors"]
    assert "data" not in response.json()
    return error["extensions"]["code"]


async def post(http: httpx.AsyncClient, toy: Toy, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": JSON, "accept": RESPONSE} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    return await http.post(toy.url, content=content, headers=headers)


async def test_a_query_is_answered_in_the_type_that_was_asked_for(toy: Toy, http: httpx.AsyncClient):
    for media_type in (JSON, RESPONSE):
        response = await post(http, toy, {"query": "{ hello }"}, accept=media_type)
        assert response.json() == {"data": {"hello": "hello world"}, "extensions": {"cost": 1}}
        assert response.status_code == 200
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"


async def test_variables_and_operation_name_are_used(toy: Toy, http: httpx.AsyncClient):
    query = "query A($n: String!) { hello(name: $n) } mutation B { add(a: 1, b: 2) }"
    one = await post(http, toy, {"query": query, "operationName": "A", "variables": {"n": "구름"}})
    two = await post(http, toy, {"query": query, "operationName": "B", "variables": None})
    assert one.json() == {"data": {"hello": "hello 구름"}, "extensions": {"cost": 1}}
    assert two.json() == {"data": {"add": 3}, "extensions": {"cost": 1}}


REQUEST_ERRORS = [
    ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    ({"query": "{" + "hello " * 3000 + "}"}, "TOO_MANY_TOKENS"),
    ({"query": "{a" * 2000 + "}" * 2000}, "TOO_DEEP"),
    ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "query ($n: Int!) { big(size: $n) }", "variables": {"n": "x"}}, "BAD_USER_INPUT"),
    ({"query": "query ($n: Int!) { big(size: $n) }"}, "BAD_USER_INPUT"),
    ({"query": "query A { hello }", "operationName": "B"}, "OPERATION_RESOLUTION_FAILURE"),
    ({"query": "query A { hello } query B { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
    ({"query": "fragment F on Query { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
]


@pytest.mark.parametrize(("body", "expected"), REQUEST_ERRORS)
async def test_a_request_error_is_400_in_the_graphql_type_and_200_in_plain_json(
    toy: Toy, http: httpx.AsyncClient, body: Any, expected: str
):
    for media_type, status in ((RESPONSE, 400), (JSON, 200)):
        for _ in range(2):  # the second time from the cache
            response = await post(http, toy, body, accept=media_type)
            assert (code(response), response.status_code) == (expected, status)


MALFORMED = {
    "empty": b"",
    "no JSON": b"query { hello }",
    "a number": b"1",
    "null": b"null",
    "a batch": b'[{"query":"{ hello }"}]',
    "no query": b"{}",
    "an empty query": b'{"query":""}',
    "query null": b'{"query":null}',
    "query a list": b'{"query":["{ hello }"]}',
    "variables a list": b'{"query":"{ hello }","variables":[1]}',
    "variables a text": b'{"query":"{ hello }","variables":"{}"}',
    "operationName a number": b'{"query":"{ hello }","operationName":1}',
    "extensions a number": b'{"query":"{ hello }","extensions":1}',
    "invalid UTF-8": b'{"query":"{ hello \xff }"}',
    "a byte order mark": b'\xef\xbb\xbf{"query":"{ hello }"}',
    "UTF-16": '{"query":"{ hello }"}'.encode("utf-16"),
    "5,000 digits": b'{"query":"{ hello }","variables":{"n":' + b"9" * 5000 + b"}}",
    "NaN": b'{"query":"{ hello }","variables":{"n":NaN}}',
    "a lone surrogate": b'{"query":"{ hello }","variables":{"n":"\\ud800"}}',
    "101 levels": b'{"query":"{ hello }","variables":{"n":' + b"[" * 99 + b"]" * 99 + b"}}",
    "100,000 levels": b'{"query":"{ hello }","variables":' + b'{"n":' * 100000 + b"1" + b"}" * 100001,
    "query twice": b'{"query":"{ hello }","query":"{ fail }"}',
    "query twice, once in disguise": b'{"query":"{ hello }","qu\\u0065ry":"{ fail }"}',
    "variables twice": b'{"query":"{ hello }","variables":{},"variables":{}}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_no_request_is_400_in_any_type(toy: Toy, http: httpx.AsyncClient, body: bytes):
    for media_type in (RESPONSE, JSON):
        response = await post(http, toy, body, accept=media_type)
        assert (code(response), response.status_code) == ("BAD_REQUEST", 400)


async def test_the_same_key_twice_inside_of_variables_is_nobodys_business(toy: Toy, http: httpx.AsyncClient):
    body = b'{"query":"{ hello }","variables":{"query":1,"x":{"query":[' + b"[" * 96 + b"]" * 96 + b"]}}}"
    assert (await post(http, toy, body)).json() == {
        "data": {"hello": "hello world"},
        "extensions": {"cost": 1},
    }


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({"content_type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content_type": "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content_type": "multipart/form-data; boundary=x"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content_type": ""}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content_type": "application/json; charset=iso-8859-1"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content_encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"accept": "text/html"}, 406, "NOT_ACCEPTABLE"),
        ({"accept": "application/json;q=0"}, 406, "NOT_ACCEPTABLE"),
    ],
)
async def test_a_header_that_we_cannot_serve_is_refused(
    toy: Toy, http: httpx.AsyncClient, headers: dict[str, str], status: int, expected: str
):
    body = (
        gzip.compress(b'{"query":"{ hello }"}') if "content_encoding" in headers else {"query": "{ hello }"}
    )
    response = await post(http, toy, body, **headers)
    assert (response.status_code, code(response)) == (status, expected)


@pytest.mark.parametrize(
    "content_type",
    ["Application/JSON", "application/json; Charset=UTF-8", 'application/json;charset="utf-8"'],
)
async def test_a_media_type_has_no_case(toy: Toy, http: httpx.AsyncClient, content_type: str):
    response = await post(http, toy, {"query": "{ hello }"}, content_type=content_type)
    assert response.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused(toy: Toy, http: httpx.AsyncClient, method: str):
    response = await http.request(method, toy.url, params={"query": "{ hello }"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert code(response) == "METHOD_NOT_ALLOWED"


async def test_a_browser_that_opens_the_endpoint_is_sent_to_the_ide(http: httpx.AsyncClient):
    async with Toy(ide_path="/graphiql").serve() as toy:
        page = await http.get(toy.url, headers={"accept": "text/html,*/*;q=0.8"})
        data = await http.get(toy.url, headers={"accept": "*/*"})
    assert (page.status_code, page.headers["location"]) == (303, "/graphiql")
    assert data.status_code == 405


async def test_a_field_error_keeps_its_data_and_its_secret(toy: Toy, http: httpx.AsyncClient):
    response = await post(http, toy, {"query": "{ hello fail }"})
    assert response.status_code == 200
    assert response.json()["data"] == {"hello": "hello world", "fail": None}
    assert response.json()["errors"][0]["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}
    assert "secret" not in response.text


async def test_null_that_reaches_the_root_is_data_null(toy: Toy, http: httpx.AsyncClient):
    response = await post(http, toy, {"query": "{ failHard }"})
    assert response.status_code == 200
    assert response.json()["data"] is None
    assert response.json()["errors"][0]["path"] == ["failHard"]


async def test_a_subscription_that_can_be_no_stream_names_the_ways(toy: Toy, http: httpx.AsyncClient):
    for media_type in (JSON, RESPONSE):
        response = await post(http, toy, {"query": "subscription { silence }"}, accept=media_type)
        assert (response.status_code, code(response)) == (400, "OPERATION_NOT_SUPPORTED")
        for way in ("WebSocket", "text/event-stream", "multipart/mixed;subscriptionSpec=1.0"):
            assert way in response.json()["errors"][0]["message"]


async def test_a_refused_viewer_is_401_and_a_broken_context_is_500(toy: Toy, http: httpx.AsyncClient):
    refused = await post(http, toy, {"query": "{ hello }"}, authorization="bad")
    broken = await post(http, toy, {"query": "{ hello }"}, authorization="broken")
    assert (refused.status_code, code(refused)) == (401, "UNAUTHENTICATED")
    assert (broken.status_code, code(broken)) == (500, "INTERNAL_SERVER_ERROR")
    assert "secret" not in broken.text


async def test_a_body_over_the_limit_is_413_with_and_without_its_length(toy: Toy, http: httpx.AsyncClient):
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    declared = await post(http, toy, b" " * (1024 * 1024 + 1))
    headers = {"content-type": JSON}
    streamed = await http.post(toy.url, content=chunks(), headers=headers)
    for response in (declared, streamed):
        assert (response.status_code, code(response)) == (413, "PAYLOAD_TOO_LARGE")
    whole = b'{"query":"{ hello }"}'.ljust(1024 * 1024)
    assert (await post(http, toy, whole)).status_code == 200


async def test_a_body_that_never_ends_is_408(http: httpx.AsyncClient):
    async def half() -> AsyncGenerator[bytes]:
        yield b'{"query":'
        await asyncio.sleep(2)

    async with Toy(TransportLimits(body_s=0.2)).serve() as toy:
        response = await http.post(toy.url, content=half(), headers={"content-type": JSON})
    assert (response.status_code, code(response)) == (408, "REQUEST_TIMEOUT")
    assert response.headers["connection"] == "close"


async def test_an_operation_that_takes_too_long_is_cancelled_with_its_resolvers(http: httpx.AsyncClient):
    async with Toy(TransportLimits(execution_s=0.2)).serve() as toy:
        for media_type, status in ((RESPONSE, 504), (JSON, 200)):
            response = await post(http, toy, {"query": "{ slow }"}, accept=media_type)
            assert (response.status_code, code(response)) == (status, "OPERATION_TIMEOUT")
        response = await post(http, toy, {"query": "{ hello }"}, authorization="slow")
        assert code(response) == "OPERATION_TIMEOUT"
        assert toy.context.stopped == ["slow", "slow"]


async def test_a_client_that_hangs_up_stops_what_it_began(toy: Toy):
    body = b'{"query":"{ slow }"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", toy.port)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    await eventually(lambda: toy.context.started == ["slow"])
    writer.close()
    await eventually(lambda: toy.context.stopped == ["slow"])
    assert not await reader.read()


async def test_many_requests_share_one_connection(toy: Toy, http: httpx.AsyncClient):
    for number in range(50):
        response = await post(http, toy, {"query": "{ hello }", "extensions": {"n": number}})
        assert response.status_code == 200
