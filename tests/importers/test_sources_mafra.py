from typing import Any

import pytest

from importers.envelopes import BadKey, BadRequest, NoData, QuotaExceeded, SourceError, UpstreamFailed
from importers.items import ITEMS_CSV, ItemRow
from importers.runs import Rejected
from importers.source_mafra import CurrentItems, OriginalItems, StandardItems
from importers.sources import Raw, Retired
from tests.simulators import faults, grids
from tests.simulators.app import KEY, Simulator
from tests.simulators.asking import asking, fetched, read
from tests.simulators.faults import Fault
from tests.simulators.tables import Row, Table


def standard(**changed: Any) -> Row:
    row = {"PRDLST_CD": "0103", "PRDLST_NM": "쌀", "SPCIES_CD": "010301", "SPCIES_NM": "일반미(쌀 일반)"}
    return row | changed


def current(**changed: Any) -> Row:
    row = {"LARGE": "06", "MID": "14", "SMALL": "01", "LARGENAME": "과실류", "MIDNAME": "감귤"}
    return row | {"GOODNAME": "노지감귤", "GUBN": "Y"} | changed


async def test_all_rows_are_read_in_windows_of_a_thousand():
    simulator = Simulator(rows=2_590)
    async with asking(simulator) as client:
        raws = await fetched(StandardItems(KEY, simulator.url), client)
    assert [raw.line for raw in raws] == list(range(1, 2_591))
    path = f"/openapi/a%2Fsecret%2Bkey%3D%3D/json/{grids.STANDARD}"
    assert list(simulator.calls) == [f"{path}/{each}" for each in ("1/1", "1/1000", "1001/2000", "2001/2590")]


async def test_the_code_is_the_key_and_names_may_repeat():
    simulator = Simulator()
    async with asking(simulator) as client:
        rows = await read(StandardItems(KEY, simulator.url), client)
    items = [row for row in rows if isinstance(row, ItemRow)]
    assert len({item.source_id for item in items}) == 2_590
    assert len([item for item in items if item.name == "기타"]) == 58


async def test_a_row_is_the_item_that_the_shipped_file_has_too():
    simulator = Simulator()
    simulator.mafra[grids.STANDARD] = Table.of([standard()])
    async with asking(simulator) as client:
        [row] = await read(StandardItems(KEY, simulator.url), client)
    assert row == ItemRow(
        source="agri_std_code_2015", source_id="010301", category="쌀", name="일반미(쌀 일반)", unit=None
    )
    assert "쌀,일반미(쌀 일반),010301,,미곡류,agri_std_code_2015," in ITEMS_CSV.read_text()


@pytest.mark.parametrize(
    ("changed", "code", "name"),
    [
        ({"SPCIES_NM": " "}, "010301", "쌀"),
        ({"SPCIES_NM": None, "SPCIES_CD": "010300"}, "010300", "쌀"),
        ({"SPCIES_CD": 10301.0}, "010301", "일반미(쌀 일반)"),
    ],
)
async def test_a_product_without_species_goes_by_its_own_name(changed: Row, code: str, name: str):
    simulator = Simulator()
    simulator.mafra[grids.STANDARD] = Table.of([standard(**changed)])
    async with asking(simulator) as client:
        [row] = await read(StandardItems(KEY, simulator.url), client)
    assert isinstance(row, ItemRow)
    assert (row.source_id, row.category, row.name) == (code, "쌀", name)


@pytest.mark.parametrize(
    ("changed", "reason", "known_as"),
    [
        ({"SPCIES_CD": ""}, "SPCIES_CD: missing", None),
        ({"SPCIES_CD": "0103-1"}, "SPCIES_CD: not a code of six digits", None),
        ({"SPCIES_CD": "01030100"}, "SPCIES_CD: not a code of six digits", None),
        ({"PRDLST_NM": ""}, "PRDLST_NM: missing", "010301"),
        ({"SPCIES_NM": "쌀" * 101}, "SPCIES_NM: longer than 100 characters", "010301"),
        ({"SPCIES_NM": "쌀\x00"}, "SPCIES_NM: Control characters can't be used here.", "010301"),
    ],
)
async def test_a_bad_row_is_rejected_with_its_place_and_with_its_key_if_that_can_be_read(
    changed: Row, reason: str, known_as: str | None
):
    simulator = Simulator()
    simulator.mafra[grids.STANDARD] = Table.of([standard(SPCIES_CD="010302"), standard(**changed)])
    async with asking(simulator) as client:
        [good, bad] = await read(StandardItems(KEY, simulator.url), client)
    assert isinstance(good, ItemRow)
    assert isinstance(bad, Rejected)
    assert (bad.line, bad.reason, bad.source_id) == (2, reason, known_as)
    assert bad.raw.startswith('{"PRDLST_CD":"0103"')
    assert len(bad.raw) <= 200


