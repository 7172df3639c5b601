"""Distances on the globe."""

from math import asin, cos, pi, radians, sin, sqrt

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the WGS 84 ellipsoid (IUGG)."""

HALF_WAY_M = EARTH_RADIUS_M * pi
"""As far apart as two points can be."""


def distance_m(latitude_1: float, longitude_1: float, latitude_2: float, longitude_2: float) -> float:
    """Metres between two points on a sphere. All arguments in degrees.

    Within 0.56 % of the WGS 84 ellipsoid. Exact for points at one spot: the square root's argument is held
    below 1, which rounding can pass for points half way round the globe.
    Source: Sinnott, "Virtues of the Haversine", Sky & Telescope 68 (1984).
    """
    north_1, north_2 = radians(latitude_1), radians(latitude_2)
    half_north = sin((north_2 - north_1) / 2)
    half_east = sin(radians(longitude_2 - longitude_1) / 2)
    square = half_north * half_north + cos(north_1) * cos(north_2) * half_east * half_east
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, square)))


def chord_of(distance: float) -> float:
    """The straight line through a unit sphere between two points that many metres apart on the globe.

    It grows with the distance, from 0 to 2: an order by chord is an order by haversine.
    """
    return 2 * sin(min(distance, HALF_WAY_M) / (2 * EARTH_RADIUS_M))


def unit_vector(latitude: float, longitude: float) -> list[float]:
    """The point on the unit sphere, shape (3,): towards 0° 0°, towards 0° 90° E, towards the north pole."""
    north, east = radians(latitude), radians(longitude)
    return [cos(north) * cos(east), cos(north) * sin(east), sin(north)]
