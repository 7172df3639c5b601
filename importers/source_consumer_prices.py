"""Goods and stores of 참가격, the price survey of the Korea Consumer Agency."""

from collections.abc import Mapping, Sequence
from functools import partial

import httpx

from importers.envelopes import Values, decode_gateway, optional, required
from importers.items import ItemRow
from importers.markets import MarketRow
from importers.projection import in_degrees
from importers.runs import Rejected
from importers.source_http import PLACE_OF_KEY, Key, exactly, page_of
from importers.sources import Raw, RowSource, Unplaced
from models.base import Row, table_of
from models.items import Item
from models.markets import Market, MarketKind

HOST = "https://apis.data.go.kr"

KINDS = {
    "LM": MarketKind.LARGE_MART,
    "SM": MarketKind.SUPERMARKET,
    "DP": MarketKind.DEPARTMENT_STORE,
    "CS": MarketKind.CONVENIENCE_STORE,
}

_ITEM = table_of(Item).c
_MARKET = table_of(Market).c


class _Survey(RowSource):
    """A service that is not paged: each call brings everything, about 600 rows. 2,000 calls a day."""

    at_once = 1
    operation: str

    def __init__(self, key: str, host: str = HOST, within_s: float = 60) -> None:
        self._key = Key(key)
        self._base = f"{host.rstrip('/')}/B551919/ProductPriceInfoService"
        self._within_s = within_s

    async def total(self, client: httpx.AsyncClient) -> int:
        """There is no count: everything is fetched and counted."""
        return len(await self._all(client, self.operation))

    async def fetch(self, client: httpx.AsyncClient, first: int, last: int) -> Sequence[Raw]:
        """Some of everything."""
        return exactly((await self._all(client, self.operation))[first - 1 : last], first, last)

    async def _all(self, client: httpx.AsyncClient, operation: str, query: str = "") -> Sequence[Values]:
        url = f"{self._base}/{operation}.do?serviceKey={PLACE_OF_KEY}{query}"
        decode = partial(decode_gateway, is_paged=False)
        return (await page_of(client, url, decode, self._key, within_s=self._within_s)).rows


class ConsumerGoods(_Survey):
    """The goods whose prices are surveyed, about 600, with category and unit from the tables of codes."""

    name = "consumer-goods"
    source = "price_go_kr_getProductInfoSvc"
    target: type[Row] = Item
    operation = "getProductInfoSvc"

    async def fetch(self, client: httpx.AsyncClient, first: int, last: int) -> Sequence[Raw]:
        """Some of everything, with what their codes mean."""
        raws = await super().fetch(client, first, last)
        categories = await self._names(client, "AL")
        units = await self._names(client, "UT")
        return [
            Raw(
                raw.line,
                Values(
                    {
                        **raw.values,
                        "category": categories.get(raw.values["goodSmlclsCode"].strip(), ""),
                        "measure": units.get(raw.values["goodTotalDivCode"].strip(), ""),
                    }
                ),
            )
            for raw in raws
        ]

    def key_of(self, values: Mapping[str, str]) -> str:
        """The survey's number of the goods."""
        return required(values, "goodId", _ITEM.source_id)

    def row_of(self, source_id: str, raw: Raw) -> ItemRow:
        """The amount and its measure are the unit: "500" and "g". Half of it says nothing."""
        count, measure = raw.values["goodTotalCnt"].strip(), raw.values["measure"]
        return ItemRow(
            source=self.source,
            source_id=source_id,
            category=required(raw.values, "category", _ITEM.category),
            name=required(raw.values, "goodName", _ITEM.name),
            unit=optional({"unit": count + measure}, "unit", _ITEM.unit) if count and measure else None,
        )

    async def _names(self, client: httpx.AsyncClient, table: str) -> Mapping[str, str]:
        rows = await self._all(client, "getStandardInfoSvc", f"&classCode={table}")
        return {row["code"].strip(): row["codeName"].strip() for row in rows}


class ConsumerStores(_Survey):
    """The stores that are surveyed, about 630 in the whole country."""

    name = "consumer-stores"
    source = "price_go_kr_getStoreInfoSvc"
    target: type[Row] = Market
    operation = "getStoreInfoSvc"

    def key_of(self, values: Mapping[str, str]) -> str:
        """The survey's number of the store."""
        return required(values, "entpId", _MARKET.source_id)

    def row_of(self, source_id: str, raw: Raw) -> MarketRow | Rejected:
        """At its road address, or else its lot."""
        values = raw.values
        road = f"{values['roadAddrBasic'].strip()} {values['roadAddrDetail'].strip()}".strip()
        lot = f"{values['plmkAddrBasic'].strip()} {values['plmkAddrDetail'].strip()}".strip()
        market = Unplaced(
            raw.shown_line,
            "xMapCoord, yMapCoord: missing",
            raw.shown,
            source=self.source,
            source_id=source_id,
            name=required(values, "entpName", _MARKET.name),
            kind=KINDS.get(values["entpTypeCode"].strip(), MarketKind.OTHER),
            address=required({"address": road or lot}, "address", _MARKET.address),
        )
        # Not a slip: their x is the latitude.
        point = in_degrees(values["xMapCoord"], values["yMapCoord"])
        return market.at(*point) if point else market
