"""The person who asks: what people see of themselves alone."""

from typing import Annotated
from uuid import UUID

import strawberry

from resolvers import items, markets, parties
from resolvers import users as resolvers
from resolvers.views import ViewerView
from schema import ids
from schema.context import Info
from schema.enums import MemberRole, PartyStatus, Role
from schema.errors import NotFound
from schema.items import Item
from schema.markets import MarketConnection
from schema.nodes import Point
from schema.pages import After, Connection, First, connection, page_of
from schema.parties import Party
from schema.users import User


@strawberry.type(description="Where the viewer lives; parties are near it.")
class Home:
    """See models.users."""

    address: str = strawberry.field(description="As the person wrote it.")
    point: Point = strawberry.field(description="Where it is.")
    region: str = strawberry.field(description="Province and district, such as 서울 마포구.")


@strawberry.type(description="The person who asks.")
class Viewer:
    """See resolvers.users."""

    key: strawberry.Private[UUID]
    user: User = strawberry.field(description="What others see of the viewer.")
    email: str = strawberry.field(description="To sign in with; nobody else sees it.")
    role: Role = strawberry.field(description="What the viewer may do.")
    home: Home = strawberry.field(description="Where the viewer lives.")

    @classmethod
    def of(cls, view: ViewerView) -> "Viewer":
        """Wrap what a resolver read."""
        point = Point(latitude=view.home_latitude, longitude=view.home_longitude)
        user = User(
            id=ids.encode("User", view.id), key=view.id, nickname=view.nickname, joined_at=view.created_at
        )
        return cls(
            key=view.id,
            user=user,
            email=view.email,
            role=view.role,
            home=Home(address=view.home_address, point=point, region=view.home_region),
        )

    @strawberry.field(description="Parties that the viewer is in or has asked to be in, the newest first.")
    async def parties(
        self,
        info: Info,
        status: Annotated[list[PartyStatus] | None, strawberry.argument(description="Only these.")] = None,
        role: Annotated[
            MemberRole | None, strawberry.argument(description="Only as leader or member.")
        ] = None,
        first: First = None,
        after: After = None,
    ) -> Connection[Party]:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            page = await parties.parties_of(tx, self.key, page_of(first, after), statuses=status, role=role)
        return connection(page, Party.of)

    @strawberry.field(description="Items whose new parties the viewer wants to hear of, by name.")
    async def bookmarked_items(
        self, info: Info, first: First = None, after: After = None
    ) -> Connection[Item]:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            page = await items.bookmarked_items(tx, self.key, page_of(first, after))
        return connection(page, Item.of)

    @strawberry.field(description="Markets whose new parties the viewer wants to hear of, by name.")
    async def bookmarked_markets(
        self, info: Info, first: First = None, after: After = None
    ) -> MarketConnection:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            page = await markets.bookmarked_markets(tx, self.key, page_of(first, after))
        return MarketConnection.of(page)


@strawberry.input(description="Which session to end.")
class SignOutInput:
    """Input of signOut."""

    session_id: strawberry.ID | None = strawberry.field(
        default=None, description="One of the viewer's sessions; this one by default."
    )


SignOutResult = Annotated[
    Viewer | NotFound,
    strawberry.union("SignOutResult", description="The viewer who has signed out, or why not."),
]


@strawberry.type
class ViewerQuery:
    """Fields of Query."""

    @strawberry.field(description="The person who asks. Null when nobody is signed in.")
    async def viewer(self, info: Info) -> Viewer | None:
        """A token that is not good is an error, not nobody."""
        if info.context.signed_in is None and info.context.token_problem is None:
            return None
        async with info.context.read() as tx:
            return Viewer.of(await resolvers.viewer(tx, info.context.viewer_id))


@strawberry.type
class ViewerMutation:
    """Fields of Mutation."""

    @strawberry.mutation(description="End a session: its tokens are good no more.")
    async def sign_out(
        self, info: Info, input: Annotated[SignOutInput, strawberry.argument(description="Which session.")]
    ) -> SignOutResult:
        """Open, call, wrap."""
        session_id = ids.decode("Session", input.session_id) if input.session_id else None
        async with info.context.write() as tx:
            await resolvers.sign_out(tx, info.context.viewer, session_id)
            return Viewer.of(await resolvers.viewer(tx, info.context.viewer_id))
