"""Access tokens and refresh tokens: signed, short, and told apart by their audience."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from models.errors import SessionExpired

_ALGORITHM = "HS256"
_ISSUER = "gonggu"


class InvalidToken(Exception):
    """An access token that is not ours, was altered, or has run out. The text is for the program's author."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """Who an access token speaks for, and until when."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """A fresh pair of tokens, as the client gets it."""

    access_token: str
    access_token_expires_at: datetime
    refresh_token: str


@dataclass(frozen=True)
class TokenIssuer:
    """Makes and reads tokens. Times come from the caller: a token is as old as its transaction says."""

    secret: str
    access_lifetime: timedelta = timedelta(minutes=15)
    refresh_lifetime: timedelta = timedelta(days=30)

    def issue(self, user_id: UUID, session_id: UUID, generation: int, now: datetime) -> IssuedTokens:
        """Make the pair for one generation of a session. Access tokens end on a whole second."""
        expires_at = (now + self.access_lifetime).replace(microsecond=0)
        access = self._sign("access", expires_at, sub=str(user_id), sid=str(session_id))
        refresh = self._sign("refresh", now + self.refresh_lifetime, sid=str(session_id), gen=generation)
        return IssuedTokens(access, expires_at, refresh)

    def read_access(self, token: str, now: datetime) -> AccessToken:
        """Who the token speaks for.

        Raises:
            InvalidToken
        """
        try:
            claims = self._claims(token, "access", "sub")
            access = AccessToken(
                UUID(claims["sub"]), UUID(claims["sid"]), datetime.fromtimestamp(claims["exp"], UTC)
            )
        except (jwt.InvalidTokenError, ValueError, TypeError) as problem:
            raise InvalidToken("The access token is not valid. Sign in again.") from problem
        if now >= access.expires_at:
            raise InvalidToken("The access token has expired. Call refreshTokens.")
        return access

    def read_refresh(self, token: str) -> tuple[UUID, int]:
        """The session and the generation that the token was made for.

        Raises:
            SessionExpired
        """
        try:
            claims = self._claims(token, "refresh", "gen")
            return UUID(claims["sid"]), int(claims["gen"])
        except (jwt.InvalidTokenError, ValueError, TypeError) as problem:
            raise SessionExpired from problem

    def _sign(self, audience: str, expires_at: datetime, **claims: Any) -> str:
        claims |= {"iss": _ISSUER, "aud": audience, "exp": expires_at}
        return jwt.encode(claims, self.secret, algorithm=_ALGORITHM)

    def _claims(self, token: str, audience: str, *needed: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            self.secret,
            algorithms=[_ALGORITHM],
            audience=audience,
            issuer=_ISSUER,
            # The end is compared with the transaction's clock, not with the machine's.
            options={"verify_exp": False, "require": ["exp", "sid", *needed]},
        )
