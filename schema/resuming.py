"""Where a stream of numbered events goes on."""

from typing import Annotated

import strawberry

from schema.context import Context
from schema.faults import BadInput

AfterNumber = Annotated[
    int | None,
    strawberry.argument(
        description="The last number that the client has: the stream goes on behind it. Without, it begins "
        "with what comes next."
    ),
]


def resume_point(context: Context, after: int | None) -> int | None:
    """The number to go on after: that of an interrupted stream, or the one asked for.

    Raises:
        BadInput
    """
    number = after if context.resume_after is None else context.resume_after
    if number is not None and not 0 <= number < 2**31:
        raise BadInput("`after` is the number of a message that was received, or 0.")
    return number
