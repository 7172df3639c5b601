"""Large stores: marts, department stores and markets that need a licence (LOCALDATA 082501).

Three ways to the same register: Seoul's open data, data.go.kr, and the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

import httpx

from importers.envelopes import Page, decode_gateway, decode_grid, required
from importers.markets import MarketRow, kind_of
from importers.projection import from_central_belt
from importers.runs import Rejected
from importers.source_files import FileSource
from importers.source_http import PLACE_OF_KEY, PagedSource, exactly
from importers.sources import Raw, Retired, RowSource, Unplaced
from models.base import Row, table_of
from models.markets import Market, MarketKind

SEOUL = "http://openapi.seoul.go.kr:8088"
DATA_GO_KR = "https://apis.data.go.kr"

SEOUL_SERVICE = "LOCALDATA_082501"

OPEN = "01"

_MARKET = table_of(Market).c


@dataclass(frozen=True, slots=True)
class _Fields:
    """What the register's fields are called."""

    office: str
    number: str
    state: str
    name: str
    road: str
    lot: str
    x: str
    y: str
    business: str
    size: str


_SEOUL_FIELDS = _Fields(
    "OPNSFTEAMCODE",
    "MGTNO",
    "TRDSTATEGBN",
    "BPLCNM",
    "RDNWHLADDR",
    "SITEWHLADDR",
    "X",
    "Y",
    "UPTAENM",
    "JPSENM",
)
_GATEWAY_FIELDS = _Fields(
    "OPN_ATMY_GRP_CD",
    "MNG_NO",
    "SALS_STTS_CD",
    "BPLC_NM",
    "ROAD_NM_ADDR",
    "LOTNO_ADDR",
    "CRD_INFO_X",
    "CRD_INFO_Y",
    "BZSTAT_SE_NM",
    "STOR_SE_NM",
)
_FILE_FIELDS = _Fields(
    "개방자치단체코드",
    "관리번호",
    "영업상태코드",
    "사업장명",
    "도로명주소",
    "지번주소",
    "좌표정보(X)",
    "좌표정보(Y)",
    "업태구분명",
    "점포구분명",
)


class _Register(RowSource):
    """The register, whoever offers it."""

    target: type[Row] = Market
    fields: _Fields

    def key_of(self, values: Mapping[str, str]) -> str:
        """The licensing office and its number; the number alone where the office is left out."""
        office = values[self.fields.office].strip()
        number = required(values, self.fields.number, _MARKET.source_id)
        key = f"{office}:{number}" if office else number
        return required({self.fields.number: key}, self.fields.number, _MARKET.source_id)

    def row_of(self, source_id: str, raw: Raw) -> MarketRow | Rejected:
        """At its road address, or else its lot; retired unless it is open."""
        fields, values = self.fields, raw.values
        state = required(values, fields.state, _MARKET.name)
        if state.zfill(2) != OPEN:
            reason = f"{fields.state}: not open ({state})"
            return Retired(raw.shown_line, reason, raw.shown, source_id=source_id)
        by = fields.road if values[fields.road].strip() else fields.lot
        market = Unplaced(
            raw.shown_line,
            f"{fields.x}, {fields.y}: missing",
            raw.shown,
            source=self.source,
            source_id=source_id,
            name=required(values, fields.name, _MARKET.name),
            kind=_kind(values[fields.business], values[fields.size]),
            address=required(values, by, _MARKET.address),
        )
        point = from_central_belt(values[fields.x], values[fields.y])
        return market.at(*point) if point else market


class SeoulStores(_Register, PagedSource):
    """Those in Seoul. They are in the whole country's register too, under the same number: another source."""

    name = "seoul-stores"
    source = "seoul_LOCALDATA_082501"
    fields = _SEOUL_FIELDS

    def __init__(self, key: str, host: str = SEOUL, within_s: float = 60) -> None:
        super().__init__(key, host, within_s)

    def url(self, first: int, last: int) -> str:
        """The key is in the path."""
        return f"{self._host}/{PLACE_OF_KEY}/json/{SEOUL_SERVICE}/{first}/{last}/"

    def decode(self, status: int, body: bytes) -> Page:
        """Also where XML comes though JSON was asked for."""
        return decode_grid(status, body, SEOUL_SERVICE)


class LargeStores(_Register, PagedSource):
    """Those in the whole country that are open, by pages of 100."""

    name = "large-stores"
    source = "LOCALDATA_082501"
    window = 100
    fields = _GATEWAY_FIELDS

    def __init__(self, key: str, host: str = DATA_GO_KR, within_s: float = 60) -> None:
        super().__init__(key, host, within_s)

    async def fetch(self, client: httpx.AsyncClient, first: int, last: int) -> Sequence[Raw]:
        """A page has 100 rows; of the last one there may be fewer."""
        rows = (await self._page(client, first, last)).rows
        return exactly(rows[: last - first + 1], first, last)

    def url(self, first: int, last: int) -> str:
        """By the page that begins with the first row."""
        only_open = f"{quote('cond[SALS_STTS_CD::EQ]')}={OPEN}"
        return (
            f"{self._host}/1741000/large_scale_retail_stores/info?serviceKey={PLACE_OF_KEY}"
            f"&pageNo={1 + (first - 1) // self.window}&numOfRows={self.window}&returnType=json&{only_open}"
        )

    def decode(self, status: int, body: bytes) -> Page:
        """With the gateway's errors, which come in XML."""
        return decode_gateway(status, body)


class LargeStoreFile(_Register, FileSource):
    """Those in the whole country, the closed ones included, as the file that LOCALDATA offers."""

    name = "large-stores-file"
    source = "LOCALDATA_082501"
    fields = _FILE_FIELDS
    columns = ("관리번호", "영업상태코드", "사업장명", "도로명주소", "좌표정보(X)", "좌표정보(Y)")
    other_names = MappingProxyType(
        {
            "영업상태구분코드": "영업상태코드",
            "도로명전체주소": "도로명주소",
            "소재지전체주소": "지번주소",
            "좌표정보(x)": "좌표정보(X)",
            "좌표정보(y)": "좌표정보(Y)",
        }
    )


def _kind(business: str, size: str) -> MarketKind:
    """By the size where that says 준대규모점포, a supermarket of a chain; else by the business."""
    by_size = kind_of(size)
    return by_size if by_size is not MarketKind.OTHER else kind_of(business)
