"""People and their sessions."""

import base64
import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Computed, ForeignKey, Index, text
from sqlmodel import Field

from models.base import DERIVED, INSTANT, Cube, Row, code, new_id, one_of, unit_vector, within_degrees
from models.errors import InvalidInput
from models.text import cleaned

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")

WITHDRAWN = "탈퇴한 이웃"
"""What the nickname of whoever has withdrawn begins with, and nobody else's."""

PERSONAL = ("email", "password_hash", "home_address", "home_region", "home_latitude", "home_longitude")
"""What is erased when a person withdraws."""


class Role(StrEnum):
    """What a person may do. Given by the server only."""

    USER = "USER"
    ADMIN = "ADMIN"


class User(Row, table=True):
    """A person with a home, around which parties are near; or what is left of one who has withdrawn.

    The row stays for the parties that refer to it. The database sees to it that nothing personal does.
    """

    __tablename__ = "users"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        Column(
            "position",
            Cube(),
            # `cube` refuses an array with a NULL in it. Who has no home is near nothing.
            Computed(
                "CASE WHEN home_latitude IS NULL THEN NULL::cube"
                f" ELSE {unit_vector('home_latitude', 'home_longitude')} END",
                persisted=True,
            ),
            nullable=True,
        ),
        Index("ix_users_position", "position", postgresql_using="gist"),
        Index("uq_users_email", text("lower(email)"), unique=True),
        Index("uq_users_nickname", text("lower(nickname)"), unique=True),
        one_of("role", Role),
        within_degrees("home_latitude", "home_longitude", "home_on_globe"),
        CheckConstraint(
            f"num_nonnulls({', '.join(PERSONAL)}) ="
            f" CASE WHEN withdrawn_at IS NULL THEN {len(PERSONAL)} ELSE 0 END",
            name="withdrawn_is_erased",
        ),
        CheckConstraint(
            f"withdrawn_at IS NULL OR nickname LIKE '{WITHDRAWN} %' AND role = '{Role.USER}'",
            name="withdrawn_is_nobody",
        ),
    )
    __mapper_args__: ClassVar = {"exclude_properties": DERIVED}

    id: UUID = Field(default_factory=new_id, primary_key=True)
    email: str | None = Field(max_length=254)
    password_hash: str | None
    nickname: str = Field(max_length=20)
    role: Role = Field(default=Role.USER, sa_type=code(Role))
    home_address: str | None = Field(max_length=200)
    home_region: str | None = Field(max_length=40)
    home_latitude: float | None
    home_longitude: float | None
    created_at: datetime = Field(sa_type=INSTANT)
    withdrawn_at: datetime | None = Field(default=None, sa_type=INSTANT)

    def withdraw(self, now: datetime) -> None:
        """Erase what is personal. The caller holds the row lock on this person.

        The nickname keeps apart who wrote what, and says nothing: it is made from the random part of the id.
        """
        for field in PERSONAL:
            setattr(self, field, None)
        self.nickname = f"{WITHDRAWN} {base64.b32encode(self.id.bytes[-8:]).decode().rstrip('=').lower()}"
        self.role = Role.USER
        self.withdrawn_at = now


class Session(Row, table=True):
    """One signed-in device. It ends by signing out, by time, or when a used refresh token comes back."""

    __tablename__ = "sessions"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        Index("ix_sessions_user_id", "user_id", postgresql_where="ended_at IS NULL"),
        CheckConstraint("generation >= 1", name="generation_positive"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False))
    #: How many refresh tokens the session has had: the newest alone is good, an older one is a theft.
    generation: int = 1
    user_agent: str | None = Field(default=None, max_length=200)
    created_at: datetime = Field(sa_type=INSTANT)
    last_used_at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)
    ended_at: datetime | None = Field(default=None, sa_type=INSTANT)

    def is_live(self, now: datetime) -> bool:
        """Whether its tokens are good."""
        return self.ended_at is None and now < self.expires_at

    def rotate(self, now: datetime, lifetime: timedelta) -> None:
        """Use up the current refresh token: the next generation starts, and so does its lifetime."""
        self.generation += 1
        self.last_used_at = now
        self.expires_at = now + lifetime

    def end(self, now: datetime) -> None:
        """End the session. Ending it twice changes nothing."""
        self.ended_at = self.ended_at or now


def valid_email(value: str) -> str:
    """The address as it is stored: trimmed, otherwise as written; two that differ in case alone are one.

    Raises:
        InvalidInput
    """
    email = cleaned("email", value, at_least=3, at_most=254)
    if not _EMAIL.fullmatch(email):
        raise InvalidInput("email", "This is not an e-mail address.", "이메일 주소가 아니에요.")
    return email


def valid_password(field: str, value: str) -> str:
    """The password unchanged: 8 to 128 characters of any kind.

    Raises:
        InvalidInput
    """
    if not 8 <= len(value) <= 128:
        raise InvalidInput(
            field, "Use 8 to 128 characters for the password.", "비밀번호는 8자에서 128자까지 쓸 수 있어요."
        )
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
        raise InvalidInput(field, "This text is not valid Unicode.", "올바른 유니코드 글자가 아니에요.")
    return value


def valid_nickname(value: str) -> str:
    """The nickname trimmed: 2 to 20 characters.

    Raises:
        InvalidInput
    """
    nickname = cleaned("nickname", value, at_least=2, at_most=20)
    if nickname.startswith(WITHDRAWN):
        raise InvalidInput(
            "nickname", "This nickname can't be chosen. Take another one.", "쓸 수 없는 별명이에요."
        )
    return nickname
