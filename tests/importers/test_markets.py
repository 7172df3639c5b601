from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from importers.envelopes import read_lines
from importers.markets import MARKETS_CSV, MarketRow, import_markets, kind_of, parse
from importers.runs import ImportFailed, Rejected
from models.markets import Market, MarketKind

HEADER = "source,source_id,name,kind,address,lat,lon\n"
MANGWON = "s,1,망원시장,전통시장/상설장,서울특별시 마포구 포은로8길 14,37.5562,126.9056\n"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=7)


def reasons(*lines: str) -> list[str]:
    return [row.reason for row in parse([HEADER, *lines]) if isinstance(row, Rejected)]


async def stored(session: AsyncSession) -> list[Market]:
    rows = select(Market).order_by("source", "source_id").execution_options(populate_existing=True)
    return list(await session.scalars(rows))


def test_a_line_becomes_a_row_with_its_kind_and_region():
    assert list(parse([HEADER, MANGWON])) == [
        MarketRow(
            source="s",
            source_id="1",
            name="망원시장",
            kind=MarketKind.TRADITIONAL_MARKET,
            address="서울특별시 마포구 포은로8길 14",
            region="서울 마포구",
            latitude=37.5562,
            longitude=126.9056,
        )
    ]


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("대형마트", MarketKind.LARGE_MART),
        (" 준대규모점포 ", MarketKind.SUPERMARKET),
        ("백화점", MarketKind.DEPARTMENT_STORE),
        ("시장", MarketKind.TRADITIONAL_MARKET),
        ("전통시장", MarketKind.TRADITIONAL_MARKET),
        ("전통시장/상설장+5일장", MarketKind.TRADITIONAL_MARKET),
        ("전문점", MarketKind.OTHER),
        ("대형", MarketKind.OTHER),
        ("", MarketKind.OTHER),
    ],
)
def test_a_word_that_is_not_known_is_no_reason_to_guess_the_kind(word: str, kind: MarketKind):
    assert kind_of(word) is kind


@pytest.mark.parametrize(
    ("latitude", "longitude", "reason"),
    [
        ("", "126.9", "lat: missing"),
        ("37.5", " ", "lon: missing"),
        ("nan", "126.9", "lat: not a number of degrees"),
        ("37.5", "inf", "lon: not a number of degrees"),
        ("3_7.5", "126.9", "lat: not a number of degrees"),
        ("３７.5", "126.9", "lat: not a number of degrees"),
        ("-37.5", "126.9", "lat: not a number of degrees"),
        ("37.5", "1" * 5000, "lon: not a number of degrees"),
        ("126.9", "37.5", "lat: 126.9 is outside 33 to 39"),
        ("39.0001", "126.9", "lat: 39.0001 is outside 33 to 39"),
        ("0", "0", "lat: 0 is outside 33 to 39"),
        ("37.5", "132.1", "lon: 132.1 is outside 124 to 132"),
    ],
)
def test_a_point_that_is_not_in_korea_is_rejected(latitude: str, longitude: str, reason: str):
    assert reasons(f"s,1,망원시장,시장,서울 마포구,{latitude},{longitude}\n") == [reason]


def test_points_on_the_edge_and_with_spaces_around_are_taken():
    assert reasons("s,1,a,시장,b, 33 ,124.0\n", "s,2,a,시장,b,39.,132 \n") == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("s,,망원시장,시장,서울,37.5,126.9\n", "source_id: missing"),
        ("s,1,망원시장,시장,,37.5,126.9\n", "address: missing"),
        (f"s,1,망원시장,시장,{'가' * 201},37.5,126.9\n", "address: longer than 200 characters"),
        (f"{'s' * 41},1,망원시장,시장,서울,37.5,126.9\n", "source: longer than 40 characters"),
        ("s,1,망원\x7f시장,시장,서울,37.5,126.9\n", "name: Control characters can't be used here."),
        ("s,1,망원시장,시장,서울,중구,37.5,126.9\n", "8 columns instead of 7"),
    ],
)
def test_a_value_that_does_not_fit_is_rejected(line: str, reason: str):
    assert reasons(line) == [reason]


