"""What a reader sees of rows: plain objects with every field loaded, filled from positional columns.

Reading an attribute of a row class costs ten times as much, and a row knows more than a stranger may see.
Each view names its columns in the order of its fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Column, Select, select

from models.base import Row, table_of
from models.items import Item
from models.markets import Market, MarketKind
from models.memberships import Attendance, MemberRole, Membership, MembershipStatus
from models.parties import Approval, CancelReason, Party, PartyStatus
from models.users import Role, User

ViewT = TypeVar("ViewT")


@dataclass(slots=True)
class UserView:
    """What others may see of a person."""

    id: UUID
    nickname: str
    created_at: datetime


@dataclass(slots=True)
class ViewerView:
    """What a person sees of themselves."""

    id: UUID
    nickname: str
    created_at: datetime
    email: str
    role: Role
    home_address: str
    home_region: str
    home_latitude: float
    home_longitude: float


@dataclass(slots=True)
class ItemView:
    """An item of the catalogue."""

    id: UUID
    source_id: str
    category: str
    name: str
    unit: str | None


@dataclass(slots=True)
class MarketView:
    """A market of the catalogue."""

    id: UUID
    name: str
    kind: MarketKind
    address: str
    region: str
    latitude: float
    longitude: float


@dataclass(slots=True)
class PartyView:
    """A party together with its leader, its market and its item."""

    id: UUID
    item_count: int
    item_unit: str
    estimated_price: int | None
    actual_price: int | None
    capacity: int
    accepted_count: int
    accepted_quantity: int
    min_members: int
    starts_at: datetime
    ends_at: datetime
    join_by: datetime
    status: PartyStatus
    cancel_reason: CancelReason | None
    note: str | None
    approval: Approval
    created_at: datetime
    done_at: datetime | None
    leader: UserView
    market: MarketView
    item: ItemView

    @property
    def is_live(self) -> bool:
        """Whether the party is neither done nor canceled."""
        return self.status in (PartyStatus.OPEN, PartyStatus.FULL)


@dataclass(slots=True)
class MembershipView:
    """A place in a party, or the request for one, together with the person."""

    id: UUID
    party_id: UUID
    role: MemberRole
    status: MembershipStatus
    quantity: int
    attendance: Attendance
    amount: int | None
    created_at: datetime
    user: UserView


def _columns(view: type, row: type[Row]) -> list[Column[Any]]:
    table = table_of(row)
    return [table.c[field.name] for field in fields(view) if field.name in table.c]


_USER = _columns(UserView, User)
_VIEWER = _columns(ViewerView, User)
_ITEM = _columns(ItemView, Item)
_MARKET = _columns(MarketView, Market)
_PARTY = _columns(PartyView, Party)
_MEMBERSHIP = _columns(MembershipView, Membership)

# Where each part of a party's columns ends.
_OWN = len(_PARTY)
_LEADER = _OWN + len(_USER)
_PLACE = _LEADER + len(_MARKET)


def select_viewers() -> Select[Any]:
    """People as they see themselves; read with `viewer_of`."""
    return select(*_VIEWER)


def select_users() -> Select[Any]:
    """People as others see them; read with `user_of`."""
    return select(*_USER)


def select_items() -> Select[Any]:
    """Items; read with `item_of`."""
    return select(*_ITEM)


def select_markets() -> Select[Any]:
    """Markets; read with `market_of`."""
    return select(*_MARKET)


def select_parties() -> Select[Any]:
    """Parties with leader, market and item; read with `party_of`. Columns may be added behind."""
    party, leader, market, item = table_of(Party), table_of(User), table_of(Market), table_of(Item)
    return select(*_PARTY, *_USER, *_MARKET, *_ITEM).select_from(
        party.join(leader, leader.c.id == party.c.leader_id)
        .join(market, market.c.id == party.c.market_id)
        .join(item, item.c.id == party.c.item_id)
    )


def select_memberships() -> Select[Any]:
    """Memberships with their people; read with `membership_of`."""
    membership, user = table_of(Membership), table_of(User)
    return select(*_MEMBERSHIP, *_USER).select_from(membership.join(user, user.c.id == membership.c.user_id))


def viewer_of(row: Sequence[Any]) -> ViewerView:
    """Read a row of `select_viewers`."""
    return ViewerView(*row)


def user_of(row: Sequence[Any]) -> UserView:
    """Read a row of `select_users`."""
    return UserView(*row)


def item_of(row: Sequence[Any]) -> ItemView:
    """Read a row of `select_items`."""
    return ItemView(*row[: len(_ITEM)])


def market_of(row: Sequence[Any]) -> MarketView:
    """Read a row of `select_markets`."""
    return MarketView(*row[: len(_MARKET)])


def party_of(row: Sequence[Any]) -> PartyView:
    """Read a row of `select_parties`."""
    parts: list[Any] = [*row[:_OWN]]
    parts.append(UserView(*row[_OWN:_LEADER]))
    parts.append(MarketView(*row[_LEADER:_PLACE]))
    parts.append(ItemView(*row[_PLACE : _PLACE + len(_ITEM)]))
    return PartyView(*parts)


def membership_of(row: Sequence[Any]) -> MembershipView:
    """Read a row of `select_memberships`."""
    parts: list[Any] = [*row[: len(_MEMBERSHIP)]]
    parts.append(UserView(*row[len(_MEMBERSHIP) :]))
    return MembershipView(*parts)
