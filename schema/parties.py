"""Parties and memberships."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from models import errors
from models.parties import MembershipStatus as Status
from resolvers import parties as resolvers
from resolvers.views import MembershipView, PartyView
from schema import ids
from schema.context import Info
from schema.enums import Approval, MemberRole, MembershipStatus, PartyStatus
from schema.errors import (
    Error,
    InvalidInput,
    NotEnoughUnits,
    NotFound,
    NotPartyLeader,
    PartyClosed,
    PartyFull,
    refusal,
)
from schema.items import Item
from schema.markets import Market
from schema.nodes import Node
from schema.users import User


@strawberry.type(description="People who buy one pack at one market together.")
class Party(Node):
    """See models.parties."""

    key: strawberry.Private[UUID]
    leader_key: strawberry.Private[UUID]
    leader: User = strawberry.field(description="Who opened the party, buys the pack and shares it.")
    market: Market = strawberry.field(description="Where the pack is bought and people meet.")
    item: Item = strawberry.field(description="What the pack holds.")
    item_count: int = strawberry.field(description="Units in the whole pack.")
    item_unit: str = strawberry.field(description="The unit's name: 개, 롤, kg.")
    estimated_price: int | None = strawberry.field(
        description="Price of the whole pack as expected when the party was created, in won."
    )
    capacity: int = strawberry.field(description="Places, the leader's included.")
    places_left: int = strawberry.field(description="Places that nobody has. Zero units may be left before.")
    units_left: int = strawberry.field(description="Units of the pack that nobody has taken.")
    min_members: int = strawberry.field(description="With fewer accepted members it does not take place.")
    starts_at: datetime = strawberry.field(description="When people meet.")
    ends_at: datetime = strawberry.field(description="When the meeting ends, at most 24 hours later.")
    join_by: datetime = strawberry.field(description="Until when people can join.")
    status: PartyStatus = strawberry.field(
        description="OPEN and FULL follow from the places; the rest is final."
    )
    note: str | None = strawberry.field(description="What the leader wants people to know.")
    approval: Approval = strawberry.field(description="Who lets people in.")
    created_at: datetime = strawberry.field(description="When the leader opened it.")

    @classmethod
    def of(cls, view: PartyView) -> "Party":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Party", view.id),
            key=view.id,
            leader_key=view.leader.id,
            leader=User.of(view.leader),
            market=Market.of(view.market),
            item=Item.of(view.item),
            item_count=view.item_count,
            item_unit=view.item_unit,
            estimated_price=view.estimated_price,
            capacity=view.capacity,
            places_left=view.capacity - view.accepted_count,
            units_left=view.item_count - view.accepted_quantity,
            min_members=view.min_members,
            starts_at=view.starts_at,
            ends_at=view.ends_at,
            join_by=view.join_by,
            status=view.status,
            note=view.note,
            approval=view.approval,
            created_at=view.created_at,
        )

    @strawberry.field(
        description="The accepted members, the leader first, then in the order of asking. The leader sees "
        "everybody who asked, and everybody sees what became of their own request."
    )
    async def members(
        self,
        info: Info,
        status: Annotated[
            list[MembershipStatus] | None, strawberry.argument(description="Only these; all by default.")
        ] = None,
    ) -> list["Membership"]:
        """Cut to what the viewer may see."""
        members = await info.context.loaders.members.load(self.key) or []
        wanted = [member for member in members if status is None or member.status in status]
        return [Membership.of(member) for member in wanted if may_see(info, member, self.leader_key)]

    @strawberry.field(description="The viewer's newest membership, whatever became of it; null without one.")
    async def viewer_membership(self, info: Info) -> "Membership | None":
        """One look-up for all the parties of the operation."""
        view = await info.context.loaders.viewer_membership.load(self.key)
        return Membership.of(view) if view else None


@strawberry.type(description="A person's place in a party, or the request for one.")
class Membership(Node):
    """See models.parties."""

    party_key: strawberry.Private[UUID]
    user: User = strawberry.field(description="Whose it is.")
    role: MemberRole = strawberry.field(description="What the person is in the party.")
    status: MembershipStatus = strawberry.field(description="What has become of the request.")
    quantity: int = strawberry.field(description="Units of the pack that this member takes.")
    created_at: datetime = strawberry.field(description="When the person asked.")

    @classmethod
    def of(cls, view: MembershipView) -> "Membership":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Membership", view.id),
            party_key=view.party_id,
            user=User.of(view.user),
            role=view.role,
            status=view.status,
            quantity=view.quantity,
            created_at=view.created_at,
        )

    @strawberry.field(description="The party it belongs to.")
    async def party(self, info: Info) -> Party:
        """One look-up for all the memberships of the operation."""
        view = await info.context.loaders.party.load(self.party_key)
        if view is None:
            raise errors.NotFound("party", self.party_key)
        return Party.of(view)


def may_see(info: Info, member: MembershipView, leader_id: UUID) -> bool:
    """Whether a membership is the viewer's to see: applicants are between them and the leader."""
    viewer = info.context.signed_in
    return member.status is Status.ACCEPTED or (
        viewer is not None and viewer.user_id in (leader_id, member.user.id)
    )


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
@strawberry.type(description="The request has its answer, which stands. Who was turned down can't ask again.")
class AlreadyDecided(Error):
    """See models.errors."""

    membership: Membership = strawberry.field(description="The request, with what became of it.")

    @classmethod
    async def data(cls, error: errors.AlreadyDecided, info: Info) -> dict[str, Any]:
        """With the membership, so that a client can show its status."""
        return {"membership": await _membership(info, error.membership_id)}


