"""nearbyParties, measured: `python -m tests.benchmarks.bench_nearby --help`.

The statement alone against the cheapest one there is; then the real server against the bare minimum (`bare`),
in turns, on the same database, machine and run: what counts is the ratio. Linux only.
"""

import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import httpx
import orjson
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.database import make_engine
from app.embedded.servers import embedded_servers
from models.parties import PartyStatus
from resolvers.near import Around
from resolvers.nearby import PartyFilter
from resolvers.pages import PageOf
from tests.benchmarks.bare import FIRST, WITHIN_M
from tests.benchmarks.cities import homes
from tests.benchmarks.load import Load
from tests.benchmarks.parties import Scale, World, fill
from tests.benchmarks.plans import Sent, ask, explain, scans_of_parties, stops_early
from tests.benchmarks.processes import ROOT, cpu_s, family_cpu_s, free_port, parent_of, server
from tests.databases import cloned

QUERY = """
query Nearby($near: PointInput!) {
  nearbyParties(near: $near, first: 50) {
    pageInfo { hasNextPage endCursor }
    edges {
      cursor
      distanceMeters
      node {
        id itemCount itemUnit estimatedPrice capacity placesLeft startsAt endsAt joinBy status note approval
        leader { id nickname }
        market { id name kind address point { latitude longitude } }
        item { id name category unit }
      }
    }
  }
}
"""
POINTS = 500
COMPARED = 20
WARM_UP_S = 1.0
SECRET_KEY = "for benchmarks alone, and for nothing else"

out = Console()


@dataclass(frozen=True)
class Target:
    """A server under load: its process, its port, and where it answers."""

    name: str
    pid: int
    port: int
    path: str


@dataclass(frozen=True)
class Round:
    """What one target did in one turn."""

    load: Load
    server_cpu_s: float
    database_cpu_s: float | None

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.load.answers / self.load.seconds

    @property
    def server_ms(self) -> float:
        """Processor time of the server for one answer."""
        return 1000 * self.server_cpu_s / self.load.answers

    @property
    def database_ms(self) -> float | None:
        """Processor time of PostgreSQL for one answer; None when it runs elsewhere."""
        return None if self.database_cpu_s is None else 1000 * self.database_cpu_s / self.load.answers


def main(
    parties: Annotated[int, typer.Option(min=100_000, help="How many parties to generate.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each of the two.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.5, help="How long a turn is.")] = 5,
    connections: Annotated[int, typer.Option(min=1, help="Connections that ask at once.")] = 4,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="TEST_DATABASE_URL",
            help="A PostgreSQL server on which to make a database, dropped at the end. Else embedded.",
        ),
    ] = None,
) -> None:
    """Measure nearbyParties end to end and in the database."""
    with (
        tempfile.TemporaryDirectory(prefix="gonggu-bench-") as directory,
        embedded_servers(Path(directory), durable=False) as pair,
    ):
        asyncio.run(
            _measure(database_url or pair.database_url, pair.redis_url, parties, rounds, seconds, connections)
        )


