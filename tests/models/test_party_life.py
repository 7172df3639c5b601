"""What becomes of a party after it was opened, as far as its row knows."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from models.errors import InvalidInput, LeaderStays, PartyClosed, TooEarly, TooLate
from models.memberships import Membership, MembershipStatus
from models.parties import Approval, CancelReason, Party, PartyStatus
from tests.models.party_rows import BROKEN, NOW, TOMORROW, at, check_places, led

CHANGES: list[dict[str, Any]] = [
    {"note": "새 글"},
    {"note": None},
    {"item_unit": "kg"},
    {"item_count": 10},
    {"estimated_price": 5},
    {"estimated_price": None},
    {"capacity": 50, "min_members": 50},
    {"min_members": 4},
    {"approval": Approval.AUTO},
    {"quantity": 1},
    {"quantity": 30},
    {"item_count": 40, "quantity": 40},
    {"item_count": 5, "quantity": 5},
    {"starts_at": TOMORROW + timedelta(minutes=1)},
    {"ends_at": TOMORROW + timedelta(hours=24)},
    {"join_by": at(minutes=1)},
    {"join_by": at(days=2), "starts_at": at(days=2), "ends_at": at(days=3)},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_a_change_tells_what_was_and_what_is(changes: dict[str, Any]):
    party, leader = led(note="글", estimated_price=9)
    before = {field: getattr(leader if field == "quantity" else party, field) for field in changes}
    news = party.change(leader, changes, NOW)
    assert {field: (was, now) for field, (was, now) in news.items()} == {
        field: (before[field], value) for field, value in changes.items()
    }
    check_places(party, [leader])
    assert party.change(leader, changes, NOW) == {}


def test_what_is_written_the_same_way_is_no_change():
    party, leader = led(note="글")
    assert party.change(leader, {"note": " 글 ", "item_unit": "롤", "capacity": 4, "quantity": 10}, NOW) == {}
    assert party.change(leader, {}, NOW) == {}


WRONG_CHANGES: list[tuple[str, dict[str, Any]]] = [
    *[(field, changes) for field, changes in BROKEN if not changes.keys() & {"ends_at", "starts_at"}],
    ("itemCount", {"item_count": 9}),
    ("quantity", {"item_count": 40, "quantity": 41}),
    ("quantity", {"item_count": 5, "quantity": 6}),
    ("quantity", {"quantity": 0}),
    ("quantity", {"quantity": -1}),
    ("quantity", {"quantity": 31}),
    ("minMembers", {"capacity": 3, "min_members": 4}),
    ("joinBy", {"starts_at": at(hours=1)}),
    ("endsAt", {"ends_at": TOMORROW}),
    ("endsAt", {"ends_at": TOMORROW + timedelta(hours=24, microseconds=1)}),
    ("endsAt", {"starts_at": at(days=2)}),
    ("startsAt", {"starts_at": at(days=61), "ends_at": at(days=61, hours=1)}),
    ("endsAt", {"ends_at": datetime(2026, 12, 1)}),  # noqa: DTZ001 - what is tested
]


@pytest.mark.parametrize(("field", "changes"), WRONG_CHANGES, ids=str)
def test_a_change_against_the_rules_is_refused_by_the_name_of_the_field(field: str, changes: dict[str, Any]):
    party, leader = led()
    with pytest.raises(InvalidInput) as refusal:
        party.change(leader, changes, NOW)
    assert refusal.value.field == field


def test_a_note_can_be_mended_while_people_meet_and_the_end_put_off():
    party, leader = led()
    meeting = TOMORROW + timedelta(minutes=10)
    assert party.change(leader, {"note": "3번 출구"}, meeting).keys() == {"note"}
    # The same times as before don't have to lie ahead.
    times = {"starts_at": party.starts_at, "join_by": party.join_by}
    later = {"ends_at": TOMORROW + timedelta(hours=2)}
    assert party.change(leader, times | later, meeting).keys() == {"ends_at"}
    for field, past in (("joinBy", {"join_by": NOW}), ("startsAt", {"starts_at": meeting})):
        with pytest.raises(InvalidInput) as refusal:
            party.change(leader, past, meeting)
        assert refusal.value.field == field


def test_an_end_is_not_moved_into_the_past():
    party, leader = led(ends_at=TOMORROW + timedelta(hours=3))
    with pytest.raises(InvalidInput) as refusal:
        party.change(leader, {"ends_at": TOMORROW + timedelta(hours=1)}, TOMORROW + timedelta(hours=2))
    assert refusal.value.field == "endsAt"


def test_places_and_units_of_others_can_not_be_taken_away():
    party, leader = led(approval=Approval.AUTO)
    for _ in range(2):
        party.join(uuid4(), 5, NOW)
    for field, changes in (
        ("capacity", {"capacity": 2}),
        ("itemCount", {"item_count": 19}),
        ("itemCount", {"item_count": 10, "quantity": 1}),
        ("quantity", {"item_count": 12, "quantity": 3}),
    ):
        untouched = party.model_copy(), leader.model_copy()
        with pytest.raises(InvalidInput) as refusal:
            untouched[0].change(untouched[1], changes, NOW)
        assert refusal.value.field == field
    assert party.change(leader, {"item_count": 12, "quantity": 2, "capacity": 3}, NOW).keys() == {
        "item_count",
        "quantity",
        "capacity",
    }
    assert (party.status, party.accepted_quantity) == (PartyStatus.FULL, 12)


@pytest.mark.parametrize(
    ("fill", "free"),
    [
        ({"capacity": 2}, {"capacity": 3}),
        ({"item_count": 15}, {"item_count": 16}),
        ({"quantity": 25}, {"quantity": 9}),
    ],
    ids=str,
)
def test_full_and_open_follow_a_change(fill: dict[str, Any], free: dict[str, Any]):
    party, leader = led(approval=Approval.AUTO)
    party.join(uuid4(), 5, NOW)
    party.change(leader, fill, NOW)
    assert party.status is PartyStatus.FULL
    party.change(leader, free, NOW)
    assert party.status is PartyStatus.OPEN


def test_a_freed_place_reopens_a_full_party_and_gives_its_units_back():
    for go in ("leave", "remove"):
        party, _ = led(approval=Approval.AUTO, capacity=2)
        member = party.join(uuid4(), 5, NOW)
        assert party.status is PartyStatus.FULL
        if go == "leave":
            party.leave(member, at(minutes=1))
            assert member.status is MembershipStatus.LEFT
        else:
            party.remove(member, " 연락이 안 돼요 ", at(minutes=1))
            assert (member.status, member.reason) == (MembershipStatus.REMOVED, "연락이 안 돼요")
        assert member.decided_at == at(minutes=1)
        assert (party.status, party.accepted_count, party.units_left) == (PartyStatus.OPEN, 1, 20)


def test_a_member_leaves_until_the_start_and_can_be_removed_after_it():
    party, _ = led(approval=Approval.AUTO)
    early, late = party.join(uuid4(), 1, NOW), party.join(uuid4(), 1, NOW)
    party.leave(early, TOMORROW - timedelta(microseconds=1))
    with pytest.raises(TooLate) as refusal:
        party.leave(late, TOMORROW)
    assert refusal.value.until == TOMORROW
    party.remove(late, "오지 않았어요", TOMORROW + timedelta(hours=1))


@pytest.mark.parametrize("reason", ["", " ", "가" * 501, "a\x00"])
def test_nobody_is_removed_without_a_proper_reason(reason: str):
    party, _ = led(approval=Approval.AUTO)
    member = party.join(uuid4(), 1, NOW)
    with pytest.raises(InvalidInput) as refusal:
        party.remove(member, reason, NOW)
    assert refusal.value.field == "reason"
    assert (member.status, party.accepted_count) == (MembershipStatus.ACCEPTED, 2)


def test_the_leader_stays():
    party, leader = led()
    with pytest.raises(LeaderStays):
        party.leave(leader, NOW)
    with pytest.raises(LeaderStays):
        party.remove(leader, "안녕히", NOW)


def test_a_party_is_done_from_its_start_on():
    party, _ = led()
    with pytest.raises(TooEarly) as refusal:
        party.complete(100, TOMORROW - timedelta(microseconds=1))
    assert refusal.value.since == TOMORROW
    party.complete(100, TOMORROW)
    assert (party.status, party.actual_price) == (PartyStatus.DONE, 100)


@pytest.mark.parametrize("price", [-1, 1_000_000_001])
def test_a_price_that_nobody_pays_is_invalid(price: int):
    party, _ = led()
    with pytest.raises(InvalidInput) as refusal:
        party.complete(price, TOMORROW)
    assert (refusal.value.field, party.status) == ("actualPrice", PartyStatus.OPEN)


def test_canceling_keeps_the_reason():
    party, _ = led()
    party.cancel(CancelReason.TOO_FEW_MEMBERS)
    assert (party.status, party.cancel_reason) == (PartyStatus.CANCELED, CancelReason.TOO_FEW_MEMBERS)


VERBS: dict[str, Callable[[Party, Membership, Membership, Membership], object]] = {
    "change": lambda party, leader, member, request: party.change(leader, {"note": "다시"}, NOW),
    "cancel": lambda party, leader, member, request: party.cancel(CancelReason.BY_LEADER),
    "complete": lambda party, leader, member, request: party.complete(1, TOMORROW),
    "join": lambda party, leader, member, request: party.join(uuid4(), 1, NOW),
    "accept": lambda party, leader, member, request: party.accept(request, NOW),
    "leave": lambda party, leader, member, request: party.leave(member, NOW),
    "remove": lambda party, leader, member, request: party.remove(member, "늦었어요", NOW),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("over", [PartyStatus.DONE, PartyStatus.CANCELED])
def test_what_is_over_stays_as_it_is_whatever_anybody_does(over: PartyStatus, verb: str):
    party, leader = led()
    request, member = party.join(uuid4(), 1, NOW), party.join(uuid4(), 1, NOW)
    party.accept(member, NOW)
    if over is PartyStatus.DONE:
        party.complete(100, TOMORROW)
    else:
        party.cancel(CancelReason.BY_LEADER)
    rows = (party, leader, member, request)
    before = [row.model_dump() for row in rows]
    with pytest.raises(PartyClosed) as refusal:
        VERBS[verb](*rows)
    assert refusal.value.status is over
    assert [row.model_dump() for row in rows] == before
