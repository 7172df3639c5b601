from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from importers.envelopes import BadKey, BadRequest, NoData, QuotaExceeded, SourceError, UpstreamFailed
from importers.items import ItemRow
from importers.markets import MarketRow
from importers.runs import Rejected
from importers.source_large_stores import LargeStoreFile, LargeStores, SeoulStores
from importers.sources import Retired, Unplaced
from models.markets import MarketKind
from tests.simulators import faults, files, grids
from tests.simulators.app import KEY, Simulator
from tests.simulators.asking import asking, fetched, read
from tests.simulators.faults import Fault
from tests.simulators.tables import Row, Table, store_in_seoul

Rows = list[ItemRow | MarketRow | Rejected]


def in_seoul(**changed: Any) -> Row:
    return {
        "OPNSFTEAMCODE": "3230000",
        "MGTNO": "1989323007807500015",
        "TRDSTATEGBN": "01",
        "BPLCNM": "롯데마트 제타플렉스 잠실점",
        "RDNWHLADDR": "서울특별시 송파구 올림픽로 240 (잠실동)",
        "SITEWHLADDR": "서울특별시 송파구 잠실동 40-1",
        "UPTAENM": "대형마트",
        "JPSENM": "대규모점포",
        "X": "208600.123   ",
        "Y": "445600.456   ",
    } | changed


async def of_seoul(*rows: Row) -> Rows:
    simulator = Simulator()
    simulator.seoul[grids.STORES] = Table.of(rows)
    async with asking(simulator) as client:
        return await read(SeoulStores(KEY, simulator.url), client)


def written(folder: Path, rows: Sequence[Row]) -> Path:
    path = folder / "stores.csv"
    path.write_bytes(files.large_stores(rows))
    return path


async def of_file(tmp_path: Path, *rows: Row) -> Rows:
    async with asking(Simulator()) as client:
        return await read(LargeStoreFile(written(tmp_path, rows)), client)


async def test_a_store_is_known_by_its_office_and_number_and_placed_from_metres(tmp_path: Path):
    [row] = await of_seoul(in_seoul())
    assert isinstance(row, MarketRow)
    assert (row.latitude, row.longitude) == (
        pytest.approx(37.5127, abs=0.0005),
        pytest.approx(127.098, abs=0.0005),
    )
    expected = MarketRow(
        source="seoul_LOCALDATA_082501",
        source_id="3230000:1989323007807500015",
        name="롯데마트 제타플렉스 잠실점",
        kind=MarketKind.LARGE_MART,
        address="서울특별시 송파구 올림픽로 240 (잠실동)",
        region="서울 송파구",
        latitude=row.latitude,
        longitude=row.longitude,
    )
    assert row == expected
    [same] = await of_file(tmp_path, in_seoul())
    assert isinstance(same, MarketRow)
    assert same.source == "LOCALDATA_082501"
    assert (same.source_id, same.latitude) == (row.source_id, row.latitude)


@pytest.mark.parametrize("state", ["02", "03", "3", "04"])
async def test_a_store_that_is_not_open_is_retired(state: str):
    [row] = await of_seoul(in_seoul(TRDSTATEGBN=state))
    assert isinstance(row, Retired)
    assert row.source_id == "3230000:1989323007807500015"


async def test_a_state_that_came_as_a_number_is_read_and_none_is_no_guess():
    number, missing = await of_seoul(in_seoul(TRDSTATEGBN=1.0), in_seoul(MGTNO="2", TRDSTATEGBN=""))
    assert isinstance(number, MarketRow)
    assert type(missing) is Rejected
    assert (missing.reason, missing.source_id) == ("TRDSTATEGBN: missing", "3230000:2")


async def test_a_store_without_coordinates_waits_for_a_place():
    [row] = await of_seoul(in_seoul(X="", Y="   "))
    assert isinstance(row, Unplaced)
    assert row.at(37.5, 127.1).region == "서울 송파구"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"X": "0.0", "Y": "0.0"}, "coordinates: 0, 0 are no metres"),
        ({"X": "127.09", "Y": "37.51"}, "coordinates: 127.09, 37.51 are no metres"),
        ({"X": "900000", "Y": "445600"}, "is outside Korea"),
        ({"X": "208600", "Y": "-100000"}, "is outside Korea"),
        ({"X": "", "Y": "445600"}, "not two numbers"),
        ({"X": "east", "Y": "445600"}, "not two numbers"),
        ({"MGTNO": ""}, "MGTNO: missing"),
        ({"MGTNO": "1" * 75}, "MGTNO: longer than 80 characters"),
        ({"BPLCNM": ""}, "BPLCNM: missing"),
        ({"RDNWHLADDR": "", "SITEWHLADDR": ""}, "SITEWHLADDR: missing"),
    ],
)
async def test_a_bad_store_is_rejected(changed: Row, reason: str):
    [row] = await of_seoul(in_seoul(**changed))
    assert type(row) is Rejected
    assert reason in row.reason


