"""What public data comes wrapped in: three grammars of JSON and XML, and CSV in UTF-8 or CP949.

Decoding is pure: the status and the bytes of an answer in, a page of rows or a SourceError out.
"""

import csv
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast
from xml.etree import ElementTree

import orjson
from sqlalchemy import Column

from importers.runs import ImportFailed, Rejected, SourceRow
from models.errors import InvalidInput
from models.text import cleaned

RAW_SHOWN = 200
"""Characters of a rejected line that are kept to show it."""

WORDS_SHOWN = 200
"""Characters of a source's own words that are kept."""

R = TypeVar("R", bound=SourceRow)


class Refused(Exception):
    """A line has a value that can't be stored. The message names the field and says why."""


@dataclass(eq=False)
class SourceError(Exception):
    """A source gave no rows. The code and the words are its own; the key is not in them."""

    code: str
    words: str
    fact: ClassVar[str] = "The source gave nothing"
    #: Whether asking again, later, may help.
    is_retryable: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"{self.fact} ({self.code}): {self.words}"


class NoData(SourceError):
    """The source has no such rows, and says so."""

    fact: ClassVar[str] = "There is no data"


class BadKey(SourceError):
    """The key is missing, wrong, expired, or not for this service."""

    fact: ClassVar[str] = "The key was refused"


class QuotaExceeded(SourceError):
    """The key's calls for today are used up."""

    fact: ClassVar[str] = "No calls are left for today"


class BadRequest(SourceError):
    """The source does not understand what it was asked: a mistake of ours, or it has changed."""

    fact: ClassVar[str] = "The request was refused"


class UpstreamFailed(SourceError):
    """The source, or the way to it, is broken at the moment."""

    fact: ClassVar[str] = "The source failed"
    is_retryable: ClassVar[bool] = True


