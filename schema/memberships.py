"""Memberships: places in parties, and requests for them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from models import errors
from models.memberships import MembershipStatus as Status
from models.shares import split
from resolvers import memberships as resolvers
from resolvers.views import MembershipView, PartyView
from schema import ids
from schema.context import Info
from schema.enums import Attendance, MemberRole, MembershipStatus
from schema.errors import (
    Error,
    InvalidInput,
    LeaderStays,
    NotEnoughUnits,
    NotFound,
    NotPartyLeader,
    NotPartyMember,
    PartyClosed,
    PartyFull,
    TooLate,
    TooManyPenalties,
    refusal,
)
from schema.nodes import Node
from schema.users import User

if TYPE_CHECKING:
    from schema.parties import Party


@strawberry.type(description="A person's place in a party, or the request for one.")
class Membership(Node):
    """See models.memberships."""

    view: strawberry.Private[MembershipView]
    user: User = strawberry.field(description="Whose it is.")
    role: MemberRole = strawberry.field(description="What the person is in the party.")
    status: MembershipStatus = strawberry.field(description="What has become of the request.")
    quantity: int = strawberry.field(description="Units of the pack that this member takes.")
    attendance: Attendance = strawberry.field(
        description="Whether the member came, as the leader recorded or corrected."
    )
    created_at: datetime = strawberry.field(description="When the person asked.")

    @classmethod
    def of(cls, view: MembershipView) -> "Membership":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Membership", view.id),
            view=view,
            user=User.of(view.user),
            role=view.role,
            status=view.status,
            quantity=view.quantity,
            attendance=view.attendance,
            created_at=view.created_at,
        )

    @strawberry.field(description="The party it belongs to.")
    async def party(self, info: Info) -> Annotated["Party", strawberry.lazy("schema.parties")]:
        """One look-up for all the memberships of the operation."""
        from schema.parties import Party  # which knows memberships: a circle, closed when it is used

        return Party.of(await _party(info, self.view.party_id))

    @strawberry.field(
        description="This member's part of the price in won; the parts add up to the price exactly. "
        "Estimated until the party is done. Null without a place, and while no price is known."
    )
    async def amount(self, info: Info) -> int | None:
        """Fixed once the party is done; until then worked out as it would be now."""
        if self.view.amount is not None or self.status is not Status.ACCEPTED:
            return self.view.amount
        party = await _party(info, self.view.party_id)
        if party.estimated_price is None or not party.is_live:
            return None
        members = await info.context.loaders.members.load(party.id) or []
        accepted = {member.user.id: member.quantity for member in members if member.status is Status.ACCEPTED}
        return split(party.estimated_price, party.leader.id, accepted).get(self.view.user.id)


def may_see(info: Info, member: MembershipView, leader_id: UUID) -> bool:
    """Whether a membership is the viewer's to see: applicants are between them and the leader."""
    viewer = info.context.signed_in
    return member.status is Status.ACCEPTED or (
        viewer is not None and viewer.user_id in (leader_id, member.user.id)
    )


async def _party(info: Info, party_id: UUID) -> PartyView:
    view = await info.context.loaders.party.load(party_id)
    if view is None:
        raise errors.NotFound("party", party_id)
    return view


async def _membership(info: Info, membership_id: UUID) -> Membership:
    view = await info.context.loaders.membership.load(membership_id)
    if view is None:
        raise errors.NotFound("membership", membership_id)
    return Membership.of(view)


@refusal(errors.AlreadyJoined)
@strawberry.type(description="The person has a request or a place in this party.")
class AlreadyJoined(Error):
    """See models.errors."""

    membership: Membership = strawberry.field(description="The request, or the place.")

    @classmethod
    async def data(cls, error: errors.AlreadyJoined, info: Info) -> dict[str, Any]:
        """With the membership, so that a client can go on from there."""
        return {"membership": await _membership(info, error.membership_id)}


@refusal(errors.AlreadyDecided)
@strawberry.type(
    description="The request has its answer, which stands. Who was turned down or removed can't ask again."
)
class AlreadyDecided(Error):
    """See models.errors."""

    membership: Membership = strawberry.field(description="The request, with what became of it.")

    @classmethod
    async def data(cls, error: errors.AlreadyDecided, info: Info) -> dict[str, Any]:
        """With the membership, so that a client can show its status."""
        return {"membership": await _membership(info, error.membership_id)}


@strawberry.input(description="Which party to join, and with how much.")
class JoinPartyInput:
    """Input of joinParty."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")
    quantity: int = strawberry.field(default=1, description="Units of the pack to take.")


@strawberry.input(description="Which party's request to take back.")
class WithdrawRequestInput:
    """Input of withdrawRequest."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")


