"""The catalogue of items, and who wants to hear of which."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from models.base import table_of
from models.errors import NotFound
from models.items import Item, ItemBookmark
from models.text import comparable
from resolvers.pages import Page, PageOf, paged
from resolvers.search import Query
from resolvers.transaction import Transaction
from resolvers.views import ItemView, item_of, select_items

MOST_CATEGORIES = 1_000


async def items(
    tx: Transaction, page: PageOf, *, search: str | None = None, category: str | None = None
) -> Page[ItemView]:
    """Items by name; with `search`, those it finds, best match first.

    Raises:
        MalformedCursor
    """
    item = table_of(Item)
    statement = select_items()
    if category is not None:
        statement = statement.where(item.c.category == comparable(category))
    if search is None or (query := Query(search)).is_empty:
        if (key := page.key(str, UUID)) is not None:
            statement = statement.where(tuple_(item.c.name, item.c.id) > key)
        statement = statement.order_by(item.c.name, item.c.id).limit(page.first + 1)
        rows = [item_of(row) for row in await tx.session.execute(statement)]
        return paged(rows, [(row.name, row.id) for row in rows], page)
    found = statement.add_columns(query.rank(item).label("rank"), func.length(item.c.name).label("size"))
    best = found.where(query.matches(item)).subquery()
    ranked = select(best)
    order = (best.c.rank, best.c.size, best.c.name, best.c.id)
    if (key := page.key(int, int, str, UUID)) is not None:
        ranked = ranked.where(tuple_(*order) > key)
    ranked = ranked.order_by(*order).limit(page.first + 1)
    matches = (await tx.session.execute(ranked)).all()
    rows = [item_of(row) for row in matches]
    return paged(rows, [(match.rank, match.size, match.name, match.id) for match in matches], page)


async def item_categories(tx: Transaction) -> list[str]:
    """Every category that has an item, in alphabetical order, at most 1,000."""
    category = col(Item.category)
    statement = select(category).distinct().order_by(category).limit(MOST_CATEGORIES)
    return list(await tx.session.scalars(statement))


async def items_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, ItemView]:
    """Those of the items that exist."""
    rows = await tx.session.execute(select_items().where(col(Item.id).in_(ids)))
    return {item.id: item for item in map(item_of, rows)}


async def bookmark_item(tx: Transaction, viewer_id: UUID, item_id: UUID) -> ItemView:
    """Tell the viewer of new parties for this item. Repeating it changes nothing.

    Raises:
        NotFound
    """
    item = await _item(tx, item_id)
    bookmark = insert(ItemBookmark).values(user_id=viewer_id, item_id=item_id, created_at=tx.now)
    await tx.session.execute(bookmark.on_conflict_do_nothing())
    return item


async def unbookmark_item(tx: Transaction, viewer_id: UUID, item_id: UUID) -> ItemView:
    """Take the viewer's own bookmark away. Repeating it changes nothing.

    Raises:
        NotFound
    """
    item = await _item(tx, item_id)
    own = (col(ItemBookmark.user_id) == viewer_id, col(ItemBookmark.item_id) == item_id)
    await tx.session.execute(delete(ItemBookmark).where(*own))
    return item


async def bookmarked_items(tx: Transaction, viewer_id: UUID, page: PageOf) -> Page[ItemView]:
    """The viewer's bookmarked items by name.

    Raises:
        MalformedCursor
    """
    item = table_of(Item)
    own = select(col(ItemBookmark.item_id)).where(col(ItemBookmark.user_id) == viewer_id)
    statement = select_items().where(item.c.id.in_(own))
    if (key := page.key(str, UUID)) is not None:
        statement = statement.where(tuple_(item.c.name, item.c.id) > key)
    statement = statement.order_by(item.c.name, item.c.id).limit(page.first + 1)
    rows = [item_of(row) for row in await tx.session.execute(statement)]
    return paged(rows, [(row.name, row.id) for row in rows], page)


async def bookmarked_among(tx: Transaction, viewer_id: UUID, ids: Iterable[UUID]) -> set[UUID]:
    """Those of the items that the viewer has bookmarked."""
    item_id = col(ItemBookmark.item_id)
    statement = select(item_id).where(col(ItemBookmark.user_id) == viewer_id, item_id.in_(ids))
    return set(await tx.session.scalars(statement))


async def _item(tx: Transaction, item_id: UUID) -> ItemView:
    found = await items_by_id(tx, [item_id])
    if item_id not in found:
        raise NotFound("item", item_id)
    return found[item_id]
