"""Regions: the province and district that an address begins with, as people say them."""

import re

LONGEST = 40

PROVINCES = {
    "서울": ("서울특별시", "서울시"),
    "부산": ("부산광역시", "부산시"),
    "대구": ("대구광역시", "대구시"),
    "인천": ("인천광역시", "인천시"),
    # Without 광주시: that is also a city in 경기도.
    "광주": ("광주광역시",),
    "대전": ("대전광역시", "대전시"),
    "울산": ("울산광역시", "울산시"),
    "세종": ("세종특별자치시", "세종시"),
    "경기": ("경기도",),
    "강원": ("강원특별자치도", "강원도"),
    "충북": ("충청북도",),
    "충남": ("충청남도",),
    # 차치: a typing error that the public data set of traditional markets carries.
    "전북": ("전북특별자치도", "전라북도", "전북특별차치도"),
    "전남": ("전라남도",),
    "경북": ("경상북도",),
    "경남": ("경상남도",),
    # Without 제주시: that is a city of the province.
    "제주": ("제주특별자치도", "제주도"),
}
"""The 17 provinces: the short name, then the official ones of today and before."""

_SHORT = {name: short for short, names in PROVINCES.items() for name in (short, *names)}
_DISTRICT = re.compile("[가-힣]{1,6}[시군구]")


def region_of(address: str) -> str:
    """The region of an address, at most 40 characters: "서울 마포구", "경기 수원시", "세종".

    Only the province where no district follows it ("서울특별시 통일로 484"); the first two words where the
    province is unknown. The region of a region is itself.
    """
    words = address.split()[:2]
    province = _SHORT.get(words[0]) if words else None
    if province is None:
        return " ".join(words)[:LONGEST].rstrip()
    # 세종 has no districts: what follows it is a town or a road.
    if province != "세종" and len(words) == 2 and _DISTRICT.fullmatch(words[1]):
        return f"{province} {words[1]}"
    return province
