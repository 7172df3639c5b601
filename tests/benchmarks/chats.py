"""Open chats, and people who are signed in and have a place there: for the live benchmarks.

Written by a few statements into a migrated database that is empty. Everybody is in one party only.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from resolvers.tokens import TokenIssuer
from schema import ids
from tests.benchmarks.crowd import Person
from tests.benchmarks.parties import KEY, Scale, World, analyse, generate

LIFETIME = timedelta(days=1)
"""Of tokens: none ends while something is measured."""

PARTIES = f"""
    INSERT INTO parties (id, leader_id, market_id, market_position, item_id, item_count, item_unit,
        capacity, min_members, accepted_count, accepted_quantity, starts_at, ends_at, join_by, status,
        approval, created_at, version)
    SELECT {KEY.format(kind=4, number="number")},
        {KEY.format(kind=1, number="((number - 1) * :members + 1)")}, market.id, market.position, item.id,
        10000, '개', :members, 2, :members, :members, CAST(:now AS timestamptz) + interval '7 days',
        CAST(:now AS timestamptz) + interval '170 hours', CAST(:now AS timestamptz) + interval '7 days',
        'FULL', 'AUTO', :now, 1
    FROM generate_series(1, CAST(:parties AS int)) AS number, markets AS market, items AS item
"""  # noqa: S608 - made of constants

MEMBERSHIPS = f"""
    INSERT INTO memberships (id, party_id, user_id, role, status, quantity, created_at, decided_at,
        attendance)
    SELECT {KEY.format(kind=5, number="number")},
        {KEY.format(kind=4, number="((number - 1) / :members + 1)")}, {KEY.format(kind=1, number="number")},
        CASE (number - 1) % :members WHEN 0 THEN 'LEADER' ELSE 'MEMBER' END, 'ACCEPTED', 1, :now, :now,
        'UNKNOWN'
    FROM generate_series(1, CAST(:parties AS int) * :members) AS number
"""  # noqa: S608 - made of constants

CHATS = "INSERT INTO chats (party_id, last_number, opened_at) SELECT id, 0, :now FROM parties"

SESSIONS = f"""
    INSERT INTO sessions (id, user_id, generation, created_at, last_used_at, expires_at)
    SELECT {KEY.format(kind=6, number="number")}, id, 1, :now, :now,
        CAST(:now AS timestamptz) + interval '30 days'
    FROM (
        SELECT id, row_number() OVER (ORDER BY id) AS number FROM users WHERE id = ANY (:users)
    ) AS signed_in
    RETURNING id, user_id
"""  # noqa: S608 - made of constants

MEMBERS = """
    SELECT party_id, memberships.user_id, sessions.id FROM memberships
    JOIN sessions ON sessions.user_id = memberships.user_id
    ORDER BY memberships.id
"""


@dataclass(frozen=True)
class Chats:
    """How many, and how many people each has, its leader among them: 50 at most."""

    parties: int
    members: int


async def sign_in(connection: AsyncConnection, secret: str, users: list[UUID]) -> dict[UUID, str]:
    """Open a session for each of them; their access tokens, good for a day."""
    now = datetime.now(UTC)
    tokens = TokenIssuer(secret, LIFETIME)
    return {
        user_id: tokens.issue(user_id, session_id, 1, now).access_token
        for session_id, user_id in await connection.execute(text(SESSIONS), {"users": users, "now": now})
    }


async def open_chats(engine: AsyncEngine, secret: str, chats: Chats) -> list[list[Person]]:
    """Fill the database; the people of each chat, the leader first, with a live session each."""
    now, count = datetime.now(UTC), chats.parties * chats.members
    numbers = {"parties": chats.parties, "members": chats.members, "now": now}
    async with engine.begin() as connection:
        await generate(connection, World(Scale(parties=0, markets=1, items=1, users=count), now))
        for statement in (PARTIES, MEMBERSHIPS):
            await connection.execute(text(statement), numbers)
        await connection.execute(text(CHATS), {"now": now})
        users = list(await connection.scalars(text("SELECT id FROM users")))
        tokens = await sign_in(connection, secret, users)
        people = [
            Person(tokens[user_id], ids.encode("Party", party_id))
            for party_id, user_id, _ in await connection.execute(text(MEMBERS))
        ]
    await analyse(engine)
    return [people[first : first + chats.members] for first in range(0, count, chats.members)]
