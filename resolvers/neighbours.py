"""Telling the neighbours of a new party, however many they are, without keeping its leader waiting."""

from uuid import UUID

from models.notifications import NotificationKind, SubjectKind
from resolvers.events import listens
from resolvers.haversine import chord_of
from resolvers.jobs import job
from resolvers.notices import Notice, Notices
from resolvers.party_events import PartyCreated
from resolvers.sql import run
from resolvers.transaction import Transaction

WITHIN_M = 10_000
"""From the party's market to a person's home."""

AT_ONCE = 5_000
"""Neighbours told in one transaction: their mailboxes are locked no longer than that."""

TELL = "party.tell_neighbours"


@listens(PartyCreated)
async def begin_telling(tx: Transaction, event: PartyCreated) -> None:
    """Begin with whoever has the lowest id."""
    await tell_neighbours(tx, event.party_id)


@job(TELL)
async def tell_neighbours(tx: Transaction, key: UUID, *, after: UUID | None = None) -> None:
    """Tell the next of those who live near and have bookmarked an item of its category, or the market.

    `key` is the party's id. What they are told, and the job for those behind them, are committed together:
    nobody is told twice, and nobody left out.
    """
    connection = await tx.session.connection()
    rows = await run(connection, _NEIGHBOURS, key, after or UUID(int=0), chord_of(WITHIN_M), AT_ONCE)
    if not rows:
        return
    _, leader_id, item, market = rows[0]
    detail = {"item": item, "market": market}
    notice = Notice(NotificationKind.PARTY_CREATED, key, SubjectKind.PARTY, key, leader_id, detail)
    tx.collected(Notices).tell([row[0] for row in rows], notice)
    if len(rows) == AT_ONCE:
        await tx.jobs.soon(TELL, key, after=rows[-1][0])


# The bookmarks are read once, and their people looked up one by one. OFFSET keeps it so: the planner takes a
# circle for a handful of people, and would go through all bookmarks again for everybody who lives in it.
_NEIGHBOURS = """
    SELECT person.id, party.leader_id, item.name, market.name
    FROM parties AS party
    JOIN items AS item ON item.id = party.item_id
    JOIN markets AS market ON market.id = party.market_id
    CROSS JOIN LATERAL (
        SELECT bookmark.user_id
        FROM items AS alike JOIN item_bookmarks AS bookmark ON bookmark.item_id = alike.id
        WHERE alike.category = item.category AND bookmark.user_id > $2
        UNION
        SELECT user_id FROM market_bookmarks WHERE market_bookmarks.market_id = market.id AND user_id > $2
    ) AS concerned
    CROSS JOIN LATERAL (
        SELECT users.id FROM users
        WHERE users.id = concerned.user_id AND users.id <> party.leader_id
            AND withdrawn_at IS NULL AND users.position <-> market.position <= $3
        OFFSET 0
    ) AS person
    WHERE party.id = $1 AND party.status IN ('OPEN', 'FULL')
    ORDER BY person.id
    LIMIT $4
"""
