"""Parties around a point."""

from datetime import datetime
from typing import Annotated

import strawberry

from models.parties import PartyStatus as Status
from resolvers import nearby as resolvers
from resolvers import users
from resolvers.near import Around
from resolvers.pages import Page
from resolvers.transaction import Transaction
from schema import ids
from schema.context import Info
from schema.enums import PartyStatus
from schema.faults import BadInput
from schema.nodes import WITHIN_M, PointInput, around
from schema.pages import After, First, PageInfo, page_of
from schema.parties import Party


@strawberry.type(description="A party nearby, with its cursor.")
class NearbyPartyEdge:
    """The distance belongs to the pair (asker, party), so it is on the edge."""

    cursor: str = strawberry.field(description="Names this place in the list, for `after`.")
    distance_meters: float = strawberry.field(
        description="From the point asked about to the party's market, as the crow flies (haversine)."
    )
    node: Party = strawberry.field(description="The party itself.")


@strawberry.type(description="One page of parties nearby.")
class NearbyPartyConnection:
    """Relay's connection, with distances and a count."""

    circle: strawberry.Private[Around]
    wanted: strawberry.Private[resolvers.PartyFilter]
    edges: list[NearbyPartyEdge] = strawberry.field(description="The parties of this page, nearest first.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in its list.")

    @classmethod
    def of(
        cls, page: Page[resolvers.NearbyParty], circle: Around, wanted: resolvers.PartyFilter
    ) -> "NearbyPartyConnection":
        """Wrap a page, and remember what was asked for in case its size is asked for too."""
        edges = [
            NearbyPartyEdge(cursor=cursor, distance_meters=found.distance_m, node=Party.of(found.party))
            for cursor, found in zip(page.cursors, page.rows, strict=True)
        ]
        return cls(circle=circle, wanted=wanted, edges=edges, page_info=PageInfo.of(page))

    @strawberry.field(
        description="How many parties there are on all pages together, exact below 1,000; 1,000 means at "
        "least so many."
    )
    async def total_count(self, info: Info) -> int:
        """Counted only where it is asked for."""
        async with info.context.read() as tx:
            return await resolvers.count_nearby(tx, self.circle, self.wanted)


@strawberry.input(description="Which parties are wanted. What is left out does not matter.")
class PartyFilter:
    """See resolvers.nearby."""

    status: list[PartyStatus] | None = strawberry.field(
        default_factory=lambda: [Status.OPEN],
        description="In one of these states. OPEN parties are listed until joinBy, FULL ones until endsAt.",
    )
    item_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="For one of these items, 100 at most."
    )
    category: str | None = strawberry.field(default=None, description="For an item of this category.")
    market_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="At one of these markets, 100 at most."
    )
    starts_after: datetime | None = strawberry.field(default=None, description="Starting then or later.")
    starts_before: datetime | None = strawberry.field(default=None, description="Starting earlier than that.")
    min_places_left: int | None = strawberry.field(
        default=None, description="With at least so many places left."
    )
    search: str | None = strawberry.field(
        default=None, description="Whose item or market is found by this: parts of names, initial consonants."
    )

    def wanted(self) -> resolvers.PartyFilter:
        """The same with keys for ids."""
        return resolvers.PartyFilter(
            statuses=(Status.OPEN,) if self.status is None else self.status,
            item_ids=ids.decode_all("Item", self.item_ids),
            category=self.category,
            market_ids=ids.decode_all("Market", self.market_ids),
            starts_after=self.starts_after,
            starts_before=self.starts_before,
            min_places_left=self.min_places_left,
            search=self.search,
        )


@strawberry.type
class NearbyQuery:
    """Fields of Query."""

    @strawberry.field(
        description="Parties whose market lies within the radius, nearest first. Without `near`, around the "
        "viewer's home."
    )
    async def nearby_parties(
        self,
        info: Info,
        near: Annotated[PointInput | None, strawberry.argument(description="Around this point.")] = None,
        within_meters: Annotated[
            int | None, strawberry.argument(description="How far at most: 1 to 50,000 metres.")
        ] = WITHIN_M,
        filter: Annotated[PartyFilter | None, strawberry.argument(description="Only such parties.")] = None,
        first: First = 20,
        after: After = None,
    ) -> NearbyPartyConnection:
        """Open, call, wrap."""
        wanted, asked = (filter or PartyFilter()).wanted(), page_of(first, after)
        async with info.context.read() as tx:
            circle = await circle_of(tx, info, near, within_meters)
            page = await resolvers.nearby_parties(tx, circle, wanted, asked)
        return NearbyPartyConnection.of(page, circle, wanted)


async def circle_of(
    tx: Transaction, info: Info, near: PointInput | None, within_meters: int | None
) -> Around:
    """The circle that is asked about: around a point, or around the viewer's home.

    Raises:
        BadInput, InvalidInput, Unauthenticated
    """
    if near is not None:
        return around(near.latitude, near.longitude, within_meters)
    if info.context.signed_in is None and info.context.token_problem is None:
        raise BadInput("Give `near`, or sign in to ask around your home.")
    home = await users.viewer(tx, info.context.viewer_id)
    return around(home.home_latitude, home.home_longitude, within_meters)
