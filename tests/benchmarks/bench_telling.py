"""What it takes to tell thousands of neighbours of a new party: `python -m tests.benchmarks.bench_telling`.

A million people, of whom ten thousand live near one market and have bookmarked something of one category;
ten times as many have bookmarked it elsewhere. Parties are made at this market on the real server, one of
that category and one of another in turn. Linux only.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any
from uuid import UUID

import httpx
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.asgi import transactions_on
from app.database import make_engine
from app.embedded.servers import embedded_servers
from resolvers.haversine import chord_of
from resolvers.neighbours import TELL, WITHIN_M
from resolvers.parties import PartyDraft, create_party
from schema import ids
from tests.benchmarks.chats import sign_in
from tests.benchmarks.live_servers import SECRET_KEY, Running, Stores, gonggu
from tests.benchmarks.parties import Scale, World, analyse, fill
from tests.databases import cloned
from tests.jobs import run_due

CREATE = """
    mutation Create($input: CreatePartyInput!) {
        createParty(input: $input) { __typename ... on Party { id } ... on Error { code } }
    }
"""
WARM_UP = 5
TOLD_WITHIN_S = 120
LOOK_S = 0.01
BEGIN = "listener:resolvers.neighbours.begin_telling"
console = Console()

PLACE = """
    SELECT market.id, concerned.id, other.id
    FROM markets AS market, items AS concerned, items AS other
    WHERE concerned.source_id = '1' AND other.source_id = '2'
    ORDER BY (market.latitude - 37.5665) ^ 2 + (market.longitude - 126.978) ^ 2
    LIMIT 1
"""

LEADERS = """
    SELECT id FROM users WHERE NOT EXISTS (SELECT FROM item_bookmarks WHERE user_id = users.id)
    ORDER BY id LIMIT :count
"""

# Any item of the category is as good as the party's.
BOOKMARKS = """
    INSERT INTO item_bookmarks (user_id, item_id, created_at)
    SELECT person.id, (ARRAY(
        SELECT alike.id FROM items AS alike JOIN items AS item ON item.category = alike.category
        WHERE item.id = :item ORDER BY alike.id
    ))[1 + number % 50], now()
    FROM (
        SELECT users.id, row_number() OVER (ORDER BY users.id) AS number
        FROM users, markets AS market
        WHERE market.id = :market AND (users.position <-> market.position <= :chord) = :is_near
    ) AS person
    WHERE number <= :count
"""

NUMBERED = """
    SELECT count(*), count(*) FILTER (WHERE number = last_number) FROM notifications
    JOIN mailboxes ON user_id = receiver_id WHERE party_id = :party
"""
GAPS = """
    SELECT count(*) FROM (
        SELECT FROM notifications GROUP BY receiver_id HAVING max(number) <> count(*)
    ) AS receivers