@strawberry.input(description="Which party to leave.")
class LeavePartyInput:
    """Input of leaveParty."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")


@strawberry.input(description="Which applicant to let in.")
class AcceptMemberInput:
    """Input of acceptMember."""

    membership_id: strawberry.ID = strawberry.field(description="The id of the applicant's membership.")


@strawberry.input(description="Which applicant to turn down.")
class RejectMemberInput:
    """Input of rejectMember."""

    membership_id: strawberry.ID = strawberry.field(description="The id of the applicant's membership.")
    reason: str | None = strawberry.field(default=None, description="Why, 1 to 500 characters.")


@strawberry.input(description="Which member to take out.")
class RemoveMemberInput:
    """Input of removeMember."""

    membership_id: strawberry.ID = strawberry.field(description="The id of the member's membership.")
    reason: str = strawberry.field(description="Why, 1 to 500 characters.")


JoinPartyResult = Annotated[
    Membership
    | NotFound
    | AlreadyJoined
    | AlreadyDecided
    | TooManyPenalties
    | PartyClosed
    | PartyFull
    | NotEnoughUnits
    | InvalidInput,
    strawberry.union("JoinPartyResult", description="The membership, REQUESTED or ACCEPTED, or why not."),
]
WithdrawRequestResult = Annotated[
    Membership | NotFound | NotPartyMember | AlreadyDecided,
    strawberry.union("WithdrawRequestResult", description="The membership, WITHDRAWN, or why not."),
]
LeavePartyResult = Annotated[
    Membership | NotFound | NotPartyMember | LeaderStays | PartyClosed | TooLate,
    strawberry.union("LeavePartyResult", description="The membership, LEFT, or why not."),
]
AcceptMemberResult = Annotated[
    Membership | NotFound | NotPartyLeader | AlreadyDecided | PartyClosed | PartyFull | NotEnoughUnits,
    strawberry.union("AcceptMemberResult", description="The membership, ACCEPTED, or why not."),
]
RejectMemberResult = Annotated[
    Membership | NotFound | NotPartyLeader | AlreadyDecided | InvalidInput,
    strawberry.union("RejectMemberResult", description="The membership, REJECTED, or why not."),
]
RemoveMemberResult = Annotated[
    Membership | NotFound | NotPartyLeader | NotPartyMember | LeaderStays | PartyClosed | InvalidInput,
    strawberry.union("RemoveMemberResult", description="The membership, REMOVED, or why not."),
]


@strawberry.type
class MembershipMutation:
    """Fields of Mutation."""

    @strawberry.mutation(description="Ask for a place in a party; where approval is AUTO, take it at once.")
    async def join_party(
        self, info: Info, input: Annotated[JoinPartyInput, strawberry.argument(description="Which party.")]
    ) -> JoinPartyResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            membership = await resolvers.join_party(
                tx, info.context.viewer_id, ids.decode("Party", input.party_id), input.quantity
            )
        return Membership.of(membership)

    @strawberry.mutation(description="Take the viewer's request for a place back.")
    async def withdraw_request(
        self,
        info: Info,
        input: Annotated[WithdrawRequestInput, strawberry.argument(description="Which party.")],
    ) -> WithdrawRequestResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            membership = await resolvers.withdraw_request(
                tx, info.context.viewer_id, ids.decode("Party", input.party_id)
            )
        return Membership.of(membership)

    @strawberry.mutation(description="Give the viewer's place back, until the party starts.")
    async def leave_party(
        self, info: Info, input: Annotated[LeavePartyInput, strawberry.argument(description="Which party.")]
    ) -> LeavePartyResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            membership = await resolvers.leave_party(
                tx, info.context.viewer_id, ids.decode("Party", input.party_id)
            )
        return Membership.of(membership)

    @strawberry.mutation(description="Let an applicant in. The leader alone can.")
    async def accept_member(
        self,
        info: Info,
        input: Annotated[AcceptMemberInput, strawberry.argument(description="Which applicant.")],
    ) -> AcceptMemberResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            membership = await resolvers.accept_member(
                tx, info.context.viewer_id, ids.decode("Membership", input.membership_id)
            )
        return Membership.of(membership)

    @strawberry.mutation(description="Turn an applicant down. The leader alone can.")
    async def reject_member(
        self,
        info: Info,
        input: Annotated[RejectMemberInput, strawberry.argument(description="Which applicant.")],
    ) -> RejectMemberResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            membership = await resolvers.reject_member(
                tx, info.context.viewer_id, ids.decode("Membership", input.membership_id), input.reason
            )
        return Membership.of(membership)

    @strawberry.mutation(description="Take a member's place away. The leader alone can.")
    async def remove_member(
        self,
        info: Info,
        input: Annotated[RemoveMemberInput, strawberry.argument(description="Which member.")],
    ) -> RemoveMemberResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            membership = await resolvers.remove_member(
                tx, info.context.viewer_id, ids.decode("Membership", input.membership_id), input.reason
            )
        return Membership.of(membership)
