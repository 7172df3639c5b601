"""Memberships: a person's place in a party, or the request for one."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from models.base import INSTANT, Row, code, new_id, one_of
from models.errors import AlreadyDecided, LeaderStays, NotPartyMember
from models.text import cleaned


class MemberRole(StrEnum):
    """What a person is in a party."""

    LEADER = "LEADER"
    MEMBER = "MEMBER"


class MembershipStatus(StrEnum):
    """Where a person's place in a party is in its life."""

    REQUESTED = "REQUESTED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    LEFT = "LEFT"
    REMOVED = "REMOVED"


LIVE_MEMBERSHIPS = (MembershipStatus.REQUESTED, MembershipStatus.ACCEPTED)
"""Statuses of which a person can have one per party."""


class Attendance(StrEnum):
    """Whether a member came, as the leader recorded it."""

    UNKNOWN = "UNKNOWN"
    ATTENDED = "ATTENDED"
    NO_SHOW = "NO_SHOW"


class Membership(Row, table=True):
    """A person's place in a party, or the request for one."""

    __tablename__ = "memberships"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        one_of("role", MemberRole),
        one_of("status", MembershipStatus),
        Index(
            "uq_memberships_live",
            "party_id",
            "user_id",
            unique=True,
            postgresql_where=text("status IN ('REQUESTED', 'ACCEPTED')"),
        ),
        Index("uq_memberships_leader", "party_id", unique=True, postgresql_where=text("role = 'LEADER'")),
        Index("ix_memberships_party_id", "party_id", "id"),
        Index("ix_memberships_user_id", "user_id", "party_id"),
        CheckConstraint("quantity >= 1", name="quantity_positive"),
        one_of("attendance", Attendance),
        CheckConstraint("amount >= 0", name="amount_positive"),
        CheckConstraint("role <> 'LEADER' OR status = 'ACCEPTED'", name="leader_stays"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    party_id: UUID = Field(foreign_key="parties.id")
    user_id: UUID = Field(foreign_key="users.id")
    role: MemberRole = Field(default=MemberRole.MEMBER, sa_type=code(MemberRole))
    status: MembershipStatus = Field(default=MembershipStatus.REQUESTED, sa_type=code(MembershipStatus))
    quantity: int
    created_at: datetime = Field(sa_type=INSTANT)
    decided_at: datetime | None = Field(default=None, sa_type=INSTANT)
    attendance: Attendance = Field(default=Attendance.UNKNOWN, sa_type=code(Attendance))
    #: This member's part of the price in won, once the party is done.
    amount: int | None = None
    #: Why the leader said no, in the leader's words.
    reason: str | None = Field(default=None, max_length=500)

    def reject(self, now: datetime, reason: str | None = None) -> None:
        """Turn the request down.

        Raises:
            AlreadyDecided, InvalidInput
        """
        self.check_undecided()
        self.reason = cleaned("reason", reason, at_most=500, multiline=True) if reason else None
        self.status = MembershipStatus.REJECTED
        self.decided_at = now

    def withdraw(self, now: datetime) -> None:
        """Take the request back.

        Raises:
            AlreadyDecided
        """
        self.check_undecided()
        self.status = MembershipStatus.WITHDRAWN
        self.decided_at = now

    def check_undecided(self) -> None:
        """See that the request still waits for its answer.

        Raises:
            AlreadyDecided
        """
        if self.status is not MembershipStatus.REQUESTED:
            raise AlreadyDecided(self.id, self.status)

    def check_can_go(self) -> None:
        """See that the place is a member's, not the leader's and not only asked for.

        Raises:
            LeaderStays, NotPartyMember
        """
        if self.role is MemberRole.LEADER:
            raise LeaderStays
        if self.status is not MembershipStatus.ACCEPTED:
            raise NotPartyMember