"""
WAITING = "SELECT count(*) FROM jobs.pgqueuer WHERE entrypoint = ANY (:names)"


@dataclass(frozen=True)
class Place:
    """Where the parties are, and what they buy."""

    market_id: UUID
    concerned_item_id: UUID
    other_item_id: UUID


@dataclass
class Taken:
    """Milliseconds that createParty took, and seconds until nobody was left to tell."""

    created_ms: list[float] = field(default_factory=list[float])
    told_s: list[float] = field(default_factory=list[float])


async def settle(engine: AsyncEngine, concerned: int) -> Place:
    """Let so many people near the market bookmark, and ten times as many elsewhere."""
    async with engine.begin() as connection:
        place = Place(*(await connection.execute(text(PLACE))).one())
        at = {"market": place.market_id, "item": place.concerned_item_id, "chord": chord_of(WITHIN_M)}
        for is_near, count in ((True, concerned), (False, 10 * concerned)):
            made = await connection.execute(text(BOOKMARKS), {**at, "is_near": is_near, "count": count})
            if made.rowcount != count:
                raise typer.BadParameter(f"only {made.rowcount:,} people live there: make more")
    await analyse(engine)
    return place


async def race(engine: AsyncEngine, running: Running, place: Place, rounds: int) -> tuple[Taken, Taken]:
    """Make parties that concern many and parties that concern nobody, in turn."""
    async with engine.begin() as connection:
        leaders = list(await connection.scalars(text(LEADERS), {"count": rounds}))
        tokens = list((await sign_in(connection, SECRET_KEY, leaders)).values())
    many, nobody = Taken(), Taken()
    url = f"http://127.0.0.1:{running.talk_port}/graphql"
    async with httpx.AsyncClient(timeout=TOLD_WITHIN_S) as client, engine.connect() as connection:
        for number in range(-WARM_UP, rounds):
            headers = {"authorization": f"Bearer {tokens[number % rounds]}"}
            turns = [(nobody, place.other_item_id), (many, place.concerned_item_id)]
            for taken, item_id in turns[:: -1 if number % 2 else 1]:
                began = time.perf_counter()
                answer = await client.post(url, json=_creation(place, item_id), headers=headers)
                created = time.perf_counter()
                if answer.json()["data"]["createParty"]["__typename"] != "Party":
                    raise RuntimeError(answer.text)
                await _until_told(connection)
                if number >= 0:
                    taken.created_ms.append(1000 * (created - began))
                    taken.told_s.append(time.perf_counter() - created)
    return many, nobody


def _creation(place: Place, item_id: UUID) -> dict[str, Any]:
    starts_at = datetime.now(UTC) + timedelta(days=1)
    given = {
        "marketId": ids.encode("Market", place.market_id),
        "itemId": ids.encode("Item", item_id),
        "itemCount": 30,
        "itemUnit": "롤",
        "capacity": 4,
        "startsAt": starts_at.isoformat(),
        "endsAt": (starts_at + timedelta(hours=2)).isoformat(),
    }
    return {"query": CREATE, "variables": {"input": given}}


async def _until_told(connection: AsyncConnection) -> None:
    async with asyncio.timeout(TOLD_WITHIN_S):
        while await connection.scalar(text(WAITING), {"names": [BEGIN, TELL]}):
            await connection.rollback()
            await asyncio.sleep(LOOK_S)
        await connection.rollback()


async def count_statements(engine: AsyncEngine, place: Place) -> tuple[UUID, int, int]:
    """Make one more party that concerns many, without the server, and tell them; its id, the statements that
    telling took, those that pick and end jobs included, and how many jobs it was."""
    transactions = transactions_on(engine)
    starts_at = datetime.now(UTC) + timedelta(days=1)
    draft = PartyDraft(
        place.market_id, place.concerned_item_id, 30, "롤", 4, starts_at, starts_at + timedelta(hours=2)
    )
    async with engine.connect() as connection:
        (leader_id,) = await connection.scalars(text(LEADERS), {"count": 1})
    async with transactions.write() as tx:
        party = await create_party(tx, leader_id, draft)
    with _counting(engine) as statements:
        ran = await run_due(transactions)
    return party.id, len(statements), len(ran)


@contextmanager
def _counting(engine: AsyncEngine) -> Generator[list[str], None, None]:
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def check(engine: AsyncEngine, party_id: UUID, concerned: int) -> None:
    """See that everybody was told of the newest party, under the next number of their own."""
    async with engine.connect() as connection:
        told, numbered = (await connection.execute(text(NUMBERED), {"party": party_id})).one()
        gaps = await connection.scalar(text(GAPS))
    console.print(f"{told:,} notifications, {numbered:,} numbered last of their receiver's, {gaps} gaps")
    if (told, numbered, gaps) != (concerned, concerned, 0):
        raise typer.Exit(1)


def report(users: int, concerned: int, many: Taken, nobody: Taken) -> None:
    """The leader's wait, and the job's."""
    title = f"createParty among {users:,} people, {len(many.created_ms)} of each kind"
    table = Table("it concerns", "p50 ms", "p90 ms", "all told after s, p50", title=title)
    for name, taken in ((f"{concerned:,}", many), ("nobody", nobody)):
        p90 = _p90(taken.created_ms)
        table.add_row(name, f"{median(taken.created_ms):.1f}", f"{p90:.1f}", f"{median(taken.told_s):.2f}")
    console.print(table)
    ratio = median(many.created_ms) / median(nobody.created_ms)
    console.print(f"createParty with / without: p50 {ratio:.2f}")


def _p90(values: Sequence[float]) -> float:
    return quantiles(values, n=10)[-1]


async def bench(server_url: str, redis_url: str, users: int, concerned: int, rounds: int) -> None:
    """Generate, race, count, check."""
    server_url = (
        make_url(server_url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    )
    async with cloned(server_url, template=None) as url:
        await fill(url, World(Scale(parties=0, users=users), datetime.now(UTC)))
        engine = make_engine(url, statement_within_s=600)
        try:
            place = await settle(engine, concerned)
            with gonggu(Stores(url, redis_url)) as running:
                many, nobody = await race(engine, running, place, rounds)
            report(users, concerned, many, nobody)
            party_id, statements, jobs = await count_statements(engine, place)
            console.print(f"{statements} statements in {jobs} jobs told everybody")
            await check(engine, party_id, concerned)
        finally:
            await engine.dispose()


def main(
    users: Annotated[int, typer.Option(min=10_000, help="How many people.")] = 1_000_000,
    concerned: Annotated[int, typer.Option(min=1, help="How many are to be told.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=2, help="Parties of each kind.")] = 20,
) -> None:
    """Print whether a leader waits for the neighbours, and what telling them takes."""
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with (
        tempfile.TemporaryDirectory(prefix="gonggu-bench-") as directory,
        embedded_servers(Path(directory) / "data", durable=False) as pair,
    ):
        asyncio.run(bench(pair.database_url, pair.redis_url, users, concerned, rounds))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
