"""The conditions as PostgreSQL computes them, against haversine as Python does."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import ARRAY, Column, func, literal, select
from sqlalchemy.ext.asyncio import AsyncEngine

from models.base import Cube
from resolvers.haversine import chord_of, distance_m, unit_vector
from resolvers.near import GIVEN_CIRCLE, NUMBER, Around

Point = tuple[float, float]

POINTS = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
RADII = st.one_of(st.floats(1, 50_000), st.floats(1, 20_000_000))
SAME_EVERY_TIME = settings(max_examples=100, derandomize=True, database=None, deadline=None)


async def as_computed(engine: AsyncEngine, around: Around, point: Point) -> tuple[float, bool, bool]:
    """The chord to a point, whether the circle holds it, and whether the box does."""
    vector = literal(unit_vector(*point), ARRAY(NUMBER))
    points = select(func.cube(vector, type_=Cube()).label("position")).subquery("points")
    position = Column("position", Cube())
    answer = select(around.chord_to(position), around.holds(position), GIVEN_CIRCLE.boxes(position))
    async with engine.connect() as connection:
        chord, held, boxed = (await connection.execute(answer.select_from(points), around.values)).one()
    return chord, held, boxed


@SAME_EVERY_TIME
@given(here=POINTS, there=POINTS, within_m=RADII)
@example(here=(90.0, 0.0), there=(89.9, 77.0), within_m=12_000)
@example(here=(0.0, 180.0), there=(0.05, -179.95), within_m=10_000)
async def test_a_circle_holds_what_is_nearer_than_its_radius(
    engine: AsyncEngine, here: Point, there: Point, within_m: float
):
    distance = distance_m(*here, *there)
    assume(abs(distance - within_m) > 1)
    chord, held, boxed = await as_computed(engine, Around(*here, within_m), there)
    assert chord == pytest.approx(chord_of(distance), rel=1e-9, abs=1e-12)
    assert held == (distance < within_m)
    assert boxed or not held


@pytest.mark.parametrize("metres", [1, 100, 10_000, 50_000])
async def test_a_circle_ends_at_its_radius_to_the_millimetre(engine: AsyncEngine, metres: float):
    here, there = (37.5562, 126.9056), (37.5562 + metres / 111_195.08, 126.9056)
    distance = distance_m(*here, *there)
    _, held, _ = await as_computed(engine, Around(*here, distance + 0.001), there)
    assert held
    _, held, _ = await as_computed(engine, Around(*here, distance - 0.001), there)
    assert not held


async def test_a_circle_of_the_whole_globe_holds_what_is_half_way_round(engine: AsyncEngine):
    _, held, boxed = await as_computed(engine, Around(37.5, 127.0, 1e9), (-37.5, -53.0))
    assert held
    assert boxed
