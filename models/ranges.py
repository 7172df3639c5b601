"""Numbers that people choose, made sure to fit."""

from models.errors import InvalidInput


def check_range(field: str, value: int, lowest: int, highest: int) -> None:
    """See that a number lies between two others, both included.

    Raises:
        InvalidInput
    """
    if not lowest <= value <= highest:
        raise InvalidInput(
            field,
            f"Choose a number from {lowest} to {highest}.",
            f"{lowest}에서 {highest} 사이로 골라 주세요.",
        )
