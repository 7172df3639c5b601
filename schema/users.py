"""People as others see them, and how they sign in. `schema.viewer` has what they see of themselves."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from models import errors
from resolvers import sessions
from resolvers import users as resolvers
from resolvers.views import UserView
from schema import ids
from schema.context import Info
from schema.errors import (
    EmailTaken,
    InvalidInput,
    NicknameTaken,
    SessionExpired,
    TooManyAttempts,
    WrongCredentials,
)
from schema.nodes import Node, PointInput


@strawberry.type(description="What others may see of a person.")
class User(Node):
    """See models.users."""

    key: strawberry.Private[UUID]
    nickname: str = strawberry.field(description="What neighbours call the person; nobody else has it.")
    joined_at: datetime = strawberry.field(description="When the person signed up.")

    @classmethod
    def of(cls, view: UserView) -> "User":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("User", view.id), key=view.id, nickname=view.nickname, joined_at=view.created_at
        )

    @strawberry.field(description="Penalties of the last 90 days that were not revoked.")
    async def penalty_count(self, info: Info) -> int:
        """One look-up for all the people of the operation."""
        return await info.context.loaders.penalty_count.load(self.key)


@strawberry.type(description="What a client needs to speak for a person.")
class Tokens:
    """See resolvers.tokens."""

    access_token: str = strawberry.field(description="Goes into `Authorization: Bearer …`, for 15 minutes.")
    access_token_expires_at: datetime = strawberry.field(description="When it ends.")
    refresh_token: str = strawberry.field(
        description="Good once, for refreshTokens. A second use ends the session: somebody has stolen it."
    )
    user: User = strawberry.field(description="Whom they speak for.")

    @classmethod
    def of(cls, signed_in: sessions.SignedIn) -> "Tokens":
        """Wrap what a resolver issued."""
        tokens = signed_in.tokens
        return cls(
            access_token=tokens.access_token,
            access_token_expires_at=tokens.access_token_expires_at,
            refresh_token=tokens.refresh_token,
            user=User.of(signed_in.user),
        )


@strawberry.input(description="A new account.")
class SignUpInput:
    """Input of signUp."""

    email: str = strawberry.field(description="To sign in with; nobody else sees it.")
    password: str = strawberry.field(description="8 to 128 characters.")
    nickname: str = strawberry.field(description="2 to 20 characters that neighbours see.")
    address: str = strawberry.field(description="The home's address as the person writes it.")
    point: PointInput | None = strawberry.field(
        default=None, description="Where the home is. Needed: addresses are not looked up yet."
    )

    def home(self) -> resolvers.Home:
        """Where the person lives.

        Raises:
            InvalidInput
        """
        if self.point is None:
            raise errors.InvalidInput(
                "point",
                "Give the point of the address: addresses are not looked up yet.",
                "주소의 좌표를 함께 보내 주세요. 아직 주소로 찾을 수 없어요.",
            )
        return resolvers.Home(self.address, self.point.latitude, self.point.longitude)


@strawberry.input(description="Who signs in.")
class SignInInput:
    """Input of signIn."""

    email: str = strawberry.field(description="The account's e-mail address.")
    password: str = strawberry.field(description="The account's password.")


@strawberry.input(description="What to exchange for fresh tokens.")
class RefreshTokensInput:
    """Input of refreshTokens."""

    refresh_token: str = strawberry.field(description="The newest refresh token of the session.")


@strawberry.input(description="Another password for the viewer.")
class ChangePasswordInput:
    """Input of changePassword."""

    current_password: str = strawberry.field(description="The password until now: a token proves too little.")
    new_password: str = strawberry.field(description="8 to 128 characters.")


SignUpResult = Annotated[
    Tokens | InvalidInput | EmailTaken | NicknameTaken,
    strawberry.union("SignUpResult", description="Tokens for the new account, or why there is none."),
]
SignInResult = Annotated[
    Tokens | WrongCredentials | TooManyAttempts,
    strawberry.union("SignInResult", description="Tokens for a new session, or why there is none."),
]
RefreshTokensResult = Annotated[
    Tokens | SessionExpired,
    strawberry.union("RefreshTokensResult", description="Fresh tokens, or why there are none."),
]

ChangePasswordResult = Annotated[
    Tokens | WrongCredentials | TooManyAttempts | InvalidInput,
    strawberry.union(
        "ChangePasswordResult", description="Fresh tokens for this session, or why the password is as it was."
    ),
]


@strawberry.type
class UserMutation:
    """Fields of Mutation."""

    @strawberry.mutation(description="Make an account and sign in to it.")
    async def sign_up(
        self, info: Info, input: Annotated[SignUpInput, strawberry.argument(description="The account.")]
    ) -> SignUpResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            signed_in = await resolvers.sign_up(
                tx,
                info.context.keys,
                email=input.email,
                password=input.password,
                nickname=input.nickname,
                home=input.home(),
                user_agent=info.context.user_agent,
            )
        return Tokens.of(signed_in)

    @strawberry.mutation(description="Open a session on this device.")
    async def sign_in(
        self, info: Info, input: Annotated[SignInInput, strawberry.argument(description="Who.")]
    ) -> SignInResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            signed_in = await sessions.sign_in(
                tx,
                info.context.keys,
                input.email,
                input.password,
                address=info.context.address,
                user_agent=info.context.user_agent,
            )
        return Tokens.of(signed_in)

    @strawberry.mutation(
        description="Exchange a refresh token for fresh tokens. It works once; a second use ends its session."
    )
    async def refresh_tokens(
        self, info: Info, input: Annotated[RefreshTokensInput, strawberry.argument(description="The token.")]
    ) -> RefreshTokensResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            signed_in = await sessions.refresh_tokens(tx, info.context.keys, input.refresh_token)
        return Tokens.of(signed_in)

    @strawberry.mutation(
        description="Set another password. The viewer's other sessions end; this one gets fresh tokens."
    )
    async def change_password(
        self,
        info: Info,
        input: Annotated[ChangePasswordInput, strawberry.argument(description="Both passwords.")],
    ) -> ChangePasswordResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            signed_in = await sessions.change_password(
                tx,
                info.context.keys,
                info.context.viewer,
                input.current_password,
                input.new_password,
                address=info.context.address,
            )
        return Tokens.of(signed_in)