@strawberry.input(description="What a leader writes about a new party.")
class CreatePartyInput:
    """Input of createParty."""

    market_id: strawberry.ID = strawberry.field(description="Where the pack is bought.")
    item_id: strawberry.ID = strawberry.field(description="What the pack holds.")
    item_count: int = strawberry.field(description="Units in the whole pack, 1 to 10,000.")
    item_unit: str = strawberry.field(description="The unit's name, 1 to 20 characters: 개, 롤, kg.")
    capacity: int = strawberry.field(description="Places with the leader's, 2 to 50.")
    starts_at: datetime = strawberry.field(description="When people meet, within 60 days.")
    ends_at: datetime = strawberry.field(description="When the meeting ends, at most 24 hours later.")
    estimated_price: int | None = strawberry.field(
        default=None, description="Price of the whole pack in won, as far as the leader knows."
    )
    min_members: int = strawberry.field(default=2, description="2 to the capacity.")
    join_by: datetime | None = strawberry.field(
        default=None, description="Until when people can join; until it starts by default."
    )
    note: str | None = strawberry.field(
        default=None, description="Up to 500 characters for everybody to see."
    )
    approval: Approval = strawberry.field(default=Approval.MANUAL, description="Who lets people in.")
    quantity: int = strawberry.field(default=1, description="Units that the leader takes.")

    def draft(self) -> resolvers.PartyDraft:
        """The same with keys for ids."""
        return resolvers.PartyDraft(
            market_id=ids.decode("Market", self.market_id),
            item_id=ids.decode("Item", self.item_id),
            item_count=self.item_count,
            item_unit=self.item_unit,
            capacity=self.capacity,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            estimated_price=self.estimated_price,
            min_members=self.min_members,
            join_by=self.join_by,
            note=self.note,
            approval=self.approval,
            quantity=self.quantity,
        )


@strawberry.input(description="Which party to join, and with how much.")
class JoinPartyInput:
    """Input of joinParty."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")
    quantity: int = strawberry.field(default=1, description="Units of the pack to take.")


@strawberry.input(description="Which applicant to let in.")
class AcceptMemberInput:
    """Input of acceptMember."""

    membership_id: strawberry.ID = strawberry.field(description="The id of the applicant's membership.")


@strawberry.input(description="Which applicant to turn down.")
class RejectMemberInput:
    """Input of rejectMember."""

    membership_id: strawberry.ID = strawberry.field(description="The id of the applicant's membership.")
    reason: str | None = strawberry.field(default=None, description="Why, 1 to 500 characters.")


CreatePartyResult = Annotated[
    Party | NotFound | InvalidInput,
    strawberry.union("CreatePartyResult", description="The new party, or why there is none."),
]
JoinPartyResult = Annotated[
    Membership
    | NotFound
    | AlreadyJoined
    | AlreadyDecided
    | PartyClosed
    | PartyFull
    | NotEnoughUnits
    | InvalidInput,
    strawberry.union("JoinPartyResult", description="The membership, REQUESTED or ACCEPTED, or why not."),
]
AcceptMemberResult = Annotated[
    Membership | NotFound | NotPartyLeader | AlreadyDecided | PartyClosed | PartyFull | NotEnoughUnits,
    strawberry.union("AcceptMemberResult", description="The membership, ACCEPTED, or why not."),
]
RejectMemberResult = Annotated[
    Membership | NotFound | NotPartyLeader | AlreadyDecided | InvalidInput,
    strawberry.union("RejectMemberResult", description="The membership, REJECTED, or why not."),
]


@strawberry.type
class PartyQuery:
    """Fields of Query."""

    @strawberry.field(description="One party; null when there is no such party.")
    async def party(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The party's id.")]
    ) -> Party | None:
        """Open, call, wrap."""
        view = await info.context.loaders.party.load(ids.decode("Party", id))
        return Party.of(view) if view else None


@strawberry.type
class PartyMutation:
    """Fields of Mutation."""

    @strawberry.mutation(description="Open a party. The viewer leads it and is its first member.")
    async def create_party(
        self,
        info: Info,
        input: Annotated[CreatePartyInput, strawberry.argument(description="What it is about.")],
    ) -> CreatePartyResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            party = await resolvers.create_party(tx, info.context.viewer_id, input.draft())
        return Party.of(party)

    @strawberry.mutation(description="Ask for a place in a party; where approval is AUTO, take it at once.")
    async def join_party(
        self,
        info: Info,
        input: Annotated[JoinPartyInput, strawberry.argument(description="Which party.")],
    ) -> JoinPartyResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            membership = await resolvers.join_party(
                tx, info.context.viewer_id, ids.decode("Party", input.party_id), input.quantity
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
