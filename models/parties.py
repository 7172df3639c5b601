"""Parties: their places, their times, and how they end."""

from collections.abc import Mapping, Set
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, text
from sqlmodel import Field

from models.base import DERIVED, INSTANT, Cube, Row, code, is_instant, new_id, one_of
from models.errors import (
    AttendanceFixed,
    InvalidInput,
    NotEnoughUnits,
    NotPartyLeader,
    PartyClosed,
    PartyFull,
    PartyNotDone,
    TooEarly,
    TooLate,
)
from models.memberships import MemberRole, Membership, MembershipStatus
from models.ranges import check_range
from models.text import cleaned

LONGEST = timedelta(hours=24)
FARTHEST_AHEAD = timedelta(days=60)
COMPLETE_WITHIN = timedelta(hours=24)
"""After its end; then a party that nobody completed is canceled."""
CORRECT_WITHIN = timedelta(hours=24)
"""After it was done; then it is fixed who came."""
HIGHEST_PRICE = 1_000_000_000
"""In won."""
TIMES = frozenset({"starts_at", "ends_at", "join_by"})


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


class CancelReason(StrEnum):
    """Why a party does not take place."""

    BY_LEADER = "BY_LEADER"
    TOO_FEW_MEMBERS = "TOO_FEW_MEMBERS"
    NOT_COMPLETED = "NOT_COMPLETED"
    LEADER_LEFT = "LEADER_LEFT"


