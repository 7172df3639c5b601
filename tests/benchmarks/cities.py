"""Where Koreans live, roughly: so that what is generated is dense and sparse where it is in life."""

import math
from dataclasses import dataclass
from itertools import accumulate
from random import Random

DEGREE_KM = 111.2
"""One degree of latitude."""


@dataclass(frozen=True, slots=True)
class City:
    """A centre in degrees, and how many thousand people live around it."""

    name: str
    latitude: float
    longitude: float
    people: int

    @property
    def spread(self) -> float:
        """Standard deviation of homes around the centre, in degrees of latitude: Seoul 8.7 km, Jeju 2 km."""
        return 0.09 * math.sqrt(self.people) / DEGREE_KM


CITIES = (
    City("서울", 37.5665, 126.9780, 9411),
    City("부산", 35.1796, 129.0756, 3293),
    City("인천", 37.4563, 126.7052, 3000),
    City("대구", 35.8714, 128.6014, 2375),
    City("대전", 36.3504, 127.3845, 1442),
    City("광주", 35.1595, 126.8526, 1419),
    City("수원", 37.2636, 127.0286, 1197),
    City("울산", 35.5384, 129.3114, 1104),
    City("고양", 37.6584, 126.8320, 1076),
    City("용인", 37.2411, 127.1776, 1075),
    City("창원", 35.2280, 128.6811, 1021),
    City("화성", 37.1995, 126.8312, 944),
    City("성남", 37.4200, 127.1267, 922),
    City("청주", 36.6424, 127.4890, 852),
    City("부천", 37.5034, 126.7660, 780),
    City("남양주", 37.6360, 127.2165, 732),
    City("천안", 36.8151, 127.1139, 657),
    City("전주", 35.8242, 127.1480, 643),
    City("안산", 37.3219, 126.8309, 641),
    City("평택", 36.9921, 127.1129, 591),
    City("김해", 35.2285, 128.8894, 533),
    City("포항", 36.0190, 129.3435, 496),
    City("제주", 33.4996, 126.5312, 493),
    City("강릉", 37.7519, 128.8761, 210),
)


def shares() -> list[float]:
    """Where each city's part of the people ends, from 0 to 1, in the order of CITIES; the last is 1."""
    ends = list(accumulate(city.people for city in CITIES))
    return [end / ends[-1] for end in ends]


def homes(count: int, seed: int = 1) -> list[tuple[float, float]]:
    """Points in degrees where people would ask from; the same for the same seed."""
    chance = Random(seed)
    chosen = chance.choices(CITIES, [city.people for city in CITIES], k=count)
    return [
        (
            chance.gauss(city.latitude, city.spread),
            chance.gauss(city.longitude, city.spread / math.cos(math.radians(city.latitude))),
        )
        for city in chosen
    ]
