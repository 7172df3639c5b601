"""The cached penalty count: `python -m tests.benchmarks.bench_penalties --help`.

First the read alone, by many clients at once in one process, beside `SELECT count(*)` for each person; then a
page of a hundred people through the real server, beside a server whose Redis is too young to be believed, and
beside the same page without the count. In turns, in one run: what counts is the ratio. Linux only.
"""

import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import Annotated, Any, NamedTuple, cast
from uuid import UUID

import asyncpg
import httpx
import orjson
import typer
import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url, text

from app.asgi import transactions_on
from app.cache import make_redis
from app.database import make_engine
from app.embedded.servers import embedded_servers
from resolvers.penalty_counts import PenaltyCounts
from resolvers.penalty_views import ends_of
from resolvers.transaction import Transactions
from tests.benchmarks.cities import homes
from tests.benchmarks.load import Load
from tests.benchmarks.parties import KEY, Scale, World, fill
from tests.benchmarks.processes import ROOT, cpu_s, free_port, server
from tests.databases import cloned
from tests.resolvers.penalty_world import age

SCALE = Scale(parties=40_000, markets=500, items=100, users=20_000)
PAGES = 100
PAGE = 100
WARM_UP_S = 1.0
POOL = 10
SECRET_KEY = "for benchmarks alone, and for nothing else"

PENALTIES = f"""
    INSERT INTO penalties (id, party_id, user_id, given_by_id, reason, given_at, expires_at, revoked_at,
        revoked_by_id, revoke_reason)
    SELECT gen_random_uuid(), id, user_id, leader_id, '안 왔어요', given_at, given_at + interval '90 days',
        CASE WHEN is_revoked THEN given_at END, CASE WHEN is_revoked THEN leader_id END,
        CASE WHEN is_revoked THEN '왔대요' END
    FROM (
        SELECT id, leader_id, CAST(:now AS timestamptz) - random() * interval '200 days' AS given_at,
            random() < 0.1 AS is_revoked, {KEY.format(kind=1, number="number")} AS user_id
        FROM (SELECT *, 1 + floor(random() * {SCALE.users})::int AS number FROM parties) AS drawn
        WHERE status = 'DONE'
    ) AS given
    WHERE user_id <> leader_id
"""  # noqa: S608 - made of constants

COUNT = "SELECT count(*) FROM penalties WHERE user_id = {} AND revoked_at IS NULL AND expires_at > {}"

LEADERS = "edges {{ node {{ leader {{ id nickname {} }} }} }}"
QUERY = """
query Page($here: PointInput!, $there: PointInput!) {{
  here: nearbyParties(near: $here, first: 50) {{ {leaders} }}
  there: nearbyParties(near: $there, first: 50) {{ {leaders} }}
}}
"""

Read = Callable[[Sequence[UUID]], Awaitable[object]]
out = Console()


class Waits(NamedTuple):
    """How long the clients of one turn waited, in milliseconds, and how many answers they had a second."""

    p50: float
    p99: float
    most: float
    rate: float


