import pytest
from sqlalchemy import select

from models.base import table_of
from models.items import Item
from resolvers.search import LONGEST_QUERY, Query
from resolvers.transaction import Transaction
from tests.factories import make_item

NAMES = [
    "참기름",
    "들기름",
    "현미 찹쌀",
    "A4 복사지 500매",
    "닭가슴살",
    "고사리(건)",
    "100% 사과즙",
    "쌀_20kg",
]


async def found(tx: Transaction, typed: str) -> list[str]:
    """The names that a search finds, best first."""
    item = table_of(Item)
    query = Query(typed)
    statement = select(item.c.name).where(query.matches(item)).order_by(query.rank(item), item.c.name)
    return list(await tx.session.scalars(statement))


@pytest.fixture
async def names(tx: Transaction) -> list[str]:
    for name in NAMES:
        await make_item(tx, name=name, category="식품")
    return NAMES


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("참기름", ["참기름"]),
        ("기름", ["들기름", "참기름"]),
        ("참 기름", ["참기름"]),
        (" 참기름 ", ["참기름"]),
        ("참길", ["참기름"]),  # 참기ㄹ on the way to 참기름
        ("참ㄱ", ["참기름"]),
        ("ㅊㄱㄹ", ["참기름"]),
        ("ㄱㄹ", ["들기름", "참기름"]),
        ("ㅎㅁ ㅊㅆ", ["현미 찹쌀"]),
        ("현미찹쌀", ["현미 찹쌀"]),
        ("달", ["닭가슴살"]),  # half of 닭
        ("ㄳㄹ", ["고사리(건)"]),  # a keyboard has joined ㄱ and ㅅ
        ("A4", ["A4 복사지 500매"]),
        ("a4", ["A4 복사지 500매"]),
        ("a4복사지", ["A4 복사지 500매"]),
        ("500", ["A4 복사지 500매"]),
        ("00%", ["100% 사과즙"]),
        ("기%", []),
        ("쌀_", ["쌀_20kg"]),
        ("찹_", []),
        ("\\", []),
        ("' OR true --", []),
        ("름기", []),
        ("컴퓨터", []),
    ],
)
@pytest.mark.usefixtures("names")
async def test_what_is_typed_finds_what_is_meant(tx: Transaction, typed: str, expected: list[str]):
    assert await found(tx, typed) == expected


async def test_every_part_of_every_name_finds_it(tx: Transaction, names: list[str]):
    for name in names:
        for start in range(len(name)):
            for end in range(start + 1, len(name) + 1):
                typed = name[start:end]
                if not Query(typed).is_empty:
                    assert name in await found(tx, typed), typed


@pytest.mark.usefixtures("names")
async def test_the_category_is_found_too(tx: Transaction):
    await make_item(tx, name="두루마리 휴지", category="생활용품")
    assert await found(tx, "생활") == ["두루마리 휴지"]
    assert await found(tx, "ㅅㅎㅇㅍ") == ["두루마리 휴지"]


async def test_the_best_match_comes_first(tx: Transaction):
    for name in ("김장 배추김치", "김치", "김치만두", "깁치"):
        await make_item(tx, name=name, category="식품")
    await make_item(tx, name="시래기", category="김치")
    # The whole name, its beginning, a part of it, and last what is found by its category alone.
    assert await found(tx, "김치") == ["김치", "김치만두", "김장 배추김치", "시래기"]


@pytest.mark.parametrize("typed", ["", " ", "\t\n", "\x00", "\x00\x1f\x7f", "\u3000"])
def test_nothing_typed_is_no_search(typed: str):
    assert Query(typed).is_empty


@pytest.mark.parametrize(
    "typed",
    [
        "참기\x00름",
        "\x00참기름",
        "참" * 1000,
        "%" * 1000,
        "_",
        "😀",
        "\u200b",
        "ㅏ",
        "참\u0301",
        "{}",
        "\\n",
        "İ",
    ],
)
@pytest.mark.usefixtures("names")
async def test_odd_input_is_harmless(tx: Transaction, typed: str):
    assert set(await found(tx, typed)) <= set(NAMES)


@pytest.mark.usefixtures("names")
async def test_only_the_first_letters_of_a_long_text_count(tx: Transaction):
    await make_item(tx, name="가" * LONGEST_QUERY, category="식품")
    assert await found(tx, "가" * LONGEST_QUERY + "나" * 950) == ["가" * LONGEST_QUERY]
