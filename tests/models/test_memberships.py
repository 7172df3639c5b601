from datetime import UTC, datetime
from uuid import uuid4

import pytest

from models.errors import AlreadyDecided, LeaderStays, NotPartyMember
from models.memberships import LIVE_MEMBERSHIPS, MemberRole, Membership, MembershipStatus

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def a_membership(
    status: MembershipStatus = MembershipStatus.REQUESTED, role: MemberRole = MemberRole.MEMBER
) -> Membership:
    return Membership(party_id=uuid4(), user_id=uuid4(), role=role, status=status, quantity=1, created_at=NOW)


def test_a_request_is_withdrawn_once():
    request = a_membership()
    request.withdraw(NOW)
    assert (request.status, request.decided_at) == (MembershipStatus.WITHDRAWN, NOW)
    with pytest.raises(AlreadyDecided) as refusal:
        request.withdraw(NOW)
    assert (refusal.value.membership_id, refusal.value.status) == (request.id, MembershipStatus.WITHDRAWN)


@pytest.mark.parametrize("status", sorted(set(MembershipStatus) - {MembershipStatus.REQUESTED}))
def test_what_is_decided_is_not_withdrawn(status: MembershipStatus):
    membership = a_membership(status)
    with pytest.raises(AlreadyDecided):
        membership.withdraw(NOW)
    assert membership.status is status


@pytest.mark.parametrize("status", MembershipStatus)
def test_only_who_has_a_place_can_go(status: MembershipStatus):
    membership = a_membership(status)
    if status is MembershipStatus.ACCEPTED:
        membership.check_can_go()
    else:
        with pytest.raises(NotPartyMember):
            membership.check_can_go()


def test_the_leader_can_not_go():
    with pytest.raises(LeaderStays):
        a_membership(MembershipStatus.ACCEPTED, MemberRole.LEADER).check_can_go()


def test_a_request_and_a_place_are_live():
    assert set(LIVE_MEMBERSHIPS) == {MembershipStatus.REQUESTED, MembershipStatus.ACCEPTED}
