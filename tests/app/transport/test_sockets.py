import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from app.transport import TransportLimits
from tests.app.transport.toy import Toy, ToyContext, eventually


async def send(client: ClientConnection, type_: str, **more: Any) -> None:
    await client.send(json.dumps({"type": type_, **more}))


async def receive(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        frame = await client.recv()
    assert isinstance(frame, str), "the protocol speaks in text frames"
    return json.loads(frame)


async def subscribe(client: ClientConnection, query: str, id_: str = "1", **more: Any) -> None:
    await send(client, "subscribe", id=id_, payload={"query": query, **more})


async def closing(client: ClientConnection) -> tuple[int, str]:
    """Code and reason of the close frame, whatever comes before it."""
    async with asyncio.timeout(5):
        await client.wait_closed()
    assert client.protocol.close_rcvd is not None, "closed without a close frame (1006)"
    return client.protocol.close_rcvd.code, client.protocol.close_rcvd.reason


async def test_queries_and_mutations_answer_once_and_complete(toy: Toy):
    async with toy.session() as client:
        await subscribe(client, "query ($n: String!) { hello(name: $n) }", variables={"n": "구름"})
        assert await receive(client) == {
            "id": "1",
            "type": "next",
            "payload": {"data": {"hello": "hello 구름"}, "extensions": {"cost": 1}},
        }
        assert await receive(client) == {"id": "1", "type": "complete"}
        await subscribe(client, "mutation { add(a: 1, b: 2) }")
        assert (await receive(client))["payload"] == {"data": {"add": 3}, "extensions": {"cost": 1}}


async def test_a_subscription_sends_every_event_in_order_and_completes(toy: Toy):
    async with toy.session() as client:
        await subscribe(client, "subscription { count(to: 1000) }")
        for number in range(1, 1001):
            assert (await receive(client))["payload"] == {"data": {"count": number}}
        assert await receive(client) == {"id": "1", "type": "complete"}


async def test_operations_side_by_side_keep_their_order_and_whole_messages(toy: Toy):
    async with toy.session() as client:
        for id_ in "abc":
            await subscribe(client, "subscription { count(to: 300) }", id_)
        await subscribe(client, "{ big(size: 100000) }", "q")
        numbers: dict[str, list[int]] = {"a": [], "b": [], "c": []}
        completed = set[str]()
        while len(completed) < 4:
            message = await receive(client)
            if message["type"] == "complete":
                completed.add(message["id"])
            elif message["id"] != "q":
                numbers[message["id"]].append(message["payload"]["data"]["count"])
        assert all(counted == list(range(1, 301)) for counted in numbers.values())


async def test_a_field_error_is_a_result_and_says_no_secret(toy: Toy):
    async with toy.session() as client:
        await subscribe(client, "{ failHard }")
        message = await receive(client)
    assert message["type"] == "next"
    assert message["payload"]["data"] is None
    assert message["payload"]["errors"][0]["message"] == "internal"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "subscription { nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A { hello }", "operationName": "B"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "subscription A { silence } query B { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query ($n: Int!) { big(size: $n) }"}, "BAD_USER_INPUT"),
        ({"query": "subscription ($n: Int!) { count(to: $n) }", "variables": {"n": "x"}}, "BAD_USER_INPUT"),
    ],
)
async def test_a_request_error_ends_its_operation_and_not_the_socket(toy: Toy, payload: Any, code: str):
    async with toy.session() as client:
        await send(client, "subscribe", id="1", payload=payload)
        message = await receive(client)
        assert (message["id"], message["type"]) == ("1", "error")
        assert message["payload"][0]["extensions"]["code"] == code
        await subscribe(client, "{ hello }")
        assert (await receive(client))["payload"] == {
            "data": {"hello": "hello world"},
            "extensions": {"cost": 1},
        }


async def test_a_source_that_fails_ends_its_operation_with_a_masked_error(toy: Toy):
    async with toy.session() as client:
        await subscribe(client, "subscription { stumble }")
        assert (await receive(client))["payload"] == {"data": {"stumble": 1}}
        message = await receive(client)
        assert (message["type"], message["payload"][0]["message"]) == ("error", "internal")
        await send(client, "ping")
        assert await receive(client) == {"type": "pong"}


async def test_complete_closes_the_source_and_frees_the_id(toy: Toy):
    async with toy.session() as client:
        for round_ in range(1, 4):
            await subscribe(client, "subscription { silence }")
            await eventually(lambda n=round_: toy.context.started == ["silence"] * n)
            await send(client, "complete", id="1")
        await send(client, "complete", id="never heard of")
        await send(client, "ping", payload={"n": 1})
        assert await receive(client) == {"type": "pong", "payload": {"n": 1}}
        assert toy.context.stopped == ["silence"] * 3, "the source is closed before the next message is read"


async def test_the_end_of_a_socket_closes_all_its_sources(toy: Toy):
    async with toy.session() as client:
        for number in range(10):
            await subscribe(client, "subscription { silence }", id_=str(number))
        await subscribe(client, "{ slow }", id_="q")
        await eventually(lambda: len(toy.context.started) == 11)
    await eventually(lambda: len(toy.context.stopped) == 11)
    await eventually(lambda: toy.endpoint.open_sockets == 0)


