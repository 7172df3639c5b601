"""People: who they are, where they live, and what they may do. `resolvers.sessions` has how they sign in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from models.errors import EmailTaken, InvalidInput, NicknameTaken, NotFound, WrongCredentials
from models.regions import region_of
from models.text import cleaned
from models.users import Role, User, valid_email, valid_nickname, valid_password
from resolvers.sessions import Keys, SignedIn, open_session, user_with
from resolvers.transaction import Transaction
from resolvers.views import UserView, ViewerView, select_users, select_viewers, user_of, viewer_of


@dataclass(frozen=True, slots=True)
class Home:
    """Where somebody lives: the address as written, and its point in degrees."""

    address: str
    latitude: float
    longitude: float

    def columns(self) -> dict[str, Any]:
        """What the person's row has of it.

        Raises:
            InvalidInput
        """
        address = cleaned("address", self.address, at_least=2, at_most=200)
        check_point("point", self.latitude, self.longitude)
        return {
            "home_address": address,
            "home_region": region_of(address),
            # To the centimetre: nothing smaller is meant, and PostgreSQL refuses radians() of 5e-324.
            "home_latitude": round(self.latitude, 7),
            "home_longitude": round(self.longitude, 7),
        }


async def sign_up(
    tx: Transaction,
    keys: Keys,
    *,
    email: str,
    password: str,
    nickname: str,
    home: Home,
    user_agent: str | None = None,
) -> SignedIn:
    """Make an account and sign in to it. Everybody starts as a plain user, whatever the client says.

    Raises:
        InvalidInput, EmailTaken, NicknameTaken
    """
    email, nickname = valid_email(email), valid_nickname(nickname)
    place = home.columns()
    # Hashed before the first statement: no connection waits for argon2.
    password_hash = await keys.passwords.hash(valid_password("password", password))
    user = User(
        email=email,
        password_hash=password_hash,
        nickname=nickname,
        created_at=tx.now,
        **place,
    )
    tx.session.add(user)
    await _flush(tx, nickname)
    return open_session(tx, keys, UserView(user.id, user.nickname, user.created_at), user_agent)


async def update_profile(
    tx: Transaction, user_id: UUID, *, nickname: str | None = None, home: Home | None = None
) -> None:
    """Change what the person says about themselves; None leaves it as it is.

    Raises:
        InvalidInput, NicknameTaken, NotFound
    """
    changes: dict[str, Any] = {}
    if nickname is not None:
        changes["nickname"] = valid_nickname(nickname)
    if home is not None:
        changes |= home.columns()
    user = await tx.session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None or user.withdrawn_at is not None:
        raise NotFound("user", user_id)
    for column, value in changes.items():
        setattr(user, column, value)
    await _flush(tx, user.nickname)


async def check_living(tx: Transaction, user_id: UUID) -> None:
    """See that a person has not withdrawn, and keep it so until the transaction ends.

    For whoever writes down something that binds the person. Where a party is locked, that comes first.

    Raises:
        NotFound
    """
    statement = (
        select(col(User.id))
        .where(col(User.id) == user_id, col(User.withdrawn_at).is_(None))
        .with_for_update(read=True, key_share=True)
    )
    if await tx.session.scalar(statement) is None:
        raise NotFound("user", user_id)


async def viewer(tx: Transaction, user_id: UUID) -> ViewerView:
    """What a person sees of themselves.

    Raises:
        NotFound
    """
    living = and_(col(User.id) == user_id, col(User.withdrawn_at).is_(None))
    row = (await tx.session.execute(select_viewers().where(living))).one_or_none()
    if row is None:
        raise NotFound("user", user_id)
    return viewer_of(row)


async def users_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, UserView]:
    """Those of the people that exist."""
    rows = await tx.session.execute(select_users().where(col(User.id).in_(ids)))
    return {user.id: user for user in map(user_of, rows)}


async def grant_role(tx: Transaction, email: str, role: Role) -> UserView:
    """Make somebody an administrator, or a plain user again. Called by the server's operator alone.

    Raises:
        WrongCredentials: Nobody has this e-mail address.
    """
    user = await user_with(tx, email)
    if user is None:
        raise WrongCredentials
    user.role = role
    return UserView(user.id, user.nickname, user.created_at)


def check_point(field: str, latitude: float, longitude: float) -> None:
    """Refuse what is no point on the globe; not a number fails every comparison.

    Raises:
        InvalidInput
    """
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise InvalidInput(
            field,
            "Latitude goes from -90 to 90 degrees, longitude from -180 to 180.",
            "위도는 -90에서 90, 경도는 -180에서 180 사이여야 해요.",
        )


async def _flush(tx: Transaction, nickname: str) -> None:
    try:
        await tx.session.flush()
    except IntegrityError as conflict:
        raise _taken(conflict, nickname) from conflict


def _taken(conflict: IntegrityError, nickname: str) -> Exception:
    if "uq_users_email" in str(conflict.orig):
        return EmailTaken()
    if "uq_users_nickname" in str(conflict.orig):
        return NicknameTaken(nickname)
    return conflict
