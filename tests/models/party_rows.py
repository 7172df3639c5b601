"""Parties in memory, for tests of the rules that a row can check alone."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from models.memberships import MemberRole, Membership, MembershipStatus
from models.parties import Party, PartyStatus

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)
LEADER = uuid4()


def a_party(**changes: Any) -> Party:
    values: dict[str, Any] = {
        "leader_id": LEADER,
        "market_id": uuid4(),
        "item_id": uuid4(),
        "item_count": 30,
        "item_unit": "롤",
        "capacity": 4,
        "min_members": 2,
        "starts_at": TOMORROW,
        "ends_at": TOMORROW + timedelta(hours=1),
        "join_by": TOMORROW,
        "created_at": NOW,
    }
    return Party(**values | changes)


def opened(**changes: Any) -> Party:
    """A party whose leader has taken one unit."""
    party = a_party(**changes)
    party.open_with(LEADER, 1, NOW)
    return party


def at(**later: float) -> datetime:
    return NOW + timedelta(**later)


def led(**changes: Any) -> tuple[Party, Membership]:
    """A party for 30 units of which the leader has taken ten, with the leader's place."""
    party = a_party(**changes)
    return party, party.open_with(LEADER, 10, NOW)


def check_places(party: Party, memberships: list[Membership]) -> None:
    accepted = [each for each in memberships if each.status is MembershipStatus.ACCEPTED]
    assert party.accepted_count == len(accepted) <= party.capacity
    assert party.accepted_quantity == sum(each.quantity for each in accepted) <= party.item_count
    is_full = len(accepted) == party.capacity or party.units_left == 0
    assert (party.status is PartyStatus.FULL) == is_full
    assert accepted[0].role is MemberRole.LEADER


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("itemCount", {"item_count": 0}),
    ("itemCount", {"item_count": -1}),
    ("itemCount", {"item_count": 10_001}),
    ("capacity", {"capacity": 1}),
    ("capacity", {"capacity": 51}),
    ("minMembers", {"min_members": 1}),
    ("minMembers", {"min_members": 5}),
    ("estimatedPrice", {"estimated_price": -1}),
    ("estimatedPrice", {"estimated_price": 1_000_000_001}),
    ("joinBy", {"join_by": NOW}),
    ("joinBy", {"join_by": at(seconds=-1)}),
    ("joinBy", {"join_by": TOMORROW + timedelta(microseconds=1)}),
    ("endsAt", {"ends_at": TOMORROW}),
    ("endsAt", {"ends_at": TOMORROW + timedelta(hours=24, microseconds=1)}),
    ("startsAt", {"starts_at": at(days=60, microseconds=1), "ends_at": at(days=60, hours=1)}),
    ("startsAt", {"starts_at": TOMORROW.replace(tzinfo=None)}),
    ("endsAt", {"ends_at": (TOMORROW + timedelta(hours=1)).replace(tzinfo=None)}),
    ("joinBy", {"join_by": TOMORROW.replace(tzinfo=None)}),
    ("itemUnit", {"item_unit": " "}),
    ("itemUnit", {"item_unit": "개" * 21}),
    ("itemUnit", {"item_unit": "개\n롤"}),
    ("note", {"note": "가" * 501}),
    ("note", {"note": "a\x00b"}),
]
"""What no party may be, with the field that is refused."""
