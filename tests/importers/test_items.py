from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from importers.envelopes import read_lines
from importers.items import ITEMS_CSV, ItemRow, import_items, parse
from importers.runs import ImportFailed, Rejected
from models.items import Item

HEADER = "source,code,category,name,unit\n"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=7)


def parsed(*lines: str) -> list[ItemRow | Rejected]:
    return list(parse([HEADER, *lines]))


def reasons(*lines: str) -> list[str]:
    return [row.reason for row in parsed(*lines) if isinstance(row, Rejected)]


async def stored(session: AsyncSession) -> list[Item]:
    rows = select(Item).order_by("source", "source_id").execution_options(populate_existing=True)
    return list(await session.scalars(rows))


def test_a_line_becomes_a_row():
    assert parsed('agri,010301,쌀,"일반미(쌀, 일반)",\n', " seoul ,7,생필품, 두부 ,380g\n") == [
        ItemRow(source="agri", source_id="010301", category="쌀", name="일반미(쌀, 일반)", unit=None),
        ItemRow(source="seoul", source_id="7", category="생필품", name="두부", unit="380g"),
    ]


def test_columns_are_found_by_name_in_any_order_and_others_are_ignored():
    assert list(
        parse(["\ufeffname,unit,licence,code,source,category\r\n", "벼,,KOGL,010100,agri,벼\r\n"])
    ) == [ItemRow(source="agri", source_id="010100", category="벼", name="벼", unit=None)]


def test_letters_are_composed():
    [row] = parsed("a,1,\u110a\u1161\u11af,\u110a\u1161\u11af,\n")
    assert isinstance(row, ItemRow)
    assert (row.category, row.name) == ("쌀", "쌀")


def test_a_broken_line_is_rejected_with_its_number_and_reason():
    assert parsed("a,1,쌀,쌀\n", "a,1,쌀,쌀,\n") == [
        Rejected(line=2, reason="4 columns instead of 5", raw="a,1,쌀,쌀"),
        ItemRow(source="a", source_id="1", category="쌀", name="쌀", unit=None),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a,1,쌀,쌀,,\n", "6 columns instead of 5"),
        (",1,쌀,쌀,\n", "source: missing"),
        ("a,1, ,쌀,\n", "category: missing"),
        ("a,1,쌀,,\n", "name: missing"),
        (f"a,1,쌀,{'쌀' * 101},\n", "name: longer than 100 characters"),
        (f"a,{'1' * 81},쌀,쌀,\n", "code: longer than 80 characters"),
        ("a,1,쌀,쌀\x00쌀,\n", "name: Control characters can't be used here."),
        ('a,1,쌀,"쌀\n쌀",\n', "name: Control characters can't be used here."),
        ("a,1,쌀,쌀\ud800,\n", "name: Control characters can't be used here."),
        ('a,1,쌀,"쌀,\n', "not CSV: unexpected end of data"),
    ],
)
def test_a_value_that_does_not_fit_is_rejected(line: str, reason: str):
    assert reasons(line) == [reason]


def test_a_stray_quote_spoils_its_own_line_only():
    assert [type(row) for row in parsed('a,1,"쌀,쌀,\n', "a,2,쌀,찹쌀,\n")] == [Rejected, ItemRow]


def test_a_code_that_comes_twice_is_rejected_the_second_time():
    assert reasons("a,1,쌀,쌀,\n", "b,1,쌀,쌀,\n", "a,1,쌀,찹쌀,\n") == ["a 1 is in line 2 already"]


def test_blank_lines_are_neither_rows_nor_rejects():
    assert [row.source_id for row in parsed("\n", "a,1,쌀,쌀,\n", " \r\n") if isinstance(row, ItemRow)] == [
        "1"
    ]


