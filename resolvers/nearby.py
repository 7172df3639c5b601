"""Parties around a point, nearest first: the question that people ask most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Integer,
    Select,
    Table,
    and_,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)

from models.base import table_of
from models.items import Item
from models.markets import Market
from models.parties import Party, PartyStatus
from models.text import comparable
from resolvers.haversine import distance_m
from resolvers.near import Around
from resolvers.pages import Key, Page, PageOf, paged
from resolvers.search import Query
from resolvers.transaction import Transaction
from resolvers.views import PartyView, party_of, select_parties

MOST_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class PartyFilter:
    """Which parties are wanted. None means any."""

    statuses: Sequence[PartyStatus] = (PartyStatus.OPEN,)
    item_ids: Sequence[UUID] | None = None
    category: str | None = None
    market_ids: Sequence[UUID] | None = None
    starts_after: datetime | None = None
    starts_before: datetime | None = None
    min_places_left: int | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True)
class NearbyParty:
    """A party and how far its market is from the point asked about."""

    party: PartyView
    distance_m: float


async def nearby_parties(
    tx: Transaction, around: Around, wanted: PartyFilter, page: PageOf
) -> Page[NearbyParty]:
    """Parties whose market lies within the circle, nearest first, equal distances by id.

    Raises:
        MalformedCursor
    """
    key = page.key(float, UUID)
    if not wanted.statuses:
        return paged([], [], page)
    nearest = union_all(
        *(
            _nearest(status, around, wanted, key, page.first + 1, tx.now)
            for status in _distinct(wanted.statuses)
        )
    ).subquery("nearest")
    party = table_of(Party)
    ordered = select(nearest).order_by(nearest.c.chord, nearest.c.id).limit(page.first + 1).subquery("page")
    statement = (
        select_parties()
        .add_columns(ordered.c.chord)
        .join(ordered, ordered.c.id == party.c.id)
        .order_by(ordered.c.chord, ordered.c.id)
    )
    rows = (await tx.session.execute(statement)).all()
    parties = [_at_distance(party_of(row), around) for row in rows]
    keys = [(row.chord, found.party.id) for row, found in zip(rows, parties, strict=True)]
    return paged(parties, keys, page)


async def count_nearby(tx: Transaction, around: Around, wanted: PartyFilter) -> int:
    """How many parties there are, counted up to 1,000."""
    if not wanted.statuses:
        return 0
    party = table_of(Party)
    # Each part is cut for itself: a popular status must not be counted to its end.
    parts = (
        select(party.c.id)
        .where(_condition(party, status, around, wanted, tx.now))
        .limit(MOST_COUNTED)
        .subquery()
        for status in _distinct(wanted.statuses)
    )
    found = union_all(*(select(part) for part in parts)).subquery()
    count = await tx.session.scalar(select(func.count()).select_from(found)) or 0
    return min(count, MOST_COUNTED)


def _nearest(
    status: PartyStatus, around: Around, wanted: PartyFilter, key: Key | None, rows: int, now: datetime
) -> Select[Any]:
    """The nearest parties of one status, which has an index of its own.

    The order has the chord alone, for with the id in it PostgreSQL 15 gives the index up; ties are fetched
    whole and put in order outside, so that no page repeats or skips one (ADR 0006).
    """
    party = table_of(Party)
    chord = around.chord_to(party.c.market_position)
    statement = select(party.c.id, chord.label("chord")).where(_condition(party, status, around, wanted, now))
    if key is not None:
        statement = statement.where(tuple_(chord, party.c.id) > key)
    nearest = statement.order_by(chord).fetch(_unforeseen(rows), with_ties=True).subquery()
    return select(nearest)


def _unforeseen(rows: int) -> Any:
    """A limit whose value the planner does not see.

    It takes every box for a thousandth of the table, whatever city lies in it. A limit above that guess would
    make reading and sorting the whole box look cheaper than stopping early in the order of the index.
    """
    return select(literal(rows, Integer)).scalar_subquery()


def _condition(party: Table, status: PartyStatus, around: Around, wanted: PartyFilter, now: datetime) -> Any:
    # Written as a literal: a partial index serves only what the planner can see.
    conditions = [
        literal_column(f"parties.status = '{status}'", Boolean),
        around.holds(party.c.market_position),
    ]
    # A party that nobody can come to any more is not near anybody.
    if status is PartyStatus.OPEN:
        conditions.append(party.c.join_by > now)
    elif status is PartyStatus.FULL:
        conditions.append(party.c.ends_at > now)
    if wanted.item_ids is not None:
        conditions.append(party.c.item_id.in_(wanted.item_ids))
    if wanted.market_ids is not None:
        conditions.append(party.c.market_id.in_(wanted.market_ids))
    if wanted.category is not None:
        item = table_of(Item)
        same = item.c.category == comparable(wanted.category)
        conditions.append(party.c.item_id.in_(select(item.c.id).where(same)))
    if wanted.starts_after is not None:
        conditions.append(party.c.starts_at >= wanted.starts_after)
    if wanted.starts_before is not None:
        conditions.append(party.c.starts_at < wanted.starts_before)
    if wanted.min_places_left is not None:
        conditions.append(party.c.capacity - party.c.accepted_count >= wanted.min_places_left)
    if wanted.search is not None and not (query := Query(wanted.search)).is_empty:
        item, market = table_of(Item), table_of(Market)
        conditions.append(
            or_(
                party.c.item_id.in_(select(item.c.id).where(query.matches(item))),
                party.c.market_id.in_(select(market.c.id).where(query.matches(market))),
            )
        )
    return and_(*conditions)


def _distinct(statuses: Sequence[PartyStatus]) -> list[PartyStatus]:
    return list(dict.fromkeys(statuses))


def _at_distance(party: PartyView, around: Around) -> NearbyParty:
    market = party.market
    distance = distance_m(around.latitude, around.longitude, market.latitude, market.longitude)
    return NearbyParty(party, distance)
