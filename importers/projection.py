"""Points as public data gives them, made degrees in Korea."""

import re
from collections.abc import Callable
from functools import cache

from importers.envelopes import Refused
from importers.markets import LATITUDES, LONGITUDES

NO_METERS = 1_000

# Stricter than float(), which also reads "1_0", "１" and "nan".
_NUMBER = re.compile(r"-?[0-9]{1,7}(\.[0-9]{0,20})?")


def in_degrees(latitude: str, longitude: str) -> tuple[float, float] | None:
    """Latitude and longitude of a text that has degrees (WGS 84); None where it has nothing.

    Raises:
        Refused: No numbers, one of two, or a point outside Korea.
    """
    point = _numbers(latitude, longitude)
    return None if point is None else _in_korea(*point)


def from_central_belt(x: str, y: str) -> tuple[float, float] | None:
    """The same of metres in EPSG:5174 (Korean 1985, modified central belt), x to the east, y to the north.

    Rounded to six decimals. Median error 28 m against 26 points from elsewhere; south of 33.6° y is negative.

    Raises:
        Refused: No numbers, one of two, or a point outside Korea.
    """
    point = _numbers(y, x)
    if point is None:
        return None
    north, east = point
    # Nothing but sea is there: zeros for nothing, or degrees.
    if abs(north) < NO_METERS and abs(east) < NO_METERS:
        raise Refused(f"coordinates: {east:g}, {north:g} are no metres")
    longitude, latitude = _to_degrees()(east, north)
    # What can't be projected becomes infinite, which is outside Korea as well.
    return _in_korea(round(latitude, 6), round(longitude, 6))


def _numbers(north: str, east: str) -> tuple[float, float] | None:
    north, east = north.strip(), east.strip()
    if not north and not east:
        return None
    if not (_NUMBER.fullmatch(north) and _NUMBER.fullmatch(east)):
        raise Refused("coordinates: not two numbers")
    return float(north), float(east)


def _in_korea(latitude: float, longitude: float) -> tuple[float, float]:
    if not (LATITUDES[0] <= latitude <= LATITUDES[1] and LONGITUDES[0] <= longitude <= LONGITUDES[1]):
        raise Refused(f"coordinates: {latitude:g}, {longitude:g} is outside Korea")
    return latitude, longitude


@cache
def _to_degrees() -> Callable[[float, float], tuple[float, float]]:
    # Opening the database of projections takes 50 ms: only who projects pays for it.
    from pyproj import Transformer

    return Transformer.from_crs("EPSG:5174", "EPSG:4326", always_xy=True).transform
