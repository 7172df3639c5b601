"""What every table shares: its metadata, its keys and its kinds of columns."""

from datetime import datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import ARRAY, CheckConstraint, Column, Computed, DateTime, Enum, MetaData, Table, Text
from sqlalchemy.types import UserDefinedType
from sqlmodel import SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Row(SQLModel):
    """A row of a table of ours. It knows the rules that it can check alone."""

    metadata = MetaData(naming_convention=NAMING)


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): ids made later sort later, so that new rows land together in an index."""
    return uuid_utils.compat.uuid7()


def table_of(row: type[Row]) -> Table:
    """The table behind a row class, for statements that need columns rather than attributes."""
    return cast(Table, row.__table__)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


class Cube(UserDefinedType[str]):
    """PostgreSQL's `cube`, here always a point on the unit sphere.

    The chord between two such points grows with their haversine distance, so that an order by chord is an
    order by distance. Never selected or bound: the driver has no codec for it, the database computes it.
    """

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        """The name that PostgreSQL gives the type."""
        return "cube"


def unit_vector(latitude: str, longitude: str) -> str:
    """SQL that makes the point on the unit sphere from two expressions in degrees."""
    return (
        f"cube(ARRAY[cos(radians({latitude})) * cos(radians({longitude})), "
        f"cos(radians({latitude})) * sin(radians({longitude})), sin(radians({latitude}))])"
    )


def position_column(latitude: str, longitude: str, *, nullable: bool = False) -> Column[str]:
    """A stored column `position` that the database derives from two columns in degrees."""
    return Column(
        "position", Cube(), Computed(unit_vector(latitude, longitude), persisted=True), nullable=nullable
    )


def search_columns(expression: str) -> tuple[Column[str], Column[list[str]]]:
    """Two stored columns that let a text be found by any part of it (`resolvers.search`).

    `search_text` has three lines: the letters, the initial consonants, the flat jamo. `search_grams` has
    every one and two letters of them in a row, for the index.
    """
    return (
        Column("search_text", Text, Computed(f"search_text({expression})", persisted=True), nullable=False),
        Column(
            "search_grams",
            ARRAY(Text),
            Computed(f"search_grams(search_text({expression}))", persisted=True),
            nullable=False,
        ),
    )


def within_degrees(latitude: str, longitude: str, name: str) -> CheckConstraint:
    """Refuse a point outside the globe, NaN included (it is above every number for PostgreSQL)."""
    return CheckConstraint(
        f"{latitude} BETWEEN -90 AND 90 AND {longitude} BETWEEN -180 AND 180",
        name=name,
    )


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Let a text column hold the members of an enumeration only."""
    members = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({members})", name=f"{column}_known")


DERIVED = ["position", "market_position", "search_text", "search_grams"]
"""Columns that the database computes and no row reads: they serve conditions and orders alone."""

INSTANT = DateTime(timezone=True)
"""A moment in time. Always with an offset; the database keeps UTC."""


def code(values: type[StrEnum]) -> Enum:
    """A text column that holds the names of an enumeration; `one_of` refuses any other."""
    return Enum(values, native_enum=False, length=32, create_constraint=False, values_callable=_names)


def _names(values: type[StrEnum]) -> list[str]:
    return [value.value for value in values]


def is_instant(moment: datetime) -> bool:
    """Whether a time names one moment, wherever it is read."""
    return moment.utcoffset() is not None
