"""The refusals of the domain: what a person may not do, as facts, in Korean and English.

An error carries the data that a client needs to go on; its message is one sentence for a person. What a
program does wrong (no token, malformed input) is not here: `schema.errors` has it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal
from uuid import UUID

Language = Literal["ko", "en"]


KOREAN = {
    "chat": "채팅",
    "item": "품목",
    "market": "마켓",
    "membership": "참가 신청",
    "notification": "알림",
    "objection": "이의 제기",
    "party": "파티",
    "penalty": "페널티",
    "session": "로그인 기록",
    "user": "이웃",
}
"""The domain's words for what can be missing."""


class _Attributes(dict[str, Any]):
    """Fills a template from an object's attributes."""

    def __init__(self, of: object) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, name: str) -> Any:
        return getattr(self._of, name)


@dataclass(eq=False)
class DomainError(Exception):
    """Something that the rules of the domain do not allow."""

    en: ClassVar[str]
    ko: ClassVar[str]
    #: Whether what was changed before the refusal stays: the theft of a token ends its session.
    keeps_changes: ClassVar[bool] = False

    def message(self, language: Language) -> str:
        """One sentence for a person, in their language."""
        template = self.ko if language == "ko" else self.en
        return template.format_map(_Attributes(self))

    @classmethod
    def code(cls) -> str:
        """The stable name for programs: PARTY_FULL for PartyFull."""
        return re.sub(r"(?<=.)(?=[A-Z])", "_", cls.__name__).upper()

    def __str__(self) -> str:
        return self.message("en")


@dataclass(eq=False)
class NotFound(DomainError):
    """There is no such thing, or it is not for the one who asks."""

    kind: str
    id: UUID
    en: ClassVar[str] = "This {kind} does not exist."
    ko: ClassVar[str] = "찾을 수 없어요: {korean_kind}."

    @property
    def korean_kind(self) -> str:
        """The domain's word in Korean."""
        return KOREAN[self.kind]


@dataclass(eq=False)
class InvalidInput(DomainError):
    """A value that a person gave breaks a rule. The texts say which rule."""

    field: str
    english: str
    korean: str
    en: ClassVar[str] = "{english}"
    ko: ClassVar[str] = "{korean}"


@dataclass(eq=False)
class EmailTaken(DomainError):
    """Somebody signed up with this e-mail address."""

    en: ClassVar[str] = "This e-mail address is in use. Sign in instead."
    ko: ClassVar[str] = "이미 가입된 이메일이에요. 로그인해 주세요."


@dataclass(eq=False)
class NicknameTaken(DomainError):
    """Somebody else has this nickname."""

    nickname: str
    en: ClassVar[str] = "The nickname {nickname} is taken. Choose another one."
    ko: ClassVar[str] = "{nickname}은(는) 다른 이웃이 쓰고 있어요. 다른 별명을 골라 주세요."


@dataclass(eq=False)
class WrongCredentials(DomainError):
    """No account has this e-mail address and password. Which of the two is wrong stays untold."""

    en: ClassVar[str] = "The e-mail address or the password is wrong."
    ko: ClassVar[str] = "이메일 또는 비밀번호가 맞지 않아요."


@dataclass(eq=False)
class TooManyAttempts(DomainError):
    """The password was wrong too often, for this account or from this address. It was not looked at again."""

    #: Whole seconds, 1 or more, after which the next attempt counts.
    retry_after_s: int
    en: ClassVar[str] = "Too many failed attempts. Try again in {retry_after_s} seconds."
    ko: ClassVar[str] = "여러 번 실패했어요. {retry_after_s}초 뒤에 다시 시도해 주세요."


@dataclass(eq=False)
class OpenObligations(DomainError):
    """The person can't withdraw yet: others count on them."""

    #: Those the person leads or has a place in that are neither done nor canceled; 100 at most.
    party_ids: tuple[UUID, ...]
    en: ClassVar[str] = "You are still in a party. Leave it, cancel it or complete it first."
    ko: ClassVar[str] = "아직 끝나지 않은 파티가 있어요. 먼저 나가거나 취소하거나 마쳐 주세요."


@dataclass(eq=False)
class SessionExpired(DomainError):
    """The session ended: by time, by signing out, or because its refresh token came twice."""

    keeps_changes: ClassVar[bool] = True
    en: ClassVar[str] = "This session has ended. Sign in again."
    ko: ClassVar[str] = "로그인이 만료되었어요. 다시 로그인해 주세요."


