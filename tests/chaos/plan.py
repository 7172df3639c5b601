"""What the runner tells the process of the clients, and what that process tells at the end."""

from dataclasses import dataclass, field
from enum import StrEnum

SILENTLY = "조용히 "
"""What messages begin with that are committed without telling anybody."""


class Habit(StrEnum):
    """How a follower behaves."""

    #: Stays, and comes back when it has to.
    STEADY = "steady"
    #: Leaves every few seconds and comes back elsewhere.
    RESTLESS = "restless"
    #: Stops reading for seconds.
    SLOW = "slow"
    #: Completes its subscription and begins another one on the same socket.
    CHANGEABLE = "changeable"
    #: Follows its notifications, and marks the chat as read at each, so that there is another one.
    NOTIFIED = "notified"


@dataclass(frozen=True)
class FollowerPlan:
    """One client and what it follows, from behind the number `after`."""

    token: str
    channel: str
    #: As the API names it.
    party_id: str
    habit: Habit
    after: int


@dataclass(frozen=True)
class WriterPlan:
    """One chat, and the tokens of those who write to it."""

    channel: str
    party_id: str
    tokens: list[str]


@dataclass(frozen=True)
class Plan:
    """Everybody in the process of the clients."""

    seed: int
    ports: list[int]
    #: Messages a second in each chat, on average.
    messages_per_s: float
    followers: list[FollowerPlan]
    writers: list[WriterPlan]


@dataclass
class Followed:
    """What one client has received, in the order in which it came."""

    plan: FollowerPlan
    rows: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])


@dataclass
class Sent:
    """One message: sent until it was acknowledged, or until the end. Each answer is a number and an id."""

    channel: str
    key: str
    acknowledged: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])


@dataclass
class Report:
    """What has happened to all clients. Times are seconds of the wall clock."""

    followed: list[Followed] = field(default_factory=list[Followed])
    sent: list[Sent] = field(default_factory=list[Sent])
    #: Of the steady ones: when a row was written, and when it came.
    steady: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    #: The same of messages whose writers died between commit and publish.
    silent: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    #: Of the others: when a row came.
    others: list[float] = field(default_factory=list[float])
    #: When connections ended that nobody wanted to end, and how.
    breaks: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    #: When a send had to be repeated, and why.
    repeats: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    #: Answers to a message that no client should get.
    refused: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Status:
    """How things are at the moment."""

    following: int
    deliveries: int
    breaks: int
    sent: int
