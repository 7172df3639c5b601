"""Which rows of different sources are one market.

The rule: two rows are the same market if

1. they come from two sources (within one source, its own ids decide: two licences are two markets),
2. their road addresses name the same road and number, however they are written,
3. they lie less than 100 m from each other, and
4. their kinds do not contradict: they are the same, or one is OTHER. A department store and the mart in its
   basement have one address.

Where several rows of a source fit, the same kind goes first, then the same name, then the nearest. A market
has at most one row of each source, and all of its rows fit each other. Without a road address nothing is
merged: a lot can hold several buildings, and a wrong merge loses a market.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from math import cos, hypot, radians
from typing import TypeAlias, TypeVar

from importers.markets import MarketRow
from models.markets import Market, MarketKind

WITHIN_M = 100

_METERS_PER_DEGREE = 111_195
_IN_BRACKETS = re.compile(r"\([^)]*\)?")
_ROAD = re.compile(
    r"(?P<road>[가-힣0-9·.]+?(?:대로|로|길)(?:\s*[0-9]+(?:번|[가-하])?(?:안)?길)*)\s*"
    r"(?P<below>지하)?\s*(?P<main>[0-9]+)(?:\s*-\s*(?P<sub>[0-9]+))?(?![0-9가-힣])"
)


Place: TypeAlias = MarketRow | Market
P = TypeVar("P", MarketRow, Market)


def road_address(address: str) -> str | None:
    """The road and the number of an address in one spelling, without the place: "신림로29길 3-20".

    None where it has none. The district is left out since some addresses lack it, or misspell it; what is
    in brackets or after a comma is a quarter, a building or a floor.
    """
    found = _ROAD.search(_IN_BRACKETS.sub(" ", address).partition(",")[0])
    if found is None:
        return None
    sub = int(found["sub"] or 0)
    number = f"{int(found['main'])}-{sub}" if sub else f"{int(found['main'])}"
    return f"{''.join(found['road'].split())} {found['below'] or ''}{number}"


def is_same_market(one: Place, other: Place) -> bool:
    """Whether two rows are one market by the rule."""
    address = road_address(one.address)
    return address is not None and address == road_address(other.address) and _fit(one, other)


def same_markets(rows: Iterable[P]) -> list[tuple[P, ...]]:
    """The rows, those of one market together, in the order of their source and id; none lost, none twice.

    The outcome does not depend on the order of the rows.
    """
    by_address: defaultdict[str, list[P]] = defaultdict(list)
    groups: list[tuple[P, ...]] = []
    for row in sorted(rows, key=_key):
        address = road_address(row.address)
        if address is None:
            groups.append((row,))
        else:
            by_address[address].append(row)
    for neighbours in by_address.values():
        groups += _grouped(neighbours)
    return sorted(groups, key=lambda group: _key(group[0]))


def _grouped(rows: Sequence[P]) -> list[tuple[P, ...]]:
    group_of = {_key(row): [row] for row in rows}
    pairs = [(one, other) for one, other in combinations(rows, 2) if _fit(one, other)]
    for one, other in sorted(pairs, key=_nearness):
        left, right = group_of[_key(one)], group_of[_key(other)]
        if left is not right and all(_fit(a, b) for a in left for b in right):
            left += right
            for row in right:
                group_of[_key(row)] = left
    groups = {id(group): group for group in group_of.values()}
    return [tuple(sorted(group, key=_key)) for group in groups.values()]


def _fit(one: Place, other: Place) -> bool:
    """All of the rule but the address."""
    return (
        one.source != other.source
        and (one.kind == other.kind or MarketKind.OTHER in {one.kind, other.kind})
        and _meters(one, other) < WITHIN_M
    )


def _nearness(pair: tuple[Place, Place]) -> tuple[bool, bool, float, tuple[str, str], tuple[str, str]]:
    one, other = pair
    return (
        one.kind != other.kind,
        "".join(one.name.split()) != "".join(other.name.split()),
        _meters(one, other),
        _key(one),
        _key(other),
    )


def _meters(one: Place, other: Place) -> float:
    """As on a plane: within 0.1 % for the few hundred metres that matter."""
    north = one.latitude - other.latitude
    east = (one.longitude - other.longitude) * cos(radians((one.latitude + other.latitude) / 2))
    return hypot(north, east) * _METERS_PER_DEGREE


def _key(row: Place) -> tuple[str, str]:
    return row.source, row.source_id
