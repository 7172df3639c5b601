"""Thousands of connections on the real server, and its memory: see `bench_live` and `connections`."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from app.database import make_engine
from tests.benchmarks.chats import Chats, open_chats
from tests.benchmarks.connections import allow_open_files
from tests.benchmarks.crowd import Person
from tests.benchmarks.live_servers import SECRET_KEY, Running, Stores, gonggu
from tests.benchmarks.processes import ROOT
from tests.databases import TEMPLATE, cloned

MEMBERS = 4
RAMPS_S = (30, 10)
SHOWN = (0.1, 0.5, 1.0)
WITHIN_S = 900
MIB = 1024 * 1024


async def hold_crowds(
    console: Console, server_url: str, redis_url: str, connections: int, events: int
) -> None:
    """Let so many come, in parties of four; for each measurement a server and a database of its own."""
    allow_open_files(connections)
    for ramp_s in RAMPS_S:
        come = ("open", "--connections", str(connections), "--ramp-s", str(ramp_s))
        _report_opened(console, ramp_s, await _crowd(server_url, redis_url, connections, *come))
    stay = ("idle", "--connections", str(connections))
    _report_idle(console, await _crowd(server_url, redis_url, connections, *stay))
    _report_flat(console, await _crowd(server_url, redis_url, MEMBERS, "flat", "--events", str(events)))


async def _crowd(server_url: str, redis_url: str, people: int, command: str, *options: str) -> dict[str, Any]:
    async with cloned(server_url, TEMPLATE) as url:
        engine = make_engine(url, statement_within_s=600)
        try:
            circles = await open_chats(engine, SECRET_KEY, Chats(-(-people // MEMBERS), MEMBERS))
        finally:
            await engine.dispose()
        everybody = [person for circle in circles for person in circle]
        with gonggu(Stores(url, redis_url)) as running:
            return _connect(running, everybody, command, *options)


def _connect(running: Running, people: Iterable[Person], command: str, *options: str) -> dict[str, Any]:
    lines = [orjson.dumps({"token": each.token, "partyId": each.party_id}) for each in people]
    pid = () if command == "open" else ("--pid", str(running.pid))
    said = subprocess.run(
        [
            *(sys.executable, "-m", "tests.benchmarks.connections", command),
            *("--port", str(running.talk_port), *pid, *options),
        ],
        cwd=ROOT,
        input=b"\n".join(lines),
        stdout=subprocess.PIPE,
        check=True,
        timeout=WITHIN_S,
    )
    return orjson.loads(said.stdout)


def _report_opened(console: Console, ramp_s: int, opened: dict[str, Any]) -> None:
    title = f"(c) {opened['connections']:,} connections within {ramp_s} s, a subscription and a mutation each"
    table = Table("", "p50 ms", "p99 ms", "max ms", title=title)
    for step in ("acknowledged", "answered", "heard"):
        spread = opened[step]
        if spread is not None:
            table.add_row(step, *(f"{spread[name]:.0f}" for name in ("p50_ms", "p99_ms", "max_ms")))
    console.print(table)
    console.print(
        f"errors: {opened['errors'] or 'none'}; open at the end {opened['open_at_end']:,}; "
        f"all had heard themselves after {opened['seconds']:.1f} s"
    )


def _report_idle(console: Console, idle: dict[str, Any]) -> None:
    title = f"(c) memory of {idle['subscriptions']:,} subscriptions on which nothing happens"
    table = Table("", "MiB", "KiB each", title=title)
    each = {"rss_connected": idle["per_connection"], "rss_subscribed": idle["per_subscription"]}
    for name in ("rss_before", "rss_connected", "rss_subscribed", "rss_at_end"):
        kib = f"{each[name] / 1024:.1f}" if name in each else ""
        table.add_row(name.removeprefix("rss_").replace("_", " "), f"{idle[name] / MIB:.0f}", kib)
    console.print(table)
    console.print(f"errors: {idle['errors'] or 'none'}; open at the end {idle['open_at_end']:,}")


def _report_flat(console: Console, flat: dict[str, Any]) -> None:
    title = f"(c) memory while {flat['events']:,} events pass to {flat['subscribers']} subscribers"
    table = Table("events", "MiB", title=title)
    for part in SHOWN:
        events, rss = flat["rss_after"][int(len(flat["rss_after"]) * part) - 1]
        table.add_row(f"{events:,}", f"{rss / MIB:.1f}")
    console.print(table)
    console.print(
        f"errors: {flat['errors'] or 'none'}; {flat['growth_per_event']:.1f} bytes an event "
        f"since the first quarter; {flat['events'] / flat['seconds']:.0f} events a second"
    )