@dataclass(eq=False)
class NotPartyLeader(DomainError):
    """Only the party's leader may do this."""

    en: ClassVar[str] = "Only the leader of the party can do this."
    ko: ClassVar[str] = "파티장만 할 수 있어요."


@dataclass(eq=False)
class PartyClosed(DomainError):
    """Nobody can come in any more: the party is over, or its time for joining has passed."""

    status: str
    join_by: datetime
    en: ClassVar[str] = "This party takes nobody in any more."
    ko: ClassVar[str] = "참가 신청이 끝난 파티예요."


@dataclass(eq=False)
class PartyFull(DomainError):
    """Every place in the party is taken."""

    capacity: int
    en: ClassVar[str] = "This party of {capacity} is full."
    ko: ClassVar[str] = "{capacity}명 정원이 모두 찬 파티예요."


@dataclass(eq=False)
class NotEnoughUnits(DomainError):
    """There is a place, but fewer units of the pack are left than asked for."""

    quantity: int
    units_left: int
    en: ClassVar[str] = "Only {units_left} units are left, not {quantity}."
    ko: ClassVar[str] = "{quantity}개는 어려워요. 남은 수량은 {units_left}개예요."


@dataclass(eq=False)
class AlreadyJoined(DomainError):
    """The person has a request or a place in this party."""

    membership_id: UUID
    en: ClassVar[str] = "You have joined this party or asked to join it already."
    ko: ClassVar[str] = "이미 참가했거나 신청한 파티예요."


@dataclass(eq=False)
class NotPartyMember(DomainError):
    """The person has no place in this party, or no request for one."""

    en: ClassVar[str] = "You are not in this party."
    ko: ClassVar[str] = "참가하고 있지 않은 파티예요."


@dataclass(eq=False)
class LeaderStays(DomainError):
    """The leader keeps the first place: a party without its leader is canceled instead."""

    en: ClassVar[str] = "The leader can't leave or be removed. Cancel the party instead."
    ko: ClassVar[str] = "파티장은 나가거나 내보낼 수 없어요. 대신 파티를 취소해 주세요."


@dataclass(eq=False)
class TooEarly(DomainError):
    """It can be done from a later time on."""

    since: datetime
    en: ClassVar[str] = "This is possible once the party has started."
    ko: ClassVar[str] = "파티가 시작된 뒤에 할 수 있어요."


@dataclass(eq=False)
class TooLate(DomainError):
    """It could be done until an earlier time."""

    until: datetime
    en: ClassVar[str] = "This was possible until the party started."
    ko: ClassVar[str] = "파티가 시작된 뒤에는 할 수 없어요."


@dataclass(eq=False)
class AlreadyDecided(DomainError):
    """The request has its answer: it can't be answered again, nor asked again after a refusal."""

    membership_id: UUID
    status: str
    en: ClassVar[str] = "This request has been decided already."
    ko: ClassVar[str] = "이미 처리된 신청이에요."


@dataclass(eq=False)
class ChatClosed(DomainError):
    """Nothing can be written: the chat is not open yet, or not any more."""

    en: ClassVar[str] = "This chat is not open."
    ko: ClassVar[str] = "지금은 열려 있지 않은 채팅이에요."


@dataclass(eq=False)
class ChatAlreadyOpen(DomainError):
    """There is nothing to open."""

    en: ClassVar[str] = "The chat of this party is open already."
    ko: ClassVar[str] = "이미 열려 있는 채팅이에요."


@dataclass(eq=False)
class NobodyToTalkTo(DomainError):
    """The leader is the only member: a chat takes two."""

    en: ClassVar[str] = "Nobody else has a place in this party yet. Open the chat once somebody has."
    ko: ClassVar[str] = "아직 함께할 파티원이 없어요. 파티원이 생기면 채팅을 열 수 있어요."


@dataclass(eq=False)
class PartyNotDone(DomainError):
    """The leader has not completed the party, or it was canceled."""

    status: str
    en: ClassVar[str] = "This is possible once the party is done."
    ko: ClassVar[str] = "파티가 완료된 뒤에 할 수 있어요."


