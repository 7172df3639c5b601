"""Around a point: the conditions and the order that let an index answer "what is nearest?"."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Boolean, Column, ColumnElement, Double, and_, bindparam, func, literal
from sqlalchemy.types import TypeEngine

from resolvers.haversine import chord_of, unit_vector

NUMBER: TypeEngine[float] = Double()


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle on the globe in SQL: its centre as a cube, its radius as a chord."""

    centre: ColumnElement[Any]
    radius: ColumnElement[float]

    def chord_to(self, position: Column[Any]) -> ColumnElement[float]:
        """The straight line to a stored position, through a unit sphere; an index knows its order."""
        return position.op("<->", return_type=NUMBER)(self.centre)

    def boxes(self, position: Column[Any]) -> ColumnElement[bool]:
        """Whether a stored position lies in the box around the circle, which an index can tell.

        Without it a search where little is near would read far. A point overlaps what it lies within, and
        PostgreSQL's guess for overlapping is nearer to what a city holds: 0.5 % instead of 0.1 %.
        """
        box: Any = func.cube_enlarge(self.centre, self.radius, 3)
        return position.op("&&", return_type=Boolean())(box)

    def holds(self, position: Column[Any]) -> ColumnElement[bool]:
        """Whether a stored position lies within the circle."""
        return and_(self.boxes(position), self.chord_to(position) <= self.radius)


GIVEN_CIRCLE = Circle(func.cube(bindparam("centre", type_=ARRAY(NUMBER))), bindparam("radius", type_=NUMBER))
"""The one whose `Around.values` a statement is given when it is executed: built once, it serves them all."""


@dataclass(frozen=True, slots=True)
class Around:
    """A circle on the globe: its centre in degrees, its radius in metres."""

    latitude: float
    longitude: float
    within_m: float

    @property
    def values(self) -> dict[str, Any]:
        """What makes the GIVEN_CIRCLE of a statement this one."""
        return {
            "centre": unit_vector(self.latitude, self.longitude),
            "radius": chord_of(self.within_m),
        }

    def chord_to(self, position: Column[Any]) -> ColumnElement[float]:
        """See `Circle`."""
        return self._circle().chord_to(position)

    def holds(self, position: Column[Any]) -> ColumnElement[bool]:
        """See `Circle`."""
        return self._circle().holds(position)

    def _circle(self) -> Circle:
        vector = literal(unit_vector(self.latitude, self.longitude), ARRAY(NUMBER))
        return Circle(func.cube(vector), literal(chord_of(self.within_m), NUMBER))
