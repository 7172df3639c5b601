"""Around a point: the conditions and the order that let an index answer "what is nearest?"."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Double, and_, bindparam, func, literal
from sqlalchemy.types import TypeEngine

from resolvers.haversine import chord_of, unit_vector

NUMBER: TypeEngine[float] = Double()


@dataclass(frozen=True, slots=True)
class Around:
    """A circle on the globe: its centre in degrees, its radius in metres."""

    latitude: float
    longitude: float
    within_m: float

    def chord_to(self, position: Column[Any]) -> ColumnElement[float]:
        """The straight line to a stored position, through a unit sphere; an index knows its order."""
        return position.op("<->", return_type=NUMBER)(self._centre())

    def holds(self, position: Column[Any]) -> ColumnElement[bool]:
        """Whether a stored position lies within the circle.

        The box comes first, for the index: without it a search where little is near would read far.
        """
        chord = literal(chord_of(self.within_m), NUMBER)
        box: Any = func.cube_enlarge(self._centre(), chord, 3)
        return and_(position.op("<@")(box), self.chord_to(position) <= chord)

    def _centre(self) -> ColumnElement[Any]:
        vector = unit_vector(self.latitude, self.longitude)
        return func.cube(bindparam("centre", vector, ARRAY(NUMBER), unique=True))
