"""Markets and their bookmarks."""

from typing import Annotated
from uuid import UUID

import strawberry

from resolvers import markets as resolvers
from resolvers.pages import Page
from resolvers.views import MarketView
from schema import ids
from schema.context import Info
from schema.enums import MarketKind
from schema.errors import NotFound
from schema.nodes import Node, Point, PointInput, around
from schema.pages import After, First, PageInfo, page_of


@strawberry.type(description="A real shop where packs are bought and parties meet.")
class Market(Node):
    """See models.markets."""

    key: strawberry.Private[UUID]
    name: str = strawberry.field(description="What the shop calls itself.")
    kind: MarketKind = strawberry.field(description="What sort of shop it is.")
    address: str = strawberry.field(description="Its road-name address as its source writes it.")
    point: Point = strawberry.field(description="Where it stands.")
    region: str = strawberry.field(description="Province and district, such as 서울 마포구.")

    @classmethod
    def of(cls, view: MarketView) -> "Market":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Market", view.id),
            key=view.id,
            name=view.name,
            kind=view.kind,
            address=view.address,
            point=Point(latitude=view.latitude, longitude=view.longitude),
            region=view.region,
        )

    @strawberry.field(description="Whether the viewer has bookmarked it; false when nobody is signed in.")
    async def is_bookmarked(self, info: Info) -> bool:
        """One look-up for all the markets of the operation."""
        return await info.context.loaders.market_is_bookmarked.load(self.key) or False


@strawberry.type(description="A market of a list, with its cursor.")
class MarketEdge:
    """The distance belongs to the pair (asker, market), so it is on the edge."""

    cursor: str = strawberry.field(description="Names this place in the list, for `after`.")
    distance_meters: float | None = strawberry.field(
        description="From the point asked about, as the crow flies; null when none was given."
    )
    node: Market = strawberry.field(description="The market itself.")


@strawberry.type(description="One page of markets.")
class MarketConnection:
    """Relay's connection, with distances."""

    edges: list[MarketEdge] = strawberry.field(description="The markets of this page, in the list's order.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in its list.")

    @classmethod
    def of(cls, page: Page[resolvers.FoundMarket]) -> "MarketConnection":
        """Wrap a page."""
        edges = [
            MarketEdge(cursor=cursor, distance_meters=found.distance_m, node=Market.of(found.market))
            for cursor, found in zip(page.cursors, page.rows, strict=True)
        ]
        return cls(edges=edges, page_info=PageInfo.of(page))


@strawberry.input(description="Which market to bookmark.")
class BookmarkMarketInput:
    """Input of bookmarkMarket."""

    market_id: strawberry.ID = strawberry.field(description="The market's id.")


@strawberry.input(description="Which market's bookmark to take away.")
class UnbookmarkMarketInput:
    """Input of unbookmarkMarket."""

    market_id: strawberry.ID = strawberry.field(description="The market's id.")


BookmarkMarketResult = Annotated[
    Market | NotFound, strawberry.union("BookmarkMarketResult", description="The market, or why not.")
]
UnbookmarkMarketResult = Annotated[
    Market | NotFound, strawberry.union("UnbookmarkMarketResult", description="The market, or why not.")
]


@strawberry.type
class MarketQuery:
    """Fields of Query."""

    @strawberry.field(
        description="Markets: nearest first where a point is given, else best match first where a search is "
        "given, else by name."
    )
    async def markets(
        self,
        info: Info,
        near: Annotated[PointInput | None, strawberry.argument(description="Around this point.")] = None,
        within_meters: Annotated[
            int | None,
            strawberry.argument(description="How far from the point: 1 to 50,000, 10,000 by default."),
        ] = None,
        search: Annotated[
            str | None, strawberry.argument(description="A part of the name, or its initials.")
        ] = None,
        kind: Annotated[list[MarketKind] | None, strawberry.argument(description="Only these sorts.")] = None,
        first: First = None,
        after: After = None,
    ) -> MarketConnection:
        """Open, call, wrap."""
        circle = around(near.latitude, near.longitude, within_meters) if near else None
        async with info.context.read() as tx:
            page = await resolvers.markets(
                tx, page_of(first, after), around=circle, search=search, kinds=kind
            )
        return MarketConnection.of(page)


@strawberry.type
class MarketMutation:
    """Fields of Mutation."""

    @strawberry.mutation(description="Hear of new parties at a market. Repeating it changes nothing.")
    async def bookmark_market(
        self,
        info: Info,
        input: Annotated[BookmarkMarketInput, strawberry.argument(description="Which market.")],
    ) -> BookmarkMarketResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            market = await resolvers.bookmark_market(
                tx, info.context.viewer_id, ids.decode("Market", input.market_id)
            )
        return Market.of(market)

    @strawberry.mutation(description="Hear of new parties at a market no more. Repeating it changes nothing.")
    async def unbookmark_market(
        self,
        info: Info,
        input: Annotated[UnbookmarkMarketInput, strawberry.argument(description="Which market.")],
    ) -> UnbookmarkMarketResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            market = await resolvers.unbookmark_market(
                tx, info.context.viewer_id, ids.decode("Market", input.market_id)
            )
        return Market.of(market)
