"""Finding names by any part of them, by their initial consonants, or half typed.

The database keeps three lines of each name (migration 0001): the letters (참기름), the initial consonants
(ㅊㄱㄹ) and the flat jamo (ㅊㅏㅁㄱㅣㄹㅡㅁ), and an indexed array of every one and two letters in a row. The
array finds candidates, the line that fits the query decides. No extension and no locale takes part.
"""

import re
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, Table, Text, and_, bindparam, case, func, literal

LONGEST_QUERY = 50

_INITIALS = re.compile(r"[ㄱ-ㅎ\s]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Query:
    """What somebody typed into a search field, ready to be compared with a table's names."""

    def __init__(self, typed: str) -> None:
        typed = _CONTROL.sub(" ", typed).strip()[:LONGEST_QUERY]
        self.is_empty = not typed
        lines = func.search_text(bindparam("typed", typed, Text, unique=True))
        self._letters = func.split_part(lines, "\n", 1)
        self._line = 2 if _INITIALS.fullmatch(typed) else 3
        self._form = func.split_part(lines, "\n", self._line)

    def matches(self, table: Table) -> ColumnElement[bool]:
        """Whether the row's name holds the query: by index first, then letter by letter."""
        grams = func.search_grams(self._form, type_=ARRAY(Text))
        line: ColumnElement[str] = func.split_part(table.c.search_text, "\n", self._line)
        return and_(table.c.search_grams.op("@>")(grams), func.strpos(line, self._form) > 0)

    def rank(self, table: Table) -> ColumnElement[int]:
        """How well the row fits, best first: 0 the whole name, 1 its beginning, 2 a part, 3 by jamo alone."""
        name: Any = func.search_letters(table.c.name)
        return case(
            (name == self._letters, literal(0, Integer)),
            (func.starts_with(name, self._letters), literal(1, Integer)),
            (func.strpos(name, self._letters) > 0, literal(2, Integer)),
            else_=literal(3, Integer),
        )
