"""What has been committed and may still have to be published."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Column, Index, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from models.base import INSTANT, Row, new_id


class OutboxRow(Row, table=True):
    """An event of a channel, written with its cause and taken away when it has been published."""

    __tablename__ = "outbox"  # pyright: ignore[reportAssignmentType]
    __table_args__: ClassVar = (Index("ix_outbox_created_at", "created_at"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    channel: str = Field(max_length=100)
    kind: str = Field(max_length=32)
    #: Its place among the rows of the channel; None for what is not numbered.
    number: int | None = None
    #: Of what is not numbered: all that readers get. What is numbered is read from its own table.
    data: Any = Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))
    #: By the clock of the database, which is the same for every process.
    created_at: datetime = Field(
        default=None, sa_type=INSTANT, nullable=False, sa_column_kwargs={"server_default": func.now()}
    )
