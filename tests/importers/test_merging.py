import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.envelopes import read_lines
from importers.markets import MARKETS_CSV, MarketRow, parse
from importers.merging import WITHIN_M, is_same_market, road_address, same_markets
from models.markets import MarketKind

SHIPPED = [row for row in parse(read_lines(MARKETS_CSV)) if isinstance(row, MarketRow)]

EMART = MarketRow(
    source="a",
    source_id="1",
    name="이마트 미아점",
    kind=MarketKind.LARGE_MART,
    address="서울특별시 성북구 도봉로 17 (길음동)",
    region="서울 성북구",
    latitude=37.6109,
    longitude=127.0297,
)
METRE = 1 / 111_195


def other(name: str = "이마트", **changed: object) -> MarketRow:
    return replace(EMART, **{"source": "b", "name": name} | changed)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("서울특별시 성북구 도봉로 17, 신세계 이마트 미아점 (길음동)", "도봉로 17"),
        ("서울특별시 동대문구 한천로 190(장안동)", "한천로 190"),
        ("서울특별시 관악구 신림로 29길 3-20", "신림로29길 3-20"),
        ("서울특별시 관악구 신림로29길 3 - 20 (신림동)", "신림로29길 3-20"),
        ("서울특별시 중구 청계천로 400-0 (황학동)", "청계천로 400"),
        ("충청북도 괴산군 괴산읍 읍내로 15길8-8", "읍내로15길 8-8"),
        ("강원특별자치도 강릉시 금성로21", "금성로 21"),
        ("경기도 수원시 장안구 조원로89번길 8 조원동", "조원로89번길 8"),
        ("대전광역시 동구 중앙로 194번길 33", "중앙로194번길 33"),
        ("대구광역시 달서구 달구벌대로329길 10", "달구벌대로329길 10"),
        ("서울 서초구 강남대로 지하396", "강남대로 지하396"),
        ("서울특별시 종로구 종로 1", "종로 1"),
        ("서울특별시 구로구 구로중앙로 152", "구로중앙로 152"),
        ("서울 중구 을지로4가 31", None),
        ("서울특별시 성북구 길음동 20-1", None),
        ("경기도 이천시 부발읍 경충대로", None),
        ("", None),
    ],
)
def test_an_address_has_one_spelling(address: str, written: str | None):
    assert road_address(address) == written


def test_every_shipped_market_has_a_road_address():
    assert [row.address for row in SHIPPED if road_address(row.address) is None] == []


def test_among_the_shipped_markets_one_is_there_from_two_sources():
    groups = same_markets(SHIPPED)
    assert sorted(row for group in groups for row in map(id, group)) == sorted(map(id, SHIPPED))
    [market] = [group for group in groups if len(group) > 1]
    assert [(row.source, row.source_id, row.name) for row in market] == [
        ("LOCALDATA_082501", "3140000:1988314011407500001", "우성상가시장"),
        ("tn_pubr_public_trdit_mrkt", "01a40d705772f150", "우성상가시장"),
    ]


def test_two_licences_of_one_source_stay_two_markets():
    twice = [row for row in SHIPPED if row.name == "이마트 하월곡점"]
    assert len(twice) == 2
    assert len(same_markets(twice)) == 2


def test_the_same_name_at_another_number_of_the_road_is_another_market():
    two = [row for row in SHIPPED if row.name == "신림현대종합상가"]
    assert [road_address(row.address) for row in two] == ["신림로29길 8", "신림로29길 3-20"]
    assert len(same_markets(two)) == 2


def test_the_road_and_the_distance_decide_however_both_are_written():
    near = other(address="서울 도봉로 17-0, 1층", latitude=EMART.latitude + 90 * METRE)
    assert is_same_market(EMART, near)
    assert same_markets([near, EMART]) == [(EMART, near)]


@pytest.mark.parametrize(
    "stranger",
    [
        other(source="a", source_id="2"),
        other(latitude=EMART.latitude + (WITHIN_M + 1) * METRE),
        other(longitude=EMART.longitude + 130 * METRE),
        other(address="서울특별시 성북구 도봉로 19"),
        other(address="서울특별시 성북구 길음동 20-1"),
        other(kind=MarketKind.DEPARTMENT_STORE),
    ],
    ids=["source", "north", "east", "number", "lot", "kind"],
)
def test_whoever_breaks_one_part_of_the_rule_is_another_market(stranger: MarketRow):
    assert not is_same_market(EMART, stranger)
    assert len(same_markets([EMART, stranger])) == 2


def test_a_kind_that_is_not_known_contradicts_nothing():
    assert is_same_market(EMART, other(kind=MarketKind.OTHER))


def test_of_several_the_same_kind_then_the_name_then_the_nearest_is_taken():
    unknown = other(source_id="1", kind=MarketKind.OTHER, name="이마트 미아점")
    nearest = other(source_id="2", name="식품관")
    named = other(source_id="3", name="이마트미아점", latitude=EMART.latitude + 50 * METRE)
    assert same_markets([EMART, unknown, nearest, named]) == [(EMART, named), (unknown,), (nearest,)]
    assert same_markets([EMART, unknown, nearest]) == [(EMART, nearest), (unknown,)]
    assert same_markets([EMART, unknown]) == [(EMART, unknown)]


def test_three_sources_are_one_market_only_if_each_fits_each():
    second = other(latitude=EMART.latitude + 70 * METRE)
    third = other(source="c", latitude=EMART.latitude + 140 * METRE)
    assert len(same_markets([EMART, second, third])) == 2
    assert same_markets([EMART, second, replace(third, latitude=second.latitude)]) == [
        (EMART, second, replace(third, latitude=second.latitude))
    ]


market = st.builds(
    other,
    name=st.sampled_from(["이마트", "이마트 미아점"]),
    source=st.sampled_from("abc"),
    source_id=st.integers(1, 9).map(str),
    kind=st.sampled_from([MarketKind.LARGE_MART, MarketKind.SUPERMARKET, MarketKind.OTHER]),
    address=st.sampled_from(["서울 도봉로 17", "서울특별시 성북구 도봉로 17 (길음동)", "길음동 20-1"]),
    latitude=st.integers(0, 12).map(lambda step: 37.6 + 20 * step * METRE),
)


@given(
    rows=st.lists(market, max_size=9, unique_by=lambda row: (row.source, row.source_id)),
    seed=st.integers(0, 99),
)
def test_no_row_is_lost_or_doubled_and_the_order_does_not_matter(rows: list[MarketRow], seed: int):
    groups = same_markets(rows)
    assert sorted(map(repr, (row for group in groups for row in group))) == sorted(map(repr, rows))
    for group in groups:
        assert len({row.source for row in group}) == len(group)
        assert all(is_same_market(a, b) for a in group for b in group if a is not b)
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert same_markets(shuffled) == groups