@dataclass(eq=False)
class AttendanceFixed(DomainError):
    """Who came can't be corrected any more."""

    since: datetime
    en: ClassVar[str] = "The attendance is fixed: it could be corrected for a day."
    ko: ClassVar[str] = "출석은 하루 동안만 고칠 수 있어요. 이제 바꿀 수 없어요."


class NotPenalizableReason(StrEnum):
    """Why somebody can't get a penalty."""

    NOT_DONE = "NOT_DONE"
    LEADER = "LEADER"
    NOT_A_MEMBER = "NOT_A_MEMBER"
    ATTENDED = "ATTENDED"
    TOO_LATE = "TOO_LATE"


_NOT_PENALIZABLE = {
    NotPenalizableReason.NOT_DONE: (
        "Penalties are given once the party is done.",
        "파티가 완료된 뒤에 페널티를 줄 수 있어요.",
    ),
    NotPenalizableReason.LEADER: (
        "The leader can't get a penalty in the own party.",
        "파티장은 자기 파티에서 페널티를 받을 수 없어요.",
    ),
    NotPenalizableReason.NOT_A_MEMBER: (
        "This person had no place in the party.",
        "파티에 참가한 이웃이 아니에요.",
    ),
    NotPenalizableReason.ATTENDED: (
        "A penalty is for a member who did not come.",
        "노쇼로 기록된 파티원에게만 페널티를 줄 수 있어요.",
    ),
    NotPenalizableReason.TOO_LATE: (
        "A penalty can be given within 14 days after the party was done.",
        "파티가 완료되고 14일이 지나 페널티를 줄 수 없어요.",
    ),
}


@dataclass(eq=False)
class NotPenalizable(DomainError):
    """The person can't get a penalty from this party."""

    reason: NotPenalizableReason
    en: ClassVar[str] = "{sentences[0]}"
    ko: ClassVar[str] = "{sentences[1]}"

    @property
    def sentences(self) -> tuple[str, str]:
        """The reason in English and in Korean."""
        return _NOT_PENALIZABLE[self.reason]


@dataclass(eq=False)
class AlreadyPenalized(DomainError):
    """The person has had the one penalty that a party can give them. A revoked one was it, too."""

    penalty_id: UUID
    en: ClassVar[str] = "This member has a penalty from this party already."
    ko: ClassVar[str] = "이 파티에서 이미 페널티를 받은 파티원이에요."


@dataclass(eq=False)
class AlreadyRevoked(DomainError):
    """The penalty counts no more."""

    penalty_id: UUID
    en: ClassVar[str] = "This penalty has been revoked already."
    ko: ClassVar[str] = "이미 취소된 페널티예요."


@dataclass(eq=False)
class AlreadyObjected(DomainError):
    """The person has said why the penalty is wrong; one can once."""

    objection_id: UUID
    en: ClassVar[str] = "You have objected to this penalty already."
    ko: ClassVar[str] = "이미 이의를 제기한 페널티예요."


@dataclass(eq=False)
class ObjectionTooLate(DomainError):
    """The time for objecting to the penalty has passed."""

    until: datetime
    en: ClassVar[str] = "One can object within 14 days after the penalty was given."
    ko: ClassVar[str] = "페널티를 받고 14일이 지나 이의를 제기할 수 없어요."


@dataclass(eq=False)
class ObjectionDecided(DomainError):
    """The objection has its answer, which stands."""

    objection_id: UUID
    en: ClassVar[str] = "This objection has been decided already."
    ko: ClassVar[str] = "이미 처리된 이의 제기예요."


@dataclass(eq=False)
class Involved(DomainError):
    """The administrator gave the penalty, or got it: somebody else has to decide."""

    en: ClassVar[str] = "You gave or got this penalty. Another administrator has to decide."
    ko: ClassVar[str] = "당사자는 처리할 수 없어요. 다른 운영자가 처리해야 해요."


@dataclass(eq=False)
class TooManyPenalties(DomainError):
    """So many penalties of the person count that they can neither join a party nor open one."""

    penalty_count: int
    #: When fewer than three count, if none is added or revoked.
    until: datetime
    en: ClassVar[str] = "You have {penalty_count} penalties. Wait until fewer than three count."
    ko: ClassVar[str] = "페널티가 {penalty_count}개 있어 지금은 참가하거나 파티를 열 수 없어요."
