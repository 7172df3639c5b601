"""Items: what a pack holds."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field

from models.base import DERIVED, INSTANT, Row, new_id, search_columns


class Item(Row, table=True):
    """A kind of goods from public data. Its key is the source's own code: names repeat ("기타")."""

    __tablename__ = "items"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (
        *search_columns("name || ' ' || category"),
        UniqueConstraint("source", "source_id"),
        Index("ix_items_search_grams", "search_grams", postgresql_using="gin"),
        Index("ix_items_category", "category", "name", "id"),
        Index("ix_items_name", "name", "id"),
    )
    __mapper_args__: ClassVar = {"exclude_properties": DERIVED}

    id: UUID = Field(default_factory=new_id, primary_key=True)
    source: str = Field(max_length=40)
    source_id: str = Field(max_length=80)
    category: str = Field(max_length=60)
    name: str = Field(max_length=100)
    unit: str | None = Field(default=None, max_length=20)
    updated_at: datetime = Field(sa_type=INSTANT)


class ItemBookmark(Row, table=True):
    """Somebody wants to hear of parties for an item."""

    __tablename__ = "item_bookmarks"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (Index("ix_item_bookmarks_item_id", "item_id"),)

    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True))
    item_id: UUID = Field(sa_column=Column(ForeignKey("items.id", ondelete="CASCADE"), primary_key=True))
    created_at: datetime = Field(sa_type=INSTANT)
