"""What leaders write about parties."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

import strawberry
from strawberry import UNSET

from models import errors
from resolvers import parties as resolvers
from schema import ids
from schema.enums import Approval


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
        return attendance_by_key(self.attendance)


def attendance_by_key(lines: Sequence[AttendanceInput]) -> dict[UUID, bool]:
    """Who came, by key.

    Raises:
        InvalidInput: A person stands in two lines.
    """
    came = {ids.decode("User", line.user_id): line.attended for line in lines}
    if len(came) < len(lines):
        raise errors.InvalidInput("attendance", "Name each member once.", "파티원마다 한 번씩만 적어 주세요.")
    return came
