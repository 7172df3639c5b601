"""What leaders, members and administrators do about attendance and penalties."""

from typing import Annotated
from uuid import UUID

import strawberry

from resolvers import penalties as resolvers
from schema import ids
from schema.context import Info
from schema.enums import Decision
from schema.errors import (
    AttendanceFixed,
    InvalidInput,
    Involved,
    NotFound,
    NotPartyLeader,
    NotPenalizable,
    ObjectionTooLate,
    PartyNotDone,
)
from schema.pages import After, Connection, First, connection, page_of
from schema.parties import Party
from schema.party_inputs import AttendanceInput, attendance_by_key
from schema.penalties import (
    AlreadyObjected,
    AlreadyPenalized,
    AlreadyRevoked,
    Objection,
    ObjectionDecided,
    Penalty,
)


@strawberry.input(description="Who came after all, or did not.")
class CorrectAttendanceInput:
    """Input of correctAttendance."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")
    attendance: list[AttendanceInput] = strawberry.field(
        description="A line for each member to correct; the others stay as they are."
    )

    def came(self) -> dict[UUID, bool]:
        """Who came, by key.

        Raises:
            InvalidInput: A person stands in two lines.
        """
        return attendance_by_key(self.attendance)


@strawberry.input(description="Which member gets a penalty.")
class PenalizeInput:
    """Input of penalize."""

    party_id: strawberry.ID = strawberry.field(description="The party's id.")
    user_id: strawberry.ID = strawberry.field(description="The member's user id.")
    reason: str = strawberry.field(description="Why, 1 to 500 characters; the person reads it.")


@strawberry.input(description="Which penalty to take back.")
class RevokePenaltyInput:
    """Input of revokePenalty."""

    penalty_id: strawberry.ID = strawberry.field(description="The penalty's id.")
    reason: str = strawberry.field(description="Why, 1 to 500 characters; the person reads it.")


@strawberry.input(description="What is wrong about a penalty.")
class ObjectToPenaltyInput:
    """Input of objectToPenalty."""

    penalty_id: strawberry.ID = strawberry.field(description="The id of a penalty of the viewer's.")
    text: str = strawberry.field(description="1 to 1,000 characters for the administrators.")


@strawberry.input(description="The answer to an objection.")
class DecideObjectionInput:
    """Input of decideObjection."""

    objection_id: strawberry.ID = strawberry.field(description="The objection's id.")
    decision: Decision = strawberry.field(description="Whether the penalty stays.")
    reason: str = strawberry.field(description="Why, 1 to 500 characters; the person reads it.")


CorrectAttendanceResult = Annotated[
    Party | NotFound | NotPartyLeader | PartyNotDone | AttendanceFixed | AlreadyPenalized | InvalidInput,
    strawberry.union("CorrectAttendanceResult", description="The party with who came, or why not."),
]
PenalizeResult = Annotated[
    Penalty | NotFound | NotPartyLeader | NotPenalizable | AlreadyPenalized | InvalidInput,
    strawberry.union("PenalizeResult", description="The penalty, or why there is none."),
]
RevokePenaltyResult = Annotated[
    Penalty | NotFound | Involved | AlreadyRevoked | InvalidInput,
    strawberry.union("RevokePenaltyResult", description="The penalty, revoked, or why not."),
]
ObjectToPenaltyResult = Annotated[
    Objection | NotFound | AlreadyObjected | AlreadyRevoked | ObjectionTooLate | InvalidInput,
    strawberry.union("ObjectToPenaltyResult", description="The objection, open, or why there is none."),
]
DecideObjectionResult = Annotated[
    Objection | NotFound | Involved | ObjectionDecided | InvalidInput,
    strawberry.union("DecideObjectionResult", description="The objection with its answer, or why not."),
]


@strawberry.type
class PenaltyQuery:
    """Fields of Query, for administrators."""

    @strawberry.field(description="What a person got, the newest first. Administrators alone can ask.")
    async def penalties(
        self,
        info: Info,
        user_id: Annotated[strawberry.ID, strawberry.argument(description="The person's id.")],
        first: First = None,
        after: After = None,
    ) -> Connection[Penalty]:
        """Open, call, wrap."""
        _ = info.context.administrator
        async with info.context.read() as tx:
            page = await resolvers.penalties_of(tx, ids.decode("User", user_id), page_of(first, after))
        return connection(page, Penalty.of)

    @strawberry.field(
        description="Objections that wait for a decision, the oldest first. Administrators alone can ask."
    )
    async def open_objections(
        self, info: Info, first: First = None, after: After = None
    ) -> Connection[Objection]:
        """Open, call, wrap."""
        _ = info.context.administrator
        async with info.context.read() as tx:
            page = await resolvers.open_objections(tx, page_of(first, after))
        return connection(page, Objection.of)


@strawberry.type
class PenaltyMutation:
    """Fields of Mutation."""

    @strawberry.mutation(
        description="Correct who came, for 24 hours after the party was done. The leader alone can."
    )
    async def correct_attendance(
        self,
        info: Info,
        input: Annotated[CorrectAttendanceInput, strawberry.argument(description="Who came.")],
    ) -> CorrectAttendanceResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            party = await resolvers.correct_attendance(
                tx, info.context.viewer_id, ids.decode("Party", input.party_id), input.came()
            )
        return Party.of(party)

    @strawberry.mutation(
        description="Give a member who did not come a penalty, within 14 days after the party was done; once "
        "per party and person. The leader alone can."
    )
    async def penalize(
        self, info: Info, input: Annotated[PenalizeInput, strawberry.argument(description="Whom, and why.")]
    ) -> PenalizeResult:
        """Open, call, wrap."""
        party, user = ids.decode("Party", input.party_id), ids.decode("User", input.user_id)
        async with info.context.write() as tx:
            penalty = await resolvers.penalize(
                tx, info.context.live.penalty_counts, info.context.viewer_id, party, user, input.reason
            )
        return Penalty.of(penalty)

    @strawberry.mutation(
        description="Take a penalty back: it counts no more. An open objection is answered by it. "
        "Administrators who neither gave nor got it can."
    )
    async def revoke_penalty(
        self,
        info: Info,
        input: Annotated[RevokePenaltyInput, strawberry.argument(description="Which one, and why.")],
    ) -> RevokePenaltyResult:
        """Open, call, wrap."""
        administrator, key = info.context.administrator, ids.decode("Penalty", input.penalty_id)
        async with info.context.write() as tx:
            penalty = await resolvers.revoke_penalty(
                tx, info.context.live.penalty_counts, administrator.user_id, key, input.reason
            )
        return Penalty.of(penalty)

    @strawberry.mutation(
        description="Say what is wrong about a penalty, within 14 days after it was given; once. Who got it "
        "can."
    )
    async def object_to_penalty(
        self, info: Info, input: Annotated[ObjectToPenaltyInput, strawberry.argument(description="What.")]
    ) -> ObjectToPenaltyResult:
        """Open, call, wrap."""
        async with info.context.write() as tx:
            objection = await resolvers.object_to_penalty(
                tx, info.context.viewer_id, ids.decode("Penalty", input.penalty_id), input.text
            )
        return Objection.of(objection)

    @strawberry.mutation(
        description="Answer an objection. Administrators who neither gave nor got the penalty can."
    )
    async def decide_objection(
        self,
        info: Info,
        input: Annotated[DecideObjectionInput, strawberry.argument(description="The answer.")],
    ) -> DecideObjectionResult:
        """Open, call, wrap."""
        administrator, key = info.context.administrator, ids.decode("Objection", input.objection_id)
        async with info.context.write() as tx:
            objection = await resolvers.decide_objection(
                tx,
                info.context.live.penalty_counts,
                administrator.user_id,
                key,
                input.decision,
                input.reason,
            )
        return Objection.of(objection)
