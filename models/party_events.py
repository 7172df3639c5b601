"""What happened to parties."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Column, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import INSTANT, Row, code, new_id


class PartyEventKind(StrEnum):
    """What can happen to a party."""

    CREATED = "CREATED"
    JOIN_REQUESTED = "JOIN_REQUESTED"
    JOIN_ACCEPTED = "JOIN_ACCEPTED"
    JOIN_REJECTED = "JOIN_REJECTED"
    REQUEST_WITHDRAWN = "REQUEST_WITHDRAWN"
    MEMBER_LEFT = "MEMBER_LEFT"
    MEMBER_REMOVED = "MEMBER_REMOVED"
    CHANGED = "CHANGED"
    CANCELED = "CANCELED"
    DONE = "DONE"
    ATTENDANCE_CORRECTED = "ATTENDANCE_CORRECTED"
    PENALIZED = "PENALIZED"
    PENALTY_REVOKED = "PENALTY_REVOKED"


class PartyEvent(Row, table=True):
    """Who did what to a party, and when. Written in the transaction of the deed, never changed."""

    __tablename__ = "party_events"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (Index("ix_party_events_party_id", "party_id", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    party_id: UUID = Field(foreign_key="parties.id")
    kind: PartyEventKind = Field(sa_type=code(PartyEventKind))
    actor_id: UUID | None = Field(default=None, foreign_key="users.id")
    at: datetime = Field(sa_type=INSTANT)
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