@pytest.mark.parametrize(
    ("business", "size", "kind"),
    [
        ("대형마트", "대규모점포", MarketKind.LARGE_MART),
        ("백화점", "대규모점포", MarketKind.DEPARTMENT_STORE),
        ("시장", "", MarketKind.TRADITIONAL_MARKET),
        ("구분없음", "준대규모점포", MarketKind.SUPERMARKET),
        ("대형마트", "준대규모점포", MarketKind.SUPERMARKET),
        ("복합쇼핑몰", "대규모점포", MarketKind.OTHER),
    ],
)
async def test_the_size_says_the_kind_before_the_business_does(business: str, size: str, kind: MarketKind):
    [row] = await of_seoul(in_seoul(UPTAENM=business, JPSENM=size))
    assert isinstance(row, MarketRow)
    assert row.kind is kind


async def test_seoul_is_read_in_windows_of_a_thousand():
    simulator = Simulator(rows=2_001)
    async with asking(simulator) as client:
        assert len(await fetched(SeoulStores(KEY, simulator.url), client)) == 2_001
    assert len(simulator.calls) == 4


async def test_the_whole_country_is_read_by_pages_of_a_hundred_and_only_open_stores_are_asked_for():
    simulator = Simulator(rows=250)
    async with asking(simulator) as client:
        raws = await fetched(LargeStores(KEY, simulator.url), client)
    assert [raw.values["MNG_NO"] for raw in raws] == [store_in_seoul(n)["MGTNO"] for n in range(1, 251)]
    pages = [call.partition("pageNo=")[2].partition("&")[0] for call in simulator.calls]
    assert pages == ["1", "1", "2", "3"]
    assert all("cond%5BSALS_STTS_CD%3A%3AEQ%5D=01" in call for call in simulator.calls)


@pytest.mark.parametrize(("code", "is_wrapped"), [("00", True), ("0", False)])
async def test_one_store_comes_alone_in_either_wrapping(code: str, is_wrapped: bool):
    simulator = Simulator(rows=101, service_code=code, is_wrapped=is_wrapped)
    async with asking(simulator) as client:
        rows = await read(LargeStores(KEY, simulator.url), client)
    assert len(rows) == 101
    assert {row.source for row in rows if isinstance(row, MarketRow)} == {"LOCALDATA_082501"}


async def test_the_ways_to_the_register_agree(tmp_path: Path):
    simulator = Simulator(rows=60)
    path = written(tmp_path, simulator.seoul[grids.STORES].between(1, 60))
    async with asking(simulator) as client:
        by_key = {
            type(source): {
                row.source_id: (row.name, row.kind, row.address, row.latitude, row.longitude)
                for row in await read(source, client)
                if isinstance(row, MarketRow)
            }
            for source in (
                SeoulStores(KEY, simulator.url),
                LargeStoreFile(path),
                LargeStoreFile(f"{simulator.url}/files/large-stores.csv"),
                LargeStores(KEY, simulator.url),
            )
        }
    assert by_key[SeoulStores] == by_key[LargeStoreFile]
    whole = by_key[LargeStores]
    differing = [key for key, seoul in by_key[SeoulStores].items() if whole[key] != seoul]
    # This service's answers were not seen to have the size of a store.
    assert {by_key[SeoulStores][key][1] for key in differing} == {MarketKind.SUPERMARKET}


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"keys": set[str]()}, BadKey),
        ({"is_expired": True}, BadKey),
        ({"daily_limit": 0}, QuotaExceeded),
        ({"service_code": "03"}, NoData),
        ({"service_code": "10"}, BadRequest),
        ({"service_code": "99"}, UpstreamFailed),
        ({"rows": 0}, NoData),
        ({"plan": faults.always(Fault.EMPTY)}, NoData),
    ],
    ids=["unknown", "expired", "spent", "03", "10", "99", "nothing", "empty"],
)
async def test_what_the_gateway_or_the_service_refuses_is_an_error(
    changed: dict[str, Any], kind: type[SourceError]
):
    simulator = Simulator(**changed)
    async with asking(simulator) as client:
        with pytest.raises(SourceError) as raised:
            await LargeStores(KEY, simulator.url).total(client)
    assert type(raised.value) is kind


@pytest.mark.parametrize("kind", [SeoulStores, LargeStores])
async def test_a_short_page_is_a_failure(kind: Any):
    simulator = Simulator(rows=150, plan=faults.always(Fault.SHORT))
    async with asking(simulator) as client:
        with pytest.raises(UpstreamFailed, match="rows came instead of"):
            await kind(KEY, simulator.url).fetch(client, 101, 150)


async def test_seoul_tells_a_bad_key_in_xml_and_no_data_without_the_service():
    simulator = Simulator(rows=0)
    async with asking(simulator) as client:
        with pytest.raises(BadKey, match="INFO-100"):
            await SeoulStores("wrong", simulator.url).total(client)
        with pytest.raises(NoData, match="INFO-200"):
            await SeoulStores(KEY, simulator.url).total(client)
