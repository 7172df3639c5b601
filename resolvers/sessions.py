"""Sessions: opened by a password, prolonged by a refresh token, ended one by one or all at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, func, select, update
from sqlmodel import col

from models.errors import NotFound, SessionExpired, WrongCredentials
from models.text import cleaned, comparable
from models.users import Role, Session, User, valid_password
from resolvers.attempts import Attempts
from resolvers.passwords import Passwords
from resolvers.tokens import AccessToken, IssuedTokens, TokenIssuer
from resolvers.transaction import Transaction
from resolvers.views import UserView, select_users, user_of
from subscriptions.session_ends import sessions_ended

MOST_LISTED = 100


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


@dataclass(slots=True)
class SessionView:
    """A signed-in device, as its owner sees it."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    user_agent: str | None


@dataclass(frozen=True)
class Keys:
    """What proves who somebody is: their password, and the tokens made from our secret."""

    passwords: Passwords
    tokens: TokenIssuer
    attempts: Attempts


async def sign_in(
    tx: Transaction,
    keys: Keys,
    email: str,
    password: str,
    *,
    address: str | None = None,
    user_agent: str | None = None,
) -> SignedIn:
    """Open a session. An unknown address and a wrong password are refused alike, and as slowly.

    Raises:
        WrongCredentials, TooManyAttempts
    """
    async with keys.attempts.attempt(email, address, tx.now):
        user = await user_with(tx, email)
        # No connection waits for argon2, so that a crowd at the door does not stop those inside.
        await tx.session.commit()
        if not await keys.passwords.verify(user.password_hash if user else None, password) or user is None:
            raise WrongCredentials
    # Nobody changes the password, or withdraws, between this look and the new session.
    await check_unchanged(tx, user, {"read": True})
    return open_session(tx, keys, UserView(user.id, user.nickname, user.created_at), user_agent)


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
        _end(tx, session)
        raise SessionExpired
    living = select_users().where(col(User.id) == session.user_id, col(User.withdrawn_at).is_(None))
    row = (await tx.session.execute(living)).one_or_none()
    if row is None:
        raise SessionExpired
    return _rotate(tx, keys, session, user_of(row))


async def change_password(
    tx: Transaction, keys: Keys, viewer: Viewer, current: str, new: str, *, address: str | None = None
) -> SignedIn:
    """Set another password. The viewer's other sessions end; this one goes on with fresh tokens.

    Raises:
        WrongCredentials, TooManyAttempts, InvalidInput, SessionExpired
    """
    valid_password("newPassword", new)
    user = await proven(tx, keys, viewer.user_id, current, address)
    password_hash = await keys.passwords.hash(new)
    await check_unchanged(tx, user, {"key_share": True})
    session = await tx.session.get(Session, viewer.session_id, with_for_update=True, populate_existing=True)
    if session is None or not session.is_live(tx.now):
        raise SessionExpired
    user.password_hash = password_hash
    await end_sessions(tx, viewer.user_id, col(Session.id) != session.id)
    return _rotate(tx, keys, session, UserView(user.id, user.nickname, user.created_at))


async def sign_out(tx: Transaction, viewer: Viewer, session_id: UUID | None = None) -> None:
    """End one of the viewer's sessions: the current one unless another is named. Repeating it is harmless.

    Raises:
        NotFound
    """
    session = await tx.session.get(Session, session_id or viewer.session_id, with_for_update=True)
    if session is None or session.user_id != viewer.user_id:
        raise NotFound("session", session_id or viewer.session_id)
    _end(tx, session)


# Built once: every request and every operation of a socket asks this.
_VIEWER = (
    select(col(User.role))
    .join(Session, col(Session.user_id) == col(User.id))
    .where(
        col(Session.id) == bindparam("session_id"),
        col(Session.user_id) == bindparam("user_id"),
        col(User.withdrawn_at).is_(None),
        col(Session.ended_at).is_(None),
        col(Session.expires_at) > bindparam("now"),
    )
)


async def viewer_behind(tx: Transaction, token: AccessToken) -> Viewer | None:
    """The person whom a valid access token speaks for; None when their session has ended meanwhile."""
    values = {"session_id": token.session_id, "user_id": token.user_id, "now": tx.now}
    role = await tx.session.scalar(_VIEWER, values)
    return None if role is None else Viewer(token.user_id, token.session_id, role, token.expires_at)


