"""Peers that stop reading, on sockets of the lowest level, because every client library reads by itself."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator

from websockets.client import ClientProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from app.transport import TransportLimits
from app.transport.outbox import AT_A_STRETCH, Outbox
from tests.app.transport.toy import Toy, eventually

KIB = 1024


@contextlib.asynccontextmanager
async def silent_peer(toy: Toy, query: str) -> AsyncGenerator[socket.socket]:
    """Subscribes and never reads again; its own receive buffer is small."""
    loop = asyncio.get_running_loop()
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
        peer.setblocking(False)
        await loop.sock_connect(peer, ("127.0.0.1", toy.port))
        protocol = ClientProtocol(
            parse_uri(toy.url.replace("http", "ws", 1)), subprotocols=[Subprotocol("graphql-transport-ws")]
        )
        protocol.send_request(protocol.connect())
        await loop.sock_sendall(peer, b"".join(protocol.data_to_send()))
        while protocol.state.name == "CONNECTING":
            protocol.receive_data(await loop.sock_recv(peer, 4096))
        protocol.send_text(b'{"type":"connection_init"}')
        await loop.sock_sendall(peer, b"".join(protocol.data_to_send()))
        await loop.sock_recv(peer, 4096)
        protocol.send_text(b'{"type":"subscribe","id":"1","payload":{"query":"%b"}}' % query.encode())
        await loop.sock_sendall(peer, b"".join(protocol.data_to_send()))
        yield peer


async def test_a_peer_that_stops_reading_stops_its_source_and_is_dropped():
    limits = TransportLimits(send_s=0.5, max_waiting_bytes=64 * KIB)
    async with Toy(limits).serve() as toy:
        async with silent_peer(toy, "subscription { flood(size: 10000) }"):
            await eventually(lambda: toy.endpoint.open_sockets == 1)
            await eventually(lambda: toy.endpoint.open_sockets == 0)
            assert toy.context.stopped == ["flood"]
        # What the kernel and uvicorn buffer, a few MB at most, plus 64 KiB; not all of half a second.
        assert toy.context.started.count("event") < 1000


async def test_a_peer_that_stops_reading_cannot_keep_its_connection_after_a_missing_pong():
    limits = TransportLimits(ping_every_s=0.1, pong_within_s=0.2)
    query = "subscription { flood(size: 10000) }"
    async with Toy(limits).serve() as toy, silent_peer(toy, query) as peer:
        await eventually(lambda: toy.context.stopped == ["flood"])
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                while await loop.sock_recv(peer, KIB * KIB):
                    pass


async def test_writers_wait_for_space_in_messages_and_in_bytes():
    outbox = Outbox(max_messages=3, max_bytes=100)
    for _ in range(3):
        await outbox.put(b"x")
    fourth = asyncio.create_task(outbox.put(b"last"))
    await asyncio.sleep(0)
    assert not fourth.done()
    outbox.put_first(b"ping")
    assert await taken(outbox) == b"ping"
    assert [await taken(outbox) for _ in range(3)] == [b"x"] * 3
    assert await taken(outbox) == b"last"

    await outbox.put(b"x" * 1000)  # alone it may be larger than the bound
    second = asyncio.create_task(outbox.put(b"y"))
    await asyncio.sleep(0)
    assert not second.done()
    await taken(outbox)
    assert await taken(outbox) == b"y"
    assert second.done()


async def taken(outbox: Outbox) -> bytes:
    """The next message, sent at once."""
    message = await outbox.get()
    outbox.release()
    return message


async def test_a_message_passes_the_queue_only_when_it_overtakes_none():
    outbox = Outbox(max_messages=3, max_bytes=100)
    assert outbox.claim()
    assert not outbox.claim(), "two would mix their frames"
    await outbox.put(b"second")
    sender = asyncio.create_task(outbox.get())
    await asyncio.sleep(0)
    assert not sender.done(), "the first is still on its way"
    outbox.release()
    assert not outbox.claim(), "the second comes before"
    assert await sender == b"second"
    assert not outbox.claim(), "the second is on its way"
    outbox.release()
    assert outbox.claim()


async def test_a_busy_source_lets_others_run():
    outbox = Outbox(max_messages=3, max_bytes=100)
    for _ in range(AT_A_STRETCH):
        assert outbox.claim()
        outbox.release()
    assert not outbox.claim()
    await outbox.put(b"in the queue")
    await taken(outbox)
    assert outbox.claim()


async def test_nothing_passes_the_queue_of_a_socket_that_ends():
    outbox = Outbox(max_messages=3, max_bytes=100)
    assert outbox.claim()
    outbox.close()
    silence = asyncio.create_task(outbox.silence())
    await asyncio.sleep(0)
    assert not silence.done()
    outbox.release()
    await silence
    assert not outbox.claim()
