import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from models.errors import SessionExpired
from resolvers.tokens import InvalidToken, TokenIssuer

SECRET = "a secret of tests, 32 characters or more"
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
USER, SESSION = uuid4(), uuid4()
ISSUER = TokenIssuer(SECRET)


def claims(audience: str, **changes: Any) -> dict[str, Any]:
    """What a good token says, but for the changes; None takes a claim away."""
    good = {
        "iss": "gonggu",
        "aud": audience,
        "exp": NOW + timedelta(minutes=5),
        "sub": str(USER),
        "sid": str(SESSION),
        "gen": 1,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(audience: str, secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(claims(audience, **changes), secret, algorithm=algorithm)


def unsigned(audience: str) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value, default=str).encode()).decode().rstrip("=")

    body = claims(audience, exp=int((NOW + timedelta(minutes=5)).timestamp()))
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(body)}."


def with_other_body(token: str) -> str:
    head, _, signature = token.split(".")
    _, body, _ = signed("access", sub=str(uuid4())).split(".")
    return f"{head}.{body}.{signature}"


def test_a_fresh_pair_speaks_for_its_user_and_session():
    tokens = ISSUER.issue(USER, SESSION, 3, NOW)
    access = ISSUER.read_access(tokens.access_token, NOW)
    assert (access.user_id, access.session_id) == (USER, SESSION)
    assert access.expires_at == tokens.access_token_expires_at == NOW + timedelta(minutes=15)
    assert ISSUER.read_refresh(tokens.refresh_token) == (SESSION, 3)


def test_an_access_token_ends_at_its_second_by_the_clock_of_the_transaction():
    token = ISSUER.issue(USER, SESSION, 1, NOW).access_token
    end = NOW + timedelta(minutes=15)
    assert ISSUER.read_access(token, end - timedelta(microseconds=1))
    with pytest.raises(InvalidToken, match="refreshTokens"):
        ISSUER.read_access(token, end)


def test_the_life_of_an_access_token_is_told_as_exactly_as_it_is_kept():
    tokens = ISSUER.issue(USER, SESSION, 1, NOW + timedelta(microseconds=999_999))
    assert tokens.access_token_expires_at == NOW + timedelta(minutes=15)
    assert ISSUER.read_access(tokens.access_token, NOW).expires_at == tokens.access_token_expires_at


FORGED: dict[str, Callable[[str], str]] = {
    "another secret": lambda audience: signed(audience, secret="another secret, as long as the first"),
    "HS512": lambda audience: signed(audience, secret=SECRET * 2, algorithm="HS512"),
    "HS512 with our secret": lambda audience: signed(audience, secret=SECRET.ljust(64), algorithm="HS512"),
    "no signature": unsigned,
    "another issuer": lambda audience: signed(audience, iss="somebody"),
    "no issuer": lambda audience: signed(audience, iss=None),
    "no audience": lambda audience: signed(audience, aud=None),
    "another audience": lambda audience: signed("admin"),
    "no end": lambda audience: signed(audience, exp=None),
    "no session": lambda audience: signed(audience, sid=None),
    "no UUID": lambda audience: signed(audience, sid="1"),
    "another body": lambda audience: with_other_body(signed(audience)),
    "a cut": lambda audience: signed(audience)[:-1],
    "nothing": lambda audience: "",
    "no JWT": lambda audience: "a.b.c",
    "no ASCII": lambda audience: "공구.공구.공구",
    "half a letter": lambda audience: "\ud800",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_token_that_is_not_ours_is_refused(forge: Callable[[str], str]):
    with pytest.raises(InvalidToken):
        ISSUER.read_access(forge("access"), NOW)
    with pytest.raises(SessionExpired):
        ISSUER.read_refresh(forge("refresh"))


def test_a_refresh_token_is_no_access_token_and_the_other_way_round():
    tokens = ISSUER.issue(USER, SESSION, 1, NOW)
    with pytest.raises(InvalidToken):
        ISSUER.read_access(tokens.refresh_token, NOW)
    with pytest.raises(SessionExpired):
        ISSUER.read_refresh(tokens.access_token)


def test_a_role_in_a_token_is_nothing_that_anybody_reads():
    access = ISSUER.read_access(signed("access", role="ADMIN"), NOW)
    assert not hasattr(access, "role")


def test_a_token_says_nothing_about_a_person_but_their_id():
    body = jwt.decode(ISSUER.issue(USER, SESSION, 1, NOW).access_token, options={"verify_signature": False})
    assert body.keys() == {"iss", "aud", "exp", "sub", "sid"}
