"""Pages of long lists: keyset cursors, never offsets."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson

RowT = TypeVar("RowT")

Key = tuple[Any, ...]
"""Where a row stands in the order of its list: the values it is sorted by, the last one unique."""

LARGEST_PAGE = 100


class MalformedCursor(ValueError):
    """A cursor that this list has not given out."""


@dataclass(frozen=True, slots=True)
class PageOf:
    """Which part of a list is asked for: `first` rows (1 to 100) behind `after`."""

    first: int = 20
    after: str | None = None

    def key(self, *types: type) -> Key | None:
        """The place to go on from, its values checked against the types of the list's order.

        Raises:
            MalformedCursor
        """
        if self.after is None:
            return None
        try:
            values: Any = orjson.loads(base64.urlsafe_b64decode(self.after))
            return tuple(_value(kind, value) for kind, value in zip(types, values, strict=True))
        except (binascii.Error, ValueError, TypeError) as problem:
            raise MalformedCursor("This cursor was not given out by this list.") from problem


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """A part of a list, in its order, each row with its cursor."""

    rows: Sequence[RowT]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


def paged(rows: Sequence[RowT], keys: Sequence[Key], page: PageOf) -> Page[RowT]:
    """Make a page from up to `first + 1` rows: the one too many tells that there are more."""
    return Page(
        rows[: page.first],
        [cursor_of(key) for key in keys[: page.first]],
        has_next=len(rows) > page.first,
        has_previous=page.after is not None,
    )


def cursor_of(key: Key) -> str:
    """The opaque text that stands for a place in a list."""
    return base64.urlsafe_b64encode(orjson.dumps(key, default=str)).decode()


def _value(kind: type, value: Any) -> Any:
    if kind is UUID:
        return UUID(str(value))
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(value)
    # What no list has given out because PostgreSQL can't carry it: a long integer, a text with NUL.
    if (isinstance(value, int) and abs(value) >= 2**31) or (isinstance(value, str) and "\x00" in value):
        raise ValueError(value)
    return value
