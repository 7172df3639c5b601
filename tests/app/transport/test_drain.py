import asyncio
import contextlib

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.app.transport.test_event_streams import post, streaming
from tests.app.transport.test_sockets import closing, subscribe
from tests.app.transport.toy import Toy, eventually


async def test_draining_closes_every_socket_with_1012_and_stops_what_it_ran():
    async with Toy().serve() as toy, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(toy.session()) for _ in range(20)]
        for client in clients:
            await subscribe(client, "subscription { silence }")
        await eventually(lambda: len(toy.context.started) == 20)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await toy.endpoint.drain(within_s=0.5)
        assert 0.4 < loop.time() - start < 3
        assert toy.endpoint.open_sockets == 0
        assert len(toy.context.stopped) == 20
        assert {await closing(client) for client in clients} == {(1012, "Service restart")}


async def test_sockets_go_one_after_the_other():
    async with Toy().serve() as toy, contextlib.AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(toy.session())
        draining = asyncio.create_task(toy.endpoint.drain(within_s=1))
        seen: set[int] = set()
        while not draining.done():
            seen.add(toy.endpoint.open_sockets)
            await asyncio.sleep(0.02)
        assert len(seen) > 5


async def until_broken_off(response: httpx.Response) -> bytes:
    received = b""
    try:
        async for chunk in response.aiter_raw():
            received += chunk
    except httpx.TransportError:
        return received
    raise AssertionError("it ended in an orderly way")


async def test_draining_breaks_every_stream_off_so_that_its_client_comes_back(http: httpx.AsyncClient):
    async with Toy().serve() as toy, contextlib.AsyncExitStack() as stack:
        responses: list[httpx.Response] = []
        for accept in ("text/event-stream", "multipart/mixed;subscriptionSpec=1.0") * 5:
            stream = streaming(http, toy, "subscription { silence }", accept)
            responses.append(await stack.enter_async_context(stream))
        client = await stack.enter_async_context(toy.session())
        await eventually(lambda: len(toy.context.started) == 10)
        loop = asyncio.get_running_loop()
        start = loop.time()
        draining = asyncio.create_task(toy.endpoint.drain(within_s=1))
        left: set[int] = set()
        while not draining.done():
            left.add(toy.endpoint.open_streams)
            await asyncio.sleep(0.02)
        assert 0.8 < loop.time() - start < 3
        assert len(left) > 5, "they go one after the other"
        assert len(toy.context.stopped) == 10
        assert (await closing(client))[0] == 1012
        for response in responses:
            received = await until_broken_off(response)
            assert b"complete" not in received
            assert not received.endswith(b"--\r\n")


async def test_while_draining_nothing_new_is_taken(http: httpx.AsyncClient):
    async with Toy().serve() as toy, toy.session() as one, toy.session() as two:
        draining = asyncio.create_task(toy.endpoint.drain(within_s=5))
        await eventually(lambda: "OPEN" not in (one.state.name, two.state.name) or one.state != two.state)
        with pytest.raises(InvalidStatus) as refused:
            async with toy.socket():
                pass
        assert refused.value.response.status_code == 503
        (left,) = [client for client in (one, two) if client.state.name == "OPEN"]
        await subscribe(left, "{ hello }")
        assert await closing(left) == (1012, "Service restart")
        answer = await http.post(toy.url, json={"query": "{ hello }"})
        stream = await post(http, toy, "subscription { silence }")
        assert (stream.status_code, stream.headers["connection"]) == (503, "close")
        assert answer.json() == {"data": {"hello": "hello world"}, "extensions": {"cost": 1}}, (
            "requests are for the server to stop"
        )
        draining.cancel()


async def test_draining_without_sockets_takes_no_time():
    async with asyncio.timeout(1):
        await Toy().endpoint.drain(within_s=60)
