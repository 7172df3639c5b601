"""Parties around a point, nearest first: the question that people ask most.

Building its statement takes longer than PostgreSQL needs to answer it. So each shape of the question has one
statement, built once; what is asked in particular goes with it as values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    Select,
    Table,
    Uuid,
    and_,
    bindparam,
    func,
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
from resolvers.near import GIVEN_CIRCLE, NUMBER, Around
from resolvers.pages import Page, PageOf, paged
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
    shape, values = _taken_apart(tx, around, wanted)
    values["rows"] = page.first + 1
    if key is not None:
        shape = shape._replace(goes_on=True)
        values["after_chord"], values["after_id"] = key
    rows = (await tx.session.execute(_statement(_page, shape, wanted.search), values)).all()
    parties = [_at_distance(party_of(row), around) for row in rows]
    keys = [(row.chord, found.party.id) for row, found in zip(rows, parties, strict=True)]
    return paged(parties, keys, page)


async def count_nearby(tx: Transaction, around: Around, wanted: PartyFilter) -> int:
    """How many parties there are, counted up to 1,000."""
    if not wanted.statuses:
        return 0
    shape, values = _taken_apart(tx, around, wanted)
    count = await tx.session.scalar(_statement(_count, shape, wanted.search), values) or 0
    return min(count, MOST_COUNTED)


class _Shape(NamedTuple):
    """What a statement depends on, the values apart."""

    statuses: tuple[PartyStatus, ...]
    #: Fields of the filter that say something, as in _CONDITIONS.
    given: tuple[str, ...]
    #: Whether a cursor was given.
    goes_on: bool = False


Build = Callable[[_Shape, Query | None], Select[Any]]

_CONDITIONS: dict[str, Callable[[Table], ColumnElement[bool]]] = {
    "item_ids": lambda party: party.c.item_id.in_(bindparam("item_ids", expanding=True)),
    "category": lambda party: party.c.item_id.in_(
        select(table_of(Item).c.id).where(table_of(Item).c.category == bindparam("category"))
    ),
    "market_ids": lambda party: party.c.market_id.in_(bindparam("market_ids", expanding=True)),
    "starts_after": lambda party: party.c.starts_at >= bindparam("starts_after"),
    "starts_before": lambda party: party.c.starts_at < bindparam("starts_before"),
    "min_places_left": lambda party: (
        party.c.capacity - party.c.accepted_count >= bindparam("min_places_left", type_=Integer)
    ),
}


def _taken_apart(tx: Transaction, around: Around, wanted: PartyFilter) -> tuple[_Shape, dict[str, Any]]:
    given = {name: value for name in _CONDITIONS if (value := getattr(wanted, name)) is not None}
    if "category" in given:
        given["category"] = comparable(given["category"])
    shape = _Shape(tuple(sorted(set(wanted.statuses))), tuple(given))
    return shape, {"now": tx.now, **around.values, **given}


def _statement(build: Build, shape: _Shape, search: str | None) -> Select[Any]:
    if search is not None and not (query := Query(search)).is_empty:
        return build(shape, query)  # holds what was typed
    return _built(build, shape)


@lru_cache(maxsize=128)
def _built(build: Build, shape: _Shape) -> Select[Any]:
    return build(shape, None)


def _page(shape: _Shape, query: Query | None) -> Select[Any]:
    party = table_of(Party)
    nearest = union_all(*(_nearest(status, shape, query) for status in shape.statuses)).subquery("nearest")
    first = select(nearest).order_by(nearest.c.chord, nearest.c.id).limit(_ROWS).subquery("page")
    return (
        select_parties()
        .add_columns(first.c.chord)
        .join(first, first.c.id == party.c.id)
        .order_by(first.c.chord, first.c.id)
    )


def _count(shape: _Shape, query: Query | None) -> Select[Any]:
    party = table_of(Party)
    # Each part is cut for itself: a popular status must not be counted to its end.
    parts = (
        select(party.c.id)
        .where(GIVEN_CIRCLE.holds(party.c.market_position), _condition(party, status, shape, query))
        .limit(MOST_COUNTED)
        .subquery()
        for status in shape.statuses
    )
    return select(func.count()).select_from(union_all(*(select(part) for part in parts)).subquery())


_ROWS = bindparam("rows", type_=Integer)


def _nearest(status: PartyStatus, shape: _Shape, query: Query | None) -> Select[Any]:
    """The nearest parties of one status, which has an index of its own.

    The order has the chord alone, for with the id in it PostgreSQL 15 gives the index up; ties are fetched
    whole and put in order outside, so that no page repeats or skips one (ADR 0006). The circle is cut outside
    too: in this order nothing of it is lost, and the planner's guess is not made smaller still.
    """
    party = table_of(Party)
    chord = GIVEN_CIRCLE.chord_to(party.c.market_position)
    statement = select(party.c.id, chord.label("chord")).where(
        GIVEN_CIRCLE.boxes(party.c.market_position), _condition(party, status, shape, query)
    )
    if shape.goes_on:
        cursor = tuple_(bindparam("after_chord", type_=NUMBER), bindparam("after_id", type_=Uuid()))
        statement = statement.where(tuple_(chord, party.c.id) > cursor)
    # The planner must not see the limit. It takes every box for the same small part of the table, whatever
    # lies in it: to read and sort all of a box would look cheaper than to stop early in the index's order.
    unforeseen = select(_ROWS).scalar_subquery()
    nearest = statement.order_by(chord).fetch(unforeseen, with_ties=True).subquery()
    return select(nearest).where(nearest.c.chord <= GIVEN_CIRCLE.radius)


def _condition(party: Table, status: PartyStatus, shape: _Shape, query: Query | None) -> ColumnElement[bool]:
    # Written as a literal: a partial index serves only what the planner can see.
    conditions: list[ColumnElement[bool]] = [literal_column(f"parties.status = '{status}'", Boolean)]
    # A party that nobody can come to any more is not near anybody.
    if status is PartyStatus.OPEN:
        conditions.append(party.c.join_by > bindparam("now"))
    elif status is PartyStatus.FULL:
        conditions.append(party.c.ends_at > bindparam("now"))
    conditions += [_CONDITIONS[name](party) for name in shape.given]
    if query is not None:
        item, market = table_of(Item), table_of(Market)
        conditions.append(
            or_(
                party.c.item_id.in_(select(item.c.id).where(query.matches(item))),
                party.c.market_id.in_(select(market.c.id).where(query.matches(market))),
            )
        )
    return and_(*conditions)


def _at_distance(party: PartyView, around: Around) -> NearbyParty:
    market = party.market
    distance = distance_m(around.latitude, around.longitude, market.latitude, market.longitude)
    return NearbyParty(party, distance)
