import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.regions import LONGEST, PROVINCES, region_of


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("서울특별시 마포구 포은로8길 14", "서울 마포구"),
        ("서울 마포구", "서울 마포구"),
        ("  서울시  마포구 ", "서울 마포구"),
        ("경기도 수원시 장안구 정조로 940", "경기 수원시"),
        ("경기도 광주시 중앙로 1", "경기 광주시"),
        ("광주광역시 북구 중문로9번길 39", "광주 북구"),
        ("인천광역시 미추홀구 경인로 1", "인천 미추홀구"),
        ("울산광역시 울주군 언양읍 장터2길 11", "울산 울주군"),
        ("세종특별자치시 조치원읍 조치원8길 42", "세종"),
        ("세종특별자치시 전의면 장터길33", "세종"),
        ("제주특별자치도 제주시 관덕로14길 20", "제주 제주시"),
        ("강원도 강릉시 금성로21", "강원 강릉시"),
        ("강원특별자치도 강릉시 금성로21", "강원 강릉시"),
        ("전라북도 익산시 중앙로 3길 27", "전북 익산시"),
        ("전북특별자치도 익산시 중앙로 3길 27", "전북 익산시"),
        ("전북특별차치도 익산시 중앙로 3길 27", "전북 익산시"),
    ],
)
def test_an_address_is_in_the_district_that_it_names(address: str, region: str):
    assert region_of(address) == region


def test_an_address_without_a_district_is_in_its_province():
    assert region_of("서울특별시 통일로 484 (유진상가)") == "서울"
    assert region_of("부산광역시") == "부산"


def test_a_city_that_shares_its_name_with_a_province_is_not_taken_for_it():
    assert region_of("광주시 중앙로 1") == "광주시 중앙로"
    assert region_of("제주시 관덕로14길 20") == "제주시 관덕로14길"


def test_an_unknown_address_is_in_its_first_two_words():
    assert region_of("221B Baker Street, London") == "221B Baker"
    assert region_of("함경북도") == "함경북도"
    assert region_of(" ") == ""


def test_there_are_seventeen_provinces_and_every_name_stands_for_one():
    assert len(PROVINCES) == 17
    for short, official in PROVINCES.items():
        assert {region_of(name) for name in (short, *official)} == {short}


@given(
    st.text()
    | st.lists(st.sampled_from(["서울", "세종시", "마포구", "가" * 60 + "구", "x" * 45])).map(" ".join)
)
@example("x" * LONGEST + " y")
@example("x" * (LONGEST - 1) + " y")
def test_the_region_of_a_region_is_itself_and_fits_its_column(address: str):
    region = region_of(address)
    assert region_of(region) == region
    assert len(region) <= LONGEST
