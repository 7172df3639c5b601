"""What the hub costs per delivery, beside queues fed by hand: `python -m tests.benchmarks.bench_hub`.

Both hand the same messages to the same number of waiting readers in this process. The bare one decodes the
JSON and puts it into an `asyncio.Queue` for each reader: no envelope, no limit, no Redis. The hub is measured
on the memory backend, which adds nothing of its own, and on a Valkey over a socket.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from app.embedded.servers import embedded_servers
from subscriptions.broadcaster import backend_for
from subscriptions.envelope import Envelope
from subscriptions.hub import Hub
from subscriptions.listener import GAP, Listener

DATA = {"text": "안녕하세요, 오늘 저녁 7시에 만나요! " * 8, "sender": "김 이웃"}
Measure = Callable[[int, int], Awaitable[float]]
console = Console()


async def bare(listeners: int, messages: int) -> float:
    """CPU seconds for one queue for each reader, fed from one loop."""
    queues = [asyncio.Queue[Any]() for _ in range(listeners)]

    async def read(queue: asyncio.Queue[Any]) -> None:
        for _ in range(messages):
            await queue.get()

    readers = [asyncio.create_task(read(queue)) for queue in queues]
    texts = [Envelope("message", "bench", number, DATA).encode() for number in range(messages)]
    await asyncio.sleep(0)
    began = time.process_time()
    for text in texts:
        event = orjson.loads(text)
        for queue in queues:
            queue.put_nowait(event)
        await asyncio.sleep(0)
    await asyncio.gather(*readers)
    return time.process_time() - began


async def through_hub(url: str, listeners: int, messages: int) -> float:
    """CPU seconds for a hub that publishes to itself, encoding and publishing included."""
    async with Hub(backend_for(url)) as hub, AsyncExitStack() as stack:
        lives = [await stack.enter_async_context(hub.listen("bench")) for _ in range(listeners)]

        async def read(live: Listener) -> None:
            left = messages
            while left:
                if await anext(live) is not GAP:
                    left -= 1

        readers = [asyncio.create_task(read(live)) for live in lives]
        await asyncio.sleep(0.1)
        began = time.process_time()
        for number in range(messages):
            hub.publish(Envelope("message", "bench", number, DATA))
            if number % 50 == 49:
                # As fast as it is received: this is about the cost, not about overflows.
                while hub.counts["received"] <= number:  # noqa: ASYNC110 - a counter has no event
                    await asyncio.sleep(0.0005)
        async with asyncio.timeout(60):
            await asyncio.gather(*readers)
        return time.process_time() - began


async def compare(redis_url: str, listeners: int, messages: int, rounds: int) -> dict[str, list[float]]:
    """CPU microseconds per delivery, each measured in turn."""
    ways: dict[str, Measure] = {
        "a bare queue each": bare,
        "hub, memory backend": partial(through_hub, "memory://"),
        "hub, Redis backend": partial(through_hub, redis_url),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, measure in ways.items():
            cpu_s = await measure(listeners, messages)
            taken[name].append(cpu_s / listeners / messages * 1e6)
    return taken


def main(
    messages: Annotated[int, typer.Option(help="For each measurement with 1,000 listeners.")] = 200,
    rounds: Annotated[int, typer.Option(help="Measurements of each kind, taken in turn.")] = 5,
) -> None:
    """Print CPU per delivery and the ratio to bare queues."""
    with (
        tempfile.TemporaryDirectory(prefix="gonggu-bench-") as directory,
        embedded_servers(Path(directory) / "data", durable=False) as pair,
    ):
        table = Table("listeners", "", "CPU µs per delivery", "ratio", title="One channel, median")
        for listeners, count in ((1000, messages), (1, messages * 20)):
            taken = uvloop.run(compare(pair.redis_url, listeners, count, rounds))
            base = statistics.median(taken["a bare queue each"])
            for name, all_us in taken.items():
                us = statistics.median(all_us)
                table.add_row(str(listeners), name, f"{us:.2f}", f"{us / base:.2f}")
        console.print(table)


if __name__ == "__main__":
    typer.run(main)
