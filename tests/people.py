"""People who sign up and in by the real verbs, as tests need them."""

from typing import Any

from redis.asyncio import Redis

from models.base import new_id
from resolvers import users
from resolvers.attempts import Attempts
from resolvers.passwords import Passwords
from resolvers.sessions import Keys, SignedIn, Viewer, viewer_behind
from resolvers.tokens import TokenIssuer
from resolvers.transaction import Transaction
from resolvers.users import Home

PASSWORD = "정말 비밀이에요"
HOME = Home("서울특별시 마포구 망원동 57-1", 37.5562, 126.9056)


def make_keys(redis: Redis, passwords: Passwords) -> Keys:
    """Keys with a secret of their own: what others do wrong in the same Redis does not count."""
    secret = f"a secret of tests, made for {new_id()}"
    return Keys(passwords, TokenIssuer(secret), Attempts(redis, secret))


async def sign_up(tx: Transaction, keys: Keys, **changes: Any) -> SignedIn:
    """A new account: 망고's, where nothing else is said."""
    values: dict[str, Any] = {
        "email": "Mango@Example.com",
        "password": PASSWORD,
        "nickname": "망고",
        "home": HOME,
    }
    return await users.sign_up(tx, keys, **values | changes)


async def viewer_of(tx: Transaction, keys: Keys, signed_in: SignedIn) -> Viewer | None:
    """Whom the access token speaks for now."""
    return await viewer_behind(tx, keys.tokens.read_access(signed_in.tokens.access_token, tx.now))


async def viewer_now(tx: Transaction, keys: Keys, signed_in: SignedIn) -> Viewer:
    """Whom the access token speaks for, when it does."""
    await tx.session.flush()
    viewer = await viewer_of(tx, keys, signed_in)
    assert viewer is not None
    return viewer
