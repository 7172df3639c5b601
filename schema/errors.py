"""Refusals: what a person may not do, as members of the mutations' unions.

A resolver raises an error of `models.errors`; the handler made here turns it into the GraphQL type declared
for it, in the language of the request. No resolver has a `try`.
"""

import dataclasses
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any, Self, TypeVar

import strawberry
from strawberry.types.field import StrawberryField

from models import errors
from schema import ids
from schema.context import Info
from schema.enums import NotPenalizableReason, PartyStatus

RefusalT = TypeVar("RefusalT", bound="type[Error]")


@strawberry.enum(description="The stable name of a refusal, one for each type that implements Error.")
class ErrorCode(Enum):
    """The names of `models.errors`, in capitals."""

    NOT_FOUND = strawberry.enum_value("NOT_FOUND", description="There is no such thing.")
    INVALID_INPUT = strawberry.enum_value("INVALID_INPUT", description="A value breaks a rule.")
    EMAIL_TAKEN = strawberry.enum_value("EMAIL_TAKEN", description="The e-mail address has an account.")
    NICKNAME_TAKEN = strawberry.enum_value("NICKNAME_TAKEN", description="Somebody has this nickname.")
    WRONG_CREDENTIALS = strawberry.enum_value("WRONG_CREDENTIALS", description="E-mail or password is wrong.")
    TOO_MANY_ATTEMPTS = strawberry.enum_value("TOO_MANY_ATTEMPTS", description="Wrong too often. Wait.")
    OPEN_OBLIGATIONS = strawberry.enum_value("OPEN_OBLIGATIONS", description="Others count on the person.")
    SESSION_EXPIRED = strawberry.enum_value("SESSION_EXPIRED", description="Sign in again.")
    NOT_PARTY_LEADER = strawberry.enum_value("NOT_PARTY_LEADER", description="Only the leader may do this.")
    PARTY_CLOSED = strawberry.enum_value("PARTY_CLOSED", description="The party takes nobody in any more.")
    PARTY_FULL = strawberry.enum_value("PARTY_FULL", description="Every place is taken.")
    NOT_ENOUGH_UNITS = strawberry.enum_value("NOT_ENOUGH_UNITS", description="Fewer units are left.")
    NOT_PARTY_MEMBER = strawberry.enum_value("NOT_PARTY_MEMBER", description="There is no such place.")
    LEADER_STAYS = strawberry.enum_value("LEADER_STAYS", description="The leader can't go.")
    TOO_EARLY = strawberry.enum_value("TOO_EARLY", description="It can be done later.")
    TOO_LATE = strawberry.enum_value("TOO_LATE", description="It could be done earlier.")
    ALREADY_JOINED = strawberry.enum_value("ALREADY_JOINED", description="There is a request or a place.")
    ALREADY_DECIDED = strawberry.enum_value("ALREADY_DECIDED", description="The request has its answer.")
    CHAT_CLOSED = strawberry.enum_value("CHAT_CLOSED", description="The chat is not open.")
    CHAT_ALREADY_OPEN = strawberry.enum_value("CHAT_ALREADY_OPEN", description="The chat is open.")
    NOBODY_TO_TALK_TO = strawberry.enum_value("NOBODY_TO_TALK_TO", description="A chat takes two.")
    PARTY_NOT_DONE = strawberry.enum_value("PARTY_NOT_DONE", description="The party is not done.")
    ATTENDANCE_FIXED = strawberry.enum_value("ATTENDANCE_FIXED", description="Who came stands.")
    NOT_PENALIZABLE = strawberry.enum_value("NOT_PENALIZABLE", description="The reason tells why not.")
    ALREADY_PENALIZED = strawberry.enum_value("ALREADY_PENALIZED", description="There is a penalty.")
    ALREADY_REVOKED = strawberry.enum_value("ALREADY_REVOKED", description="The penalty counts no more.")
    ALREADY_OBJECTED = strawberry.enum_value("ALREADY_OBJECTED", description="There is an objection.")
    OBJECTION_TOO_LATE = strawberry.enum_value("OBJECTION_TOO_LATE", description="14 days have passed.")
    OBJECTION_DECIDED = strawberry.enum_value("OBJECTION_DECIDED", description="It has its answer.")
    INVOLVED = strawberry.enum_value("INVOLVED", description="Somebody else has to decide.")
    TOO_MANY_PENALTIES = strawberry.enum_value("TOO_MANY_PENALTIES", description="Three or more count.")


