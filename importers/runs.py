"""One run of an importer: rows of a source in, upserted rows of a table and a summary out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import islice

from sqlalchemy import ARRAY, Boolean, Table, and_, bindparam, column, func, literal_column, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from models.base import INSTANT, Row, new_id, table_of

BATCH = 1_000
"""Rows per statement."""

KEY = ("source", "source_id")

Progress = Callable[[int, int | None], None]
"""Called after each batch with the lines read so far, and how many there are if that is known."""


def no_progress(done: int, total: int | None) -> None:
    """Tell nobody."""


class ImportFailed(Exception):
    """The data as a whole can't be read; nothing was changed. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A row as its source gives it. Subclasses name their fields after the columns of the table."""

    source: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that can't become a row.

    `line` counts from 1 and includes the header, as an editor does. `raw` is the beginning of the line.
    """

    line: int
    reason: str
    raw: str
    #: Which row it would have been, where that could be read: the source has it still.
    source_id: str | None = field(default=None, kw_only=True)


@dataclass(slots=True)
class Summary:
    """What a run did. Every line fetched is counted once more, in one of the other four."""

    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[Rejected] = field(default_factory=list[Rejected])


async def run(
    database: AsyncConnection | AsyncSession,
    into: type[Row],
    rows: Iterable[SourceRow | Rejected],
    now: datetime,
    progress: Progress = no_progress,
    total: int | None = None,
) -> Summary:
    """Upsert the rows by source and source id, and collect the rejects.

    All of one kind, no key twice. Inside the caller's transaction, and all or nothing: when this raises,
    the tables are as before. Rows that are stored already are not even locked.
    """
    connection = await database.connection() if isinstance(database, AsyncSession) else database
    summary = Summary()
    rest = iter(rows)
    async with connection.begin_nested():
        while batch := list(islice(rest, BATCH)):
            rejected = [row for row in batch if isinstance(row, Rejected)]
            summary.fetched += len(batch)
            summary.rejected += rejected
            if good := [row for row in batch if not isinstance(row, Rejected)]:
                created, updated = await _upsert(connection, table_of(into), good, now)
                summary.created += created
                summary.updated += updated
                summary.unchanged += len(good) - created - updated
            progress(summary.fetched, total)
    return summary


async def _upsert(
    connection: AsyncConnection, table: Table, rows: Sequence[SourceRow], now: datetime
) -> tuple[int, int]:
    """Write what is new or has changed, in one statement. Returns how many rows were created and updated."""
    columns = [each.name for each in fields(rows[0])]
    values = {name: [getattr(row, name) for row in rows] for name in columns}
    is_new = await connection.scalars(
        _upsert_statement(table, columns), {"id": [new_id() for _ in rows], "now": now, **values}
    )
    outcomes = is_new.all()
    created = sum(outcomes)
    return created, len(outcomes) - created


def _upsert_statement(table: Table, columns: Sequence[str]) -> ReturningInsert[bool]:
    """SQL that takes one array per column, and answers for each row it wrote whether it is new."""
    given = ["id", *columns]
    incoming = (
        func.unnest(*(bindparam(name, type_=ARRAY(table.c[name].type)) for name in given))
        .table_valued(*(column(name, table.c[name].type) for name in given), name="incoming")
        .render_derived()
    )
    stored = table.alias("stored")
    facts = [name for name in columns if name not in KEY]
    news = (
        select(*(incoming.c[name] for name in given), bindparam("now", type_=INSTANT))
        .select_from(incoming.outerjoin(stored, and_(*(stored.c[name] == incoming.c[name] for name in KEY))))
        # Without this, ON CONFLICT would lock, and so write, each row that has not changed.
        .where(
            or_(
                stored.c.id.is_(None),
                *(stored.c[name].is_distinct_from(incoming.c[name]) for name in facts),
            )
        )
    )
    statement = insert(table).from_select([*given, "updated_at"], news)
    return statement.on_conflict_do_update(
        index_elements=KEY,
        set_={name: statement.excluded[name] for name in (*facts, "updated_at")},
        # For a row that another transaction has written since this statement began.
        where=or_(*(table.c[name].is_distinct_from(statement.excluded[name]) for name in facts)),
    ).returning(literal_column("xmax = 0", Boolean))  # an updated row carries the lock it was updated under
