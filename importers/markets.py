"""Markets from public data."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from importers.envelopes import Refused, parse_csv, required, rows_in
from importers.runs import Progress, Rejected, SourceRow, Summary, no_progress, run
from models.base import table_of
from models.markets import Market, MarketKind
from models.regions import region_of

MARKETS_CSV = Path(__file__).parent / "data" / "markets.csv"
COLUMNS = ("source", "source_id", "name", "kind", "address", "lat", "lon")

LATITUDES = (33, 39)
LONGITUDES = (124, 132)
"""Korea, in degrees. What lies outside is a mistake of the data."""

KINDS = {
    "전통시장": MarketKind.TRADITIONAL_MARKET,
    "대형마트": MarketKind.LARGE_MART,
    "준대규모점포": MarketKind.SUPERMARKET,
    "백화점": MarketKind.DEPARTMENT_STORE,
    "시장": MarketKind.TRADITIONAL_MARKET,
}

_MARKET = table_of(Market).c
# Stricter than float(), which also reads "1_0", "１" and "nan".
_DEGREES = re.compile(r"[0-9]{1,3}(\.[0-9]{0,20})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRow(SourceRow):
    """A market as its source describes it, with the region that its address names."""

    name: str
    kind: MarketKind
    address: str
    region: str
    latitude: float
    longitude: float


async def import_markets(
    database: AsyncConnection | AsyncSession,
    lines: Iterable[str],
    now: datetime,
    progress: Progress = no_progress,
) -> Summary:
    """Upsert the markets of a CSV in the caller's transaction; all or nothing, and idempotent.

    Raises:
        ImportFailed: The lines are no such CSV.
    """
    return await run(database, Market, parse(lines), now, progress, rows_in(lines))


def parse(lines: Iterable[str]) -> Iterator[MarketRow | Rejected]:
    """Read the lines one by one; never raise for a bad one, never guess.

    Source: UTF-8 CSV with the header `source,source_id,name,kind,address,lat,lon`, in any order; one line
    per market; latitude and longitude in degrees (WGS 84).

    Raises:
        ImportFailed: The header is missing or lacks a column.
    """
    return parse_csv(lines, COLUMNS, _row)


def kind_of(text: str) -> MarketKind:
    """The kind that a source's word stands for; OTHER for a word that isn't known, or none."""
    # 전통시장/상설장, 전통시장/상설장+5일장: the days on which it is held do not matter here.
    word = unicodedata.normalize("NFC", text).partition("/")[0].strip()
    return KINDS.get(word, MarketKind.OTHER)


def _row(values: Mapping[str, str]) -> MarketRow:
    address = required(values, "address", _MARKET.address)
    return MarketRow(
        source=required(values, "source", _MARKET.source),
        source_id=required(values, "source_id", _MARKET.source_id),
        name=required(values, "name", _MARKET.name),
        kind=kind_of(values["kind"]),
        address=address,
        region=region_of(address),
        latitude=_degrees(values, "lat", *LATITUDES),
        longitude=_degrees(values, "lon", *LONGITUDES),
    )


def _degrees(values: Mapping[str, str], field: str, lowest: int, highest: int) -> float:
    text = values[field].strip()
    if not text:
        raise Refused(f"{field}: missing")
    if not _DEGREES.fullmatch(text):
        raise Refused(f"{field}: not a number of degrees")
    if not lowest <= (degrees := float(text)) <= highest:
        raise Refused(f"{field}: {text} is outside {lowest} to {highest}")
    return degrees
