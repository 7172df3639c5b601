from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from models.shares import split

PRICES = st.integers(0, 1_000_000_000)
QUANTITIES = st.dictionaries(st.uuids(version=4), st.integers(1, 10_000), min_size=1, max_size=50)


@given(PRICES, QUANTITIES, st.integers(0))
def test_the_parts_add_up_to_the_price_to_the_won(price: int, quantities: dict[UUID, int], which: int):
    leader = list(quantities)[which % len(quantities)]
    parts = split(price, leader, quantities)
    assert parts.keys() == quantities.keys()
    assert sum(parts.values()) == price


@given(PRICES, QUANTITIES, st.integers(0))
def test_a_member_pays_by_units_rounded_down_and_the_leader_never_less(
    price: int, quantities: dict[UUID, int], which: int
):
    leader = list(quantities)[which % len(quantities)]
    parts, units = split(price, leader, quantities), sum(quantities.values())
    for member, quantity in quantities.items():
        exact = price * quantity
        if member == leader:
            # Less than a won for each of the others.
            assert exact <= parts[member] * units < exact + units * len(quantities)
        else:
            assert parts[member] * units <= exact < (parts[member] + 1) * units


def test_ten_thousand_won_among_three_leave_the_odd_won_to_the_leader():
    leader, one, other = uuid4(), uuid4(), uuid4()
    assert split(10_000, leader, {one: 1, leader: 1, other: 1}) == {one: 3333, other: 3333, leader: 3334}


def test_a_leader_alone_pays_everything_and_nothing_costs_nobody():
    leader, other = uuid4(), uuid4()
    assert split(7, leader, {leader: 3}) == {leader: 7}
    assert split(0, leader, {leader: 1, other: 2}) == {leader: 0, other: 0}
