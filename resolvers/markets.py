"""The catalogue of markets, and who wants to hear of which."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from models.base import table_of
from models.errors import NotFound
from models.markets import Market, MarketBookmark, MarketKind
from resolvers.haversine import distance_m
from resolvers.near import NUMBER, Around
from resolvers.pages import Page, PageOf, paged
from resolvers.search import Query
from resolvers.transaction import Transaction
from resolvers.views import MarketView, market_of, select_markets


@dataclass(frozen=True, slots=True)
class FoundMarket:
    """A market of a list, with its distance from the point asked about."""

    market: MarketView
    distance_m: float | None


async def markets(
    tx: Transaction,
    page: PageOf,
    *,
    around: Around | None = None,
    search: str | None = None,
    kinds: Sequence[MarketKind] | None = None,
) -> Page[FoundMarket]:
    """Markets, nearest first when a circle is given; else best match first when searched; else by name.

    Raises:
        MalformedCursor
    """
    market = table_of(Market)
    query = Query(search) if search is not None else None
    searched = query is not None and not query.is_empty
    zero = literal(0)
    rank = query.rank(market) if query is not None and searched and around is None else zero
    size = func.length(market.c.name) if searched and around is None else zero
    chord = around.chord_to(market.c.position) if around is not None else literal(0.0, NUMBER)
    candidates = select_markets().add_columns(chord.label("chord"), rank.label("rank"), size.label("size"))
    if around is not None:
        candidates = candidates.where(around.holds(market.c.position))
    if query is not None and searched:
        candidates = candidates.where(query.matches(market))
    if kinds is not None:
        candidates = candidates.where(market.c.kind.in_(kinds))
    found = candidates.subquery()
    order = (found.c.chord, found.c.rank, found.c.size, found.c.name, found.c.id)
    statement = select(found)
    if (key := page.key(float, int, int, str, UUID)) is not None:
        statement = statement.where(tuple_(*order) > key)
    rows = (await tx.session.execute(statement.order_by(*order).limit(page.first + 1))).all()
    markets = [_found(market_of(row), around) for row in rows]
    return paged(markets, [(row.chord, row.rank, row.size, row.name, row.id) for row in rows], page)


async def markets_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, MarketView]:
    """Those of the markets that exist."""
    rows = await tx.session.execute(select_markets().where(col(Market.id).in_(ids)))
    return {market.id: market for market in map(market_of, rows)}


async def bookmark_market(tx: Transaction, viewer_id: UUID, market_id: UUID) -> MarketView:
    """Tell the viewer of new parties at this market. Repeating it changes nothing.

    Raises:
        NotFound
    """
    market = await _market(tx, market_id)
    bookmark = insert(MarketBookmark).values(user_id=viewer_id, market_id=market_id, created_at=tx.now)
    await tx.session.execute(bookmark.on_conflict_do_nothing())
    return market


async def unbookmark_market(tx: Transaction, viewer_id: UUID, market_id: UUID) -> MarketView:
    """Take the viewer's own bookmark away. Repeating it changes nothing.

    Raises:
        NotFound
    """
    market = await _market(tx, market_id)
    own = (col(MarketBookmark.user_id) == viewer_id, col(MarketBookmark.market_id) == market_id)
    await tx.session.execute(delete(MarketBookmark).where(*own))
    return market


async def bookmarked_markets(tx: Transaction, viewer_id: UUID, page: PageOf) -> Page[FoundMarket]:
    """The viewer's bookmarked markets by name.

    Raises:
        MalformedCursor
    """
    market = table_of(Market)
    own = select(col(MarketBookmark.market_id)).where(col(MarketBookmark.user_id) == viewer_id)
    statement = select_markets().where(market.c.id.in_(own))
    if (key := page.key(str, UUID)) is not None:
        statement = statement.where(tuple_(market.c.name, market.c.id) > key)
    statement = statement.order_by(market.c.name, market.c.id).limit(page.first + 1)
    rows = [market_of(row) for row in await tx.session.execute(statement)]
    return paged([_found(row, None) for row in rows], [(row.name, row.id) for row in rows], page)


async def bookmarked_among(tx: Transaction, viewer_id: UUID, ids: Iterable[UUID]) -> set[UUID]:
    """Those of the markets that the viewer has bookmarked."""
    market_id = col(MarketBookmark.market_id)
    statement = select(market_id).where(col(MarketBookmark.user_id) == viewer_id, market_id.in_(ids))
    return set(await tx.session.scalars(statement))


def _found(market: MarketView, around: Around | None) -> FoundMarket:
    if around is None:
        return FoundMarket(market, None)
    return FoundMarket(
        market, distance_m(around.latitude, around.longitude, market.latitude, market.longitude)
    )


async def _market(tx: Transaction, market_id: UUID) -> MarketView:
    found = await markets_by_id(tx, [market_id])
    if market_id not in found:
        raise NotFound("market", market_id)
    return found[market_id]
