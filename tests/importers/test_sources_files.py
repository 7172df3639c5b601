import hashlib
from pathlib import Path

import pytest

from importers.envelopes import BadRequest, NoData, UpstreamFailed, read_lines
from importers.items import ItemRow
from importers.markets import MARKETS_CSV, MarketRow
from importers.markets import parse as parse_shipped
from importers.runs import ImportFailed, Rejected
from importers.source_large_stores import LargeStoreFile
from importers.source_traditional_markets import TraditionalMarketFile
from importers.sources import Unplaced
from models.markets import MarketKind
from tests.simulators import faults, files
from tests.simulators.app import Simulator
from tests.simulators.asking import asking, read
from tests.simulators.faults import Fault

MANGWON = ("망원시장", "상설장", "서울특별시 마포구 포은로8길 14", "", "매일", "37.5562", "126.9056", "")


def traditional(*rows: tuple[str, ...]) -> str:
    return files.csv(files.TRADITIONAL_HEADER, rows)


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def of(path: Path, content: bytes) -> list[ItemRow | MarketRow | Rejected]:
    write(path, content)
    async with asking(Simulator()) as client:
        return await read(TraditionalMarketFile(path), client)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "markets.csv"


@pytest.mark.parametrize("encoding", ["cp949", "utf-8", "utf-8-sig"])
async def test_a_file_is_read_in_the_encoding_that_it_is_in(path: Path, encoding: str):
    # 펲 is in CP949 and not in EUC-KR, which it is often taken for.
    [row] = await of(path, traditional(("펲시장", *MANGWON[1:])).encode(encoding))
    assert row == MarketRow(
        source="tn_pubr_public_trdit_mrkt",
        source_id=hashlib.sha256("펲시장|서울특별시 마포구 포은로8길 14".encode()).hexdigest()[:16],
        name="펲시장",
        kind=MarketKind.TRADITIONAL_MARKET,
        address="서울특별시 마포구 포은로8길 14",
        region="서울 마포구",
        latitude=37.5562,
        longitude=126.9056,
    )


async def test_a_market_has_the_key_that_the_shipped_file_gives_it(path: Path):
    shipped = [
        row
        for row in parse_shipped(read_lines(MARKETS_CSV))
        if isinstance(row, MarketRow) and row.source == TraditionalMarketFile.source
    ]
    lines = [
        (row.name, "상설장", row.address, "", "", f"{row.latitude}", f"{row.longitude}", "")
        for row in shipped
    ]
    assert await of(path, traditional(*lines).encode("cp949")) == shipped
    assert len(shipped) == 100


async def test_a_misspelt_province_is_set_right_before_it_makes_a_key(path: Path):
    wrong, right = (
        ("시장", "", f"{province} 전주시 길 1", "", "", "35.8", "127.1", "")
        for province in ("전북특별차치도", "전북특별자치도")
    )
    first, second = await of(path, traditional(wrong, right).encode("cp949"))
    assert first == second
    assert isinstance(first, MarketRow)
    assert (first.address, first.region) == ("전북특별자치도 전주시 길 1", "전북 전주시")


async def test_all_markets_are_read_and_sixteen_have_no_coordinates():
    simulator = Simulator()
    async with asking(simulator) as client:
        source = TraditionalMarketFile(f"{simulator.url}/files/traditional-markets.csv")
        rows = await read(source, client)
    assert len(rows) == 1_393
    assert sum(isinstance(row, Unplaced) for row in rows) == 16
    assert len({row.source_id for row in rows}) == 1_393
    # Read once: the windows are of what the total counted.
    assert len(simulator.calls) == 1


@pytest.mark.parametrize(
    ("changed", "reason", "is_known"),
    [
        ({0: ""}, "시장명: missing", False),
        ({2: ""}, "소재지지번주소: missing", False),
        ({5: "126.9056", 6: "37.5562"}, "coordinates: 126.906, 37.5562 is outside Korea", True),
        ({5: "0", 6: "0"}, "coordinates: 0, 0 is outside Korea", True),
        ({5: "39.1"}, "coordinates: 39.1, 126.906 is outside Korea", True),
        ({6: "123.9"}, "coordinates: 37.5562, 123.9 is outside Korea", True),
        ({6: ""}, "coordinates: not two numbers", True),
        ({6: "nan"}, "coordinates: not two numbers", True),
    ],
    ids=["name", "address", "swapped", "zero", "north", "west", "half", "nan"],
)
async def test_a_bad_line_is_rejected_with_its_number_and_what_it_is(
    path: Path, changed: dict[int, str], reason: str, is_known: bool
):
    row = tuple(changed.get(at, value) for at, value in enumerate(MANGWON))
    good, bad = await of(path, traditional(MANGWON, row).encode("cp949"))
    assert isinstance(good, MarketRow)
    assert isinstance(bad, Rejected)
    assert (bad.line, bad.reason) == (3, reason)
    assert bad.raw == ",".join(f'"{value}"' for value in row)
    assert (bad.source_id is not None) is is_known