def test_a_row_that_is_no_row_is_rejected():
    [row] = StandardItems(KEY).parse([Raw(7, {}, flaw="not a row")])
    assert row == Rejected(7, "not a row", "{}")


async def test_current_codes_have_three_levels_and_retired_rows():
    rows = [current(), current(SMALL=2.0, GOODNAME="하우스감귤"), current(SMALL="03", GUBN="N")]
    simulator = Simulator()
    simulator.mafra[grids.CURRENT] = Table.of([*rows, current(MID="")])
    async with asking(simulator) as client:
        first, second, retired, bad = await read(CurrentItems(KEY, simulator.url), client)
    assert first == ItemRow(
        source="mafra_item_codes_2024", source_id="061401", category="감귤", name="노지감귤", unit=None
    )
    assert isinstance(second, ItemRow)
    assert (second.source_id, second.name) == ("061402", "하우스감귤")
    assert isinstance(retired, Retired)
    assert (retired.line, retired.source_id) == (3, "061403")
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.source_id) == ("LARGE, MID, SMALL: missing", None)


async def test_the_original_grid_is_known_by_names_alone():
    rows = [{"STD_PRDLST_NM": "배추", "STD_SPCIES_NM": name} for name in ("봄배추", "봄배추", None)]
    simulator = Simulator()
    simulator.mafra[grids.ORIGINAL] = Table.of([*rows, {"STD_PRDLST_NM": "무", "STD_SPCIES_NM": "봄배추"}])
    async with asking(simulator) as client:
        items = list(await read(OriginalItems(KEY, simulator.url), client))
    assert [item.source_id is not None and item.source_id[:5] for item in items] == ["name:"] * 4
    first, again, unnamed, other = (item.source_id for item in items)
    assert first == again
    assert len({first, unnamed, other}) == 3


async def test_the_sample_key_gets_five_rows_at_a_time():
    simulator = Simulator(rows=12)
    async with asking(simulator) as client:
        assert len(await fetched(StandardItems("sample", simulator.url), client)) == 12
        greedy = StandardItems("sample", simulator.url)
        with pytest.raises(BadRequest, match="ERROR-335"):
            await greedy.fetch(client, 1, 6)


@pytest.mark.parametrize("in_xml", [False, True])
async def test_a_bad_key_is_told_in_json_or_in_xml(in_xml: bool):
    simulator = Simulator(bad_keys_in_xml=in_xml)
    async with asking(simulator) as client:
        with pytest.raises(BadKey, match="INFO-100"):
            await StandardItems("wrong", simulator.url).total(client)


@pytest.mark.parametrize("says_no_data", [False, True])
async def test_nothing_is_no_total(says_no_data: bool):
    simulator = Simulator(rows=0, says_no_data=says_no_data)
    async with asking(simulator) as client:
        with pytest.raises(NoData):
            await StandardItems(KEY, simulator.url).total(client)


@pytest.mark.parametrize(
    ("first", "last", "code"), [(1, 1_001, "336"), (0, 5, "331"), (5, 4, "334"), (1, 0, "332")]
)
async def test_a_window_that_is_none_is_refused(first: int, last: int, code: str):
    simulator = Simulator()
    async with asking(simulator) as client:
        with pytest.raises(BadRequest, match=f"ERROR-{code}"):
            await StandardItems(KEY, simulator.url).fetch(client, first, last)


async def test_the_daily_limit_ends_the_day():
    simulator = Simulator(daily_limit=2)
    async with asking(simulator) as client:
        source = StandardItems(KEY, simulator.url)
        await source.fetch(client, 1, await source.total(client) - 1_590)
        with pytest.raises(QuotaExceeded, match="ERROR-350") as raised:
            await source.fetch(client, 1_001, 2_000)
    assert not raised.value.is_retryable


async def test_one_row_at_the_end_comes_alone():
    simulator = Simulator(rows=1_001)
    async with asking(simulator) as client:
        assert len(await fetched(StandardItems(KEY, simulator.url), client)) == 1_001


@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.SHORT, UpstreamFailed), (Fault.EMPTY, NoData)], ids=["short", "empty"]
)
async def test_a_short_window_is_an_error_and_never_the_end(fault: Fault, kind: type[SourceError]):
    simulator = Simulator(plan=faults.always(fault))
    async with asking(simulator) as client:
        with pytest.raises(kind):
            await StandardItems(KEY, simulator.url).fetch(client, 1, 1_000)


async def test_a_total_that_was_too_high_shows_in_the_last_window():
    simulator = Simulator(rows=1_500, plan=faults.always(Fault.WRONG_TOTAL))
    async with asking(simulator) as client:
        source = StandardItems(KEY, simulator.url)
        assert await source.total(client) == 1_501
        with pytest.raises(UpstreamFailed, match="500 rows came instead of 501"):
            await source.fetch(client, 1_001, 1_501)
