"""Load from a process of its own, so that what it costs is not counted: see `bench_nearby`.

Reads requests from standard input, one JSON body a line; sends them over a few connections that stay open,
each as soon as the one before is answered; writes a `Load` as JSON.
"""

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Annotated

import orjson
import typer
import uvloop

ANSWER_WITHIN_S = 30


@dataclass(frozen=True)
class Load:
    """What was answered in how many seconds, and how long the middle and the slowest hundredth waited."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float


async def send(port: int, path: str, bodies: list[bytes], connections: int, seconds: float) -> Load:
    """Keep the server busy.

    Raises:
        ValueError: For an answer other than 200 with `data`.
    """
    waited: list[float] = []
    started = time.perf_counter()

    async def keep_asking(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024 * 1024)
        number = first
        while time.perf_counter() - started < seconds:
            body = bodies[number % len(bodies)]
            number += connections
            asked = time.perf_counter()
            writer.write(_head(path, body) + body)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                _check(await _answer(reader))
            waited.append(time.perf_counter() - asked)
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for first in range(connections):
            group.create_task(keep_asking(first))
    took = time.perf_counter() - started
    waited.sort()
    return Load(len(waited), took, 1000 * waited[len(waited) // 2], 1000 * waited[int(len(waited) * 0.99)])


def _head(path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"accept: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, rest = head.partition(b"content-length: ")
    return head, await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))


def _check(answer: tuple[bytes, bytes]) -> None:
    head, body = answer
    if not (head.startswith(b"http/1.1 200") and body.startswith(b'{"data":{')):
        raise ValueError(f"{head[:200]!r} {body[:500]!r}")


def main(
    port: Annotated[int, typer.Option()],
    path: Annotated[str, typer.Option()],
    connections: Annotated[int, typer.Option(min=1)] = 4,
    seconds: Annotated[float, typer.Option(min=0.1)] = 5,
) -> None:
    """Send the bodies on standard input, one a line, over and over."""
    bodies = sys.stdin.buffer.read().splitlines()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load = runner.run(send(port, path, bodies, connections, seconds))
    sys.stdout.buffer.write(orjson.dumps(load))


if __name__ == "__main__":
    typer.run(main)
