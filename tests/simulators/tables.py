"""The rows that the simulators have: as many as wanted, made when they are asked for."""

from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]

CATEGORIES = ("쌀", "배추", "무", "사과", "배", "양파", "마늘", "고추", "참깨", "고구마")


class Table:
    """So many rows, each made from its number, from 1; or these rows."""

    def __init__(self, count: int, row: Callable[[int], Row]) -> None:
        self.count = count
        self._row = row

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Table":
        """A table of just these."""
        return cls(len(rows), lambda number: rows[number - 1])

    def between(self, first: int, last: int) -> list[Row]:
        """The rows from first to last, as far as there are any."""
        return [self._row(number) for number in range(max(first, 1), min(last, self.count) + 1)]


def standard_item(number: int) -> Row:
    """MAFRA's grid 120. Names repeat: every 44th is "기타"."""
    category = CATEGORIES[number % len(CATEGORIES)]
    code = f"{number % 1_000_000:06}"
    return {
        "ROW_NUM": number,
        "CATGORY_CD": code[:2],
        "CATGORY_NM": "농산물",
        "PRDLST_CD": code[:4],
        "PRDLST_NM": category,
        "SPCIES_CD": code,
        "SPCIES_NM": "기타" if number % 44 == 0 else f"{category} {number}호",
    }


def current_item(number: int) -> Row:
    """MAFRA's grid 668. Every tenth is retired."""
    code = f"{number:06}"
    category = CATEGORIES[number % len(CATEGORIES)]
    return {
        "LARGE": code[:2],
        "MID": code[2:4],
        "SMALL": code[4:],
        "LARGENAME": "농산물",
        "MIDNAME": category,
        "GOODNAME": f"{category} {number}호",
        "GUBN": "N" if number % 10 == 0 else "Y",
    }


def original_item(number: int) -> Row:
    """MAFRA's grid 328, as far as it is known."""
    return {"STD_PRDLST_NM": CATEGORIES[number % len(CATEGORIES)], "STD_SPCIES_NM": f"품종 {number}"}


def store_in_seoul(number: int) -> Row:
    """Seoul's LOCALDATA_082501. Every fifth is closed, every seventh has no coordinates."""
    has_point = number % 7 != 0
    return {
        "OPNSFTEAMCODE": "3130000",
        "MGTNO": f"313000020{number:08}",
        "TRDSTATEGBN": "03" if number % 5 == 0 else "01",
        "SITEWHLADDR": f"서울특별시 마포구 망원동 {number}",
        "RDNWHLADDR": f"서울특별시 마포구 포은로 {number} (망원동)",
        "BPLCNM": f"마트 {number}호",
        "UPTAENM": ("대형마트", "백화점", "시장", "쇼핑센터")[number % 4],
        "JPSENM": "준대규모점포" if number % 4 == 3 else "대규모점포",
        "X": f"{192_000 + number % 1_000}.123   " if has_point else "",
        "Y": f"{450_000 + number // 1_000}.456   " if has_point else "",
    }


def store(number: int) -> Row:
    """data.go.kr's large stores: the open ones of the same register."""
    seoul = store_in_seoul(number)
    return {
        "OPN_ATMY_GRP_CD": seoul["OPNSFTEAMCODE"],
        "MNG_NO": seoul["MGTNO"],
        "SALS_STTS_CD": "01",
        "BPLC_NM": seoul["BPLCNM"],
        "ROAD_NM_ADDR": seoul["RDNWHLADDR"],
        "LOTNO_ADDR": seoul["SITEWHLADDR"],
        "BZSTAT_SE_NM": seoul["UPTAENM"],
        "CRD_INFO_X": seoul["X"],
        "CRD_INFO_Y": seoul["Y"],
    }


def surveyed_store(number: int) -> Row:
    """참가격's stores, whose x is the latitude."""
    return {
        "entpId": str(number),
        "entpName": f"참가격마트 {number}호점",
        "entpTypeCode": ("LM", "SM", "DP", "CS", "TR")[number % 5],
        "entpTelno": "02-000-0000",
        "plmkAddrBasic": "서울특별시 마포구 망원동",
        "plmkAddrDetail": str(number),
        "roadAddrBasic": f"서울특별시 마포구 월드컵로 {number}",
        "roadAddrDetail": "",
        "xMapCoord": f"37.55{number % 1_000:03}",
        "yMapCoord": f"126.90{number % 1_000:03}",
    }


def surveyed_goods(number: int) -> Row:
    """참가격's goods."""
    return {
        "goodId": str(number),
        "goodName": f"두부 {number}",
        "goodSmlclsCode": "030101001",
        "goodTotalCnt": "500",
        "goodTotalDivCode": "G",
    }


def surveyed_price(number: int) -> Row:
    """Seoul's prices, with the numbers as it writes them: as floats."""
    return {
        "M_SEQ": float(number),
        "M_NAME": "방학동도깨비시장",
        "A_SEQ": 305.0,
        "A_NAME": "사과(부사, 300g)",
        "A_UNIT": "300g",
        "A_PRICE": "2000",
        "P_DATE": "2021-05-20",
        "M_TYPE_NAME": "전통시장",
        "M_GU_NAME": "도봉구",
    }
