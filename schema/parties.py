"""Parties: how they look, and what their leaders do with them."""

from collections.abc import Hashable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from models.memberships import MembershipStatus as Status
from models.users import Role
from resolvers import parties as resolvers
from resolvers.views import PartyView
from schema import ids
from schema.context import Info
from schema.enums import Approval, CancelReason, MembershipStatus, PartyStatus
from schema.errors import InvalidInput, NotFound, NotPartyLeader, PartyClosed, TooEarly, TooManyPenalties
from schema.items import Item
from schema.markets import Market
from schema.memberships import Membership, may_see
from schema.nodes import Node
from schema.party_history import PartyEvent, is_between
from schema.party_inputs import CancelPartyInput, CompletePartyInput, CreatePartyInput, UpdatePartyInput
from schema.users import User

if TYPE_CHECKING:
    from schema.chat import Chat
    from schema.penalties import Penalty


@strawberry.type(description="People who buy one pack at one market together.")
class Party(Node):
    """See models.parties."""

    view: strawberry.Private[PartyView]
    #: Set where it is an event of a stream.
    version: strawberry.Private[int | None]
    leader: User = strawberry.field(description="Who opened the party, buys the pack and shares it.")
    market: Market = strawberry.field(description="Where the pack is bought and people meet.")
    item: Item = strawberry.field(description="What the pack holds.")
    item_count: int = strawberry.field(description="Units in the whole pack.")
    item_unit: str = strawberry.field(description="The unit's name: 개, 롤, kg.")
    estimated_price: int | None = strawberry.field(
        description="Price of the whole pack as expected when the party was created, in won."
    )
    actual_price: int | None = strawberry.field(
        description="Price of the whole pack as paid, in won; null until the party is done."
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
    cancel_reason: CancelReason | None = strawberry.field(
        description="Why it does not take place; null unless it is canceled."
    )
    note: str | None = strawberry.field(description="What the leader wants people to know.")
    approval: Approval = strawberry.field(description="Who lets people in.")
    created_at: datetime = strawberry.field(description="When the leader opened it.")
    done_at: datetime | None = strawberry.field(
        description="When the leader completed it. Who came can be corrected for 24 hours from then on, "
        "penalties are given for 14 days. Null before."
    )

    @classmethod
    def of(cls, view: PartyView, version: int | None = None) -> "Party":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Party", view.id),
            view=view,
            version=version,
            leader=User.of(view.leader),
            market=Market.of(view.market),
            item=Item.of(view.item),
            item_count=view.item_count,
            item_unit=view.item_unit,
            estimated_price=view.estimated_price,
            actual_price=view.actual_price,
            capacity=view.capacity,
            places_left=view.capacity - view.accepted_count,
            units_left=view.item_count - view.accepted_quantity,
            min_members=view.min_members,
            starts_at=view.starts_at,
            ends_at=view.ends_at,
            join_by=view.join_by,
            status=view.status,
            cancel_reason=view.cancel_reason,
            note=view.note,
            approval=view.approval,
            created_at=view.created_at,
            done_at=view.done_at,
        )

    @property
    def shared_as(self) -> Hashable:
        """A version looks the same to everybody."""
        return None if self.version is None else (self.view.id, self.version)

    @property
    def resume_point(self) -> None:
        """There is nothing to resume: who comes again sees the party as it is."""
        return

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
    ) -> list[Membership]:
        """Cut to what the viewer may see."""
        members = await info.context.loaders.members.load(self.view.id) or []
        wanted = [member for member in members if status is None or member.status in status]
        return [Membership.of(member) for member in wanted if may_see(info, member, self.view.leader.id)]

    @strawberry.field(description="The viewer's newest membership, whatever became of it; null without one.")
    async def viewer_membership(self, info: Info) -> Membership | None:
        """One look-up for all the parties of the operation."""
        view = await info.context.loaders.viewer_membership.load(self.view.id)
        return Membership.of(view) if view else None

    @strawberry.field(
        description="What the members say to each other; null to anyone who is not an accepted member, and "
        "before it is opened."
    )
    async def chat(self, info: Info) -> Annotated["Chat", strawberry.lazy("schema.chat")] | None:
        """One look-up for all the parties of the operation."""
        from schema.chat import chat_of  # which knows parties: a circle, closed when it is used

        return await chat_of(info, self.view.id)

    @strawberry.field(
        description="Who changed what, when; oldest first, the newest 1,000. Empty for anyone who is not an "
        "accepted member. What became of other people's requests is for the leader alone."
    )
    async def history(self, info: Info) -> list[PartyEvent]:
        """One look-up for all the parties of the operation."""
        membership = await info.context.loaders.viewer_membership.load(self.view.id)
        if membership is None or membership.status is not Status.ACCEPTED:
            return []
        events = await info.context.loaders.history.load(self.view.id) or []
        viewer_id = membership.user.id
        sees_all = viewer_id == self.view.leader.id
        return [PartyEvent.of(event) for event in events if sees_all or not is_between(event, viewer_id)]

    @strawberry.field(
        description="What the leader gave to members who did not come, the earliest first; one for each at "
        "most. Empty for anyone but the leader and administrators."
    )
    async def penalties(self, info: Info) -> list[Annotated["Penalty", strawberry.lazy("schema.penalties")]]:
        """One look-up for all the parties of the operation."""
        from schema.penalties import Penalty  # which knows parties: a circle, closed when it is used

        viewer = info.context.signed_in
        if viewer is None or (viewer.user_id != self.view.leader.id and viewer.role is not Role.ADMIN):
            return []
        found = await info.context.loaders.penalties_of_party.load(self.view.id) or []
        return [Penalty.of(view) for view in found]


