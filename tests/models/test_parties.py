from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import (
    AlreadyDecided,
    DomainError,
    InvalidInput,
    NotEnoughUnits,
    NotPartyLeader,
    PartyClosed,
    PartyFull,
)
from models.memberships import MemberRole, MembershipStatus
from models.parties import Approval, PartyStatus
from tests.models.party_rows import BROKEN, LEADER, NOW, TOMORROW, a_party, at, check_places, opened

KEPT: list[dict[str, Any]] = [
    {"item_count": 1},
    {"item_count": 10_000},
    {"capacity": 2},
    {"capacity": 50, "min_members": 50},
    {"estimated_price": None},
    {"estimated_price": 0},
    {"estimated_price": 1_000_000_000},
    {"join_by": at(microseconds=1)},
    {"join_by": TOMORROW},
    {"ends_at": TOMORROW + timedelta(microseconds=1)},
    {"ends_at": TOMORROW + timedelta(hours=24)},
    {"starts_at": at(days=60), "ends_at": at(days=60, hours=24)},
    {"item_unit": "개" * 20},
    {"note": "줄을\n바꿔도 돼요"},
    {"note": "가" * 500},
    {"note": None},
]


@pytest.mark.parametrize("changes", KEPT, ids=str)
def test_a_party_within_the_rules_is_fine(changes: dict[str, Any]):
    a_party(**changes).check(NOW)


@pytest.mark.parametrize(("field", "changes"), BROKEN, ids=str)
def test_a_party_that_breaks_a_rule_is_refused_by_the_name_of_the_field(field: str, changes: dict[str, Any]):
    with pytest.raises(InvalidInput) as refusal:
        a_party(**changes).check(NOW)
    assert refusal.value.field == field


def test_checking_trims_what_was_written_and_forgets_an_empty_note():
    party = a_party(item_unit=" 롤 ", note=" \n ")
    party.check(NOW)
    assert (party.item_unit, party.note) == ("롤", None)


def test_the_leader_is_the_first_accepted_member():
    party = a_party()
    leader = party.open_with(LEADER, 12, NOW)
    assert (leader.role, leader.status, leader.user_id) == (
        MemberRole.LEADER,
        MembershipStatus.ACCEPTED,
        LEADER,
    )
    assert (party.accepted_count, party.accepted_quantity, party.units_left) == (1, 12, 18)
    assert party.status is PartyStatus.OPEN


@pytest.mark.parametrize("quantity", [0, -1, 31])
def test_the_leader_takes_one_unit_at_least_and_the_pack_at_most(quantity: int):
    with pytest.raises(InvalidInput, match="from 1 to 30"):
        a_party().open_with(LEADER, quantity, NOW)


def test_a_leader_who_takes_the_whole_pack_fills_the_party():
    party = a_party()
    party.open_with(LEADER, 30, NOW)
    assert party.status is PartyStatus.FULL


def test_joining_waits_for_the_leader_where_approval_is_manual_and_takes_the_place_where_it_is_auto():
    manual, auto = opened(approval=Approval.MANUAL), opened(approval=Approval.AUTO)
    request, place = manual.join(uuid4(), 2, NOW), auto.join(uuid4(), 2, NOW)
    assert (request.status, request.decided_at) == (MembershipStatus.REQUESTED, None)
    assert (place.status, place.decided_at) == (MembershipStatus.ACCEPTED, NOW)
    assert (manual.accepted_count, manual.accepted_quantity) == (1, 1)
    assert (auto.accepted_count, auto.accepted_quantity) == (2, 3)


def test_the_last_place_makes_the_party_full():
    party = opened(approval=Approval.AUTO, capacity=2)
    party.join(uuid4(), 1, NOW)
    assert party.status is PartyStatus.FULL
    with pytest.raises(PartyFull) as refusal:
        party.join(uuid4(), 1, NOW)
    assert refusal.value.capacity == 2


def test_the_last_unit_makes_the_party_full_while_places_are_left():
    party = opened(approval=Approval.AUTO, item_count=5)
    party.join(uuid4(), 4, NOW)
    assert (party.status, party.accepted_count) == (PartyStatus.FULL, 2)
    with pytest.raises(PartyFull):
        party.join(uuid4(), 1, NOW)


def test_more_units_than_are_left_are_refused_with_their_number():
    party = opened(approval=Approval.AUTO, item_count=5)
    with pytest.raises(NotEnoughUnits) as refusal:
        party.join(uuid4(), 5, NOW)
    assert (refusal.value.quantity, refusal.value.units_left) == (5, 4)


@pytest.mark.parametrize("quantity", [0, -1, 31])
def test_a_quantity_that_no_pack_has_is_invalid(quantity: int):
    with pytest.raises(InvalidInput) as refusal:
        opened().join(uuid4(), quantity, NOW)
    assert refusal.value.field == "quantity"


def test_nobody_joins_or_is_accepted_at_the_moment_of_join_by_or_after():
    party = opened(approval=Approval.MANUAL)
    request = party.join(uuid4(), 1, TOMORROW - timedelta(microseconds=1))
    for moment in (TOMORROW, TOMORROW + timedelta(days=9)):
        with pytest.raises(PartyClosed):
            party.join(uuid4(), 1, moment)
        with pytest.raises(PartyClosed):
            party.accept(request, moment)
    assert request.status is MembershipStatus.REQUESTED


