"""Parties: how they look, and what their leaders do with them."""

from collections.abc import Hashable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast
from uuid import UUID

import strawberry
from strawberry import UNSET

from models import errors
from models.memberships import MembershipStatus as Status
from resolvers import parties as resolvers
from resolvers.views import PartyView
from schema import ids
from schema.context import Info
from schema.enums import Approval, CancelReason, MembershipStatus, PartyStatus
from schema.errors import InvalidInput, NotFound, NotPartyLeader, PartyClosed, TooEarly
from schema.items import Item
from schema.markets import Market
from schema.memberships import Membership, may_see
from schema.nodes import Node
from schema.party_history import PartyEvent, is_between
from schema.users import User

if TYPE_CHECKING:
    from schema.chat import Chat


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


@strawberry.input(description="What a leader writes anew about a party; what is left out stays.")
class UpdatePartyInput:
    """Input of updateParty. Null empties estimatedPrice and note, and leaves everything else as it is."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")
    market_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Where the pack is bought.")
    item_id: strawberry.ID | None = strawberry.field(default=UNSET, description="What the pack holds.")
    item_count: int | None = strawberry.field(
        default=UNSET, description="Units in the whole pack; not fewer than are taken."
    )
    item_unit: str | None = strawberry.field(
        default=UNSET, description="The unit's name, 20 characters at most."
    )
    estimated_price: int | None = strawberry.field(
        default=UNSET, description="Price of the whole pack in won; null takes it away."
    )
    capacity: int | None = strawberry.field(
        default=UNSET, description="Places with the leader's; not fewer than there are members."
    )
    min_members: int | None = strawberry.field(default=UNSET, description="2 to the capacity.")
    starts_at: datetime | None = strawberry.field(default=UNSET, description="When people meet.")
    ends_at: datetime | None = strawberry.field(default=UNSET, description="When the meeting ends.")
    join_by: datetime | None = strawberry.field(default=UNSET, description="Until when people can join.")
    note: str | None = strawberry.field(
        default=UNSET, description="Up to 500 characters for everybody to see; null takes it away."
    )
    approval: Approval | None = strawberry.field(default=UNSET, description="Who lets people in.")
    quantity: int | None = strawberry.field(default=UNSET, description="Units that the leader takes.")

    def changes(self) -> resolvers.PartyChanges:
        """What was given, with keys for ids."""
        given = {name: value for name, value in vars(self).items() if value is not UNSET}
        del given["party_id"]
        emptied = {"estimated_price", "note"}
        changes = {name: value for name, value in given.items() if value is not None or name in emptied}
        if self.market_id:
            changes["market_id"] = ids.decode("Market", self.market_id)
        if self.item_id:
            changes["item_id"] = ids.decode("Item", self.item_id)
        return cast(resolvers.PartyChanges, changes)


@strawberry.input(description="Which party to cancel.")
class CancelPartyInput:
    """Input of cancelParty."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")


@strawberry.input(description="Whether one member came.")
class AttendanceInput:
    """A line of the leader's list."""

    user_id: strawberry.ID = strawberry.field(description="The member's user id.")
    attended: bool = strawberry.field(description="False for a no-show, who owes the share all the same.")


@strawberry.input(description="How a party went.")
class CompletePartyInput:
    """Input of completeParty."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")
    actual_price: int = strawberry.field(description="What the whole pack has cost, in won.")
    attendance: list[AttendanceInput] = strawberry.field(
        description="A line for each accepted member; the leader's own may be left out."
    )

    def came(self) -> dict[UUID, bool]:
        """Who came, by key.

        Raises:
            InvalidInput: A person stands in two lines.
        """
        came = {ids.decode("User", line.user_id): line.attended for line in self.attendance}
        if len(came) < len(self.attendance):
            raise errors.InvalidInput(
                "attendance", "Name each member once.", "파티원마다 한 번씩만 적어 주세요."
            )
        return came


CreatePartyResult = Annotated[
    Party | NotFound | InvalidInput,
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
