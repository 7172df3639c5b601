import pytest

from importers.envelopes import BadKey, NoData, QuotaExceeded, SourceError, UpstreamFailed
from importers.items import ItemRow
from importers.markets import MarketRow
from importers.runs import Rejected
from importers.source_consumer_prices import ConsumerGoods, ConsumerStores
from importers.sources import Unplaced
from models.markets import MarketKind
from tests.simulators import faults, tables
from tests.simulators.app import KEY, Simulator
from tests.simulators.asking import asking, fetched, read
from tests.simulators.faults import Fault
from tests.simulators.tables import Row, Table

STORES = "getStoreInfoSvc.do"
GOODS = "getProductInfoSvc.do"


def store(**changed: str) -> Row:
    return {
        "entpId": "100",
        "entpName": "현대백화점미아점",
        "entpTypeCode": "DP",
        "roadAddrBasic": "서울특별시 성북구 동소문로",
        "roadAddrDetail": "315",
        "plmkAddrBasic": "서울 성북구 길음동",
        "plmkAddrDetail": "20-1",
        "xMapCoord": "37.6083",
        "yMapCoord": "127.0287",
    } | changed


async def stores_of(*rows: Row, **changed: object) -> list[ItemRow | MarketRow | Rejected]:
    simulator = Simulator()
    for name, value in changed.items():
        setattr(simulator, name, value)
    simulator.survey[STORES] = Table.of(rows)
    async with asking(simulator) as client:
        return await read(ConsumerStores(KEY, simulator.url), client)


async def test_the_x_of_a_store_is_its_latitude():
    assert await stores_of(store()) == [
        MarketRow(
            source="price_go_kr_getStoreInfoSvc",
            source_id="100",
            name="현대백화점미아점",
            kind=MarketKind.DEPARTMENT_STORE,
            address="서울특별시 성북구 동소문로 315",
            region="서울 성북구",
            latitude=37.6083,
            longitude=127.0287,
        )
    ]


async def test_a_store_whose_coordinates_are_the_other_way_round_is_rejected_not_turned():
    [row] = await stores_of(store(xMapCoord="127.0287", yMapCoord="37.6083"))
    assert isinstance(row, Rejected)
    assert (row.reason, row.source_id) == ("coordinates: 127.029, 37.6083 is outside Korea", "100")


async def test_all_stores_come_at_once_and_are_counted_by_hand():
    simulator = Simulator()
    async with asking(simulator) as client:
        raws = await fetched(ConsumerStores(KEY, simulator.url), client)
    assert [raw.line for raw in raws] == list(range(1, 631))
    assert len(simulator.calls) == 2


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("LM", MarketKind.LARGE_MART),
        ("SM", MarketKind.SUPERMARKET),
        ("DP", MarketKind.DEPARTMENT_STORE),
        ("CS", MarketKind.CONVENIENCE_STORE),
        ("TR", MarketKind.OTHER),
        ("", MarketKind.OTHER),
    ],
)
async def test_the_code_says_the_kind_of_a_store(code: str, kind: MarketKind):
    [row] = await stores_of(store(entpTypeCode=code))
    assert isinstance(row, MarketRow)
    assert row.kind is kind


async def test_a_store_without_a_road_is_at_its_lot_and_without_both_is_rejected():
    nowhere = {"roadAddrBasic": "", "roadAddrDetail": ""}
    lot, bad = await stores_of(
        store(**nowhere), store(entpId="2", plmkAddrBasic="", plmkAddrDetail=" ", **nowhere)
    )
    assert isinstance(lot, MarketRow)
    assert (lot.address, lot.region) == ("서울 성북구 길음동 20-1", "서울 성북구")
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.source_id) == ("address: missing", "2")


async def test_a_store_without_coordinates_waits_for_a_place():
    [row] = await stores_of(store(xMapCoord="", yMapCoord=""))
    assert isinstance(row, Unplaced)
    assert (row.reason, row.source_id) == ("xMapCoord, yMapCoord: missing", "100")
    assert [row.at(37.6083, 127.0287)] == await stores_of(store())


@pytest.mark.parametrize("count", [1, 2])
async def test_one_store_and_an_answer_without_a_header_are_read_too(count: int):
    rows = [store(entpId=str(number)) for number in range(count)]
    assert len(await stores_of(*rows, is_wrapped=count == 1)) == count


async def test_goods_have_their_category_and_unit_from_the_tables_of_codes():
    simulator = Simulator()
    rows = [
        {"goodId": "1", "goodName": "두부", "goodSmlclsCode": "030101001"}
        | {"goodTotalCnt": "500", "goodTotalDivCode": "G"},
        {"goodId": "2", "goodName": "신라면(5개입)", "goodSmlclsCode": "030100000", "goodTotalCnt": "5"},
        {"goodId": "3", "goodName": "무엇", "goodSmlclsCode": "999"},
        {"goodId": "", "goodName": "무엇", "goodSmlclsCode": "030101001"},
    ]
    simulator.survey[GOODS] = Table.of(rows)
    async with asking(simulator) as client:
        tofu, noodles, unclassed, nameless = await read(ConsumerGoods(KEY, simulator.url), client)
    source = "price_go_kr_getProductInfoSvc"
    assert tofu == ItemRow(source=source, source_id="1", category="두부", name="두부", unit="500g")
    assert noodles == ItemRow(
        source=source, source_id="2", category="가공식품", name="신라면(5개입)", unit=None
    )
    assert isinstance(unclassed, Rejected)
    assert (unclassed.reason, unclassed.source_id) == ("category: missing", "3")
    assert isinstance(nameless, Rejected)
    assert (nameless.reason, nameless.source_id) == ("goodId: missing", None)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"keys": set[str]()}, BadKey),
        ({"is_expired": True}, BadKey),
        ({"daily_limit": 0}, QuotaExceeded),
        ({"service_code": "01"}, UpstreamFailed),
        ({"service_code": "02"}, UpstreamFailed),
        ({"service_code": "05"}, UpstreamFailed),
    ],
    ids=["unknown", "expired", "spent", "01", "02", "05"],
)
async def test_what_the_gateway_or_the_survey_refuses_is_an_error(
    changed: dict[str, object], kind: type[SourceError]
):
    with pytest.raises(SourceError) as raised:
        await stores_of(store(), **changed)
    assert type(raised.value) is kind


async def test_no_stores_are_no_data():
    with pytest.raises(NoData):
        await stores_of()


async def test_a_store_that_is_missing_from_the_second_answer_is_noticed():
    simulator = Simulator()
    async with asking(simulator) as client:
        source = ConsumerStores(KEY, simulator.url)
        total = await source.total(client)
        simulator.plan = faults.always(Fault.SHORT)
        with pytest.raises(UpstreamFailed, match="629 rows came instead of 630"):
            await source.fetch(client, 1, total)


def test_the_simulated_store_is_like_the_real_one():
    assert set(store()) <= set(tables.surveyed_store(1))
