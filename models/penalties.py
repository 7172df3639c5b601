"""Penalties: what a member gets who did not come, and what they say against it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from models.base import INSTANT, Row, code, new_id, one_of
from models.errors import (
    AlreadyRevoked,
    Involved,
    NotPenalizable,
    NotPenalizableReason,
    ObjectionDecided,
    ObjectionTooLate,
    TooManyPenalties,
)
from models.memberships import Attendance, Membership, MembershipStatus
from models.parties import Party, PartyStatus
from models.text import cleaned

PENALIZE_WITHIN = timedelta(days=14)
"""After the party is done."""
COUNTS_FOR = timedelta(days=90)
OBJECT_WITHIN = timedelta(days=14)
"""After the penalty was given."""
TOO_MANY = 3
"""With as many that count, a person can neither join a party nor open one."""
LONGEST_REASON = 500
LONGEST_OBJECTION = 1_000


class Penalty(Row, table=True):
    """Given by a party's leader to a member who did not come. It stays; only its counting ends."""

    __tablename__ = "penalties"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        Index("uq_penalties_party_id_user_id", "party_id", "user_id", unique=True),
        Index("ix_penalties_user_id", "user_id", "id"),
        Index("ix_penalties_counting", "user_id", "expires_at", postgresql_where=text("revoked_at IS NULL")),
        CheckConstraint("user_id <> given_by_id", name="not_to_oneself"),
        CheckConstraint("reason <> ''", name="has_reason"),
        CheckConstraint("given_at < expires_at", name="expires_later"),
        CheckConstraint(
            "num_nonnulls(revoked_at, revoked_by_id, revoke_reason) IN (0, 3)", name="revoked_has_reason"
        ),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    party_id: UUID = Field(foreign_key="parties.id")
    user_id: UUID = Field(foreign_key="users.id")
    given_by_id: UUID = Field(foreign_key="users.id")
    reason: str = Field(max_length=LONGEST_REASON)
    given_at: datetime = Field(sa_type=INSTANT)
    #: It counts before this moment, unless it is revoked.
    expires_at: datetime = Field(sa_type=INSTANT)
    revoked_at: datetime | None = Field(default=None, sa_type=INSTANT)
    revoked_by_id: UUID | None = Field(default=None, foreign_key="users.id")
    revoke_reason: str | None = Field(default=None, max_length=LONGEST_REASON)

    def revoke(self, administrator_id: UUID, reason: str, now: datetime) -> None:
        """Take it back. The caller holds the row lock on its party.

        Raises:
            Involved, AlreadyRevoked, InvalidInput
        """
        self.check_uninvolved(administrator_id)
        self._check_standing()
        self.revoke_reason = _reason(reason)
        self.revoked_at = now
        self.revoked_by_id = administrator_id

    def object(self, words: str, now: datetime) -> "Objection":
        """Say why it is wrong, as the person who got it. The caller holds the row lock on its party.

        Raises:
            AlreadyRevoked, ObjectionTooLate, InvalidInput
        """
        self._check_standing()
        until = self.given_at + OBJECT_WITHIN
        if now >= until:
            raise ObjectionTooLate(until)
        said = cleaned("text", words, at_most=LONGEST_OBJECTION, multiline=True)
        return Objection(penalty_id=self.id, text=said, made_at=now)

    def check_uninvolved(self, administrator_id: UUID) -> None:
        """See that somebody neither gave nor got it.

        Raises:
            Involved
        """
        if administrator_id in (self.given_by_id, self.user_id):
            raise Involved

    def _check_standing(self) -> None:
        if self.revoked_at is not None:
            raise AlreadyRevoked(self.id)


class Decision(StrEnum):
    """What an objection leads to."""

    UPHELD = "UPHELD"
    REVOKED = "REVOKED"


class Objection(Row, table=True):
    """What a person says against a penalty; decided once, by an administrator."""

    __tablename__ = "objections"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        Index("uq_objections_penalty_id", "penalty_id", unique=True),
        Index("ix_objections_open", "id", postgresql_where=text("decided_at IS NULL")),
        one_of("decision", Decision),
        CheckConstraint("text <> ''", name="has_text"),
        CheckConstraint(
            "num_nonnulls(decided_at, decided_by_id, decision, reason) IN (0, 4)", name="decided_has_reason"
        ),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    penalty_id: UUID = Field(foreign_key="penalties.id")
    text: str = Field(max_length=LONGEST_OBJECTION)
    made_at: datetime = Field(sa_type=INSTANT)
    decided_at: datetime | None = Field(default=None, sa_type=INSTANT)
    decided_by_id: UUID | None = Field(default=None, foreign_key="users.id")
    decision: Decision | None = Field(default=None, sa_type=code(Decision))
    reason: str | None = Field(default=None, max_length=LONGEST_REASON)

    def decide(self, administrator_id: UUID, decision: Decision, reason: str, now: datetime) -> None:
        """Answer it. The caller holds the row lock on the party, and knows that they are not involved.

        Raises:
            ObjectionDecided, InvalidInput
        """
        if self.decided_at is not None:
            raise ObjectionDecided(self.id)
        self.reason = _reason(reason)
        self.decision = decision
        self.decided_at = now
        self.decided_by_id = administrator_id


def penalty_for(
    party: Party, user_id: UUID, member: Membership | None, reason: str, now: datetime
) -> Penalty:
    """The penalty that the party's leader gives to one of its people; `member` is their accepted membership.

    Raises:
        NotPenalizable, InvalidInput
    """
    if party.status is not PartyStatus.DONE or party.done_at is None:
        raise NotPenalizable(NotPenalizableReason.NOT_DONE)
    if user_id == party.leader_id:
        raise NotPenalizable(NotPenalizableReason.LEADER)
    if member is None or member.status is not MembershipStatus.ACCEPTED:
        raise NotPenalizable(NotPenalizableReason.NOT_A_MEMBER)
    if member.attendance is not Attendance.NO_SHOW:
        raise NotPenalizable(NotPenalizableReason.ATTENDED)
    if now >= party.done_at + PENALIZE_WITHIN:
        raise NotPenalizable(NotPenalizableReason.TOO_LATE)
    return Penalty(
        party_id=party.id,
        user_id=user_id,
        given_by_id=party.leader_id,
        reason=_reason(reason),
        given_at=now,
        expires_at=now + COUNTS_FOR,
    )


def check_few(ends: Sequence[datetime]) -> None:
    """See that a person may join a party or open one, by the ends of the penalties that count.

    Raises:
        TooManyPenalties
    """
    if len(ends) >= TOO_MANY:
        raise TooManyPenalties(len(ends), sorted(ends)[-TOO_MANY])


def _reason(value: str) -> str:
    return cleaned("reason", value, at_most=LONGEST_REASON, multiline=True)