async def test_one_subscription_too_many_is_an_error_of_its_own():
    async with Toy(TransportLimits(max_subscriptions=2)).serve() as toy, toy.session() as client:
        for number in "123":
            await subscribe(client, "subscription { silence }", id_=number)
        message = await receive(client)
        assert (message["id"], message["type"]) == ("3", "error")
        assert message["payload"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
        await send(client, "complete", id="1")
        await subscribe(client, "{ hello }", id_="3")
        assert (await receive(client))["type"] == "next"


async def test_a_query_that_takes_too_long_is_cancelled():
    async with Toy(TransportLimits(execution_s=0.2)).serve() as toy, toy.session() as client:
        await subscribe(client, "{ slow }")
        message = await receive(client)
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "OPERATION_TIMEOUT"
        assert toy.context.stopped == ["slow"]


# Beginning


async def test_init_may_carry_null_nothing_or_an_object(toy: Toy):
    for init in ('{"type":"connection_init","payload":null}', '{"type":"connection_init","payload":{"a":1}}'):
        async with toy.socket() as client:
            await client.send(init)
            assert await receive(client) == {"type": "connection_ack"}


async def test_a_second_init_is_4429(toy: Toy):
    async with toy.session() as client:
        await send(client, "connection_init")
        assert (await closing(client))[0] == 4429


async def test_a_second_init_is_4429_even_before_the_first_is_acknowledged(toy: Toy):
    async with toy.socket() as client:
        await send(client, "connection_init", payload={"token": "slow"})
        await send(client, "connection_init")
        assert (await closing(client))[0] == 4429


@pytest.mark.parametrize("token", [None, "slow"])
async def test_an_operation_before_the_acknowledgement_is_4401(toy: Toy, token: str | None):
    async with toy.socket() as client:
        if token:
            await send(client, "connection_init", payload={"token": token})
        await subscribe(client, "{ hello }")
        assert await closing(client) == (4401, "Unauthorized")


async def test_a_refused_viewer_is_4403_with_a_reason_that_fits(toy: Toy):
    async with toy.socket() as client:
        await send(client, "connection_init", payload={"token": "bad"})
        code, reason = await closing(client)
    assert code == 4403
    assert reason.startswith("UNAUTHENTICATED: Sign in again. 다시")


async def test_a_context_that_cannot_be_made_lets_the_client_come_back(toy: Toy):
    async with toy.socket() as client:
        await send(client, "connection_init", payload={"token": "broken"})
        assert await closing(client) == (1013, "Try again later")


async def test_a_peer_that_never_says_init_is_4408():
    async with Toy(TransportLimits(connection_init_s=0.2)).serve() as toy, toy.socket() as client:
        await send(client, "ping")
        assert await receive(client) == {"type": "pong"}
        assert (await closing(client))[0] == 4408


@pytest.mark.parametrize("subprotocols", [None, ["graphql-ws"], ["nonsense"]])
async def test_another_subprotocol_is_4406(toy: Toy, subprotocols: list[str] | None):
    wanted = [Subprotocol(name) for name in subprotocols] if subprotocols else None
    async with connect(toy.url.replace("http", "ws", 1), subprotocols=wanted) as client:
        assert (await closing(client))[0] == 4406


# Who may


@pytest.mark.parametrize(
    "origin", ["https://web.example", "https://WEB.example/", "http://127.0.0.1:{port}", None]
)
async def test_a_page_of_ours_may_connect(origin: str | None):
    async with Toy(allowed_origins=("https://web.example",)).serve() as toy:
        headers = {"Origin": origin.format(port=toy.port)} if origin else {}
        async with toy.socket(**headers) as client:
            await send(client, "connection_init")
            assert await receive(client) == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://127.0.0.1", "http://127.0.0.1:1", "http://[", "http://a:b"],
)
async def test_a_page_of_others_is_403_at_the_handshake(toy: Toy, origin: str):
    with pytest.raises(InvalidStatus) as refused:
        async with toy.socket(Origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_a_socket_ends_with_its_token():
    context = ToyContext(expires_at=datetime.now(UTC) + timedelta(seconds=0.5))
    async with Toy(context=context).serve() as toy, toy.session() as client:
        await subscribe(client, "subscription { silence }")
        assert await closing(client) == (4403, "Token expired")
        await eventually(lambda: context.stopped == ["silence"])


async def test_a_socket_ends_with_its_session():
    async with Toy().serve() as toy, toy.session() as client:
        await subscribe(client, "subscription { silence }")
        await eventually(lambda: toy.context.started == ["silence"])
        toy.context.over.set()
        assert await closing(client) == (4403, "The session has ended.")
        await eventually(lambda: toy.context.stopped == ["silence"])


async def test_a_token_of_yesterday_is_not_acknowledged(toy: Toy):
    async with toy.socket() as client:
        await send(client, "connection_init", payload={"token": "old"})
        assert await closing(client) == (4403, "Token expired")


# Keeping alive


async def test_a_peer_that_answers_pings_stays():
    limits = TransportLimits(ping_every_s=0.05, pong_within_s=2)
    async with Toy(limits).serve() as toy, toy.session() as client:
        for _ in range(3):
            assert await receive(client) == {"type": "ping"}
            await send(client, "pong", payload=None)


async def test_a_peer_that_answers_no_ping_is_dropped():
    limits = TransportLimits(ping_every_s=0.05, pong_within_s=0.1)
    async with Toy(limits).serve() as toy, toy.session() as client:
        await subscribe(client, "subscription { silence }")
        async with asyncio.timeout(5):
            await client.wait_closed()
        assert client.protocol.close_rcvd is None
        await eventually(lambda: toy.context.stopped == ["silence"])
        await eventually(lambda: toy.endpoint.open_sockets == 0)
