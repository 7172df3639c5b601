"""What has an id of its own, and points on the globe: used by every domain."""

import strawberry

from resolvers.near import Around
from resolvers.users import check_point
from schema.faults import BadInput

WITHIN_M = 10_000
FARTHEST_M = 50_000


@strawberry.interface(description="Anything that has an id of its own and can be asked for again by `node`.")
class Node:
    """Relay's Node."""

    id: strawberry.ID = strawberry.field(description="Opaque, and the same for ever.")


@strawberry.type(description="A point on WGS 84, in degrees.")
class Point:
    """Where something is."""

    latitude: float = strawberry.field(description="Degrees north of the equator, -90 to 90.")
    longitude: float = strawberry.field(description="Degrees east of Greenwich, -180 to 180.")


@strawberry.input(description="A point on WGS 84, in degrees. Values out of range are refused.")
class PointInput:
    """Where something shall be."""

    latitude: float = strawberry.field(description="Degrees north of the equator, -90 to 90.")
    longitude: float = strawberry.field(description="Degrees east of Greenwich, -180 to 180.")


def around(latitude: float, longitude: float, within_meters: int | None) -> Around:
    """The circle that a query asks about; 10 km where it does not say.

    Raises:
        InvalidInput, BadInput
    """
    check_point("near", latitude, longitude)
    within_meters = WITHIN_M if within_meters is None else within_meters
    if not 1 <= within_meters <= FARTHEST_M:
        raise BadInput(f"`withinMeters` goes from 1 to {FARTHEST_M}.")
    return Around(latitude, longitude, within_meters)
