"""Traditional markets, from the national standard data set (전국전통시장표준데이터)."""

import hashlib
from collections.abc import Mapping

from importers.envelopes import required
from importers.markets import MarketRow
from importers.projection import in_degrees
from importers.runs import Rejected
from importers.source_files import FileSource
from importers.sources import Raw, Unplaced
from models.base import Row, table_of
from models.markets import Market, MarketKind

_MARKET = table_of(Market).c


class TraditionalMarketFile(FileSource):
    """All of them, about 1,400. They have no id: what names a market and where it is makes one."""

    name = "traditional-markets"
    source = "tn_pubr_public_trdit_mrkt"
    target: type[Row] = Market
    columns = ("시장명", "소재지도로명주소", "소재지지번주소", "위도", "경도")

    def key_of(self, values: Mapping[str, str]) -> str:
        """A hash of name and address."""
        name = required(values, "시장명", _MARKET.name)
        return hashlib.sha256(f"{name}|{_address(values)}".encode()).hexdigest()[:16]

    def row_of(self, source_id: str, raw: Raw) -> MarketRow | Rejected:
        """At its road address, or else its lot."""
        values = raw.values
        market = Unplaced(
            raw.shown_line,
            "위도, 경도: missing",
            raw.shown,
            source=self.source,
            source_id=source_id,
            name=required(values, "시장명", _MARKET.name),
            kind=MarketKind.TRADITIONAL_MARKET,
            address=_address(values),
        )
        point = in_degrees(values["위도"], values["경도"])
        return market.at(*point) if point else market


def _address(values: Mapping[str, str]) -> str:
    by = "소재지도로명주소" if values["소재지도로명주소"].strip() else "소재지지번주소"
    # A typing error of the data: the day it is mended must not make another market of each.
    return required(values, by, _MARKET.address).replace("전북특별차치도", "전북특별자치도")
