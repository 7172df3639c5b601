from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from models.errors import InvalidInput
from models.users import Session, valid_email, valid_nickname, valid_password

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
MONTH = timedelta(days=30)


@pytest.mark.parametrize(
    "email", ["a@b.kr", "Mango+Tag@Sub.Example.com", "망고@예시.한국", "a" * 248 + "@bb.kr"]
)
def test_an_address_with_a_name_and_a_domain_is_an_email(email: str):
    assert valid_email(f" {email} ") == email


@pytest.mark.parametrize(
    "email",
    ["", "a", "a@b", "a@@b.kr", "a b@c.kr", "@b.kr", "a@.kr", "a@b..kr", "a@b.kr\x00", "a" * 249 + "@bb.kr"],
)
def test_anything_else_is_none(email: str):
    with pytest.raises(InvalidInput) as refusal:
        valid_email(email)
    assert refusal.value.field == "email"


@pytest.mark.parametrize("password", ["8letters", "가" * 128, " spaces stay ", "\x00" * 8])
def test_a_password_may_have_any_characters_and_stays_as_it_is(password: str):
    assert valid_password("password", password) == password


@pytest.mark.parametrize("password", ["", "7letter", "가" * 129, "half\ud800letter"])
def test_a_password_that_is_too_short_too_long_or_no_text_is_refused(password: str):
    with pytest.raises(InvalidInput) as refusal:
        valid_password("newPassword", password)
    assert refusal.value.field == "newPassword"


@pytest.mark.parametrize(
    ("nickname", "fits"), [("가", False), ("가나", True), ("가" * 20, True), ("가" * 21, False)]
)
def test_a_nickname_has_2_to_20_characters(nickname: str, fits: bool):
    if fits:
        assert valid_nickname(nickname) == nickname
    else:
        with pytest.raises(InvalidInput):
            valid_nickname(nickname)


def a_session() -> Session:
    return Session(user_id=uuid4(), created_at=NOW, last_used_at=NOW, expires_at=NOW + MONTH)


def test_a_session_lives_until_the_moment_it_expires():
    session = a_session()
    assert session.is_live(NOW + MONTH - timedelta(microseconds=1))
    assert not session.is_live(NOW + MONTH)


def test_using_a_session_starts_its_next_generation_and_its_lifetime_anew():
    session = a_session()
    session.rotate(NOW + timedelta(days=29), MONTH)
    assert (session.generation, session.last_used_at) == (2, NOW + timedelta(days=29))
    assert session.is_live(NOW + timedelta(days=58))


def test_an_ended_session_stays_ended_at_the_first_time():
    session = a_session()
    session.end(NOW)
    session.end(NOW + timedelta(days=1))
    assert session.ended_at == NOW
    assert not session.is_live(NOW)
