"""Penalties, and what is said against them. `schema.penalty_verbs` has what people do about them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from models import errors
from models.users import Role
from resolvers.penalty_views import ObjectionView, PenaltyView
from schema import ids
from schema.context import Info
from schema.enums import Decision
from schema.errors import Error, refusal
from schema.nodes import Node
from schema.users import User

if TYPE_CHECKING:
    from schema.parties import Party


@strawberry.type(
    description="Given by a party's leader to an accepted member who did not come. Counts for 90 days. It is "
    "between the two of them and the administrators."
)
class Penalty(Node):
    """See models.penalties."""

    view: strawberry.Private[PenaltyView]
    reason: str = strawberry.field(description="Why, in the leader's words.")
    given_at: datetime = strawberry.field(description="When. The person can object for 14 days.")
    expires_at: datetime = strawberry.field(
        description="When it stops counting, unless it was revoked before."
    )
    revoked_at: datetime | None = strawberry.field(description="When it was taken back; null if it was not.")
    revoke_reason: str | None = strawberry.field(description="Why it was taken back.")

    @classmethod
    def of(cls, view: PenaltyView) -> "Penalty":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Penalty", view.id),
            view=view,
            reason=view.reason,
            given_at=view.given_at,
            expires_at=view.expires_at,
            revoked_at=view.revoked_at,
            revoke_reason=view.revoke_reason,
        )

    @strawberry.field(description="Where the person did not come.")
    async def party(self, info: Info) -> Annotated["Party", strawberry.lazy("schema.parties")]:
        """One look-up for all the penalties of the operation."""
        from schema.parties import Party  # which knows penalties: a circle, closed when it is used

        view = await info.context.loaders.party.load(self.view.party_id)
        if view is None:
            raise errors.NotFound("party", self.view.party_id)
        return Party.of(view)

    @strawberry.field(description="Who got it.")
    async def user(self, info: Info) -> User:
        """One look-up for all the people of the operation."""
        return await _user(info, self.view.user_id)

    @strawberry.field(description="Who gave it: the party's leader.")
    async def given_by(self, info: Info) -> User:
        """One look-up for all the people of the operation."""
        return await _user(info, self.view.given_by_id)

    @strawberry.field(description="Which administrator took it back.")
    async def revoked_by(self, info: Info) -> User | None:
        """One look-up for all the people of the operation."""
        return await _user(info, self.view.revoked_by_id) if self.view.revoked_by_id else None

    @strawberry.field(
        description="What the person said against it; null without, and to anyone but the person and "
        "administrators."
    )
    async def objection(self, info: Info) -> "Objection | None":
        """One look-up for all the penalties of the operation."""
        view = await objection_seen(info, await info.context.loaders.objection_to.load(self.view.id))
        return Objection.of(view) if view else None


@strawberry.type(
    description="What a person says against a penalty. It is between them and the administrators."
)
class Objection(Node):
    """See models.penalties."""

    view: strawberry.Private[ObjectionView]
    text: str = strawberry.field(description="Why the penalty is wrong, in the person's words.")
    made_at: datetime = strawberry.field(description="When.")
    decided_at: datetime | None = strawberry.field(description="When it was answered; null while it is open.")
    decision: Decision | None = strawberry.field(description="What became of the penalty; null while open.")
    reason: str | None = strawberry.field(description="Why, in the administrator's words; null while open.")

    @classmethod
    def of(cls, view: ObjectionView) -> "Objection":
        """Wrap what a resolver read."""
        return cls(
            id=ids.encode("Objection", view.id),
            view=view,
            text=view.text,
            made_at=view.made_at,
            decided_at=view.decided_at,
            decision=view.decision,
            reason=view.reason,
        )

    @strawberry.field(description="What it is about.")
    async def penalty(self, info: Info) -> Penalty:
        """One look-up for all the objections of the operation."""
        return await _penalty(info, self.view.penalty_id)

    @strawberry.field(description="Which administrator answered; null while it is open.")
    async def decided_by(self, info: Info) -> User | None:
        """One look-up for all the people of the operation."""
        return await _user(info, self.view.decided_by_id) if self.view.decided_by_id else None


async def penalty_seen(info: Info, penalty_id: UUID) -> PenaltyView | None:
    """The penalty, if the viewer got it, gave it, or is an administrator."""
    viewer = info.context.signed_in
    view = await info.context.loaders.penalty.load(penalty_id) if viewer else None
    if viewer is None or view is None:
        return None
    may_see = viewer.user_id in (view.user_id, view.given_by_id) or viewer.role is Role.ADMIN
    return view if may_see else None


async def objection_seen(info: Info, view: ObjectionView | None) -> ObjectionView | None:
    """The objection, if the viewer made it or is an administrator."""
    viewer = info.context.signed_in
    if viewer is None or view is None or viewer.role is Role.ADMIN:
        return view if viewer else None
    penalty = await info.context.loaders.penalty.load(view.penalty_id)
    return view if penalty is not None and penalty.user_id == viewer.user_id else None


async def _user(info: Info, user_id: UUID) -> User:
    view = await info.context.loaders.user.load(user_id)
    if view is None:
        raise errors.NotFound("user", user_id)
    return User.of(view)


async def _penalty(info: Info, penalty_id: UUID) -> Penalty:
    view = await info.context.loaders.penalty.load(penalty_id)
    if view is None:
        raise errors.NotFound("penalty", penalty_id)
    return Penalty.of(view)


async def _objection(info: Info, objection_id: UUID) -> Objection:
    view = await info.context.loaders.objection.load(objection_id)
    if view is None:
        raise errors.NotFound("objection", objection_id)
    return Objection.of(view)


@refusal(errors.AlreadyPenalized)
@strawberry.type(description="The member has the one penalty that a party can give them, revoked or not.")
class AlreadyPenalized(Error):
    """See models.errors."""

    penalty: Penalty = strawberry.field(description="The penalty.")

    @classmethod
    async def data(cls, error: errors.AlreadyPenalized, info: Info) -> dict[str, Any]:
        """With the penalty, so that a client can show it."""
        return {"penalty": await _penalty(info, error.penalty_id)}


@refusal(errors.AlreadyRevoked)
@strawberry.type(description="The penalty counts no more: an administrator has taken it back.")
class AlreadyRevoked(Error):
    """See models.errors."""

    penalty: Penalty = strawberry.field(description="The penalty, with when and why.")

    @classmethod
    async def data(cls, error: errors.AlreadyRevoked, info: Info) -> dict[str, Any]:
        """With the penalty, so that a client can show what became of it."""
        return {"penalty": await _penalty(info, error.penalty_id)}


@refusal(errors.AlreadyObjected)
@strawberry.type(description="The viewer has said why the penalty is wrong; one can once.")
class AlreadyObjected(Error):
    """See models.errors."""

    objection: Objection = strawberry.field(description="What was said, and what became of it.")

    @classmethod
    async def data(cls, error: errors.AlreadyObjected, info: Info) -> dict[str, Any]:
        """With the objection, so that a client can show it."""
        return {"objection": await _objection(info, error.objection_id)}


@refusal(errors.ObjectionDecided)
@strawberry.type(description="The objection has its answer, which stands.")
class ObjectionDecided(Error):
    """See models.errors."""

    objection: Objection = strawberry.field(description="The objection, with its answer.")

    @classmethod
    async def data(cls, error: errors.ObjectionDecided, info: Info) -> dict[str, Any]:
        """With the objection, so that a client can show the answer."""
        return {"objection": await _objection(info, error.objection_id)}
