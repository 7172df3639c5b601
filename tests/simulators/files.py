"""The CSV files, as they are published: in CP949, with every value in quotes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LARGE_STORES_HEADER = (
    "개방자치단체코드",
    "관리번호",
    "영업상태코드",
    "사업장명",
    "업태구분명",
    "점포구분명",
    "지번주소",
    "도로명주소",
    "좌표정보(X)",
    "좌표정보(Y)",
)
SEOUL_FIELDS = (
    "OPNSFTEAMCODE",
    "MGTNO",
    "TRDSTATEGBN",
    "BPLCNM",
    "UPTAENM",
    "JPSENM",
    "SITEWHLADDR",
    "RDNWHLADDR",
    "X",
    "Y",
)
"""What Seoul's service calls the same."""

TRADITIONAL_HEADER = (
    "시장명",
    "시장유형",
    "소재지도로명주소",
    "소재지지번주소",
    "시장개설주기",
    "위도",
    "경도",
    "데이터기준일자",
)


def csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A file as text."""
    return "".join(",".join(f'"{value}"' for value in row) + "\r\n" for row in (header, *rows))


def large_stores(stores: Iterable[Mapping[str, Any]]) -> bytes:
    """LOCALDATA's file of the stores that Seoul's service has."""
    rows = ([str(store[field]) for field in SEOUL_FIELDS] for store in stores)
    return csv(LARGE_STORES_HEADER, rows).encode("cp949")


def traditional_markets(count: int) -> bytes:
    """The standard data set: every 87th has no coordinates, and one province is misspelt."""
    rows = (
        (
            f"망원시장 {number}",
            "상설장",
            f"전북특별차치도 전주시 포은로 {number}",
            f"전북특별차치도 전주시 망원동 {number}",
            "매일",
            "" if number % 87 == 0 else f"35.82{number:04}",
            "" if number % 87 == 0 else f"127.14{number:04}",
            "2024-11-04",
        )
        for number in range(1, count + 1)
    )
    return csv(TRADITIONAL_HEADER, rows).encode("cp949")
