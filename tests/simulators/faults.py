"""What can go wrong with a call, and which calls it goes wrong with."""

import random
from collections.abc import Callable
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong."""

    DROP = "drop"  # the connection is reset before a byte has come
    CUT = "cut"  # the connection is reset in the middle of the body
    HALF = "half"  # a whole answer, by its headers, with half of the text
    HANG = "hang"  # no answer, ever
    TOO_MANY = "429"
    SERVER_ERROR = "500"
    PROXY_PAGE = "502"  # in HTML
    SHORT = "short"  # the right total, and the last row is missing
    EMPTY = "empty"  # "there is no data", where there is
    WRONG_TOTAL = "total"  # too many by one


Plan = Callable[[str], Fault | None]
"""Asked once for each call, with its path and query."""


def none(call: str) -> None:
    """Nothing goes wrong."""


def always(fault: Fault) -> Plan:
    """Every call goes wrong."""
    return lambda call: fault


def once_each(fault: Fault) -> Plan:
    """Every call goes wrong the first time it is made, and never again."""
    made: set[str] = set()

    def plan(call: str) -> Fault | None:
        if call in made:
            return None
        made.add(call)
        return fault

    return plan


def now_and_then(fault: Fault, share: float, seed: int = 0) -> Plan:
    """That share of the calls goes wrong; which, the seed says."""
    dice = random.Random(seed)
    return lambda call: fault if dice.random() < share else None
