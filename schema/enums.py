"""The domain's enumerations as clients see them: same members, each described."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from models.chat import ChatMessageKind
from models.errors import NotPenalizableReason
from models.markets import MarketKind
from models.memberships import Attendance, MemberRole, MembershipStatus
from models.notifications import NotificationKind
from models.parties import Approval, CancelReason, PartyStatus
from models.penalties import Decision
from models.users import Role

EnumT = TypeVar("EnumT", bound=StrEnum)


def _describe(values: type[EnumT], description: str, members: Mapping[EnumT, str]) -> None:
    decorated: Any = strawberry.enum(values, description=description)
    definition: StrawberryEnumDefinition = decorated.__strawberry_definition__
    for value in definition.values:
        value.description = members[values(value.value)]


_describe(Role, "What a person may do.", {Role.USER: "Everybody.", Role.ADMIN: "Administrators."})
_describe(
    MarketKind,
    "What sort of shop a market is.",
    {
        MarketKind.LARGE_MART: "대형마트.",
        MarketKind.SUPERMARKET: "준대규모점포: a supermarket of a chain.",
        MarketKind.DEPARTMENT_STORE: "백화점.",
        MarketKind.CONVENIENCE_STORE: "편의점.",
        MarketKind.TRADITIONAL_MARKET: "전통시장.",
        MarketKind.OTHER: "Anything else that its source calls a market.",
    },
)
_describe(
    PartyStatus,
    "Where a party is in its life. OPEN and FULL follow from the places; the rest is final.",
    {
        PartyStatus.OPEN: "There are places left.",
        PartyStatus.FULL: "Every place is taken, or every unit of the pack.",
        PartyStatus.DONE: "The leader has bought and shared the pack.",
        PartyStatus.CANCELED: "It does not take place.",
    },
)
_describe(
    Approval,
    "Who lets people in.",
    {Approval.MANUAL: "The leader, one by one.", Approval.AUTO: "Whoever asks first while there is a place."},
)
_describe(
    MemberRole,
    "What a person is in a party.",
    {MemberRole.LEADER: "Opened the party and buys the pack.", MemberRole.MEMBER: "Takes a share."},
)
_describe(
    MembershipStatus,
    "Where a person's place in a party is in its life.",
    {
        MembershipStatus.REQUESTED: "Waits for the leader's answer.",
        MembershipStatus.ACCEPTED: "Has a place.",
        MembershipStatus.REJECTED: "Was turned down by the leader.",
        MembershipStatus.WITHDRAWN: "Took the request back.",
        MembershipStatus.LEFT: "Gave the place back.",
        MembershipStatus.REMOVED: "Was taken out by the leader.",
    },
)
_describe(
    CancelReason,
    "Why a party does not take place.",
    {
        CancelReason.BY_LEADER: "The leader canceled it.",
        CancelReason.TOO_FEW_MEMBERS: "Joining ended with fewer members than minMembers.",
        CancelReason.NOT_COMPLETED: "Nobody completed it within a day after its end.",
        CancelReason.LEADER_LEFT: "Its leader is not with Gonggu any more.",
    },
)
_describe(
    Attendance,
    "Whether a member came.",
    {
        Attendance.UNKNOWN: "Not recorded yet.",
        Attendance.ATTENDED: "Was there.",
        Attendance.NO_SHOW: "Was not there, and owes the share all the same.",
    },
)
_describe(
    ChatMessageKind,
    "Who speaks in a chat.",
    {
        ChatMessageKind.CHAT: "A member.",
        ChatMessageKind.JOINED: "The server: somebody has a place now.",
        ChatMessageKind.LEFT: "The server: somebody has left, or was removed.",
        ChatMessageKind.SYSTEM: "The server, about the party or the chat.",
    },
)
_describe(
    NotificationKind,
    "What a person can be told.",
    {
        NotificationKind.PARTY_CREATED: "A party nearby, for something or at a market that was bookmarked.",
        NotificationKind.PARTY_CANCELED: "A party does not take place.",
        NotificationKind.PARTY_CHANGED: "Time, market, item, price or capacity of a party is another.",
        NotificationKind.PARTY_FULL: "Every place of a party is taken.",
        NotificationKind.PARTY_DONE: "A party is done.",
        NotificationKind.CHAT_OPENED: "Members can talk.",
        NotificationKind.CHAT_MESSAGE: "There is something new in a chat; told once until it is read.",
        NotificationKind.JOIN_REQUESTED: "Somebody has asked to join the viewer's party, or has joined it.",
        NotificationKind.JOIN_ACCEPTED: "The viewer has a place.",
        NotificationKind.JOIN_REJECTED: "The viewer was turned down.",
        NotificationKind.MEMBER_LEFT: "Somebody has left the viewer's party.",
        NotificationKind.MEMBER_REMOVED: "The viewer was removed from a party.",
        NotificationKind.PENALTY_RECEIVED: "The viewer has a penalty.",
        NotificationKind.PENALTY_REVOKED: "A penalty of the viewer counts no more.",
        NotificationKind.PENALTY_UPHELD: "The viewer's objection was considered, and the penalty stays.",
        NotificationKind.DELIVERY_MATCHED: "A rider is coming.",
        NotificationKind.DELIVERY_UNMATCHED: "No rider was found.",
        NotificationKind.DELIVERY_PICKED_UP: "The rider has the shares.",
        NotificationKind.DELIVERY_DELIVERED: "The share has arrived.",
        NotificationKind.DELIVERY_CANCELED: "The delivery does not take place.",
        NotificationKind.PURCHASE_SHIPPED: "The share is on its way.",
        NotificationKind.PURCHASE_CONFIRM_REMINDER: "The purchase waits to be confirmed.",
        NotificationKind.PURCHASE_CONFIRMED: "The purchase is confirmed.",
    },
)
_describe(
    NotPenalizableReason,
    "Why somebody can't get a penalty.",
    {
        NotPenalizableReason.NOT_DONE: "The party is not done.",
        NotPenalizableReason.LEADER: "It is the leader.",
        NotPenalizableReason.NOT_A_MEMBER: "The person had no place when the party was done.",
        NotPenalizableReason.ATTENDED: "The attendance is not NO_SHOW.",
        NotPenalizableReason.TOO_LATE: "The party was done 14 days ago or more.",
    },
)
_describe(
    Decision,
    "What an objection leads to.",
    {
        Decision.UPHELD: "The penalty stays, with all its days.",
        Decision.REVOKED: "The penalty counts no more.",
    },
)
__all__ = [
    "Approval",
    "Attendance",
    "CancelReason",
    "ChatMessageKind",
    "Decision",
    "MarketKind",
    "MemberRole",
    "MembershipStatus",
    "NotPenalizableReason",
    "NotificationKind",
    "PartyStatus",
    "Role",
]
