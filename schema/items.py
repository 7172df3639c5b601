"""Items and their bookmarks."""

from typing import Annotated
from uuid import UUID

import strawberry

from resolvers import items as resolvers
from resolvers.views import ItemView
from schema import ids
from schema.context import Info
from schema.errors import NotFound
from schema.nodes import Node
from schema.pages import After, Connection, First, connection, page_of


@strawberry.type(description="A kind of goods from public data.")
class Item(Node):
    """See models.items."""

    key: strawberry.Private[UUID]
    code: str = strawberry.field(description="The code that its source gives it.")
    category: str = strawberry.field(description="What it belongs to: 쌀, 축산물, 생활용품 …")
    name: str = strawberry.field(description="What people call it.")
    unit: str | None = strawberry.field(description="The unit it is sold by, where the source knows one.")

    @classmethod
    def of(cls, view: ItemView) -> "Item":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Item", view.id),
            key=view.id,
            code=view.source_id,
            category=view.category,
            name=view.name,
            unit=view.unit,
        )

    @strawberry.field(description="Whether the viewer has bookmarked it; false when nobody is signed in.")
    async def is_bookmarked(self, info: Info) -> bool:
        """One look-up for all the items of the operation."""
        return await info.context.loaders.item_is_bookmarked.load(self.key) or False


@strawberry.input(description="Which item to bookmark.")
class BookmarkItemInput:
    """Input of bookmarkItem."""

    item_id: strawberry.ID = strawberry.field(description="The item's id.")


@strawberry.input(description="Which item's bookmark to take away.")
class UnbookmarkItemInput:
    """Input of unbookmarkItem."""

    item_id: strawberry.ID = strawberry.field(description="The item's id.")


BookmarkItemResult = Annotated[
    Item | NotFound, strawberry.union("BookmarkItemResult", description="The item, or why not.")
]
UnbookmarkItemResult = Annotated[
    Item | NotFound, strawberry.union("UnbookmarkItemResult", description="The item, or why not.")
]


@strawberry.type
class ItemQuery:
    """Fields of Query."""

    @strawberry.field(
        description="Items by name. A search finds parts of a name or category, also half typed, and initial "
        "consonants (ㅊㄱㄹ finds 참기름); best match first."
    )
    async def items(
        self,
        info: Info,
        search: Annotated[
            str | None, strawberry.argument(description="What somebody typed, at most 50 characters count.")
        ] = None,
        category: Annotated[
            str | None, strawberry.argument(description="Only items of this category.")
        ] = None,
        first: First = None,
        after: After = None,
    ) -> Connection[Item]:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            page = await resolvers.items(tx, page_of(first, after), search=search, category=category)
        return connection(page, Item.of)

    @strawberry.field(description="Every category that has an item, in alphabetical order, at most 1,000.")
    async def item_categories(self, info: Info) -> list[str]:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            return await resolvers.item_categories(tx)


@strawberry.type
class ItemMutation:
    """Fields of Mutation."""

    @strawberry.mutation(description="Hear of new parties for an item. Repeating it changes nothing.")
    async def bookmark_item(
        self, info: Info, input: Annotated[BookmarkItemInput, strawberry.argument(description="Which item.")]
    ) -> BookmarkItemResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            item = await resolvers.bookmark_item(
                tx, info.context.viewer_id, ids.decode("Item", input.item_id)
            )
        return Item.of(item)

    @strawberry.mutation(description="Hear of new parties for an item no more. Repeating it changes nothing.")
    async def unbookmark_item(
        self,
        info: Info,
        input: Annotated[UnbookmarkItemInput, strawberry.argument(description="Which item.")],
    ) -> UnbookmarkItemResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            item = await resolvers.unbookmark_item(
                tx, info.context.viewer_id, ids.decode("Item", input.item_id)
            )
        return Item.of(item)
