from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from importers.envelopes import read_lines
from importers.items import import_items
from importers.runs import BATCH, ImportFailed
from models.items import Item

HEADER = "source,code,category,name,unit\n"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def lines(count: int) -> Iterator[str]:
    yield HEADER
    for number in range(count):
        yield f"a,{number},쌀,쌀 {number},\n"


async def count(session: AsyncSession) -> int | None:
    return await session.scalar(select(func.count()).select_from(Item))


async def test_progress_is_told_after_each_batch_with_the_total_if_it_is_known(session: AsyncSession):
    told: list[tuple[int, int | None]] = []
    many = 2 * BATCH + 7
    await import_items(session, lines(many), NOW, lambda done, total: told.append((done, total)))
    assert told == [(BATCH, None), (2 * BATCH, None), (many, None)]
    told.clear()
    await import_items(session, list(lines(3)), NOW, lambda done, total: told.append((done, total)))
    assert told == [(3, 3)]


async def test_rows_of_all_batches_are_stored_and_the_rejects_of_all_are_kept(session: AsyncSession):
    broken = [*lines(BATCH), "broken\n", *[f"b,{number},콩,콩,\n" for number in range(BATCH)], "broken\n"]
    summary = await import_items(session, broken, NOW)
    assert (summary.fetched, summary.created) == (2 * BATCH + 2, 2 * BATCH)
    assert [reject.line for reject in summary.rejected] == [BATCH + 2, 2 * BATCH + 3]
    assert await count(session) == 2 * BATCH


async def test_an_import_that_fails_late_changes_nothing(session: AsyncSession, tmp_path: Path):
    file = tmp_path / "items.csv"
    file.write_bytes("".join(lines(BATCH + 1)).encode() + "a,x,쌀,찹쌀,\n".encode("cp949"))
    with pytest.raises(ImportFailed, match=f"not UTF-8: line {BATCH + 3} "):
        await import_items(session, read_lines(file), NOW)
    assert await count(session) == 0


async def test_a_connection_serves_as_well_as_a_session(session: AsyncSession):
    summary = await import_items(await session.connection(), lines(2), NOW)
    assert (summary.created, await count(session)) == (2, 2)


async def test_a_file_without_rows_is_an_import_of_nothing(session: AsyncSession):
    summary = await import_items(session, [HEADER], NOW)
    assert (summary.fetched, summary.created, summary.rejected) == (0, 0, [])


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path):
    with pytest.raises(ImportFailed, match=r"absent\.csv can't be read: No such file"):
        list(read_lines(tmp_path / "absent.csv"))
