"""Money: who pays which part of a pack. Won are whole numbers, and the parts add up exactly."""

from collections.abc import Mapping
from uuid import UUID


def split(price: int, leader: UUID, quantities: Mapping[UUID, int]) -> dict[UUID, int]:
    """Each member's part of the price in won.

    A member pays by units, rounded down; the leader pays the rest, which is never negative.

    Args:
        price: Of the whole pack, in won.
        leader: Who pays the rest.
        quantities: Units by member, the leader's among them; all positive.
    """
    units = sum(quantities.values())
    parts = {member: price * quantity // units for member, quantity in quantities.items() if member != leader}
    return parts | {leader: price - sum(parts.values())}
