"""The person who asks: what people see of themselves alone."""

from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import strawberry

from models import errors
from resolvers import items, markets, notifications, parties, penalties, sessions, withdrawal
from resolvers import users as resolvers
from resolvers.views import ViewerView
from schema import ids
from schema.context import Info
from schema.enums import MemberRole, PartyStatus, Role
from schema.errors import (
    Error,
    InvalidInput,
    NicknameTaken,
    NotFound,
    TooManyAttempts,
    WrongCredentials,
    refusal,
)
from schema.items import Item
from schema.markets import MarketConnection
from schema.nodes import Point, PointInput
from schema.notifications import Notification, NotificationPreference
from schema.pages import After, Connection, First, connection, page_of
from schema.parties import Party
from schema.penalties import Penalty
from schema.sessions import Session
from schema.users import User

ValueT = TypeVar("ValueT")


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

    @strawberry.field(description="Devices that the viewer is signed in on, the newest first; 100 at most.")
    async def sessions(self, info: Info) -> list[Session]:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            found = await sessions.sessions_of(tx, self.key)
        return [Session.of(each, info.context.viewer.session_id) for each in found]

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

    @strawberry.field(description="What the viewer was told, the newest first.")
    async def notifications(
        self,
        info: Info,
        unread_only: Annotated[
            bool | None, strawberry.argument(description="Only what the viewer has not read.")
        ] = False,
        first: First = None,
        after: After = None,
    ) -> Connection[Notification]:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            page = await notifications.notifications_of(
                tx, self.key, page_of(first, after), unread_only=bool(unread_only)
            )
        return connection(page, Notification.of)

    @strawberry.field(description="How many of them the viewer has not read.")
    async def unread_notification_count(self, info: Info) -> int:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            return await notifications.unread_count(tx, self.key)

    @strawberry.field(description="How the viewer wants to be told of each kind.")
    async def notification_preferences(self, info: Info) -> list[NotificationPreference]:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            return [
                NotificationPreference.of(each) for each in await notifications.preferences_of(tx, self.key)
            ]

    @strawberry.field(
        description="What the viewer got, the newest first; also what counts no more or was revoked."
    )
    async def penalties(self, info: Info, first: First = None, after: After = None) -> Connection[Penalty]:
        """Open, call, wrap."""
        async with info.context.read() as tx:
            page = await penalties.penalties_of(tx, self.key, page_of(first, after))
        return connection(page, Penalty.of)


@strawberry.input(description="Which session to end.")
class SignOutInput:
    """Input of signOut."""

    session_id: strawberry.ID | None = strawberry.field(
        default=None, description="One of the viewer's sessions; this one by default."
    )


@strawberry.input(description="What to change; what is left out stays as it is, and null is refused.")
class UpdateProfileInput:
    """Input of updateProfile."""

    nickname: str | None = strawberry.field(
        default=strawberry.UNSET, description="2 to 20 characters that neighbours see."
    )
    address: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="The home's address as the person writes it. Its point has to come with it.",
    )
    point: PointInput | None = strawberry.field(
        default=strawberry.UNSET,
        description="Where the home is, with its address: neither is looked up by the other yet.",
    )

    def checked_nickname(self) -> str | None:
        """The nickname; None leaves it as it is.

        Raises:
            InvalidInput
        """
        return _given("nickname", self.nickname)

    def home(self) -> resolvers.Home | None:
        """Where the person lives now; None leaves it as it is.

        Raises:
            InvalidInput
        """
        address, point = _given("address", self.address), _given("point", self.point)
        if address is None and point is None:
            return None
        if point is None:
            raise errors.InvalidInput(
                "point",
                "Give the point of the address: addresses are not looked up yet.",
                "주소의 좌표를 함께 보내 주세요. 아직 주소로 찾을 수 없어요.",
            )
        if address is None:
            raise errors.InvalidInput(
                "address", "Give the address of the point.", "좌표의 주소를 함께 보내 주세요."
            )
        return resolvers.Home(address, point.latitude, point.longitude)


@strawberry.input(description="Proof that it is the viewer who goes.")
class WithdrawInput:
    """Input of withdraw."""

    password: str = strawberry.field(description="The account's password: a token proves too little.")


@strawberry.type(description="The account is gone, and what was personal in it.")
class Withdrawn:
    """See resolvers.withdrawal."""

    at: datetime = strawberry.field(description="When.")


@refusal(errors.OpenObligations)
@strawberry.type(description="The viewer can't withdraw yet: others count on them.")
class OpenObligations(Error):
    """See models.errors."""

    parties: list[Party] = strawberry.field(
        description="Where the viewer leads or has a place, neither done nor canceled; 100 at most."
    )

    @classmethod
    async def data(cls, error: errors.OpenObligations, info: Info) -> dict[str, Any]:
        """With the parties, so that a client can show what to do."""
        found = await info.context.loaders.party.load_many(error.party_ids)
        return {"parties": [Party.of(view) for view in found if view is not None]}


SignOutResult = Annotated[
    Viewer | NotFound,
    strawberry.union("SignOutResult", description="The viewer who has signed out, or why not."),
]

UpdateProfileResult = Annotated[
    Viewer | InvalidInput | NicknameTaken,
    strawberry.union("UpdateProfileResult", description="The viewer as they are now, or why not."),
]
WithdrawResult = Annotated[
    Withdrawn | WrongCredentials | TooManyAttempts | OpenObligations,
    strawberry.union("WithdrawResult", description="When the viewer withdrew, or why they did not."),
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
            await sessions.sign_out(tx, info.context.viewer, session_id)
            return Viewer.of(await resolvers.viewer(tx, info.context.viewer_id))

    @strawberry.mutation(description="Change the nickname, or the home that parties are near.")
    async def update_profile(
        self,
        info: Info,
        input: Annotated[UpdateProfileInput, strawberry.argument(description="What to change.")],
    ) -> UpdateProfileResult:
        """Open, call, wrap."""
        nickname, home = input.checked_nickname(), input.home()
        async with info.context.write() as tx:
            await resolvers.update_profile(tx, info.context.viewer_id, nickname=nickname, home=home)
            return Viewer.of(await resolvers.viewer(tx, info.context.viewer_id))

    @strawberry.mutation(
        description="Erase the account: sessions end, requests to join are taken back, the e-mail is free."
        " Refused while the viewer has a place in a party that is neither done nor canceled."
    )
    async def withdraw(
        self, info: Info, input: Annotated[WithdrawInput, strawberry.argument(description="The proof.")]
    ) -> WithdrawResult:
        """Open, call, wrap."""
        context = info.context
        async with context.write() as tx:
            await withdrawal.withdraw(
                tx, context.keys, context.viewer_id, input.password, address=context.address
            )
        return Withdrawn(at=tx.now)


def _given(field: str, value: ValueT | None) -> ValueT | None:
    """What was given; None when nothing was. A null is neither: these can't be removed.

    Raises:
        InvalidInput
    """
    if value is None:
        raise errors.InvalidInput(field, "This can't be removed.", "비워 둘 수 없어요.")
    return None if value is strawberry.UNSET else value
