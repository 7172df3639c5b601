"""People: signing up, signing in, and the sessions in between."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from models.errors import (
    EmailTaken,
    InvalidInput,
    NicknameTaken,
    NotFound,
    SessionExpired,
    WrongCredentials,
)
from models.regions import region_of
from models.text import cleaned, comparable
from models.users import Role, Session, User, valid_email, valid_nickname, valid_password
from resolvers.passwords import Passwords
from resolvers.tokens import AccessToken, IssuedTokens, TokenIssuer
from resolvers.transaction import Transaction
from resolvers.views import UserView, ViewerView, select_users, select_viewers, user_of, viewer_of


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Fresh tokens and whom they speak for."""

    tokens: IssuedTokens
    user: UserView


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks, as a live session says."""

    user_id: UUID
    session_id: UUID
    role: Role
    #: When the access token ends, and with it every socket that was opened by it.
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Home:
    """Where somebody lives: the address as written, and its point in degrees."""

    address: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Keys:
    """What proves who somebody is: their password, and the tokens made from our secret."""

    passwords: Passwords
    tokens: TokenIssuer


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
    address = cleaned("address", home.address, at_least=2, at_most=200)
    check_point("point", home.latitude, home.longitude)
    # Hashed before the first statement: no connection waits for argon2.
    password_hash = await keys.passwords.hash(valid_password("password", password))
    user = User(
        email=email,
        password_hash=password_hash,
        nickname=nickname,
        home_address=address,
        home_region=region_of(address),
        home_latitude=home.latitude,
        home_longitude=home.longitude,
        created_at=tx.now,
    )
    tx.session.add(user)
    try:
        await tx.session.flush()
    except IntegrityError as conflict:
        raise _taken(conflict, nickname) from conflict
    return _open_session(tx, keys, UserView(user.id, user.nickname, user.created_at), user_agent)


async def sign_in(
    tx: Transaction, keys: Keys, email: str, password: str, user_agent: str | None = None
) -> SignedIn:
    """Open a session. An unknown address and a wrong password are refused alike, and as slowly.

    Raises:
        WrongCredentials
    """
    user = await _user_with(tx, email)
    # No connection waits for argon2, so that a crowd at the door does not stop those inside.
    await tx.session.commit()
    if not await keys.passwords.verify(user.password_hash if user else None, password) or user is None:
        raise WrongCredentials
    return _open_session(tx, keys, UserView(user.id, user.nickname, user.created_at), user_agent)


async def refresh_tokens(tx: Transaction, keys: Keys, refresh_token: str) -> SignedIn:
    """Exchange a refresh token for a new pair. A token works once; a second use ends its session.

    Raises:
        SessionExpired
    """
    session_id, generation = keys.tokens.read_refresh(refresh_token)
    session = await tx.session.get(Session, session_id, with_for_update=True)
    if session is None or not session.is_live(tx.now):
        raise SessionExpired
    if generation != session.generation:
        # Somebody has used this token before: the thief or the owner, and there is no telling who is who.
        session.end(tx.now)
        raise SessionExpired
    session.rotate(tx.now, keys.tokens.refresh_lifetime)
    user = user_of((await tx.session.execute(select_users().where(col(User.id) == session.user_id))).one())
    return SignedIn(keys.tokens.issue(user.id, session.id, session.generation, tx.now), user)


async def sign_out(tx: Transaction, viewer: Viewer, session_id: UUID | None = None) -> None:
    """End one of the viewer's sessions: the current one unless another is named. Repeating it is harmless.

    Raises:
        NotFound
    """
    session = await tx.session.get(Session, session_id or viewer.session_id, with_for_update=True)
    if session is None or session.user_id != viewer.user_id:
        raise NotFound("session", session_id or viewer.session_id)
    session.end(tx.now)


async def viewer_behind(tx: Transaction, token: AccessToken) -> Viewer | None:
    """The person whom a valid access token speaks for; None when their session has ended meanwhile."""
    statement = (
        select(col(User.role))
        .join(Session, col(Session.user_id) == col(User.id))
        .where(
            col(Session.id) == token.session_id,
            col(Session.user_id) == token.user_id,
            col(Session.ended_at).is_(None),
            col(Session.expires_at) > tx.now,
        )
    )
    role = await tx.session.scalar(statement)
    return None if role is None else Viewer(token.user_id, token.session_id, role, token.expires_at)


async def viewer(tx: Transaction, user_id: UUID) -> ViewerView:
    """What a person sees of themselves.

    Raises:
        NotFound
    """
    row = (await tx.session.execute(select_viewers().where(col(User.id) == user_id))).one_or_none()
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
    user = await _user_with(tx, email)
    if user is None:
        raise WrongCredentials
    user.role = role
    return UserView(user.id, user.nickname, user.created_at)


async def forget_sessions(tx: Transaction, ended_before: datetime) -> int:
    """Drop sessions that ended or ran out before then, at most 10,000 at a time, and say how many."""
    over = func.coalesce(col(Session.ended_at), col(Session.expires_at)) < ended_before
    old = select(col(Session.id)).where(over).limit(10_000)
    dropped = await tx.session.scalars(
        delete(Session).where(col(Session.id).in_(old)).returning(col(Session.id))
    )
    return len(dropped.all())


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


async def _user_with(tx: Transaction, email: str) -> User | None:
    # Lowered by the database on both sides: Python has other ideas of some letters.
    same = func.lower(col(User.email)) == func.lower(comparable(email))
    return await tx.session.scalar(select(User).where(same))


def _open_session(tx: Transaction, keys: Keys, user: UserView, user_agent: str | None) -> SignedIn:
    session = Session(
        user_id=user.id,
        user_agent=user_agent and (cleaned("userAgent", user_agent, at_most=200, truncate=True) or None),
        created_at=tx.now,
        last_used_at=tx.now,
        expires_at=tx.now + keys.tokens.refresh_lifetime,
    )
    tx.session.add(session)
    return SignedIn(keys.tokens.issue(user.id, session.id, session.generation, tx.now), user)


def _taken(conflict: IntegrityError, nickname: str) -> Exception:
    if "uq_users_email" in str(conflict.orig):
        return EmailTaken()
    if "uq_users_nickname" in str(conflict.orig):
        return NicknameTaken(nickname)
    return conflict
