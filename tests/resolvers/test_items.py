import pytest

from models.base import new_id
from models.errors import NotFound
from models.items import Item
from models.users import User
from resolvers import items
from resolvers.pages import MalformedCursor, PageOf, cursor_of
from resolvers.transaction import Transaction
from tests.factories import make_item, make_user


async def make_items(tx: Transaction, *names: str) -> list[Item]:
    return [await make_item(tx, name=name, category="식품") for name in names]


async def walk(tx: Transaction, first: int, **wanted: str) -> list[str]:
    """The names on all pages, one page after the other."""
    names: list[str] = []
    after = None
    while True:
        page = await items.items(tx, PageOf(first, after), **wanted)
        names += [item.name for item in page.rows]
        assert len(page.rows) <= first
        assert page.has_previous is (after is not None)
        if not page.has_next:
            return names
        after = page.cursors[-1]


async def test_items_are_listed_by_name(tx: Transaction):
    await make_items(tx, "쌀", "가지", "김")
    page = await items.items(tx, PageOf())
    assert [item.name for item in page.rows] == ["가지", "김", "쌀"]


@pytest.mark.parametrize("first", [1, 2, 3, 100])
@pytest.mark.parametrize("wanted", [{}, {"search": "쌀"}, {"search": "ㅆ"}, {"category": "식품"}])
async def test_pages_neither_repeat_nor_skip_an_item_though_names_repeat(
    tx: Transaction, first: int, wanted: dict[str, str]
):
    await make_items(tx, "쌀", "쌀", "쌀", "찹쌀", "쌀국수", "멥쌀", "쌀")
    names = await walk(tx, first, **wanted)
    assert len(names) == 7
    assert names == [item.name for item in (await items.items(tx, PageOf(100), **wanted)).rows]


async def test_a_search_keeps_to_its_category(tx: Transaction):
    await make_item(tx, name="쌀", category="식량작물")
    await make_item(tx, name="쌀과자", category="가공식품")
    page = await items.items(tx, PageOf(), search="쌀", category="가공식품")
    assert [item.name for item in page.rows] == ["쌀과자"]


@pytest.mark.parametrize("category", ["없는 분류", "", "\x00", "식품\x00", "%"])
async def test_a_category_that_there_is_not_has_no_items(tx: Transaction, category: str):
    await make_items(tx, "쌀")
    assert (await items.items(tx, PageOf(), category=category)).rows == []


@pytest.mark.parametrize("search", ["", "  ", "\x00"])
async def test_an_empty_search_is_none(tx: Transaction, search: str):
    await make_items(tx, "쌀", "김")
    assert len((await items.items(tx, PageOf(), search=search)).rows) == 2


async def test_a_cursor_of_another_list_is_malformed(tx: Transaction):
    await make_items(tx, "쌀", "찹쌀")
    by_name = (await items.items(tx, PageOf(1))).cursors[0]
    by_rank = (await items.items(tx, PageOf(1), search="쌀")).cursors[0]
    with pytest.raises(MalformedCursor):
        await items.items(tx, PageOf(1, by_name), search="쌀")
    with pytest.raises(MalformedCursor):
        await items.items(tx, PageOf(1, by_rank))
    with pytest.raises(MalformedCursor):
        await items.items(tx, PageOf(1, cursor_of((2**40, 1, "쌀", new_id()))), search="쌀")


async def test_each_category_is_told_once_in_order(tx: Transaction):
    for category in ("축산물", "과일", "축산물"):
        await make_item(tx, category=category)
    assert await items.item_categories(tx) == ["과일", "축산물"]


@pytest.fixture
async def viewer(tx: Transaction) -> User:
    return await make_user(tx)


async def bookmarks(tx: Transaction, user: User) -> list[str]:
    return [item.name for item in (await items.bookmarked_items(tx, user.id, PageOf())).rows]


async def test_bookmarking_again_changes_nothing(tx: Transaction, viewer: User):
    item, _ = await make_items(tx, "쌀", "김")
    for _ in range(2):
        assert (await items.bookmark_item(tx, viewer.id, item.id)).name == "쌀"
    assert await bookmarks(tx, viewer) == ["쌀"]
    for _ in range(2):
        assert (await items.unbookmark_item(tx, viewer.id, item.id)).name == "쌀"
    assert await bookmarks(tx, viewer) == []


async def test_a_bookmark_is_its_owners_alone(tx: Transaction, viewer: User):
    (item,) = await make_items(tx, "쌀")
    other = await make_user(tx)
    await items.bookmark_item(tx, viewer.id, item.id)
    await items.unbookmark_item(tx, other.id, item.id)
    assert await bookmarks(tx, viewer) == ["쌀"]
    assert await bookmarks(tx, other) == []
    assert await items.bookmarked_among(tx, viewer.id, [item.id, new_id()]) == {item.id}
    assert await items.bookmarked_among(tx, other.id, [item.id]) == set()


async def test_what_does_not_exist_can_not_be_bookmarked(tx: Transaction, viewer: User):
    for verb in (items.bookmark_item, items.unbookmark_item):
        with pytest.raises(NotFound) as refusal:
            await verb(tx, viewer.id, viewer.id)
        assert (refusal.value.kind, refusal.value.id) == ("item", viewer.id)


async def test_bookmarks_come_in_pages_by_name(tx: Transaction, viewer: User):
    for item in await make_items(tx, "쌀", "김", "배추"):
        await items.bookmark_item(tx, viewer.id, item.id)
    first = await items.bookmarked_items(tx, viewer.id, PageOf(2))
    rest = await items.bookmarked_items(tx, viewer.id, PageOf(2, first.cursors[-1]))
    assert [item.name for item in (*first.rows, *rest.rows)] == ["김", "배추", "쌀"]
    assert (first.has_next, rest.has_next) == (True, False)
