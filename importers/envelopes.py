"""What public data comes wrapped in. So far: CSV in UTF-8."""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Column

from importers.runs import ImportFailed, Rejected, SourceRow
from models.errors import InvalidInput
from models.text import cleaned

RAW_SHOWN = 200
"""Characters of a rejected line that are kept to show it."""

R = TypeVar("R", bound=SourceRow)


class Refused(Exception):
    """A line has a value that can't be stored. The message names the field and says why."""


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a file in UTF-8, as they are asked for.

    Raises:
        ImportFailed: No such file, or another encoding.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImportFailed(f"{path} can't be read: {error.strerror}.") from error
    with file:
        for number, line in enumerate(file, 1):
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                raise ImportFailed(
                    f"{path} is not UTF-8: line {number} has a byte that can't be read. Save it as UTF-8."
                ) from error


def parse_csv(
    lines: Iterable[str], columns: Sequence[str], row_of: Callable[[Mapping[str, str]], R]
) -> Iterator[R | Rejected]:
    """Make a row or a reject of each line that isn't blank; further columns than these are ignored.

    `row_of` gets the values by the names of the header, and raises Refused for those it can't take. A record
    is one line: public data has no line breaks within a value, and so a stray quote spoils its own line only.

    Raises:
        ImportFailed: The header is missing or lacks a column.
    """
    numbered = enumerate(lines, 1)
    header = _header(next(numbered, (1, ""))[1], columns)
    first_line: dict[tuple[str, str], int] = {}
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            row = row_of(_values(line, header))
            first = first_line.setdefault((row.source, row.source_id), number)
            if first != number:
                raise Refused(f"{row.source} {row.source_id} is in line {first} already")
        except Refused as refusal:
            yield Rejected(number, str(refusal), line.strip()[:RAW_SHOWN])
        else:
            yield row


def rows_in(lines: Iterable[str]) -> int | None:
    """How many lines follow the header, if that is known without reading them."""
    return max(len(lines) - 1, 0) if isinstance(lines, Sized) else None


def required(values: Mapping[str, str], field: str, column: Column[Any]) -> str:
    """The value of a field, trimmed and composed (NFC), as this text column of a table can hold it.

    Raises:
        Refused: Empty, too long, or with control characters.
    """
    value = optional(values, field, column)
    if value is None:
        raise Refused(f"{field}: missing")
    return value


def optional(values: Mapping[str, str], field: str, column: Column[Any]) -> str | None:
    """The same, but None where there is nothing.

    Raises:
        Refused: Too long, or with control characters.
    """
    at_most = getattr(column.type, "length", None)  # SQLModel's own text type is no subclass of String
    if not isinstance(at_most, int):
        raise TypeError(f"{column} is not a text column with a limit")
    try:
        value = cleaned(field, values[field], at_least=0, at_most=sys.maxsize)
    except InvalidInput as error:
        raise Refused(f"{field}: {error}") from error
    if len(value) > at_most:
        raise Refused(f"{field}: longer than {at_most} characters")
    return value or None


def _header(line: str, columns: Sequence[str]) -> list[str]:
    try:
        header = [name.strip() for name in _split(line.removeprefix("\ufeff"))]
    except Refused as refusal:
        raise ImportFailed(f"The header can't be read: {refusal}.") from refusal
    if missing := [name for name in columns if name not in header]:
        raise ImportFailed(
            f"The header lacks {', '.join(missing)}. The first line must name these columns,"
            f" separated by commas: {', '.join(columns)}."
        )
    if twice := sorted({name for name in columns if header.count(name) > 1}):
        raise ImportFailed(f"The header names {', '.join(twice)} more than once. Each column needs one name.")
    return header


def _values(line: str, header: Sequence[str]) -> dict[str, str]:
    values = _split(line)
    if len(values) != len(header):
        raise Refused(f"{len(values)} columns instead of {len(header)}")
    return dict(zip(header, values, strict=True))


def _split(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise Refused(f"not CSV: {error}") from error
