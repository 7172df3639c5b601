"""The story that the demonstration begins with, read from `scenario.json`."""

import re
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from models.markets import MarketKind
from models.memberships import MembershipStatus
from models.parties import Approval
from models.users import Role

SEOUL = timezone(timedelta(hours=9), "KST")
"""Korea keeps no summer time."""

_MOMENT = re.compile(r"\+(?P<days>\d+)d (?P<start>\d\d:\d\d)(\.\.(?P<end>\d\d:\d\d))?")


def _is_moment(text: str) -> str:
    if not _MOMENT.fullmatch(text):
        raise ValueError("write +3d 14:00, or +3d 14:00..15:00")
    return text


Moment = Annotated[str, AfterValidator(_is_moment)]
"""Days from today and a time of day in Seoul: `+3d 14:00`, or a span: `+3d 14:00..15:00`."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    key: str


class Place(_Part):
    """A market of the story."""

    name: str
    kind: MarketKind
    address: str
    latitude: float
    longitude: float


class Person(_Part):
    """Somebody of the story."""

    nickname: str
    address: str
    latitude: float
    longitude: float
    role: Role = Role.USER

    @property
    def email(self) -> str:
        """What the person signs in with."""
        return f"{self.key.replace('_', '.')}@gonggu.example"


class Goods(_Part):
    """An item of the story."""

    name: str
    category: str
    unit: str


class Gathering(_Part):
    """A party of the story; its people are named by their keys, the leader first."""

    leader: str
    market: str
    item: str
    item_count: int
    item_unit: str
    estimated_price: int
    capacity: int
    min_members: int
    meets: Moment
    join_by: Moment
    approval: Approval
    note: str
    members: list[tuple[str, MembershipStatus, int]]
    #: Who says what.
    chat: list[tuple[str, str]] = []


class Bookmark(BaseModel):
    """What somebody wants to hear of: an item or a market, by its key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    person: str
    item: str | None = None
    market: str | None = None


class Scenario(BaseModel):
    """The whole story."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    markets: list[Place]
    people: list[Person]
    items: list[Goods]
    parties: list[Gathering]
    bookmarks: list[Bookmark]


def read_scenario() -> Scenario:
    """The story as it comes along."""
    return Scenario.model_validate_json((Path(__file__).parent / "scenario.json").read_bytes())


def span(moment: Moment, now: datetime) -> tuple[datetime, datetime]:
    """When the moment begins and ends, counted from the day that `now` is in Seoul."""
    match = _MOMENT.fullmatch(moment)
    if match is None:
        raise ValueError(moment)
    day = now.astimezone(SEOUL).date() + timedelta(days=int(match["days"]))
    start = datetime.combine(day, time.fromisoformat(match["start"]), SEOUL)
    end = datetime.combine(day, time.fromisoformat(match["end"] or match["start"]), SEOUL)
    return start, end