CreatePartyResult = Annotated[
    Party | NotFound | TooManyPenalties | InvalidInput,
    strawberry.union("CreatePartyResult", description="The new party, or why there is none."),
]
UpdatePartyResult = Annotated[
    Party | NotFound | NotPartyLeader | PartyClosed | InvalidInput,
    strawberry.union("UpdatePartyResult", description="The party as it is now, or why it stays."),
]
CancelPartyResult = Annotated[
    Party | NotFound | NotPartyLeader | PartyClosed,
    strawberry.union("CancelPartyResult", description="The party, CANCELED, or why not."),
]
CompletePartyResult = Annotated[
    Party | NotFound | NotPartyLeader | PartyClosed | TooEarly | InvalidInput,
    strawberry.union("CompletePartyResult", description="The party, DONE, or why not."),
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

    @strawberry.mutation(description="Change what was written about a party. The leader alone can.")
    async def update_party(
        self,
        info: Info,
        input: Annotated[UpdatePartyInput, strawberry.argument(description="What is new.")],
    ) -> UpdatePartyResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            party = await resolvers.update_party(
                tx, info.context.viewer_id, ids.decode("Party", input.party_id), input.changes()
            )
        return Party.of(party)

    @strawberry.mutation(description="End a party before it took place. The leader alone can; it is final.")
    async def cancel_party(
        self, info: Info, input: Annotated[CancelPartyInput, strawberry.argument(description="Which party.")]
    ) -> CancelPartyResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            party = await resolvers.cancel_party(
                tx, info.context.viewer_id, ids.decode("Party", input.party_id)
            )
        return Party.of(party)

    @strawberry.mutation(
        description="End a party with the price paid and who came, from its start on. The leader alone can; "
        "the price is split to the won, and it is final."
    )
    async def complete_party(
        self,
        info: Info,
        input: Annotated[CompletePartyInput, strawberry.argument(description="How it went.")],
    ) -> CompletePartyResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            party = await resolvers.complete_party(
                tx,
                info.context.viewer_id,
                ids.decode("Party", input.party_id),
                input.actual_price,
                input.came(),
            )
        return Party.of(party)