def test_an_item_without_a_code_is_known_by_its_category_and_name():
    rows = parsed("a,,생필품,두부,380g\n", "b,,생필품,두부,400g\n", "c,,가공식품,두부,380g\n")
    first, other_unit, other_category = (row.source_id for row in rows if isinstance(row, ItemRow))
    assert first.startswith("name:")
    assert first == other_unit != other_category


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "lacks source, code, category, name, unit"),
        (["source,category,name,unit\n"], "lacks code"),
        (["source,code,category,name,unit,name\n"], "names name more than once"),
        (['source,"code\n'], "can't be read"),
    ],
)
def test_a_header_that_lacks_something_is_an_error_that_names_it(lines: list[str], message: str):
    with pytest.raises(ImportFailed, match=message):
        list(parse(lines))


async def test_the_items_that_come_with_the_code_are_all_imported(session: AsyncSession):
    summary = await import_items(session, read_lines(ITEMS_CSV), NOW)
    assert (summary.fetched, summary.created, summary.rejected) == (325, 325, [])
    assert len(await stored(session)) == 325


async def test_a_changed_row_is_updated_and_keeps_its_id(session: AsyncSession):
    await import_items(session, [HEADER, "a,1,쌀,쌀,\n", "a,2,쌀,찹쌀,1kg\n"], NOW)
    before = [row.model_copy() for row in await stored(session)]
    summary = await import_items(
        session, [HEADER, "a,1,쌀,쌀,10kg\n", "a,2,쌀,찹쌀,1kg\n", "a,3,콩,콩,\n"], LATER
    )
    after = await stored(session)
    assert (summary.created, summary.updated, summary.unchanged) == (1, 1, 1)
    assert [row.id for row in after[:2]] == [row.id for row in before]
    assert [(row.unit, row.updated_at) for row in after] == [("10kg", LATER), ("1kg", NOW), (None, LATER)]


async def test_a_second_run_writes_nothing(session: AsyncSession):
    # Where a row lies, and who wrote or locked it last.
    marks = text("SELECT id, ctid::text, xmin::text, xmax::text FROM items ORDER BY id")
    await import_items(session, read_lines(ITEMS_CSV), NOW)
    before = (await session.execute(marks)).all()
    summary = await import_items(session, read_lines(ITEMS_CSV), LATER)
    assert (summary.fetched, summary.unchanged) == (325, 325)
    assert (await session.execute(marks)).all() == before


async def test_a_missing_item_stays(session: AsyncSession):
    await import_items(session, [HEADER, "a,1,쌀,쌀,\n"], NOW)
    await import_items(session, [HEADER, "a,2,쌀,찹쌀,\n"], LATER)
    assert len(await stored(session)) == 2


async def test_the_same_code_of_two_sources_is_two_items(session: AsyncSession):
    await import_items(session, [HEADER, "a,1,쌀,쌀,\n", "b,1,콩,콩,\n"], NOW)
    assert [(row.source, row.name) for row in await stored(session)] == [("a", "쌀"), ("b", "콩")]


field = st.text(st.characters() | st.sampled_from('",\x00\r\n쌀 '), max_size=5)
broken_line = st.lists(field, max_size=7).map(",".join)
good_line = st.builds(
    "{},{},{},{},{}".format,
    st.sampled_from("ab"),
    st.sampled_from(["", "1", "2", "3"]),
    st.sampled_from(["쌀", "콩"]),
    st.sampled_from(["쌀", "찹쌀", "콩"]),
    st.sampled_from(["", "1kg"]),
)


@given(lines=st.lists(broken_line | good_line, max_size=12))
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_line_is_counted_once_and_importing_twice_is_importing_once(
    session: AsyncSession, lines: list[str]
):
    not_blank = [line for line in lines if line.strip()]
    assert len(parsed(*lines)) == len(not_blank)
    example = await session.begin_nested()

    first = await import_items(session, [HEADER, *lines], NOW)
    assert first.fetched == len(not_blank) == first.created + len(first.rejected)
    assert await session.scalar(select(func.count()).select_from(Item)) == first.created

    second = await import_items(session, [HEADER, *lines], LATER)
    assert second.rejected == first.rejected
    assert (second.created, second.updated, second.unchanged) == (0, 0, first.created)
    await example.rollback()
