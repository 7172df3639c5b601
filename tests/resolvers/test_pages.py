import base64
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.pages import Key, MalformedCursor, PageOf, cursor_of, paged

ID = UUID("01900000-0000-7000-8000-000000000000")


def cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode()


@given(
    st.floats(0, 2), st.integers(0, 3), st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.uuids()
)
def test_a_cursor_names_the_place_that_it_was_made_for(chord: float, rank: int, name: str, id: UUID):
    key: Key = (chord, rank, name, id)
    assert PageOf(after=cursor_of(key)).key(float, int, str, UUID) == key


def test_without_a_cursor_there_is_no_place_to_go_on_from():
    assert PageOf().key(str, UUID) is None


@pytest.mark.parametrize(
    "after",
    [
        "",
        "garbage",
        "공구",
        "\ud800",
        "x" * 100_000,
        cursor("name"),
        cursor(["name"]),
        cursor(["name", str(ID), 1]),
        cursor(["name", "no uuid"]),
        cursor(["name", 5]),
        cursor(["name", None]),
        cursor(["name", ["a"]]),
        cursor([1, str(ID)]),
        cursor([None, str(ID)]),
        cursor(["NUL \x00", str(ID)]),
        cursor({"name": "a", "id": str(ID)}),
        cursor(5),
        cursor(None),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b"[NaN]").decode(),
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
    ],
)
def test_a_cursor_that_no_list_gave_out_is_malformed(after: str):
    with pytest.raises(MalformedCursor):
        PageOf(after=after).key(str, UUID)


@pytest.mark.parametrize("value", [2**31, -(2**31), 2**63, 1e30, "1", None])
def test_a_number_that_the_database_could_not_compare_is_malformed(value: Any):
    with pytest.raises(MalformedCursor):
        PageOf(after=cursor([value])).key(int)


def test_a_page_knows_from_the_row_too_many_that_more_follows():
    rows, keys = ["a", "b", "c"], [(1,), (2,), (3,)]
    page = paged(rows, keys, PageOf(2))
    assert (page.rows, page.has_next, page.has_previous) == (["a", "b"], True, False)
    assert page.cursors == [cursor_of((1,)), cursor_of((2,))]
    last = paged(rows[2:], keys[2:], PageOf(2, page.cursors[-1]))
    assert (last.rows, last.has_next, last.has_previous) == (["c"], False, True)
