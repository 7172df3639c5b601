"""What live events cost on the real server: `python -m tests.benchmarks.bench_live a b c`. Linux only.

a: one party with many listeners and many parties with one, against bare WebSockets that send the same bytes
(`live_rivals`), which have no database. b: the same against mercurius (`peer`), which has none either. So the
cost of a delivery is also given without what as many messages take that nobody listens to (net), and for a
server that is only listened to, while people talk to another (×2). c: 10,000 connections, and memory.

Every server is a process of its own, measured from outside, in turns, on the same machine. In the tables,
`net` and `CPU` against another are deliveries a CPU second (more is better), `p99` is its latency (less is).
"""

import asyncio
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

from app.database import make_engine
from app.embedded.servers import embedded_servers
from tests.benchmarks import peer
from tests.benchmarks.chats import Chats, open_chats
from tests.benchmarks.crowd import Person
from tests.benchmarks.live_crowds import hold_crowds
from tests.benchmarks.live_scenes import Cost, Scene, measure
from tests.benchmarks.live_servers import BARE, OURS, PEER, SECRET_KEY, Contestant, Stores
from tests.databases import TEMPLATE, cloned, make_template

SECTIONS = ("a", "b", "c")
console = Console(width=150)


async def compare(
    server_url: str, redis_url: str, sections: Sequence[str], scene: Scene, rounds: int
) -> None:
    """Measure everybody in turn in one scene, and print a table for each section."""
    contestants = [*OURS, *(BARE if "a" in sections else ()), *(PEER if "b" in sections else ())]
    costs: dict[str, list[Cost]] = {contestant.name: [] for contestant in contestants}
    async with cloned(server_url, TEMPLATE) as url:
        people = await _people(url, scene.chats)
        for number in range(rounds):
            # Who comes first changes, so that what the machine does meanwhile meets all.
            for contestant in contestants[:: -1 if number % 2 else 1]:
                costs[contestant.name].append(measure(contestant, Stores(url, redis_url), scene, people))
    medians = {name: Cost.of(taken) for name, taken in costs.items()}
    if "a" in sections:
        _report(f"(a) {scene.name}, median of {rounds}", medians, (*OURS, *BARE), BARE)
    if "b" in sections:
        _report(f"(b) {scene.name}, median of {rounds}", medians, (*OURS, *PEER), PEER)


async def _people(url: str, chats: Chats) -> list[list[Person]]:
    engine = make_engine(url, statement_within_s=600)
    try:
        return await open_chats(engine, SECRET_KEY, chats)
    finally:
        await engine.dispose()


def _report(
    title: str, costs: dict[str, Cost], shown: Sequence[Contestant], against: Sequence[Contestant]
) -> None:
    """Costs and latencies, and how many deliveries a CPU second each makes for one of the others."""
    table = Table(
        "server", "CPU µs", "net µs", "µs a message", "p50 ms", "p99 ms", "bytes", "sent/s", title=title
    )
    for other in against:
        for figure in ("net", "CPU", "p99"):
            table.add_column(f"{figure} × {other.name}", justify="right")
    for contestant in shown:
        cost = costs[contestant.name]
        cells = [contestant.name, f"{cost.all_us:.1f}", f"{cost.net_us:.1f}"]
        cells += ["–" if contestant.is_split else f"{cost.message_us:.0f}"]
        cells += [f"{cost.p50_ms:.1f}", f"{cost.p99_ms:.1f}", f"{cost.bytes_each:.0f}", f"{cost.per_s:.0f}"]
        for other in (costs[each.name] for each in against):
            cells += [f"{other.net_us / cost.net_us:.2f}", f"{other.all_us / cost.all_us:.2f}"]
            cells += [f"{cost.p99_ms / other.p99_ms:.2f}"]
        table.add_row(*cells)
    console.print(table)


async def bench(
    server_url: str,
    redis_url: str,
    sections: Sequence[str],
    scenes: Sequence[Scene],
    rounds: int,
    connections: int,
    events: int,
) -> None:
    """Make the template, then the sections."""
    url = make_url(server_url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    await make_template(url)
    if {"a", "b"} & set(sections):
        for scene in scenes:
            await compare(url, redis_url, sections, scene, rounds)
    if "c" in sections:
        await hold_crowds(console, url, redis_url, connections, events)


def main(
    sections: Annotated[list[str], typer.Argument(help="Which of a, b and c.")],
    listeners: Annotated[int, typer.Option(min=50, help="Of the one party, and parties with one.")] = 1000,
    messages: Annotated[int, typer.Option(min=10, help="To the one party.")] = 300,
    per_s: Annotated[float, typer.Option(min=1, help="A second, to the one party.")] = 20,
    messages_each: Annotated[int, typer.Option(min=1, help="For each party with one listener.")] = 4,
    per_s_each: Annotated[float, typer.Option(min=1, help="A second, to these parties together.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each server is measured.")] = 3,
    connections: Annotated[int, typer.Option(min=100, help="How many come in c.")] = 10_000,
    events: Annotated[int, typer.Option(min=20, help="Of which none may stay in memory in c.")] = 100_000,
) -> None:
    """Print what deliveries cost and how long they take, and what thousands of connections do."""
    if unknown := set(sections) - set(SECTIONS):
        raise typer.BadParameter(f"there is no section {', '.join(sorted(unknown))}")
    if "b" in sections:
        peer.install()
    scenes = (
        Scene(f"1 party × {listeners:,} listeners", Chats(1, 50), listeners, messages, per_s),
        Scene(f"{listeners:,} parties × 1", Chats(listeners, 2), 1, messages_each * listeners, per_s_each),
    )
    console.print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    with (
        tempfile.TemporaryDirectory(prefix="gonggu-bench-") as directory,
        embedded_servers(Path(directory) / "data", durable=False) as pair,
    ):
        urls = pair.database_url, pair.redis_url
        asyncio.run(bench(*urls, sections, scenes, rounds, connections, events))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
