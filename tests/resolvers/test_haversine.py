from math import dist, pi
from typing import Any

import pytest
from geopy.distance import geodesic, great_circle
from hypothesis import given, settings
from hypothesis import strategies as st

from resolvers.haversine import EARTH_RADIUS_M, HALF_WAY_M, chord_of, distance_m, unit_vector

Point = tuple[float, float]

POINTS = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
SAME_EVERY_TIME = settings(max_examples=300, derandomize=True, database=None, deadline=None)

# Half way round, what is under the root is 1: a rounding of it is a metre.
ROUNDING_M = 1.0


def on_sphere(here: Point, there: Point) -> float:
    """Metres as geopy has them, on a globe of our size."""
    distance: Any = great_circle(here, there, radius=EARTH_RADIUS_M / 1000)
    return distance.m


def on_ellipsoid(here: Point, there: Point) -> float:
    """Metres as geopy has them, on WGS 84."""
    distance: Any = geodesic(here, there)
    return distance.m


@SAME_EVERY_TIME
@given(POINTS, POINTS)
def test_it_is_the_great_circle_of_geopy(here: Point, there: Point):
    assert distance_m(*here, *there) == pytest.approx(on_sphere(here, there), rel=1e-9, abs=ROUNDING_M)


@SAME_EVERY_TIME
@given(POINTS, st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_nearby_it_is_the_great_circle_to_the_micrometre(here: Point, north: float, east: float):
    there = (max(-90.0, min(90.0, here[0] + north)), max(-180.0, min(180.0, here[1] + east)))
    assert distance_m(*here, *there) == pytest.approx(on_sphere(here, there), rel=1e-9, abs=1e-6)


@SAME_EVERY_TIME
@given(POINTS, POINTS)
def test_it_is_within_056_percent_of_the_ellipsoid(here: Point, there: Point):
    assert distance_m(*here, *there) == pytest.approx(on_ellipsoid(here, there), rel=0.00562, abs=1e-6)


@SAME_EVERY_TIME
@given(POINTS, POINTS)
def test_it_is_the_same_both_ways(here: Point, there: Point):
    assert distance_m(*here, *there) == distance_m(*there, *here)


@SAME_EVERY_TIME
@given(POINTS)
def test_a_point_is_nowhere_but_where_it_is(here: Point):
    assert distance_m(*here, *here) == 0.0


@SAME_EVERY_TIME
@given(POINTS, POINTS, POINTS)
def test_no_way_round_is_shorter(here: Point, there: Point, between: Point):
    round_about = distance_m(*here, *between) + distance_m(*between, *there)
    assert distance_m(*here, *there) <= round_about + ROUNDING_M


@pytest.mark.parametrize(
    ("here", "there"),
    [((78.6, -104.0), (-78.6, 76.0)), ((-19.2, -149.3), (19.2, 30.7)), ((2.5, -8.6), (-2.5, 171.4))],
)
def test_half_way_round_rounding_does_not_leave_the_arcsine(here: Point, there: Point):
    """For each of these pairs what is under the root is a hair over 1."""
    assert distance_m(*here, *there) == pytest.approx(HALF_WAY_M)


@SAME_EVERY_TIME
@given(POINTS)
def test_nothing_is_farther_than_half_way_round(here: Point):
    opposite = (-here[0], here[1] - 180 if here[1] > 0 else here[1] + 180)
    assert distance_m(*here, *opposite) == pytest.approx(HALF_WAY_M, abs=ROUNDING_M)
    assert distance_m(*here, *opposite) <= HALF_WAY_M


def test_the_date_line_and_the_poles_are_no_borders():
    one_degree = EARTH_RADIUS_M * pi / 180
    assert distance_m(0, 179.5, 0, -179.5) == pytest.approx(one_degree)
    assert distance_m(89.5, 20, 89.5, -160) == pytest.approx(one_degree)
    assert distance_m(-90, 0, -90, 123) == pytest.approx(0, abs=1e-6)


@SAME_EVERY_TIME
@given(POINTS, POINTS)
def test_the_chord_of_a_distance_joins_the_two_unit_vectors(here: Point, there: Point):
    expected = dist(unit_vector(*here), unit_vector(*there))
    assert chord_of(distance_m(*here, *there)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@SAME_EVERY_TIME
@given(st.floats(0, HALF_WAY_M), st.floats(0, HALF_WAY_M))
def test_a_longer_distance_has_no_shorter_chord(one: float, other: float):
    assert chord_of(min(one, other)) <= chord_of(max(one, other)) <= 2


def test_what_reaches_beyond_half_way_round_has_the_longest_chord():
    assert chord_of(10 * HALF_WAY_M) == chord_of(HALF_WAY_M) == 2