@strawberry.interface(description="A refusal: something that the rules do not allow, with the data to go on.")
class Error:
    """What every refusal has."""

    code: ErrorCode = strawberry.field(description="A stable name in capitals, for programs.")
    message: str = strawberry.field(
        description="One sentence for a person, in the language of Accept-Language: ko or en, ko in doubt."
    )

    @classmethod
    async def of(cls, error: errors.DomainError, info: Info) -> Self:
        """The refusal for an error of the domain, in the language of the request."""
        data = await cls.data(error, info)
        return cls(code=ErrorCode[error.code()], message=error.message(info.context.language), **data)

    @classmethod
    async def data(cls, error: Any, info: Info) -> dict[str, Any]:
        """What the refusal says beyond code and message: by default the error's fields of the same names."""
        names = (field.name for field in dataclasses.fields(cls) if field.name not in {"code", "message"})
        return {name: getattr(error, name) for name in names}


class Refusals:
    """Turns one error of the domain into its GraphQL type, wherever a field's union has it."""

    def __init__(self, exception_type: type[errors.DomainError], error_type: type[Error]) -> None:
        self.exception_type = exception_type
        self.error_type = error_type

    async def handle(self, exception: errors.DomainError, *, field: StrawberryField, info: Info) -> Error:
        """The member of the union."""
        return await self.error_type.of(exception, info)


HANDLERS: list[Refusals] = []
"""One for every refusal type that has been declared."""


def refusal(error: type[errors.DomainError]) -> Callable[[RefusalT], RefusalT]:
    """Declare a GraphQL type as the refusal for an error of the domain."""

    def declare(cls: RefusalT) -> RefusalT:
        HANDLERS.append(Refusals(error, cls))
        return cls

    return declare


@refusal(errors.NotFound)
@strawberry.type(description="There is no such thing, or it is not for the viewer.")
class NotFound(Error):
    """See models.errors."""

    kind: str = strawberry.field(description="What was looked for: party, item, market …")
    id: strawberry.ID = strawberry.field(description="The id that was given.")

    @classmethod
    async def data(cls, error: errors.NotFound, info: Info) -> dict[str, Any]:
        """The key goes out as the id that came in."""
        return {"kind": error.kind, "id": ids.encode(ids.kind_named(error.kind), error.id)}


@refusal(errors.InvalidInput)
@strawberry.type(description="A value that a person gave breaks a rule; the message says which.")
class InvalidInput(Error):
    """See models.errors."""

    field: str = strawberry.field(description="The field of the input.")


@refusal(errors.EmailTaken)
@strawberry.type(description="Somebody signed up with this e-mail address.")
class EmailTaken(Error):
    """See models.errors."""


@refusal(errors.NicknameTaken)
@strawberry.type(description="Somebody else has this nickname.")
class NicknameTaken(Error):
    """See models.errors."""

    nickname: str = strawberry.field(description="The nickname that is taken.")


@refusal(errors.WrongCredentials)
@strawberry.type(description="No account has this e-mail address and this password.")
class WrongCredentials(Error):
    """See models.errors."""


@refusal(errors.TooManyAttempts)
@strawberry.type(
    description="The password was wrong too often, for this account or from this address; none is looked at."
)
class TooManyAttempts(Error):
    """See models.errors."""

    retry_after_seconds: int = strawberry.field(description="When the next attempt counts: 1 or more.")

    @classmethod
    async def data(cls, error: errors.TooManyAttempts, info: Info) -> dict[str, Any]:
        """Words in full, as clients have them."""
        return {"retry_after_seconds": error.retry_after_s}


