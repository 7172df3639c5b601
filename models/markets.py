"""Offline marts: where packs are bought and parties meet."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field

from models.base import (
    DERIVED,
    INSTANT,
    Row,
    code,
    new_id,
    one_of,
    position_column,
    search_columns,
    within_degrees,
)


class MarketKind(StrEnum):
    """What sort of shop a market is."""

    LARGE_MART = "LARGE_MART"
    SUPERMARKET = "SUPERMARKET"
    DEPARTMENT_STORE = "DEPARTMENT_STORE"
    CONVENIENCE_STORE = "CONVENIENCE_STORE"
    TRADITIONAL_MARKET = "TRADITIONAL_MARKET"
    OTHER = "OTHER"


class Market(Row, table=True):
    """A real shop, known by the id that its source gives it."""

    __tablename__ = "markets"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        position_column("latitude", "longitude"),
        *search_columns("name"),
        UniqueConstraint("source", "source_id"),
        # Parties carry the market's point; their foreign key on this pair keeps it true (ADR 0006).
        UniqueConstraint("id", "position"),
        one_of("kind", MarketKind),
        within_degrees("latitude", "longitude", "on_globe"),
        Index("ix_markets_position", "position", postgresql_using="gist"),
        Index("ix_markets_search_grams", "search_grams", postgresql_using="gin"),
        Index("ix_markets_name", "name", "id"),
    )
    __mapper_args__: ClassVar = {"exclude_properties": DERIVED}

    id: UUID = Field(default_factory=new_id, primary_key=True)
    source: str = Field(max_length=40)
    source_id: str = Field(max_length=80)
    name: str = Field(max_length=100)
    kind: MarketKind = Field(sa_type=code(MarketKind))
    address: str = Field(max_length=200)
    region: str = Field(max_length=40)
    latitude: float
    longitude: float
    updated_at: datetime = Field(sa_type=INSTANT)


class MarketBookmark(Row, table=True):
    """Somebody wants to hear of parties at a market."""

    __tablename__ = "market_bookmarks"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (Index("ix_market_bookmarks_market_id", "market_id"),)

    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True))
    market_id: UUID = Field(sa_column=Column(ForeignKey("markets.id", ondelete="CASCADE"), primary_key=True))
    created_at: datetime = Field(sa_type=INSTANT)
