from collections.abc import Sequence
from typing import Any

import pytest

from models.base import new_id
from models.errors import NotFound
from models.markets import MarketKind
from models.users import User
from resolvers import markets
from resolvers.markets import FoundMarket
from resolvers.near import Around
from resolvers.pages import MalformedCursor, PageOf
from resolvers.transaction import Transaction
from tests.factories import MANGWON, make_market, make_user

NORTH = 1 / 111_195
"""A metre, in degrees of latitude."""


def north(metres: float) -> tuple[float, float]:
    return MANGWON[0] + metres * NORTH, MANGWON[1]


def names(found: Sequence[FoundMarket]) -> list[str]:
    return [each.market.name for each in found]


async def found(tx: Transaction, **wanted: Any) -> list[str]:
    return names((await markets.markets(tx, PageOf(), **wanted)).rows)


@pytest.fixture
async def viewer(tx: Transaction) -> User:
    return await make_user(tx)


@pytest.fixture
async def three(tx: Transaction) -> None:
    await make_market(tx, north(2000), name="망원시장", kind=MarketKind.TRADITIONAL_MARKET)
    await make_market(tx, north(500), name="이마트 망원점", kind=MarketKind.LARGE_MART)
    await make_market(tx, north(9000), name="코스트코", kind=MarketKind.LARGE_MART)


@pytest.mark.usefixtures("three")
async def test_markets_come_by_name_and_without_a_distance(tx: Transaction):
    page = await markets.markets(tx, PageOf())
    assert names(page.rows) == ["망원시장", "이마트 망원점", "코스트코"]
    assert {each.distance_m for each in page.rows} == {None}


@pytest.mark.usefixtures("three")
async def test_around_a_point_the_nearest_comes_first_and_what_is_too_far_not_at_all(tx: Transaction):
    page = await markets.markets(tx, PageOf(), around=Around(*MANGWON, within_m=5000))
    assert names(page.rows) == ["이마트 망원점", "망원시장"]
    assert [each.distance_m for each in page.rows] == pytest.approx([500, 2000], abs=1)


@pytest.mark.usefixtures("three")
async def test_a_search_is_by_name_and_initials_best_match_first(tx: Transaction):
    assert await found(tx, search="망원") == ["망원시장", "이마트 망원점"]
    assert await found(tx, search="ㅁㅇㅅㅈ") == ["망원시장"]
    assert await found(tx, search="이마ㅌ") == ["이마트 망원점"]
    assert await found(tx, search="%") == []


@pytest.mark.usefixtures("three")
async def test_a_search_around_a_point_stays_in_the_order_of_distance(tx: Transaction):
    around = Around(*MANGWON, within_m=50_000)
    assert await found(tx, search="망원", around=around) == ["이마트 망원점", "망원시장"]


@pytest.mark.usefixtures("three")
async def test_only_the_kinds_asked_for_are_found(tx: Transaction):
    assert await found(tx, kinds=[MarketKind.LARGE_MART]) == ["이마트 망원점", "코스트코"]
    assert await found(tx, kinds=[MarketKind.LARGE_MART], search="망원") == ["이마트 망원점"]
    assert await found(tx, kinds=[]) == []


WAYS: list[dict[str, Any]] = [{}, {"search": "시장"}, {"around": Around(*MANGWON, within_m=5000)}]


@pytest.mark.parametrize("wanted", WAYS, ids=["by name", "by search", "by distance"])
@pytest.mark.parametrize("first", [1, 2, 3])
async def test_pages_neither_repeat_nor_skip_a_market_though_all_are_at_one_spot(
    tx: Transaction, first: int, wanted: dict[str, Any]
):
    made = [(await make_market(tx, name="시장")).id for _ in range(7)]
    seen: list[Any] = []
    after = None
    for _ in range(8):
        page = await markets.markets(tx, PageOf(first, after), **wanted)
        seen += [each.market.id for each in page.rows]
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert seen == sorted(made)


async def test_a_cursor_of_another_list_is_malformed(tx: Transaction):
    await make_market(tx)
    cursor = (await markets.bookmarked_markets(tx, (await make_user(tx)).id, PageOf())).cursors
    assert cursor == []
    with pytest.raises(MalformedCursor):
        await markets.markets(tx, PageOf(after="W10="))


async def test_bookmarks_are_ones_own_and_repeating_changes_nothing(tx: Transaction, viewer: User):
    market, other = await make_market(tx, name="망원시장"), await make_user(tx)
    for _ in range(2):
        assert (await markets.bookmark_market(tx, viewer.id, market.id)).name == "망원시장"
    await markets.unbookmark_market(tx, other.id, market.id)
    assert names((await markets.bookmarked_markets(tx, viewer.id, PageOf())).rows) == ["망원시장"]
    assert (await markets.bookmarked_markets(tx, other.id, PageOf())).rows == []
    assert await markets.bookmarked_among(tx, viewer.id, [market.id]) == {market.id}
    assert await markets.bookmarked_among(tx, other.id, [market.id]) == set()
    for _ in range(2):
        await markets.unbookmark_market(tx, viewer.id, market.id)
    assert (await markets.bookmarked_markets(tx, viewer.id, PageOf())).rows == []


async def test_bookmarked_markets_come_in_pages_by_name(tx: Transaction, viewer: User):
    for name in ("다시장", "가시장", "나시장"):
        await markets.bookmark_market(tx, viewer.id, (await make_market(tx, name=name)).id)
    first = await markets.bookmarked_markets(tx, viewer.id, PageOf(2))
    rest = await markets.bookmarked_markets(tx, viewer.id, PageOf(2, first.cursors[-1]))
    assert names([*first.rows, *rest.rows]) == ["가시장", "나시장", "다시장"]


async def test_what_does_not_exist_can_not_be_bookmarked(tx: Transaction, viewer: User):
    for verb in (markets.bookmark_market, markets.unbookmark_market):
        with pytest.raises(NotFound) as refusal:
            await verb(tx, viewer.id, new_id())
        assert refusal.value.kind == "market"