async def test_a_line_that_cannot_be_read_spoils_itself_only(path: Path):
    good = traditional(MANGWON).encode("cp949").splitlines(keepends=True)
    broken = [b'"\xff\xff",2,3,4,5,6,7,8\r\n', b'"a,b\r\n', b"a,b\r\n"]
    rows = await of(path, b"".join([good[0], *broken, b"\r\n", good[1]]))
    assert [(row.line, row.reason) for row in rows if isinstance(row, Rejected)] == [
        (2, "a byte that can't be read as CP949"),
        (3, "not CSV: unexpected end of data"),
        (4, "2 columns instead of 8"),
    ]
    assert isinstance(rows[3], MarketRow)


async def test_windows_are_found_without_reading_those_before(path: Path):
    class Small(TraditionalMarketFile):
        window = 7

    rows = [(f"시장 {number}", *MANGWON[1:]) for number in range(50)]
    text = traditional(*rows).replace("\r\n", "\r\n\r\n", 20)
    write(path, text.encode("cp949"))
    async with asking(Simulator()) as client:
        source = Small(path)
        assert await source.total(client) == 50
        for first in (43, 1, 8, 50, 22):
            raws = await source.fetch(client, first, min(first + 6, 50))
            assert [raw.values["시장명"] for raw in raws] == [
                f"시장 {number - 1}" for number in range(first, min(first + 6, 50) + 1)
            ]
            assert [raw.line for raw in raws] == list(range(first, min(first + 6, 50) + 1))
        [last] = await source.fetch(client, 50, 50)
    assert (last.line, last.shown_line) == (50, 71)


async def test_a_file_that_changed_meanwhile_is_noticed(path: Path):
    write(path, files.traditional_markets(10))
    async with asking(Simulator()) as client:
        source = TraditionalMarketFile(path)
        assert await source.total(client) == 10
        write(path, files.traditional_markets(9))
        with pytest.raises(UpstreamFailed, match="shorter"):
            await source.fetch(client, 1, 10)
        assert await source.total(client) == 9


async def test_a_file_without_rows_is_no_data(path: Path):
    with pytest.raises(NoData):
        await of(path, traditional().encode("cp949"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lacks 시장명"),
        (files.csv(files.LARGE_STORES_HEADER, []).encode("cp949"), "lacks 시장명"),
        (b"\xff\xff\xff\n", "neither UTF-8 nor CP949"),
        (b"<!DOCTYPE html>", "lacks 시장명"),
    ],
    ids=["empty", "another", "binary", "html"],
)
async def test_another_file_is_an_error_that_says_so(path: Path, content: bytes, message: str):
    with pytest.raises(ImportFailed, match=message):
        await of(path, content)


async def test_a_file_that_is_not_there_is_an_error_that_names_it(path: Path):
    async with asking(Simulator()) as client:
        with pytest.raises(ImportFailed, match=r"markets\.csv can't be read: No such file"):
            await TraditionalMarketFile(path).total(client)


async def test_a_download_that_fails_is_an_error_of_the_source():
    simulator = Simulator()
    async with asking(simulator) as client:
        with pytest.raises(BadRequest, match="HTTP 404"):
            await TraditionalMarketFile(f"{simulator.url}/files/other.csv").total(client)
        for fault in (Fault.DROP, Fault.CUT, Fault.SERVER_ERROR):
            simulator.plan = faults.always(fault)
            with pytest.raises(UpstreamFailed):
                await TraditionalMarketFile(f"{simulator.url}/files/traditional-markets.csv").total(client)


@pytest.mark.parametrize(
    "header",
    [
        "관리번호,영업상태코드,사업장명,도로명주소,좌표정보(X),좌표정보(Y)",
        "관리번호,영업상태구분코드,사업장명,도로명전체주소,좌표정보(x),좌표정보(y)",
    ],
)
async def test_the_register_is_read_under_its_old_and_its_new_headers(path: Path, header: str):
    line = '"7","01","이마트","서울특별시 성북구 도봉로 17","202600.1   ","456700.2   "'
    write(path, f"{header}\r\n{line}\r\n".encode("cp949"))
    async with asking(Simulator()) as client:
        [row] = await read(LargeStoreFile(path), client)
    assert isinstance(row, MarketRow)
    assert (row.source_id, row.kind, row.region) == ("7", MarketKind.OTHER, "서울 성북구")
