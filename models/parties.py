"""Parties, their members, and what happened to them."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import DERIVED, INSTANT, Cube, Row, code, is_instant, new_id, one_of
from models.errors import AlreadyDecided, InvalidInput, NotEnoughUnits, NotPartyLeader, PartyClosed, PartyFull
from models.text import cleaned

LONGEST = timedelta(hours=24)
FARTHEST_AHEAD = timedelta(days=60)


class PartyStatus(StrEnum):
    """Where a party is in its life. OPEN and FULL follow from the places; the rest is final."""

    OPEN = "OPEN"
    FULL = "FULL"
    DONE = "DONE"
    CANCELED = "CANCELED"


class Approval(StrEnum):
    """Who lets people in: the leader one by one, or whoever asks first."""

    MANUAL = "MANUAL"
    AUTO = "AUTO"


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


class Party(Row, table=True):
    """People who buy one pack at one market together."""

    __tablename__ = "parties"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        # The market's point, carried along for the nearest-neighbour index; the foreign key on the pair
        # keeps it equal to the market's when a market moves (ADR 0006).
        Column("market_position", Cube(), nullable=False),
        ForeignKeyConstraint(
            ["market_id", "market_position"],
            ["markets.id", "markets.position"],
            name="fk_parties_market_id_market_position",
            onupdate="CASCADE",
        ),
        *(
            Index(
                f"ix_parties_position_{status.lower()}",
                "market_position",
                postgresql_using="gist",
                postgresql_where=text(f"status = '{status}'"),
            )
            for status in PartyStatus
        ),
        Index("ix_parties_market_id", "market_id"),
        Index("ix_parties_item_id", "item_id"),
        Index("ix_parties_leader_id", "leader_id"),
        one_of("status", PartyStatus),
        one_of("approval", Approval),
        CheckConstraint("item_count BETWEEN 1 AND 10000", name="item_count_range"),
        CheckConstraint(
            "2 <= min_members AND min_members <= capacity AND capacity <= 50", name="capacity_range"
        ),
        CheckConstraint("accepted_count BETWEEN 1 AND capacity", name="accepted_within_capacity"),
        CheckConstraint("accepted_quantity BETWEEN 0 AND item_count", name="quantity_within_pack"),
        CheckConstraint(
            "join_by <= starts_at AND starts_at < ends_at AND ends_at <= starts_at + interval '24 hours'",
            name="times_in_order",
        ),
        CheckConstraint(
            "status NOT IN ('OPEN', 'FULL') OR"
            " (status = 'FULL') = (accepted_count = capacity OR accepted_quantity = item_count)",
            name="full_follows_from_places",
        ),
        CheckConstraint("estimated_price BETWEEN 0 AND 1000000000", name="estimated_price_range"),
    )
    __mapper_args__: ClassVar = {"exclude_properties": DERIVED}

    id: UUID = Field(default_factory=new_id, primary_key=True)
    leader_id: UUID = Field(foreign_key="users.id")
    market_id: UUID
    item_id: UUID = Field(foreign_key="items.id")
    item_count: int
    item_unit: str = Field(max_length=20)
    estimated_price: int | None = None
    capacity: int
    min_members: int
    accepted_count: int = 0
    accepted_quantity: int = 0
    starts_at: datetime = Field(sa_type=INSTANT)
    ends_at: datetime = Field(sa_type=INSTANT)
    join_by: datetime = Field(sa_type=INSTANT)
    status: PartyStatus = Field(default=PartyStatus.OPEN, sa_type=code(PartyStatus))
    note: str | None = Field(default=None, max_length=500)
    approval: Approval = Field(default=Approval.MANUAL, sa_type=code(Approval))
    created_at: datetime = Field(sa_type=INSTANT)

    def check(self, now: datetime) -> None:
        """See that what a person wrote about the party keeps the rules of one that starts now.

        Raises:
            InvalidInput: With the field that breaks a rule.
        """
        self.item_unit = cleaned("itemUnit", self.item_unit, at_most=20)
        self.note = (
            cleaned("note", self.note, at_least=0, at_most=500, multiline=True) or None if self.note else None
        )
        _check_range("itemCount", self.item_count, 1, 10_000)
        _check_range("capacity", self.capacity, 2, 50)
        _check_range("minMembers", self.min_members, 2, self.capacity)
        if self.estimated_price is not None:
            _check_range("estimatedPrice", self.estimated_price, 0, 1_000_000_000)
        self._check_times(now)

    def _check_times(self, now: datetime) -> None:
        for field, moment in (
            ("startsAt", self.starts_at),
            ("endsAt", self.ends_at),
            ("joinBy", self.join_by),
        ):
            if not is_instant(moment):
                raise InvalidInput(field, "Give the time with its offset.", "시간대를 함께 적어 주세요.")
        if not now < self.join_by:
            raise InvalidInput(
                "joinBy", "Joining must end in the future.", "신청 마감은 지금보다 뒤여야 해요."
            )
        if not self.join_by <= self.starts_at:
            raise InvalidInput(
                "joinBy",
                "Joining must end before the party starts.",
                "신청 마감은 시작 시간보다 늦을 수 없어요.",
            )
        if not self.starts_at < self.ends_at:
            raise InvalidInput(
                "endsAt", "The party must end after it starts.", "끝나는 시간이 시작보다 뒤여야 해요."
            )
        if self.ends_at - self.starts_at > LONGEST:
            raise InvalidInput("endsAt", "A party lasts 24 hours at most.", "파티는 24시간을 넘을 수 없어요.")
        if self.starts_at - now > FARTHEST_AHEAD:
            raise InvalidInput(
                "startsAt", "A party starts within 60 days.", "파티는 60일 안에 시작해야 해요."
            )

    @property
    def units_left(self) -> int:
        """Units of the pack that nobody has taken."""
        return self.item_count - self.accepted_quantity

    def open_with(self, leader_id: UUID, quantity: int, now: datetime) -> "Membership":
        """Give the leader the first place."""
        _check_quantity(quantity, self.units_left)
        leader = Membership(
            party_id=self.id, user_id=leader_id, role=MemberRole.LEADER, quantity=quantity, created_at=now
        )
        self._take_place(leader, now)
        return leader

    def join(self, user_id: UUID, quantity: int, now: datetime) -> "Membership":
        """Ask for a place; with approval AUTO take it. The caller holds the row lock on this party.

        Raises:
            PartyClosed, PartyFull, NotEnoughUnits, InvalidInput
        """
        _check_quantity(quantity, self.item_count)
        self._check_place_for(quantity, now)
        membership = Membership(party_id=self.id, user_id=user_id, quantity=quantity, created_at=now)
        if self.approval is Approval.AUTO:
            self._take_place(membership, now)
        return membership

    def accept(self, membership: "Membership", now: datetime) -> None:
        """Give the applicant a place. The caller holds the row lock on this party.

        Raises:
            AlreadyDecided, PartyClosed, PartyFull, NotEnoughUnits
        """
        membership.check_undecided()
        self._check_place_for(membership.quantity, now)
        self._take_place(membership, now)

    def check_leader(self, user_id: UUID) -> None:
        """See that the person leads this party.

        Raises:
            NotPartyLeader
        """
        if user_id != self.leader_id:
            raise NotPartyLeader

    def _check_place_for(self, quantity: int, now: datetime) -> None:
        if self.status in (PartyStatus.DONE, PartyStatus.CANCELED) or now >= self.join_by:
            raise PartyClosed(self.status, self.join_by)
        if self.status is PartyStatus.FULL:
            raise PartyFull(self.capacity)
        if quantity > self.units_left:
            raise NotEnoughUnits(quantity, self.units_left)

    def _take_place(self, membership: "Membership", now: datetime) -> None:
        membership.status = MembershipStatus.ACCEPTED
        membership.decided_at = now
        self.accepted_count += 1
        self.accepted_quantity += membership.quantity
        self._follow_places()

    def _follow_places(self) -> None:
        full = self.accepted_count == self.capacity or self.accepted_quantity == self.item_count
        self.status = PartyStatus.FULL if full else PartyStatus.OPEN


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

    def check_undecided(self) -> None:
        """See that the request still waits for its answer.

        Raises:
            AlreadyDecided
        """
        if self.status is not MembershipStatus.REQUESTED:
            raise AlreadyDecided(self.id, self.status)


class PartyEventKind(StrEnum):
    """What can happen to a party."""

    CREATED = "CREATED"
    JOIN_REQUESTED = "JOIN_REQUESTED"
    JOIN_ACCEPTED = "JOIN_ACCEPTED"
    JOIN_REJECTED = "JOIN_REJECTED"


class PartyEvent(Row, table=True):
    """Who did what to a party, and when. Written in the transaction of the deed, never changed."""

    __tablename__ = "party_events"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (Index("ix_party_events_party_id", "party_id", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    party_id: UUID = Field(foreign_key="parties.id")
    kind: PartyEventKind = Field(sa_type=code(PartyEventKind))
    actor_id: UUID | None = Field(default=None, foreign_key="users.id")
    at: datetime = Field(sa_type=INSTANT)
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))


def _check_range(field: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise InvalidInput(
            field,
            f"Choose a number from {lowest} to {highest}.",
            f"{lowest}에서 {highest} 사이로 골라 주세요.",
        )


def _check_quantity(quantity: int, at_most: int) -> None:
    _check_range("quantity", quantity, 1, at_most)
