"""What a peer can hold by being silent or endless, before any request is complete."""

import asyncio

import pytest

from app.transport.server import HttpProtocol
from tests.app.transport.toy import Toy

REQUEST = b"GET /graphql HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpProtocol, "head_s", 0.2)


async def exchange(toy: Toy, *pieces: bytes) -> bytes:
    """All that the server says until it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", toy.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("said", [b"", b"G", REQUEST[:-2]])
async def test_half_a_head_is_dropped(toy: Toy, said: bytes):
    assert await exchange(toy, said) == b""


@pytest.mark.usefixtures("hasty")
async def test_half_a_head_after_a_whole_request_is_dropped(toy: Toy):
    reader, writer = await asyncio.open_connection("127.0.0.1", toy.port)
    writer.write(REQUEST)
    assert (await reader.readline()).startswith(b"HTTP/1.1 405")
    writer.write(REQUEST[:-2])
    async with asyncio.timeout(5):
        rest = await reader.read()
    assert b"HTTP/1.1" not in rest
    writer.close()


@pytest.mark.usefixtures("hasty")
async def test_a_request_that_takes_longer_than_a_head_is_answered(toy: Toy):
    body = b'{"query":"{ pause(seconds: 0.5) }"}'
    head = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n"
    answer = await exchange(toy, head + b"content-length: %d\r\n\r\n%b" % (len(body), body))
    assert b'{"data":{"pause":true}' in answer


@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_head_over_32_kib_is_431(toy: Toy, pieces: int):
    head = REQUEST[:-2] + b"a: b\r\n" * 8000 + b"\r\n"
    half = len(head) // pieces
    answer = await exchange(toy, *(head[n * half : (n + 1) * half] for n in range(pieces)))
    assert answer.startswith(b"HTTP/1.1 431") or answer == b""


async def test_one_header_without_end_is_not_collected(toy: Toy):
    answer = await exchange(toy, REQUEST[:-2] + b"a: ", *(b"x" * 65536 for _ in range(64)))
    assert answer.startswith(b"HTTP/1.1 431") or answer == b""