def test_a_header_that_lacks_something_is_an_error_that_names_it():
    with pytest.raises(ImportFailed, match="lacks lat, lon"):
        list(parse(["source,source_id,name,kind,address,latitude,longitude\n", MANGWON]))


async def test_the_markets_that_come_with_the_code_are_all_imported(session: AsyncSession):
    summary = await import_markets(session, read_lines(MARKETS_CSV), NOW)
    assert (summary.fetched, summary.created, summary.rejected) == (217, 217, [])
    markets = await stored(session)
    assert {kind: sum(market.kind is kind for market in markets) for kind in MarketKind} == {
        MarketKind.LARGE_MART: 56,
        MarketKind.SUPERMARKET: 30,
        MarketKind.DEPARTMENT_STORE: 15,
        MarketKind.CONVENIENCE_STORE: 0,
        MarketKind.TRADITIONAL_MARKET: 115,
        MarketKind.OTHER: 1,
    }
    assert len({market.region.split()[0] for market in markets}) == 17
    # Three addresses in 서울 lack their district, one in 충북 misspells it (보은근).
    assert {market.region for market in markets if " " not in market.region} == {"서울", "세종", "충북"}


async def test_a_market_that_moved_is_updated_with_its_point(session: AsyncSession):
    # The chord to the new place on the unit sphere: zero when the point has moved along.
    chord = text(
        "SELECT position <-> cube(ARRAY[cos(radians(35)) * cos(radians(129)),"
        " cos(radians(35)) * sin(radians(129)), sin(radians(35))]) FROM markets"
    )
    await import_markets(session, [HEADER, MANGWON], NOW)
    [before] = [market.model_copy() for market in await stored(session)]
    summary = await import_markets(
        session, [HEADER, "s,1,망원시장,대형마트,부산광역시 중구 길 1,35,129\n"], LATER
    )
    [after] = await stored(session)
    assert (summary.created, summary.updated, summary.unchanged) == (0, 1, 0)
    assert (after.id, after.region, after.kind) == (before.id, "부산 중구", MarketKind.LARGE_MART)
    assert (before.updated_at, after.updated_at) == (NOW, LATER)
    assert await session.scalar(chord) == pytest.approx(0, abs=1e-12)


async def test_a_second_run_writes_nothing(session: AsyncSession):
    # Where a row lies, and who wrote or locked it last.
    marks = text("SELECT id, ctid::text, xmin::text, xmax::text FROM markets ORDER BY id")
    await import_markets(session, read_lines(MARKETS_CSV), NOW)
    before = (await session.execute(marks)).all()
    summary = await import_markets(session, read_lines(MARKETS_CSV), LATER)
    assert (summary.fetched, summary.unchanged) == (217, 217)
    assert (await session.execute(marks)).all() == before


field = st.text(st.characters() | st.sampled_from('",\x00\r\n'), max_size=5)
degrees = st.floats(30, 40).map(str) | st.floats(120, 135).map(str) | st.floats().map(str) | field
line = st.builds(
    "{},{},{},{},{},{},{}".format,
    st.sampled_from("st"),
    st.sampled_from("123") | field,
    st.just("망원시장") | field,
    st.sampled_from(["시장", "대형마트"]) | field,
    st.sampled_from(["서울 마포구", "세종시"]) | field,
    degrees,
    degrees,
)


@given(lines=st.lists(line, max_size=12))
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_line_is_counted_once_and_importing_twice_is_importing_once(
    session: AsyncSession, lines: list[str]
):
    example = await session.begin_nested()
    first = await import_markets(session, [HEADER, *lines], NOW)
    assert first.fetched == len(lines) == first.created + len(first.rejected)
    second = await import_markets(session, [HEADER, *lines], LATER)
    assert (second.unchanged, second.rejected) == (first.created, first.rejected)
    await example.rollback()