@pytest.mark.parametrize("over", [PartyStatus.DONE, PartyStatus.CANCELED])
def test_a_party_that_is_over_takes_nobody_and_nothing_brings_it_back(over: PartyStatus):
    party = opened(approval=Approval.MANUAL)
    request = party.join(uuid4(), 1, NOW)
    party.status = over
    with pytest.raises(PartyClosed) as refusal:
        party.join(uuid4(), 1, NOW)
    assert (refusal.value.status, refusal.value.join_by) == (over, TOMORROW)
    with pytest.raises(PartyClosed):
        party.accept(request, NOW)
    assert party.status is over


def test_accepting_gives_the_place_once():
    party = opened(approval=Approval.MANUAL)
    request = party.join(uuid4(), 2, NOW)
    party.accept(request, at(minutes=1))
    assert (request.status, request.decided_at) == (MembershipStatus.ACCEPTED, at(minutes=1))
    with pytest.raises(AlreadyDecided) as refusal:
        party.accept(request, NOW)
    assert (refusal.value.membership_id, refusal.value.status) == (request.id, MembershipStatus.ACCEPTED)
    assert (party.accepted_count, party.accepted_quantity) == (2, 3)


def test_accepting_never_passes_the_places_or_the_units():
    party = opened(approval=Approval.MANUAL, capacity=3, item_count=5)
    few, many, late = (party.join(uuid4(), quantity, NOW) for quantity in (1, 4, 3))
    party.accept(few, NOW)
    with pytest.raises(NotEnoughUnits):
        party.accept(many, NOW)
    party.accept(late, NOW)
    with pytest.raises(PartyFull):
        party.accept(many, NOW)
    assert many.status is MembershipStatus.REQUESTED


DECIDED = [status for status in MembershipStatus if status is not MembershipStatus.REQUESTED]


@pytest.mark.parametrize("status", DECIDED)
def test_a_decided_request_is_neither_accepted_nor_rejected(status: MembershipStatus):
    party = opened(approval=Approval.MANUAL)
    request = party.join(uuid4(), 1, NOW)
    request.status = status
    with pytest.raises(AlreadyDecided):
        party.accept(request, NOW)
    with pytest.raises(AlreadyDecided):
        request.reject(NOW)
    assert (request.status, party.accepted_count) == (status, 1)


def test_the_leader_can_not_be_accepted_or_rejected():
    party = a_party()
    leader = party.open_with(LEADER, 1, NOW)
    with pytest.raises(AlreadyDecided):
        party.accept(leader, NOW)
    with pytest.raises(AlreadyDecided):
        leader.reject(NOW)


def test_rejecting_keeps_the_reason_and_the_places():
    party = opened(approval=Approval.MANUAL)
    request = party.join(uuid4(), 1, NOW)
    request.reject(at(minutes=1), " 이번에는 자리가 없어요\n다음에 만나요 ")
    assert request.status is MembershipStatus.REJECTED
    assert (request.reason, request.decided_at) == ("이번에는 자리가 없어요\n다음에 만나요", at(minutes=1))
    assert (party.accepted_count, party.status) == (1, PartyStatus.OPEN)


def test_a_bad_reason_leaves_the_request_undecided():
    request = opened(approval=Approval.MANUAL).join(uuid4(), 1, NOW)
    with pytest.raises(InvalidInput) as refusal:
        request.reject(NOW, "가" * 501)
    assert (refusal.value.field, request.status) == ("reason", MembershipStatus.REQUESTED)


def test_only_the_leader_passes_as_the_leader():
    party = opened()
    party.check_leader(LEADER)
    with pytest.raises(NotPartyLeader):
        party.check_leader(uuid4())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "accept", "reject", "withdraw", "leave", "remove"]),
        st.integers(0, 12),
        st.integers(0, 9),
    ),
    max_size=40,
)


@given(
    approval=st.sampled_from(Approval),
    capacity=st.integers(2, 6),
    item_count=st.integers(1, 20),
    leaders=st.integers(1, 20),
    steps=STEPS,
)
def test_no_sequence_of_requests_and_answers_passes_the_places_or_the_pack(
    approval: Approval, capacity: int, item_count: int, leaders: int, steps: list[tuple[str, int, int]]
):
    party = a_party(approval=approval, capacity=capacity, item_count=item_count)
    memberships = [party.open_with(LEADER, min(leaders, item_count), NOW)]
    for verb, quantity, which in steps:
        one = memberships[which % len(memberships)]
        try:
            match verb:
                case "join":
                    memberships.append(party.join(uuid4(), quantity, NOW))
                case "accept":
                    party.accept(one, NOW)
                case "reject":
                    one.reject(NOW)
                case "withdraw":
                    one.withdraw(NOW)
                case "leave":
                    party.leave(one, NOW)
                case _:
                    party.remove(one, "자리가 없어요", NOW)
        except DomainError:
            pass  # a refusal must leave everything as it was, which is looked at next
        check_places(party, memberships)


def test_ids_made_later_sort_later():
    ids: list[UUID] = [opened().id for _ in range(100)]
    assert ids == sorted(ids)
    assert {each.version for each in ids} == {7}
