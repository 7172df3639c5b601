"""The migrations: they make what the rows say, on empty databases and on full ones."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.ext.asyncio import AsyncEngine

from app.database import alembic_config, make_engine, migrate, pending_migrations
from models.base import Cube, new_id
from models.markets import Market
from resolvers.near import Around
from resolvers.nearby import PartyFilter, nearby_parties
from resolvers.pages import PageOf
from resolvers.transaction import Transaction
from tests.databases import cloned
from tests.factories import MANGWON, make_market, make_party

REVISIONS = [
    revision.revision for revision in ScriptDirectory.from_config(alembic_config()).walk_revisions()
][::-1]
"""The oldest first."""

IDS = {name: new_id() for name in ("user", "other", "item", "market", "party", "penalty")}

ROWS: dict[str, list[str]] = {
    "0001": [
        """
        INSERT INTO users (id, email, password_hash, nickname, role, home_address, home_region,
            home_latitude, home_longitude, created_at)
        VALUES (:user, 'a@b.kr', 'none', '하나', 'USER', '서울', '서울', 37.5, 127, now()),
            (:other, 'c@d.kr', 'none', '둘', 'ADMIN', '독도', '경북 울릉군', 37.24, 131.87, now())
        """,
        "INSERT INTO sessions VALUES (gen_random_uuid(), :user, 1, 'phone', now(), now(), now(), NULL)",
        """
        INSERT INTO items (id, source, source_id, category, name, unit, updated_at)
        VALUES (:item, 'test', '1', '식량작물', '쌀 20kg', NULL, now())
        """,
        """
        INSERT INTO markets (id, source, source_id, name, kind, address, region, latitude, longitude,
            updated_at)
        VALUES (:market, 'test', '1', '망원시장', 'TRADITIONAL_MARKET', '서울', '서울', 37.5, 126.9, now())
        """,
        "INSERT INTO item_bookmarks VALUES (:user, :item, now())",
        "INSERT INTO market_bookmarks VALUES (:user, :market, now())",
        """
        INSERT INTO parties (id, leader_id, market_id, item_id, item_count, item_unit, capacity, min_members,
            accepted_count, accepted_quantity, starts_at, ends_at, join_by, status, approval, created_at,
            market_position)
        SELECT :party, :user, id, :item, 20, 'kg', 2, 2, 1, 5, now(), now() + interval '1 hour', now(),
            'OPEN', 'MANUAL', now(), position
        FROM markets
        """,
        """
        INSERT INTO memberships (id, party_id, user_id, role, status, quantity, created_at, decided_at,
            reason)
        VALUES (gen_random_uuid(), :party, :user, 'LEADER', 'ACCEPTED', 5, now(), now(), NULL),
            (gen_random_uuid(), :party, :other, 'MEMBER', 'REJECTED', 1, now(), now(), '멀어요')
        """,
        """
        INSERT INTO party_events (id, party_id, kind, actor_id, at, detail)
        VALUES (gen_random_uuid(), :party, 'CREATED', :user, now(), '{}')
        """,
    ],
    "0005": [
        "INSERT INTO chats (party_id, last_number, opened_at) VALUES (:party, 2, now())",
        """
        INSERT INTO chat_messages (id, party_id, number, kind, notice, sender_id, text, client_key, sent_at)
        VALUES (gen_random_uuid(), :party, 1, 'SYSTEM', 'OPENED', NULL, '', NULL, now()),
            (gen_random_uuid(), :party, 2, 'CHAT', NULL, :user, '안녕하세요', '1', now())
        """,
        "INSERT INTO chat_readers (party_id, user_id, read_number, notified_number)"
        " VALUES (:party, :user, 2, 0)",
        "INSERT INTO mailboxes (user_id, last_number) VALUES (:other, 1)",
        """
        INSERT INTO notifications (id, receiver_id, number, kind, party_id, subject_kind, subject_id,
            actor_id, detail, created_at)
        VALUES (gen_random_uuid(), :other, 1, 'CHAT_OPENED', :party, 'CHAT', :party, :user, '{}', now())
        """,
        "INSERT INTO notification_preferences (user_id, kind, in_app, sms)"
        " VALUES (:user, 'PARTY_CREATED', false, false)",
        "INSERT INTO outbox (id, channel, kind) VALUES (gen_random_uuid(), 'party:1', 'party')",
    ],
    "0006": [
        """
        INSERT INTO penalties (id, party_id, user_id, given_by_id, reason, given_at, expires_at)
        VALUES (:penalty, :party, :other, :user, '안 왔어요', now(), now() + interval '90 days')
        """,
        """
        INSERT INTO objections (id, penalty_id, text, made_at)
        VALUES (gen_random_uuid(), :penalty, '갔는데요', now())
        """,
        """
        INSERT INTO notifications (id, receiver_id, number, kind, party_id, subject_kind, subject_id,
            actor_id, detail, created_at)
        VALUES (gen_random_uuid(), :other, 2, 'PENALTY_UPHELD', :party, 'PENALTY', :penalty, :user, '{}',
            now())
        """,
    ],
}
"""What people may have stored by the time of each revision. A migration that makes tables adds its rows."""


@pytest.fixture
async def empty(server_url: str) -> AsyncGenerator[AsyncEngine, None]:
    """A database that nothing has been done to."""
    async with cloned(server_url, template=None) as url:
        engine = make_engine(url)
        yield engine
        await engine.dispose()


async def upgrade(engine: AsyncEngine, revision: str) -> None:
    def run(connection: Connection) -> None:
        command.upgrade(alembic_config(connection), revision)

    async with engine.begin() as connection:
        await connection.run_sync(run)


async def fill(engine: AsyncEngine, revision: str) -> None:
    async with engine.begin() as connection:
        for statement in ROWS.get(revision, []):
            used = {name: id for name, id in IDS.items() if f":{name}" in statement}
            await connection.execute(text(statement), used)


async def climb(engine: AsyncEngine, revisions: list[str]) -> None:
    """Upgrade one by one, storing in between what people could by then."""
    for revision in revisions:
        await upgrade(engine, revision)
        await fill(engine, revision)


async def counts(engine: AsyncEngine) -> dict[str, Any]:
    """How many rows each table of ours has."""
    async with engine.connect() as connection:
        tables = await connection.scalars(
            text(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename <> 'alembic_version' ORDER BY 1"
            )
        )
        return {
            table: await connection.scalar(text(f'SELECT count(*) FROM "{table}"'))  # noqa: S608
            for table in tables.all()
        }


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_migration_goes_up_on_what_the_ones_before_have_let_people_store(
    empty: AsyncEngine, revision: str
):
    place = REVISIONS.index(revision)
    await climb(empty, REVISIONS[:place])
    before = await counts(empty)
    await upgrade(empty, revision)
    after = await counts(empty)
    assert {table: after.get(table) for table in before} == before
    await fill(empty, revision)
    assert await pending_migrations(empty) == REVISIONS[place + 1 :]


@pytest.mark.parametrize("revision", ROWS)
async def test_the_rows_of_a_migration_fill_all_its_tables(empty: AsyncEngine, revision: str):
    await climb(empty, REVISIONS[: REVISIONS.index(revision) + 1])
    assert 0 not in (await counts(empty)).values()


async def test_parties_of_before_have_their_first_version(empty: AsyncEngine):
    await climb(empty, REVISIONS)
    async with empty.connect() as connection:
        assert (await connection.scalars(text("SELECT version FROM parties"))).all() == [1]


async def test_parties_that_were_done_before_know_when(empty: AsyncEngine):
    before = REVISIONS.index("0006")
    await climb(empty, REVISIONS[:before])
    async with empty.begin() as connection:
        await connection.execute(text("UPDATE parties SET status = 'DONE', actual_price = 1"))
        at = await connection.scalar(text("SELECT ends_at + interval '1 hour' FROM parties"))
        copied = "INSERT INTO party_events SELECT gen_random_uuid(), party_id, 'DONE', actor_id, {}, detail"
        for moment in ("CAST(:at AS timestamptz)", "CAST(:at AS timestamptz) - interval '1 minute'"):
            await connection.execute(
                text(f"{copied.format(moment)} FROM party_events WHERE kind = 'CREATED'"), {"at": at}
            )
        # And one that somebody has ended by hand.
        columns = "status, actual_price, item_count, item_unit, capacity, min_members, accepted_count"
        more = "accepted_quantity, starts_at, ends_at, join_by, approval, created_at, version"
        whose = "leader_id, market_id, market_position, item_id"
        await connection.execute(
            text(
                f"INSERT INTO parties (id, {columns}, {more}, {whose})"  # noqa: S608
                f" SELECT gen_random_uuid(), {columns}, {more}, {whose} FROM parties"
            )
        )
    await upgrade(empty, "0006")
    async with empty.connect() as connection:
        found = await connection.execute(text("SELECT id, done_at, ends_at FROM parties"))
        done = {row.id == IDS["party"]: (row.done_at, row.ends_at) for row in found}
    assert done[True][0] == at
    assert done[False][0] == done[False][1] != at


async def test_an_empty_database_lacks_every_migration_and_a_migrated_one_none(empty: AsyncEngine):
    assert await pending_migrations(empty) == REVISIONS
    await migrate(empty)
    assert await pending_migrations(empty) == []


async def test_migrating_again_changes_nothing(empty: AsyncEngine):
    await climb(empty, REVISIONS)
    before = await counts(empty)
    await migrate(empty)
    assert await counts(empty) == before


async def test_processes_that_start_at_once_migrate_once(empty: AsyncEngine):
    await asyncio.gather(*(migrate(empty) for _ in range(4)))
    assert await pending_migrations(empty) == []


async def test_a_migration_that_fails_leaves_nothing_behind(empty: AsyncEngine):
    async with empty.begin() as connection:
        await connection.execute(text("CREATE TABLE party_events (id int)"))  # one of the last it makes
    with pytest.raises(Exception, match="party_events"):
        await migrate(empty)
    assert await counts(empty) == {"party_events": 0}


async def test_autogenerate_finds_nothing_to_do(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch):
    # A type of an extension, which SQLAlchemy does not know when it meets it in a database.
    monkeypatch.setitem(ischema_names, "cube", Cube)
    async with engine.connect() as connection:
        await connection.run_sync(lambda sync: command.check(alembic_config(sync)))


async def test_a_market_that_moves_takes_its_parties_along(tx: Transaction):
    market = await make_market(tx, MANGWON)
    party = await make_party(tx, market=market)
    busan = (35.1796, 129.0756)

    async def near(point: tuple[float, float]) -> list[Any]:
        found = await nearby_parties(tx, Around(*point, within_m=1000), PartyFilter(), PageOf())
        return [each.party.id for each in found.rows]

    assert (await near(MANGWON), await near(busan)) == ([party.id], [])
    row = await tx.session.get_one(Market, market.id)
    row.latitude, row.longitude = busan
    await tx.session.flush()
    assert (await near(MANGWON), await near(busan)) == ([], [party.id])
