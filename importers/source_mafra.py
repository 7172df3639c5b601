"""Items from the Ministry of Agriculture's open data (MAFRA)."""

import hashlib
import re
from collections.abc import Mapping

from importers.envelopes import Page, Refused, decode_grid, optional, required
from importers.items import ItemRow
from importers.runs import Rejected
from importers.source_http import PLACE_OF_KEY, PagedSource
from importers.sources import Raw, Retired
from models.base import Row, table_of
from models.items import Item

HOST = "http://211.237.50.150:7080"
SAMPLE_KEY = "sample"
"""Works without registration, for five rows at a time."""

_ITEM = table_of(Item).c
_CODE = re.compile("[0-9]{6}")


class _Grid(PagedSource):
    """One table of MAFRA's. A call can take two minutes on a bad day."""

    grid: str
    target: type[Row] = Item

    def __init__(self, key: str, host: str = HOST, within_s: float = 150) -> None:
        super().__init__(key, host, within_s)
        if key == SAMPLE_KEY:
            self.window = 5

    def url(self, first: int, last: int) -> str:
        """The key is in the path."""
        return f"{self._host}/openapi/{PLACE_OF_KEY}/json/{self.grid}/{first}/{last}"

    def decode(self, status: int, body: bytes) -> Page:
        """Also where XML comes though JSON was asked for."""
        return decode_grid(status, body, self.grid)


class StandardItems(_Grid):
    """The standard codes of products and species, about 2,600. The shipped items are some of them."""

    name = "mafra-items"
    source = "agri_std_code_2015"
    grid = "Grid_20141221000000000120_1"

    def key_of(self, values: Mapping[str, str]) -> str:
        """The code of six digits: names repeat, 59 of them are "기타"."""
        return _six_digits("SPCIES_CD", values["SPCIES_CD"])

    def row_of(self, source_id: str, raw: Raw) -> ItemRow:
        """Product and species are category and name."""
        return _item(self.source, source_id, raw.values, "PRDLST_NM", "SPCIES_NM")


class CurrentItems(_Grid):
    """The codes in use today, with those that are retired."""

    name = "mafra-codes"
    source = "mafra_item_codes_2024"
    grid = "Grid_20240626000000000668_1"

    def key_of(self, values: Mapping[str, str]) -> str:
        """The codes of the three levels, two digits each."""
        parts = [values[field].strip() for field in ("LARGE", "MID", "SMALL")]
        code = "".join(part.zfill(2) for part in parts) if all(parts) else ""
        return _six_digits("LARGE, MID, SMALL", code)

    def row_of(self, source_id: str, raw: Raw) -> ItemRow | Rejected:
        """The middle and the lowest level are category and name."""
        if raw.values["GUBN"].strip() == "N":
            return Retired(raw.shown_line, "GUBN: no longer in use (N)", raw.shown, source_id=source_id)
        return _item(self.source, source_id, raw.values, "MIDNAME", "GOODNAME")


class OriginalItems(_Grid):
    """The grid that the original project imported, of which two fields are known: names alone.

    It was not seen on the wire: for those who must have the original's data. Others take the standard codes.
    """

    name = "mafra-names"
    source = "mafra_auction_names"
    grid = "Grid_20151207000000000328_1"

    def key_of(self, values: Mapping[str, str]) -> str:
        """Category and name, so that a pair which comes again is the same item again."""
        item = _item(self.source, "", values, "STD_PRDLST_NM", "STD_SPCIES_NM")
        digest = hashlib.sha256(f"{item.category}\n{item.name}".encode()).hexdigest()
        return f"name:{digest[:16]}"

    def row_of(self, source_id: str, raw: Raw) -> ItemRow:
        """Product and species are category and name."""
        return _item(self.source, source_id, raw.values, "STD_PRDLST_NM", "STD_SPCIES_NM")


def _item(source: str, source_id: str, values: Mapping[str, str], above: str, below: str) -> ItemRow:
    """The item of two levels of names; where the lower has none, the upper names it."""
    category = required(values, above, _ITEM.category)
    name = optional(values, below, _ITEM.name) or category
    return ItemRow(source=source, source_id=source_id, category=category, name=name, unit=None)


def _six_digits(field: str, text: str) -> str:
    code = text.strip()
    if not code:
        raise Refused(f"{field}: missing")
    # Where a number came instead of text, its zeros are lost.
    if not _CODE.fullmatch(code := code.zfill(6)):
        raise Refused(f"{field}: not a code of six digits")
    return code
