import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.envelopes import Refused
from importers.projection import from_central_belt, in_degrees


def test_the_origin_of_the_belt_is_where_its_definition_says():
    # 38° N, 127° 0' 10.405" E of 1985's datum; today's is about 300 m away from it.
    point = from_central_belt("200000", "500000")
    assert point is not None
    assert point == (pytest.approx(38.0027, abs=0.0003), pytest.approx(127.0008, abs=0.0003))


@pytest.mark.parametrize(
    ("x", "y", "latitude", "longitude"),
    [
        ("208600.123   ", " 445600.456", 37.5127, 127.0981),
        # The south of Jeju: north of the origin of y by less than nothing.
        ("155000", "-20000", 33.3, 126.52),
    ],
)
def test_metres_become_degrees(x: str, y: str, latitude: float, longitude: float):
    assert from_central_belt(x, y) == (
        pytest.approx(latitude, abs=0.03),
        pytest.approx(longitude, abs=0.03),
    )


def test_a_point_is_rounded_to_a_decimetre():
    assert from_central_belt("208600.123", "445600.456") == from_central_belt("208600.1231", "445600.4561")


def test_nothing_is_no_point():
    assert from_central_belt("", "   ") is None
    assert in_degrees(" ", "") is None


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e3", "1_0", "３７", "37,5", "-", "0x10", "1" * 400])
def test_what_is_no_number_is_refused(text: str):
    with pytest.raises(Refused, match="not two numbers"):
        in_degrees(text, "127")
    with pytest.raises(Refused, match="not two numbers"):
        from_central_belt("200000", text)


@pytest.mark.parametrize(("x", "y"), [("0.0", "0.0"), ("127.09", "37.51"), ("37.51", "127.09")])
def test_zeros_and_degrees_are_no_metres(x: str, y: str):
    with pytest.raises(Refused, match="no metres"):
        from_central_belt(x, y)


@pytest.mark.parametrize(("latitude", "longitude"), [("33", "124"), ("39", "132"), ("37.5", "127.0")])
def test_the_edge_is_in_korea(latitude: str, longitude: str):
    assert in_degrees(latitude, longitude) == (float(latitude), float(longitude))


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [("32.999", "127"), ("39.001", "127"), ("37", "123.999"), ("37", "132.001"), ("127", "37"), ("0", "0")],
)
def test_what_lies_outside_is_refused(latitude: str, longitude: str):
    with pytest.raises(Refused, match="outside Korea"):
        in_degrees(latitude, longitude)


number = st.floats(-9_999_999, 9_999_999).map(lambda value: f"{value:.4f}") | st.text(max_size=9)


@given(x=number, y=number)
def test_whatever_comes_is_in_korea_or_refused(x: str, y: str):
    for made in (from_central_belt, in_degrees):
        try:
            point = made(x, y)
        except Refused:
            continue
        assert point is None or (33 <= point[0] <= 39 and 124 <= point[1] <= 132)