async def _measure(
    server_url: str, redis_url: str, parties: int, rounds: int, seconds: float, connections: int
) -> None:
    server_url = (
        make_url(server_url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    )
    async with cloned(server_url, template=None) as url:
        await fill(url, World(Scale(parties), datetime.now(UTC)))
        postmaster = await _look_at_statements(url, parties)
        _race(url, redis_url, postmaster, rounds, seconds, connections)


async def _look_at_statements(url: str, parties: int) -> int | None:
    """Print what concerns the database alone; its first process, if that is on this machine."""
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            await _introduce(connection, parties)
            await _check_plans(connection)
            await _time_statements(connection)
            backend = await connection.scalar(text("SELECT pg_backend_pid()"))
            return parent_of(backend)
    finally:
        await engine.dispose()


async def _introduce(connection: AsyncConnection, parties: int) -> None:
    version = await connection.scalar(text("SHOW server_version"))
    python, cores = platform.python_version(), os.cpu_count()
    out.print(f"{parties:,} parties, PostgreSQL {version}, Python {python}, {cores} cores")


# ── the statement ───────────────────────────────────────────────────────────────────────────────────────────


async def _check_plans(connection: AsyncConnection) -> None:
    """Stop when the statement does not stop early in the order of its indexes."""
    for statuses in ((PartyStatus.OPEN,), (PartyStatus.OPEN, PartyStatus.FULL)):
        wanted = PartyFilter(statuses)
        around = Around(*homes(1)[0], WITHIN_M)
        page, first = await ask(connection, datetime.now(UTC), around, wanted, PageOf(FIRST))
        after = PageOf(FIRST, page.cursors[-1] if page.cursors else None)
        _, second = await ask(connection, datetime.now(UTC), around, wanted, after)
        for sent in (first, second):
            for kind in ("custom", "generic"):
                scans = scans_of_parties(await explain(connection, sent, kind))
                if scans != sorted(map(stops_early, statuses)):
                    out.print(
                        f"[red]The {kind} plan for {', '.join(statuses)} reads otherwise:[/red] {scans}"
                    )
                    raise typer.Exit(1)
    out.print("Every plan reads the index in its order and stops early.")


async def _time_statements(connection: AsyncConnection) -> None:
    """Print how long our statement takes, as the driver has it, against a look-up by primary key."""
    ours: list[Sent] = []
    rows: list[int] = []
    ids: list[Any] = []
    for point in homes(POINTS):
        around = Around(*point, WITHIN_M)
        page, sent = await ask(connection, datetime.now(UTC), around, PartyFilter(), PageOf(FIRST))
        ours.append(sent)
        rows.append(len(page.rows))
        ids += [row.party.id for row in page.rows[:1]]
    by_key = [Sent("SELECT * FROM parties WHERE id = $1", [key]) for key in ids]
    table = Table("statement", "median ms", "p99 ms", title="SQL alone, from the driver and back")
    for name, statements in ((f"nearby, first {FIRST}", ours), ("one party by its key", by_key)):
        took = sorted([await _ms(connection, sent) for _ in range(4) for sent in statements])
        table.add_row(name, f"{median(took):.2f}", f"{took[int(len(took) * 0.99)]:.2f}")
    out.print(table)
    out.print(f"A page has {median(rows):.0f} parties in the middle, {min(rows)} at least.")


async def _ms(connection: AsyncConnection, sent: Sent) -> float:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    started = time.perf_counter()
    await driver.fetch(sent.statement, *sent.values)
    return 1000 * (time.perf_counter() - started)


# ── the servers ─────────────────────────────────────────────────────────────────────────────────────────────


def _race(
    url: str, redis_url: str, postmaster: int | None, rounds: int, seconds: float, connections: int
) -> None:
    bodies = [
        orjson.dumps({"query": QUERY, "variables": {"near": {"latitude": latitude, "longitude": longitude}}})
        for latitude, longitude in homes(POINTS, seed=2)
    ]
    settings = {
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": SECRET_KEY,
        "JOBS": "external",
        "GONGGU_LOG_LEVEL": "warning",
    }
    ports = free_port(), free_port()
    with (
        server("app", "serve", "--port", str(ports[0]), port=ports[0], environment=settings) as real,
        server(
            "tests.benchmarks.bare", "--database-url", url, "--port", str(ports[1]), port=ports[1]
        ) as bare,
    ):
        targets = [Target("Gonggu", real, ports[0], "/graphql"), Target("bare", bare, ports[1], "/nearby")]
        _check_answers(targets, bodies)
        done: dict[str, list[Round]] = {target.name: [] for target in targets}
        for target in targets:
            _turn(target, bodies, connections, WARM_UP_S, postmaster)
        for number in range(rounds):
            # Who comes first changes, so that what the machine does meanwhile meets both.
            for target in targets[:: -1 if number % 2 else 1]:
                done[target.name].append(_turn(target, bodies, connections, seconds, postmaster))
    _report(done["Gonggu"], done["bare"])


def _check_answers(targets: Sequence[Target], bodies: Sequence[bytes]) -> None:
    """See that both give the same answer to the same question."""
    for body in bodies[:COMPARED]:
        answers = [_answer(target, body) for target in targets]
        if answers[0] != answers[1]:
            out.print("[red]The two do not answer alike:[/red]", *(str(answer)[:800] for answer in answers))
            raise typer.Exit(1)
    out.print(f"Both servers answer alike ({COMPARED} questions compared).")


def _answer(target: Target, body: bytes) -> Any:
    headers = {"content-type": "application/json", "accept": "application/json"}
    url = f"http://127.0.0.1:{target.port}{target.path}"
    return httpx.post(url, content=body, headers=headers, timeout=30).raise_for_status().json()["data"]


def _turn(
    target: Target, bodies: Sequence[bytes], connections: int, seconds: float, postmaster: int | None
) -> Round:
    server_before, database_before = cpu_s(target.pid), postmaster and family_cpu_s(postmaster)
    command = ["tests.benchmarks.load", "--port", str(target.port), "--path", target.path]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    said = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        input=b"\n".join(bodies),
        stdout=subprocess.PIPE,
        check=True,
        timeout=seconds + 60,
    )
    database = None
    if postmaster is not None and database_before is not None:
        database = family_cpu_s(postmaster) - database_before
    return Round(Load(**orjson.loads(said.stdout)), cpu_s(target.pid) - server_before, database)


def _report(real: Sequence[Round], bare: Sequence[Round]) -> None:
    table = Table(
        "", "Gonggu", "bare", "Gonggu : bare", title=f"{FIRST} parties nearby, medians of {len(real)}"
    )
    lines = {
        "answers a second": ([r.rate for r in real], [r.rate for r in bare]),
        "server CPU ms an answer": ([r.server_ms for r in real], [r.server_ms for r in bare]),
        "PostgreSQL CPU ms an answer": ([r.database_ms for r in real], [r.database_ms for r in bare]),
        "latency p50 ms": ([r.load.p50_ms for r in real], [r.load.p50_ms for r in bare]),
        "latency p99 ms": ([r.load.p99_ms for r in real], [r.load.p99_ms for r in bare]),
    }
    for name, (ours, theirs) in lines.items():
        one, other = ([value for value in values if value is not None] for values in (ours, theirs))
        if one and other:
            ratio = median(one) / median(other)
            table.add_row(name, f"{median(one):,.2f}", f"{median(other):,.2f}", f"{ratio:.2f}")
    out.print(table)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