class Values(dict[str, str]):
    """A row as text by field. What a source left out is empty: XML and JSON omit what they have not."""

    def __missing__(self, field: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and how many there are in all by the source's own count."""

    total: int
    rows: Sequence[Values]


_BAD_REQUESTS = (300, 301, 310, 331, 332, 333, 334, 335, 336, 340, 341, 342)
_GRID_ERRORS: dict[str, type[SourceError]] = {
    "INFO-100": BadKey,
    "INFO-200": NoData,
    "INFO-300": QuotaExceeded,
    "INFO-400": BadKey,
    **dict.fromkeys((f"ERROR-{number}" for number in _BAD_REQUESTS), BadRequest),
    "ERROR-350": QuotaExceeded,
}
_GATEWAY_ERRORS: dict[str, type[SourceError]] = {
    "03": NoData,
    **dict.fromkeys(("10", "11", "12"), BadRequest),
    **dict.fromkeys(("20", "21", "30", "31", "32", "33"), BadKey),
    "22": QuotaExceeded,
}
"""What is in neither is a failure: better asked again in vain than given up, or taken for an answer."""

_DEEPEST = 8
_TOTAL = re.compile("[0-9]{1,9}")
_TAG = re.compile("<[^>]*>")
_DECLARATION = re.compile(rb"<!(?!\[CDATA\[|--)")


def decode_grid(status: int, body: bytes, name: str) -> Page:
    """A page of MAFRA's, Seoul's or food safety's, which differ in their words only.

    `name` is the grid or service; errors come without it. It may be XML or HTML though JSON was asked.

    Raises:
        SourceError
    """
    document = _document(status, body)
    envelope = _mapping(document.get(name)) or document
    result = {key.lower(): value for key, value in _mapping(_any_of(envelope, "result", "RESULT")).items()}
    code = _text(result.get("code"))
    words = _in_short(_text(_any_of(result, "message", "msg")))
    if code and code != "INFO-000":
        raise _GRID_ERRORS.get(code, UpstreamFailed)(code, words)
    if not code or status != 200:
        raise failure_of(status, body)
    rows = _rows(envelope.get("row"))
    return _page(_any_of(envelope, "totalCnt", "list_total_count", "total_count"), rows, code, words)


def decode_gateway(status: int, body: bytes, *, is_paged: bool = True) -> Page:
    """A page of data.go.kr: the gateway's errors, the service's errors, or rows; JSON or XML.

    A service that is not paged answers with everything and no total.

    Raises:
        SourceError
    """
    document = _document(status, body)
    refusal = _mapping(_mapping(document.get("OpenAPI_ServiceResponse", document)).get("cmmMsgHeader"))
    response = _mapping(document.get("response")) or document
    result = _mapping(response.get("result"))
    header = _mapping(response.get("header")) or {**response, **result}
    code = _text(_any_of(refusal, "returnReasonCode") or _any_of(header, "resultCode"))
    words = _in_short(
        _text(_any_of(refusal, "returnAuthMsg", "errMsg") or _any_of(header, "resultMsg", "resultMessage"))
    )
    if code.strip("0"):  # 00 is success, and to one service 0
        raise _GATEWAY_ERRORS.get(code.zfill(2), UpstreamFailed)(code, words)
    if not code or status != 200:
        raise failure_of(status, body)
    inner = _mapping(response.get("body"))
    rows = _rows(inner.get("items")) if inner else _rows_within(result)
    return _page(inner.get("totalCount") if is_paged else len(rows), rows, code, words)


def _page(total: Any, rows: Sequence[Values], code: str, words: str) -> Page:
    digits = _text(total)
    if not _TOTAL.fullmatch(digits):
        raise UpstreamFailed("total", f"The answer has no number of rows: {_in_short(digits)!r}.")
    if int(digits) < len(rows):
        raise UpstreamFailed("total", f"{len(rows):,} rows came of {int(digits):,} in all.")
    if int(digits) == 0:
        raise NoData(code, words)
    return Page(int(digits), rows)


def _document(status: int, body: bytes) -> dict[str, Any]:
    """The answer as nested mappings, lists and text, whichever of JSON and XML it is in."""
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    document = _json(text) if text.startswith((b"{", b"[")) else _xml(text)
    if not isinstance(document, dict):
        raise failure_of(status, body)
    return cast(dict[str, Any], document)


def _json(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _xml(text: bytes) -> object:
    # Public data declares no entities: what does is HTML, or an attack.
    if _DECLARATION.search(text):
        return None
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - without a DTD there is nothing to expand
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    return {_name(root): _tree(root, 0)}


def _tree(element: ElementTree.Element, depth: int) -> Any:
    """Text where there are no children, else what they are by name; a list of those that share one."""
    if depth == _DEEPEST or not len(element):
        return (element.text or "").strip()
    tree: dict[str, Any] = {}
    for child in element:
        tree.setdefault(_name(child), []).append(_tree(child, depth + 1))
    return {name: found[0] if len(found) == 1 else found for name, found in tree.items()}


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def failure_of(status: int, body: bytes) -> SourceError:
    """What an answer in none of the grammars means: a proxy's page, an alert in HTML, half a text."""
    words = _in_short(_TAG.sub(" ", body[: 20 * WORDS_SHOWN].decode(errors="replace")))
    if status in {401, 403} or (status < 500 and "인증키" in words):
        return BadKey(f"HTTP {status}", words)
    if 400 <= status < 500 and status not in {408, 429}:
        return BadRequest(f"HTTP {status}", words)
    return UpstreamFailed(f"HTTP {status}", words or "The answer is empty.")


def _rows(value: Any) -> list[Values]:
    """The rows of what may be a list, one row alone, {"item": of either}, or "" for none."""
    if isinstance(value, list):
        return [_row_values(row) for row in cast(list[Any], value)]
    mapping = _mapping(value)
    if "item" in mapping:
        return _rows(mapping["item"])
    return [_row_values(mapping)] if mapping else []


def _rows_within(result: Mapping[str, Any]) -> list[Values]:
    """The rows of an element that also has other things in it. Their name has a package in front, or none."""
    return [row for value in result.values() if isinstance(value, list | dict) for row in _rows(value)]


def _row_values(row: Any) -> Values:
    return Values((field, _text(value)) for field, value in _mapping(row).items())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _mapping(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _any_of(mapping: Mapping[str, Any], *names: str) -> Any:
    return next((mapping[name] for name in names if name in mapping), None)


def _in_short(text: str) -> str:
    return " ".join(text.split())[:WORDS_SHOWN]


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
    header = read_header(next(numbered, (1, ""))[1], columns)
    first_line: dict[tuple[str, str], int] = {}
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            row = row_of(read_values(line, header))
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
    at_most = _limit(column)
    value = values[field].strip()
    # Nearly all is fit to be stored as it is, and telling so takes a tenth of the time.
    if not (value.isprintable() and unicodedata.is_normalized("NFC", value)):
        try:
            value = cleaned(field, value, at_least=0, at_most=sys.maxsize)
        except InvalidInput as error:
            raise Refused(f"{field}: {error}") from error
    if len(value) > at_most:
        raise Refused(f"{field}: longer than {at_most} characters")
    return value or None


@cache
def _limit(column: Column[Any]) -> int:
    at_most = getattr(column.type, "length", None)  # SQLModel's own text type is no subclass of String
    if not isinstance(at_most, int):
        raise TypeError(f"{column} is not a text column with a limit")
    return at_most


def read_header(line: str, columns: Sequence[str], also: Mapping[str, str] | None = None) -> list[str]:
    """The names in a header; `also` has other names that some of them go by.

    Raises:
        ImportFailed: It lacks one of these columns, or has it twice.
    """
    try:
        names = [name.strip() for name in _split(line.removeprefix("\ufeff"))]
    except Refused as refusal:
        raise ImportFailed(f"The header can't be read: {refusal}.") from refusal
    header = [(also or {}).get(name, name) for name in names]
    if missing := [name for name in columns if name not in header]:
        raise ImportFailed(
            f"The header lacks {', '.join(missing)}. The first line must name these columns,"
            f" separated by commas: {', '.join(columns)}."
        )
    if twice := sorted({name for name in columns if header.count(name) > 1}):
        raise ImportFailed(f"The header names {', '.join(twice)} more than once. Each column needs one name.")
    return header


def read_values(line: str, header: Sequence[str]) -> Values:
    """The values of a line by the names of the header.

    Raises:
        Refused: It has more or fewer, or is no CSV.
    """
    values = _split(line)
    if len(values) != len(header):
        raise Refused(f"{len(values)} columns instead of {len(header)}")
    return Values(zip(header, values, strict=True))


def _split(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise Refused(f"not CSV: {error}") from error
