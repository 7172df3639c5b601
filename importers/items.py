"""Items from public data."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from importers.envelopes import optional, parse_csv, required, rows_in
from importers.runs import Progress, Rejected, SourceRow, Summary, no_progress, run
from models.base import table_of
from models.items import Item

ITEMS_CSV = Path(__file__).parent / "data" / "items.csv"
COLUMNS = ("source", "code", "category", "name", "unit")

_ITEM = table_of(Item).c


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow(SourceRow):
    """An item as its source describes it."""

    category: str
    name: str
    unit: str | None


async def import_items(
    database: AsyncConnection | AsyncSession,
    lines: Iterable[str],
    now: datetime,
    progress: Progress = no_progress,
) -> Summary:
    """Upsert the items of a CSV in the caller's transaction; all or nothing, and idempotent.

    Raises:
        ImportFailed: The lines are no such CSV.
    """
    return await run(database, Item, parse(lines), now, progress, rows_in(lines))


def parse(lines: Iterable[str]) -> Iterator[ItemRow | Rejected]:
    """Read the lines one by one; never raise for a bad one, never guess.

    Source: UTF-8 CSV with the header `source,code,category,name,unit`, in any order; one line per item.

    Raises:
        ImportFailed: The header is missing or lacks a column.
    """
    return parse_csv(lines, COLUMNS, _row)


def _row(values: Mapping[str, str]) -> ItemRow:
    category = required(values, "category", _ITEM.category)
    name = required(values, "name", _ITEM.name)
    return ItemRow(
        source=required(values, "source", _ITEM.source),
        source_id=optional(values, "code", _ITEM.source_id) or _code_from(category, name),
        category=category,
        name=name,
        unit=optional(values, "unit", _ITEM.unit),
    )


def _code_from(category: str, name: str) -> str:
    """A key for an item that its source gives no code: what names it there. The unit may change."""
    return "name:" + hashlib.sha256(f"{category}\n{name}".encode()).hexdigest()[:16]