def main(
    clients: Annotated[int, typer.Option(min=1, help="Clients that read at once.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.5, help="How long a turn is.")] = 4,
    connections: Annotated[int, typer.Option(min=1, help="Connections that ask the server at once.")] = 8,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="TEST_DATABASE_URL",
            help="A PostgreSQL server on which to make a database, dropped at the end. Else embedded.",
        ),
    ] = None,
) -> None:
    """Measure the penalty count alone and through GraphQL."""
    with (
        tempfile.TemporaryDirectory(prefix="gonggu-bench-") as directory,
        embedded_servers(Path(directory), durable=False) as pair,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        url = make_url(database_url or pair.database_url).set(drivername="postgresql+asyncpg")
        address = url.render_as_string(hide_password=False)
        runner.run(_measure(address, pair.redis_url, clients, rounds, seconds, connections))


async def _measure(
    server_url: str, redis_url: str, clients: int, rounds: int, seconds: float, connections: int
) -> None:
    async with cloned(server_url, template=None) as url:
        await fill(url, World(SCALE, datetime.now(UTC)))
        # One pool for the cache, and one for what it is compared with, where they wait for long.
        engine, other = (
            make_engine(url, pool_size=POOL),
            make_engine(url, pool_size=POOL, connect_within_s=60),
        )
        try:
            async with engine.begin() as connection:
                await connection.execute(text(PENALTIES), {"now": datetime.now(UTC)})
                people = list(await connection.scalars(text("SELECT id FROM users ORDER BY id")))
                penalties = await connection.scalar(text("SELECT count(*) FROM penalties"))
                version = await connection.scalar(text("SHOW server_version"))
            async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                await connection.execute(text("VACUUM ANALYZE penalties"))
            out.print(
                f"{penalties:,} penalties of {len(people):,} people, PostgreSQL {version}, "
                f"Python {platform.python_version()}, {os.cpu_count()} cores"
            )
            both = transactions_on(engine), transactions_on(other)
            await _alone(url, redis_url, both, people, clients, rounds, seconds)
        finally:
            await engine.dispose()
            await other.dispose()
        await _through_graphql(url, redis_url, rounds, seconds, connections)


# ── the read alone ──────────────────────────────────────────────────────────────────────────────────────────


async def _alone(
    url: str,
    redis_url: str,
    both: tuple[Transactions, Transactions],
    people: Sequence[UUID],
    clients: int,
    rounds: int,
    seconds: float,
) -> None:
    ours, transactions = both
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    async with (
        _counts(redis_url, ours) as cached,
        cast(Any, asyncpg).create_pool(address, min_size=POOL, max_size=POOL) as pool,
    ):
        for start in range(0, len(people), 1000):
            await cached.of(people[start : start + 1000])

        async def counted(ids: Sequence[UUID]) -> dict[UUID, int]:
            async with transactions.read() as tx:
                statement = text(COUNT.format(":id", ":now"))
                return {each: await tx.session.scalar(statement, {"id": each, "now": tx.now}) for each in ids}

        async def counted_bare(ids: Sequence[UUID]) -> dict[UUID, int]:
            async with pool.acquire() as connection:
                statement, now = COUNT.format("$1", "$2"), datetime.now(UTC)
                return {each: await connection.fetchval(statement, each, now) for each in ids}

        async def grouped(ids: Sequence[UUID]) -> object:
            async with transactions.read() as tx:
                return await ends_of(tx, ids)

        some = people[:PAGE]
        if not await cached.of(some) == await counted(some) == await counted_bare(some):
            out.print("[red]They do not count alike.[/red]")
            raise typer.Exit(1)
        one: Mapping[str, Read] = {
            "from the cache": cached.of,
            "count(*)": counted,
            "count(*), asyncpg alone": counted_bare,
        }
        await _race(f"One person, {clients} clients", one, people, 1, clients, rounds, seconds)
        page: Mapping[str, Read] = {
            "from the cache": cached.of,
            "count(*) for each": counted,
            "one statement for all": grouped,
        }
        await _race(f"{PAGE} people, {clients} clients", page, people, PAGE, clients, rounds, seconds)
        out.print(f"What the cache did: {dict(cached.counts)}")


@asynccontextmanager
async def _counts(redis_url: str, transactions: Transactions) -> AsyncGenerator[PenaltyCounts, None]:
    async def ends(ids: Sequence[UUID]) -> Mapping[UUID, Sequence[datetime]]:
        async with transactions.read() as tx:
            return await ends_of(tx, ids)

    redis = make_redis(redis_url)
    try:
        await age(redis)
        async with PenaltyCounts(redis, ends, transactions) as counts:
            await asyncio.sleep(0.5)  # until it has looked for doubts
            yield counts
    finally:
        await redis.aclose()


async def _race(
    title: str,
    reads: Mapping[str, Read],
    people: Sequence[UUID],
    at_once: int,
    clients: int,
    rounds: int,
    seconds: float,
) -> None:
    """Print what each waits, the first one beside the others."""
    done: dict[str, list[Waits]] = {name: [] for name in reads}
    for number in range(rounds + 1):
        names = list(reads)[:: -1 if number % 2 else 1]
        for name in names:
            waits = await _turn(
                reads[name], people, at_once, clients, seconds if number else WARM_UP_S, Random(number)
            )
            if number:
                done[name].append(waits)
    ours, *others = done
    table = Table("", *done, *(f"off {other}" for other in others), title=title)
    for line, place in (("p50 ms", 0), ("p99 ms", 1), ("max ms", 2), ("people a second", 3)):
        medians = {name: median(turn[place] for turn in turns) for name, turns in done.items()}
        off = [f"{100 * (1 - medians[ours] / medians[other]):.0f} %" for other in others]
        if place == 3:
            off = [f"{medians[ours] / medians[other]:.1f} times" for other in others]
        table.add_row(line, *(f"{each:,.2f}" for each in medians.values()), *off)
    out.print(table)


async def _turn(
    read: Read, people: Sequence[UUID], at_once: int, clients: int, seconds: float, random: Random
) -> Waits:
    waited: list[float] = []
    started = time.perf_counter()

    async def keep_reading() -> None:
        while time.perf_counter() - started < seconds:
            ids = random.sample(people, at_once)
            asked = time.perf_counter()
            await read(ids)
            waited.append(1000 * (time.perf_counter() - asked))

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(keep_reading())
    took = time.perf_counter() - started
    waited.sort()
    return Waits(
        waited[len(waited) // 2], waited[int(len(waited) * 0.99)], waited[-1], len(waited) * at_once / took
    )


# ── a page through GraphQL ──────────────────────────────────────────────────────────────────────────────────


async def _through_graphql(url: str, redis_url: str, rounds: int, seconds: float, connections: int) -> None:
    """Two servers on one database: one believes its Redis, the other's is too young."""
    ports = free_port(), free_port()
    redises = [make_redis(make_url_of(redis_url, number)) for number in (0, 1)]
    settings = {
        "DATABASE_URL": url,
        "SECRET_KEY": SECRET_KEY,
        "JOBS": "external",
        "GONGGU_LOG_LEVEL": "error",
    }
    try:
        with (
            server(
                *("app", "serve", "--port", str(ports[0])),
                port=ports[0],
                environment={**settings, "REDIS_URL": make_url_of(redis_url, 0)},
            ) as cached,
            server(
                *("app", "serve", "--port", str(ports[1])),
                port=ports[1],
                environment={**settings, "REDIS_URL": make_url_of(redis_url, 1)},
            ) as without,
        ):
            with_counts, no_counts = _bodies("penaltyCount"), _bodies("")
            targets = {
                "with the cache": (cached, ports[0], with_counts),
                "without": (without, ports[1], with_counts),
                "no count asked": (cached, ports[0], no_counts),
            }
            await age(redises[0])
            await age(redises[1], by_s=0)
            people = _check_answers(ports, with_counts)
            done: dict[str, list[tuple[Load, float]]] = {name: [] for name in targets}
            for number in range(rounds + 1):
                for name in list(targets)[:: -1 if number % 2 else 1]:
                    await age(redises[1], by_s=0)
                    pid, port, bodies = targets[name]
                    turn = _load(pid, port, bodies, connections, seconds if number else WARM_UP_S)
                    if number:
                        done[name].append(turn)
            _report(done, people, connections)
    finally:
        for redis in redises:
            await redis.aclose()


def make_url_of(redis_url: str, database: int) -> str:
    """The address of one of the databases of a Redis on a socket."""
    return f"{redis_url.partition('?')[0]}?db={database}"


def _bodies(field: str) -> list[bytes]:
    query = QUERY.format(leaders=LEADERS.format(field))
    points = [{"latitude": latitude, "longitude": longitude} for latitude, longitude in homes(2 * PAGES)]
    return [
        orjson.dumps({"query": query, "variables": {"here": here, "there": there}})
        for here, there in zip(points[::2], points[1::2], strict=True)
    ]


def _check_answers(ports: tuple[int, int], bodies: Sequence[bytes]) -> float:
    """See that both answer alike, which fills the cache; how many people a page has in the middle."""
    people: list[int] = []
    for body in bodies:
        answers = [_answer(port, body) for port in ports]
        if answers[0] != answers[1]:
            out.print("[red]The two do not answer alike:[/red]", *(str(answer)[:500] for answer in answers))
            raise typer.Exit(1)
        edges = answers[0]["here"]["edges"] + answers[0]["there"]["edges"]
        people.append(len({edge["node"]["leader"]["id"] for edge in edges}))
    return median(people)


def _answer(port: int, body: bytes) -> Any:
    headers = {"content-type": "application/json", "accept": "application/json"}
    url = f"http://127.0.0.1:{port}/graphql"
    return httpx.post(url, content=body, headers=headers, timeout=30).raise_for_status().json()["data"]


def _load(
    pid: int, port: int, bodies: Sequence[bytes], connections: int, seconds: float
) -> tuple[Load, float]:
    """What was answered, and what it cost the server in processor time for one answer, in milliseconds."""
    before = cpu_s(pid)
    command = ["tests.benchmarks.load", "--port", str(port), "--path", "/graphql"]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    said = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        input=b"\n".join(bodies),
        stdout=subprocess.PIPE,
        check=True,
        timeout=seconds + 60,
    )
    load = Load(**orjson.loads(said.stdout))
    return load, 1000 * (cpu_s(pid) - before) / load.answers


def _report(done: Mapping[str, Sequence[tuple[Load, float]]], people: float, connections: int) -> None:
    title = f"A page of {people:.0f} people, {connections} connections, medians of {len(done['without'])}"
    table = Table("", *done, "cache : without", "count's cost, cache : without", title=title)
    lines: dict[str, list[list[float]]] = {
        "pages a second": [[load.answers / load.seconds for load, _ in turns] for turns in done.values()],
        "server CPU ms a page": [[cpu_ms for _, cpu_ms in turns] for turns in done.values()],
        "latency p50 ms": [[load.p50_ms for load, _ in turns] for turns in done.values()],
        "latency p99 ms": [[load.p99_ms for load, _ in turns] for turns in done.values()],
    }
    for line, values in lines.items():
        ours, without, floor = map(median, values)
        cost = "" if line == "pages a second" else f"{(ours - floor) / (without - floor):.2f}"
        table.add_row(
            line, *(f"{each:,.2f}" for each in (ours, without, floor)), f"{ours / without:.2f}", cost
        )
    out.print(table)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