@refusal(errors.SessionExpired)
@strawberry.type(
    description="The session has ended: by time, by signing out, or as its refresh token came twice."
)
class SessionExpired(Error):
    """See models.errors."""


@refusal(errors.NotPartyLeader)
@strawberry.type(description="Only the leader of the party may do this.")
class NotPartyLeader(Error):
    """See models.errors."""


@refusal(errors.PartyClosed)
@strawberry.type(description="The party is over, or its time for joining has passed.")
class PartyClosed(Error):
    """See models.errors."""

    status: PartyStatus = strawberry.field(description="What has become of the party.")
    join_by: datetime = strawberry.field(description="Until when people could join.")


@refusal(errors.PartyFull)
@strawberry.type(description="Every place in the party is taken, or every unit of its pack.")
class PartyFull(Error):
    """See models.errors."""

    capacity: int = strawberry.field(description="How many places there are, the leader's included.")


@refusal(errors.NotEnoughUnits)
@strawberry.type(description="There is a place, but fewer units of the pack are left than asked for.")
class NotEnoughUnits(Error):
    """See models.errors."""

    quantity: int = strawberry.field(description="Units asked for.")
    units_left: int = strawberry.field(description="Units that are left.")


@refusal(errors.NotPartyMember)
@strawberry.type(description="The person has no place in this party, or no request for one.")
class NotPartyMember(Error):
    """See models.errors."""


@refusal(errors.LeaderStays)
@strawberry.type(description="The leader can't leave or be removed: the party is canceled instead.")
class LeaderStays(Error):
    """See models.errors."""


@refusal(errors.TooEarly)
@strawberry.type(description="It can be done from a later time on.")
class TooEarly(Error):
    """See models.errors."""

    since: datetime = strawberry.field(description="From when on.")


@refusal(errors.TooLate)
@strawberry.type(description="It could be done until an earlier time.")
class TooLate(Error):
    """See models.errors."""

    until: datetime = strawberry.field(description="Until when.")


@refusal(errors.ChatClosed)
@strawberry.type(description="The chat is not open yet, or not any more.")
class ChatClosed(Error):
    """See models.errors."""


@refusal(errors.ChatAlreadyOpen)
@strawberry.type(description="The chat is open already.")
class ChatAlreadyOpen(Error):
    """See models.errors."""


@refusal(errors.NobodyToTalkTo)
@strawberry.type(description="The leader is the only member yet: a chat takes two.")
class NobodyToTalkTo(Error):
    """See models.errors."""


@refusal(errors.PartyNotDone)
@strawberry.type(description="The leader has not completed the party, or it was canceled.")
class PartyNotDone(Error):
    """See models.errors."""

    status: PartyStatus = strawberry.field(description="Where the party is in its life.")


@refusal(errors.AttendanceFixed)
@strawberry.type(description="Who came can't be corrected any more.")
class AttendanceFixed(Error):
    """See models.errors."""

    since: datetime = strawberry.field(description="A day after the party was done.")


@refusal(errors.NotPenalizable)
@strawberry.type(description="The person can't get a penalty from this party.")
class NotPenalizable(Error):
    """See models.errors."""

    reason: NotPenalizableReason = strawberry.field(description="Why not.")


@refusal(errors.ObjectionTooLate)
@strawberry.type(description="The time for objecting to the penalty has passed.")
class ObjectionTooLate(Error):
    """See models.errors."""

    until: datetime = strawberry.field(description="Until when: 14 days after it was given.")


@refusal(errors.Involved)
@strawberry.type(description="The viewer gave the penalty, or got it: another administrator has to decide.")
class Involved(Error):
    """See models.errors."""


@refusal(errors.TooManyPenalties)
@strawberry.type(description="Three or more penalties of the viewer count: no party can be joined or opened.")
class TooManyPenalties(Error):
    """See models.errors."""

    penalty_count: int = strawberry.field(description="How many count: 3 or more.")
    until: datetime = strawberry.field(
        description="When fewer than three count, if none is added or revoked."
    )