async def still_signed_in(tx: Transaction, viewer: Viewer) -> Viewer | None:
    """The viewer with the role of now; None when the session has ended meanwhile."""
    return await viewer_behind(tx, AccessToken(viewer.user_id, viewer.session_id, viewer.expires_at))


async def sessions_of(tx: Transaction, user_id: UUID) -> list[SessionView]:
    """The person's live sessions, the newest first, 100 at most."""
    columns: Sequence[Any] = [
        col(Session.id),
        col(Session.created_at),
        col(Session.last_used_at),
        col(Session.user_agent),
    ]
    statement = (
        select(*columns)
        .where(col(Session.user_id) == user_id, *_live(tx.now))
        .order_by(col(Session.id).desc())
        .limit(MOST_LISTED)
    )
    return [SessionView(*row) for row in await tx.session.execute(statement)]


async def forget_sessions(tx: Transaction, ended_before: datetime) -> int:
    """Drop sessions that ended or ran out before then, at most 10,000 at a time, and say how many."""
    over = func.coalesce(col(Session.ended_at), col(Session.expires_at)) < ended_before
    old = select(col(Session.id)).where(over).limit(10_000)
    dropped = await tx.session.scalars(
        delete(Session).where(col(Session.id).in_(old)).returning(col(Session.id))
    )
    return len(dropped.all())


async def user_with(tx: Transaction, email: str) -> User | None:
    """Whoever has this e-mail address."""
    # Lowered by the database on both sides: Python has other ideas of some letters.
    same = func.lower(col(User.email)) == func.lower(comparable(email))
    return await tx.session.scalar(select(User).where(same))


async def proven(tx: Transaction, keys: Keys, user_id: UUID, password: str, address: str | None) -> User:
    """The person whose password this is: asked for again before what can't be undone.

    The row is not locked: see that the password is still the one when you hold it.

    Raises:
        WrongCredentials, TooManyAttempts
    """
    user = await tx.session.get(User, user_id)
    await tx.session.commit()
    if user is None or user.email is None:
        raise WrongCredentials
    async with keys.attempts.attempt(user.email, address, tx.now):
        if not await keys.passwords.verify(user.password_hash, password):
            raise WrongCredentials
    return user


async def check_unchanged(tx: Transaction, user: User, lock: dict[str, bool]) -> None:
    """Lock the person, and see that the password that was looked at without a lock is still theirs.

    Raises:
        WrongCredentials
    """
    looked_at = user.password_hash
    await tx.session.refresh(user, with_for_update=lock)
    if user.password_hash != looked_at:
        raise WrongCredentials


def open_session(tx: Transaction, keys: Keys, user: UserView, user_agent: str | None) -> SignedIn:
    """Sign somebody in who has proven who they are."""
    session = Session(
        user_id=user.id,
        user_agent=user_agent and (cleaned("userAgent", user_agent, at_most=200, truncate=True) or None),
        created_at=tx.now,
        last_used_at=tx.now,
        expires_at=tx.now + keys.tokens.refresh_lifetime,
    )
    tx.session.add(session)
    return SignedIn(keys.tokens.issue(user.id, session.id, session.generation, tx.now), user)


async def end_sessions(tx: Transaction, user_id: UUID, *which: ColumnElement[bool]) -> None:
    """End a person's sessions, or those of them that are meant."""
    ended = await tx.session.scalars(
        update(Session)
        .where(col(Session.user_id) == user_id, col(Session.ended_at).is_(None), *which)
        .values(ended_at=tx.now)
        .returning(col(Session.id))
    )
    _ring(tx, ended.all())


def _rotate(tx: Transaction, keys: Keys, session: Session, user: UserView) -> SignedIn:
    session.rotate(tx.now, keys.tokens.refresh_lifetime)
    return SignedIn(keys.tokens.issue(user.id, session.id, session.generation, tx.now), user)


async def living_sessions(tx: Transaction, session_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the sessions whose tokens are good."""
    living = select(col(Session.id)).where(col(Session.id).in_(session_ids), *_live(tx.now))
    return set(await tx.session.scalars(living))


def _end(tx: Transaction, session: Session) -> None:
    session.end(tx.now)
    _ring(tx, [session.id])


def _ring(tx: Transaction, session_ids: Sequence[UUID]) -> None:
    """Have every stream of the sessions ended, in whatever process."""
    if session_ids:
        tx.ring(sessions_ended(session_ids))


def _live(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Session.ended_at).is_(None), col(Session.expires_at) > now
