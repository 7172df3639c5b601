"""What a public data set must offer to be imported.

The pipeline asks for the total, fetches windows of rows and parses them; it knows nothing else of a source.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx
import orjson

from importers.envelopes import RAW_SHOWN, Refused
from importers.items import ItemRow
from importers.markets import MarketRow
from importers.runs import Rejected
from models.base import Row
from models.markets import MarketKind
from models.regions import region_of


@dataclass(frozen=True, slots=True)
class Raw:
    """A row as it came, with its values as text (25, not 25.0; null is "")."""

    #: Its place in the source, from 1 to the total.
    line: int
    values: Mapping[str, str]
    #: In a file, its line as an editor counts, and what the line is.
    line_in_file: int | None = None
    text: str = ""
    #: Why it has no values.
    flaw: str | None = None

    @property
    def shown_line(self) -> int:
        """Where a person finds it."""
        return self.line_in_file or self.line

    @property
    def shown(self) -> str:
        """The beginning of the row, for people."""
        return (self.text or orjson.dumps(self.values).decode())[:RAW_SHOWN]


@dataclass(frozen=True, slots=True)
class Retired(Rejected):
    """A row that its own source calls closed or no longer in use: no mistake, and not to be stored."""


@dataclass(frozen=True, slots=True)
class Unplaced(Rejected):
    """A market that has an address but no coordinates: rejected, unless somebody finds its place."""

    source: str = field(kw_only=True)
    source_id: str = field(default="", kw_only=True)
    name: str = field(kw_only=True)
    kind: MarketKind = field(kw_only=True)
    address: str = field(kw_only=True)

    def at(self, latitude: float, longitude: float) -> MarketRow:
        """The market, placed. In degrees."""
        return MarketRow(
            source=self.source,
            source_id=self.source_id,
            name=self.name,
            kind=self.kind,
            address=self.address,
            region=region_of(self.address),
            latitude=latitude,
            longitude=longitude,
        )


class Source(Protocol):
    """One public data set."""

    #: As the command line and startImport know it.
    name: str
    #: What its rows carry in the column `source`. A complete run answers for all rows of it.
    source: str
    #: The table its rows belong to.
    target: type[Row]
    #: Rows per call. Windows begin at 1, 1 + window, 1 + 2 · window, …
    window: int = 1_000
    #: Calls at once.
    at_once: int = 8

    async def total(self, client: httpx.AsyncClient) -> int:
        """How many rows there are, at least 1. Asks the source anew.

        Raises:
            SourceError: No data, among others: nothing is not a total.
            ImportFailed: A file that is another one.
        """
        ...

    async def fetch(self, client: httpx.AsyncClient, first: int, last: int) -> Sequence[Raw]:
        """The rows from first to last, both included, counted from 1; exactly as many, in this order.

        `last` is never beyond the total. An answer with fewer rows is a failure, whatever total it claims.

        Raises:
            SourceError
        """
        ...

    def parse(self, raws: Iterable[Raw]) -> Iterator[ItemRow | MarketRow | Rejected]:
        """Make one row or reject of each raw row, in order; never raise for a bad one, never guess.

        A key may come twice, in one window or in two: that is for the caller to find, who sees them all.
        """
        ...


class RowSource(Source):
    """A source whose rows are made one by one."""

    def parse(self, raws: Iterable[Raw]) -> Iterator[ItemRow | MarketRow | Rejected]:
        """One row or reject of each. A reject says which row it is, where at least that can be read."""
        for raw in raws:
            source_id: str | None = None
            try:
                if raw.flaw is not None:
                    raise Refused(raw.flaw)
                source_id = self.key_of(raw.values)
                yield self.row_of(source_id, raw)
            except Refused as refusal:
                yield Rejected(raw.shown_line, str(refusal), raw.shown, source_id=source_id)

    def key_of(self, values: Mapping[str, str]) -> str:
        """The source's own id of a row.

        Raises:
            Refused
        """
        raise NotImplementedError

    def row_of(self, source_id: str, raw: Raw) -> ItemRow | MarketRow | Rejected:
        """What a row is.

        Raises:
            Refused
        """
        raise NotImplementedError