class Change(NamedTuple):
    """What a field of a party was, and what it is."""

    before: Any
    after: Any


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
        CheckConstraint("actual_price BETWEEN 0 AND 1000000000", name="actual_price_range"),
        CheckConstraint("(status = 'DONE') = (actual_price IS NOT NULL)", name="done_has_price"),
        CheckConstraint("done_at IS NULL OR status = 'DONE'", name="done_has_time"),
        one_of("cancel_reason", CancelReason),
        CheckConstraint("(status = 'CANCELED') = (cancel_reason IS NOT NULL)", name="canceled_has_reason"),
    )
    __mapper_args__: ClassVar = {"exclude_properties": DERIVED}

    id: UUID = Field(default_factory=new_id, primary_key=True)
    leader_id: UUID = Field(foreign_key="users.id")
    market_id: UUID
    item_id: UUID = Field(foreign_key="items.id")
    item_count: int
    item_unit: str = Field(max_length=20)
    estimated_price: int | None = None
    actual_price: int | None = None
    capacity: int
    min_members: int
    accepted_count: int = 0
    accepted_quantity: int = 0
    starts_at: datetime = Field(sa_type=INSTANT)
    ends_at: datetime = Field(sa_type=INSTANT)
    join_by: datetime = Field(sa_type=INSTANT)
    status: PartyStatus = Field(default=PartyStatus.OPEN, sa_type=code(PartyStatus))
    cancel_reason: CancelReason | None = Field(default=None, sa_type=code(CancelReason))
    note: str | None = Field(default=None, max_length=500)
    approval: Approval = Field(default=Approval.MANUAL, sa_type=code(Approval))
    created_at: datetime = Field(sa_type=INSTANT)
    done_at: datetime | None = Field(default=None, sa_type=INSTANT)
    #: Raised by every transaction that changes something about the party: listeners resume by it.
    version: int = Field(default=1, sa_column_kwargs={"server_default": "1"})

    def check(self, now: datetime) -> None:
        """See that what a person wrote about the party keeps the rules of one that starts now.

        Raises:
            InvalidInput: With the field that breaks a rule.
        """
        self._check_words()
        self._check_times(now, TIMES)

    def _check_words(self) -> None:
        self.item_unit = cleaned("itemUnit", self.item_unit, at_most=20)
        self.note = (
            cleaned("note", self.note, at_least=0, at_most=500, multiline=True) or None if self.note else None
        )
        check_range("itemCount", self.item_count, 1, 10_000)
        check_range("capacity", self.capacity, 2, 50)
        check_range("minMembers", self.min_members, 2, self.capacity)
        if self.estimated_price is not None:
            check_range("estimatedPrice", self.estimated_price, 0, HIGHEST_PRICE)

    def _check_times(self, now: datetime, changed: Set[str]) -> None:
        moments = {"startsAt": self.starts_at, "endsAt": self.ends_at, "joinBy": self.join_by}
        for field, moment in moments.items():
            if not is_instant(moment):
                raise InvalidInput(field, "Give the time with its offset.", "시간대를 함께 적어 주세요.")
        if "join_by" in changed and not now < self.join_by:
            raise InvalidInput(
                "joinBy", "Joining must end in the future.", "신청 마감은 지금보다 뒤여야 해요."
            )
        if not self.join_by <= self.starts_at:
            raise InvalidInput(
                "joinBy",
                "Joining must end before the party starts.",
                "신청 마감은 시작 시간보다 늦을 수 없어요.",
            )
        if "starts_at" in changed and not now < self.starts_at:
            raise InvalidInput(
                "startsAt", "The party must start in the future.", "시작 시간은 지금보다 뒤여야 해요."
            )
        if not self.starts_at < self.ends_at:
            raise InvalidInput(
                "endsAt", "The party must end after it starts.", "끝나는 시간이 시작보다 뒤여야 해요."
            )
        if "ends_at" in changed and not now < self.ends_at:
            raise InvalidInput(
                "endsAt", "The party must end in the future.", "끝나는 시간은 지금보다 뒤여야 해요."
            )
        if self.ends_at - self.starts_at > LONGEST:
            raise InvalidInput("endsAt", "A party lasts 24 hours at most.", "파티는 24시간을 넘을 수 없어요.")
        if self.starts_at - now > FARTHEST_AHEAD:
            raise InvalidInput(
                "startsAt", "A party starts within 60 days.", "파티는 60일 안에 시작해야 해요."
            )

    @property
    def is_live(self) -> bool:
        """Whether the party is neither done nor canceled."""
        return self.status in (PartyStatus.OPEN, PartyStatus.FULL)

    def is_listed(self, now: datetime) -> bool:
        """Whether people nearby see it."""
        return is_listed(self.status, self.join_by, self.ends_at, now)

    @property
    def units_left(self) -> int:
        """Units of the pack that nobody has taken."""
        return self.item_count - self.accepted_quantity

    def open_with(self, leader_id: UUID, quantity: int, now: datetime) -> Membership:
        """Give the leader the first place."""
        check_range("quantity", quantity, 1, self.units_left)
        leader = Membership(
            party_id=self.id, user_id=leader_id, role=MemberRole.LEADER, quantity=quantity, created_at=now
        )
        self._take_place(leader, now)
        return leader

    def join(self, user_id: UUID, quantity: int, now: datetime) -> Membership:
        """Ask for a place; with approval AUTO take it. The caller holds the row lock on this party.

        Raises:
            PartyClosed, PartyFull, NotEnoughUnits, InvalidInput
        """
        check_range("quantity", quantity, 1, self.item_count)
        self._check_place_for(quantity, now)
        membership = Membership(party_id=self.id, user_id=user_id, quantity=quantity, created_at=now)
        if self.approval is Approval.AUTO:
            self._take_place(membership, now)
        return membership

    def accept(self, membership: Membership, now: datetime) -> None:
        """Give the applicant a place. The caller holds the row lock on this party.

        Raises:
            AlreadyDecided, PartyClosed, PartyFull, NotEnoughUnits
        """
        membership.check_undecided()
        self._check_place_for(membership.quantity, now)
        self._take_place(membership, now)

    def change(self, leader: Membership, changes: Mapping[str, Any], now: datetime) -> dict[str, Change]:
        """Take what the leader writes about the party, and tell what differs. `quantity` is the leader's own.

        A time has to lie ahead only where it changes: a note can be mended while people meet. The caller
        holds the row lock on this party. What is refused may be half written: nothing of it may be committed.

        Raises:
            PartyClosed, InvalidInput
        """
        self.check_live()
        rows: dict[str, Row] = {field: leader if field == "quantity" else self for field in changes}
        before = {field: getattr(row, field) for field, row in rows.items()}
        taken = self.accepted_quantity - leader.quantity
        for field, row in rows.items():
            setattr(row, field, changes[field])
        self._check_words()
        if self.capacity < self.accepted_count:
            raise InvalidInput(
                "capacity",
                f"{self.accepted_count} people have a place already.",
                f"이미 {self.accepted_count}명이 참가하고 있어요.",
            )
        if "quantity" in changes:
            check_range("quantity", leader.quantity, 1, max(1, self.item_count - taken))
        taken += leader.quantity
        if self.item_count < taken:
            raise InvalidInput(
                "itemCount",
                f"{taken} units are taken already.",
                f"이미 {taken}개를 나누기로 했어요.",
            )
        news = {
            field: Change(before[field], getattr(row, field))
            for field, row in rows.items()
            if getattr(row, field) != before[field]
        }
        if moved := TIMES & news.keys():
            self._check_times(now, moved)
        self.accepted_quantity = taken
        self._follow_places()
        return news

    def cancel(self, reason: CancelReason) -> None:
        """End the party before it took place. The caller holds the row lock on this party.

        Raises:
            PartyClosed
        """
        self.check_live()
        self.status = PartyStatus.CANCELED
        self.cancel_reason = reason

    def complete(self, price: int, now: datetime) -> None:
        """End the party with what the pack has cost, in won. The caller holds the row lock on this party.

        Raises:
            PartyClosed, TooEarly, InvalidInput
        """
        self.check_live()
        if now < self.starts_at:
            raise TooEarly(self.starts_at)
        check_range("actualPrice", price, 0, HIGHEST_PRICE)
        self.status = PartyStatus.DONE
        self.actual_price = price
        self.done_at = now

    def check_correctable(self, now: datetime) -> None:
        """See that who came can still be corrected.

        Raises:
            PartyNotDone, AttendanceFixed
        """
        if self.done_at is None:
            raise PartyNotDone(self.status)
        if now >= (fixed_at := self.done_at + CORRECT_WITHIN):
            raise AttendanceFixed(fixed_at)

    def leave(self, membership: Membership, now: datetime) -> None:
        """Let a member give the place back. The caller holds the row lock on this party.

        Raises:
            LeaderStays, NotPartyMember, PartyClosed, TooLate
        """
        membership.check_can_go()
        self.check_live()
        if now >= self.starts_at:
            raise TooLate(self.starts_at)
        membership.status = MembershipStatus.LEFT
        self._free_place(membership, now)

    def remove(self, membership: Membership, reason: str, now: datetime) -> None:
        """Take a member's place away. The caller holds the row lock on this party.

        Raises:
            LeaderStays, NotPartyMember, PartyClosed, InvalidInput
        """
        membership.check_can_go()
        self.check_live()
        membership.reason = cleaned("reason", reason, at_most=500, multiline=True)
        membership.status = MembershipStatus.REMOVED
        self._free_place(membership, now)

    def _free_place(self, membership: Membership, now: datetime) -> None:
        membership.decided_at = now
        self.accepted_count -= 1
        self.accepted_quantity -= membership.quantity
        self._follow_places()

    def check_live(self) -> None:
        """See that the party is neither done nor canceled: nothing brings it back.

        Raises:
            PartyClosed
        """
        if not self.is_live:
            raise PartyClosed(self.status, self.join_by)

    def check_leader(self, user_id: UUID) -> None:
        """See that the person leads this party.

        Raises:
            NotPartyLeader
        """
        if user_id != self.leader_id:
            raise NotPartyLeader

    def _check_place_for(self, quantity: int, now: datetime) -> None:
        self.check_live()
        if now >= self.join_by:
            raise PartyClosed(self.status, self.join_by)
        if self.status is PartyStatus.FULL:
            raise PartyFull(self.capacity)
        if quantity > self.units_left:
            raise NotEnoughUnits(quantity, self.units_left)

    def _take_place(self, membership: Membership, now: datetime) -> None:
        membership.status = MembershipStatus.ACCEPTED
        membership.decided_at = now
        self.accepted_count += 1
        self.accepted_quantity += membership.quantity
        self._follow_places()

    def _follow_places(self) -> None:
        full = self.accepted_count == self.capacity or self.accepted_quantity == self.item_count
        self.status = PartyStatus.FULL if full else PartyStatus.OPEN


def is_listed(status: PartyStatus, join_by: datetime, ends_at: datetime, now: datetime) -> bool:
    """Whether people nearby see a party: OPEN until `join_by`, FULL until `ends_at`."""
    until = {PartyStatus.OPEN: join_by, PartyStatus.FULL: ends_at}.get(status)
    return until is not None and now < until
