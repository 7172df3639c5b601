"""The rules of penalties, of objections and of attendance that rows can check alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from models.errors import (
    AlreadyRevoked,
    AttendanceFixed,
    InvalidInput,
    Involved,
    NotPenalizable,
    NotPenalizableReason,
    ObjectionDecided,
    ObjectionTooLate,
    PartyNotDone,
    TooManyPenalties,
)
from models.memberships import Attendance, Membership, MembershipStatus
from models.parties import CancelReason, Party
from models.penalties import Decision, Objection, Penalty, check_few, penalty_for
from tests.models.party_rows import LEADER, NOW, TOMORROW, led

MOMENT = timedelta(microseconds=1)
DONE = TOMORROW + timedelta(hours=2)
MEMBER, ADMINISTRATOR = uuid4(), uuid4()


def done() -> tuple[Party, Membership]:
    """A party that was done, and a member who did not come."""
    party, _ = led()
    member = party.join(MEMBER, 1, NOW)
    party.accept(member, NOW)
    party.complete(10_000, DONE)
    member.attendance = Attendance.NO_SHOW
    return party, member


def given(now: datetime = DONE) -> Penalty:
    party, member = done()
    return penalty_for(party, MEMBER, member, " 연락도 없이 안 오셨어요 ", now)


def test_a_penalty_counts_for_90_days():
    penalty = given()
    assert (penalty.user_id, penalty.given_by_id, penalty.reason) == (
        MEMBER,
        LEADER,
        "연락도 없이 안 오셨어요",
    )
    assert penalty.expires_at == DONE + timedelta(days=90)


def test_a_penalty_is_given_within_14_days_after_the_party_was_done():
    assert given(DONE + timedelta(days=14) - MOMENT).given_at == DONE + timedelta(days=14) - MOMENT
    with pytest.raises(NotPenalizable) as refusal:
        given(DONE + timedelta(days=14))
    assert refusal.value.reason is NotPenalizableReason.TOO_LATE


@pytest.mark.parametrize("status", [each for each in MembershipStatus if each != "ACCEPTED"])
def test_only_who_had_a_place_gets_a_penalty(status: MembershipStatus):
    party, member = done()
    member.status = status
    for who in (member, None):
        with pytest.raises(NotPenalizable) as refusal:
            penalty_for(party, MEMBER, who, "안 왔어요", DONE)
        assert refusal.value.reason is NotPenalizableReason.NOT_A_MEMBER


@pytest.mark.parametrize("attendance", [Attendance.ATTENDED, Attendance.UNKNOWN])
def test_only_a_no_show_gets_a_penalty(attendance: Attendance):
    party, member = done()
    member.attendance = attendance
    with pytest.raises(NotPenalizable) as refusal:
        penalty_for(party, MEMBER, member, "안 왔어요", DONE)
    assert refusal.value.reason is NotPenalizableReason.ATTENDED


def test_a_leader_gets_no_penalty_from_the_own_party():
    party, leader = led()
    party.complete(1, DONE)
    with pytest.raises(NotPenalizable) as refusal:
        penalty_for(party, LEADER, leader, "늦잠", DONE)
    assert refusal.value.reason is NotPenalizableReason.LEADER


def test_nobody_gets_a_penalty_before_a_party_is_done_or_when_it_was_canceled():
    party, _ = led()
    member = party.join(MEMBER, 1, NOW)
    for _ in range(2):
        with pytest.raises(NotPenalizable) as refusal:
            penalty_for(party, MEMBER, member, "안 왔어요", DONE)
        assert refusal.value.reason is NotPenalizableReason.NOT_DONE
        if party.is_live:
            party.cancel(CancelReason.BY_LEADER)


@pytest.mark.parametrize("reason", ["", " \n ", "가" * 501, "a\x00b"])
def test_a_reason_has_1_to_500_characters(reason: str):
    party, member = done()
    penalty = given()
    objection = penalty.object("갔는데요", DONE)
    attempts: list[Callable[[], Any]] = [
        lambda: penalty_for(party, MEMBER, member, reason, DONE),
        lambda: penalty.revoke(ADMINISTRATOR, reason, DONE),
        lambda: objection.decide(ADMINISTRATOR, Decision.UPHELD, reason, DONE),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidInput) as refusal:
            attempt()
        assert refusal.value.field == "reason"
    assert (penalty.revoked_at, objection.decided_at) == (None, None)


def test_a_penalty_is_revoked_once_and_then_nobody_objects():
    penalty = given()
    penalty.revoke(ADMINISTRATOR, " 착오였어요 ", DONE)
    assert (penalty.revoked_at, penalty.revoked_by_id, penalty.revoke_reason) == (
        DONE,
        ADMINISTRATOR,
        "착오였어요",
    )
    with pytest.raises(AlreadyRevoked):
        penalty.revoke(ADMINISTRATOR, "또", DONE)
    with pytest.raises(AlreadyRevoked):
        penalty.object("갔는데요", DONE)


@pytest.mark.parametrize("involved", [LEADER, MEMBER], ids=["who gave it", "who got it"])
def test_who_is_involved_does_not_decide(involved: UUID):
    penalty = given()
    with pytest.raises(Involved):
        penalty.revoke(involved, "착오였어요", DONE)
    assert penalty.revoked_at is None


def test_one_can_object_for_14_days():
    penalty = given()
    until = DONE + timedelta(days=14)
    objection = penalty.object(" 갔는데요 ", until - MOMENT)
    assert (objection.penalty_id, objection.text, objection.decided_at) == (penalty.id, "갔는데요", None)
    with pytest.raises(ObjectionTooLate) as refusal:
        penalty.object("갔는데요", until)
    assert refusal.value.until == until


@pytest.mark.parametrize("words", ["", "가" * 1_001])
def test_an_objection_has_1_to_1000_characters(words: str):
    with pytest.raises(InvalidInput) as refusal:
        given().object(words, DONE)
    assert refusal.value.field == "text"


@pytest.mark.parametrize("decision", Decision)
def test_an_objection_is_decided_once(decision: Decision):
    objection: Objection = given().object("갔는데요", DONE)
    objection.decide(ADMINISTRATOR, decision, "사진을 봤어요", DONE)
    answer = (objection.decision, objection.decided_by_id, objection.decided_at, objection.reason)
    assert answer == (decision, ADMINISTRATOR, DONE, "사진을 봤어요")
    with pytest.raises(ObjectionDecided):
        objection.decide(ADMINISTRATOR, Decision.REVOKED, "다시", DONE)
    assert objection.reason == "사진을 봤어요"


@pytest.mark.parametrize(
    ("days", "until"), [([], None), ([1, 2], None), ([3, 1, 2], 1), ([1, 1, 1], 1), ([5, 1, 4, 3, 2], 3)]
)
def test_with_three_penalties_one_waits_until_fewer_count(days: list[int], until: int | None):
    ends = [NOW + timedelta(days=each) for each in days]
    if until is None:
        check_few(ends)
        return
    with pytest.raises(TooManyPenalties) as refusal:
        check_few(ends)
    assert (refusal.value.penalty_count, refusal.value.until) == (len(days), NOW + timedelta(days=until))
    assert sum(end > refusal.value.until for end in ends) < 3
    assert sum(end > refusal.value.until - MOMENT for end in ends) >= 3


def test_attendance_can_be_corrected_for_a_day():
    party, _ = led()
    with pytest.raises(PartyNotDone) as too_early:
        party.check_correctable(NOW)
    assert too_early.value.status == "OPEN"
    party.complete(1, DONE)
    fixed = DONE + timedelta(hours=24)
    party.check_correctable(fixed - MOMENT)
    with pytest.raises(AttendanceFixed) as too_late:
        party.check_correctable(fixed)
    assert too_late.value.since == fixed
