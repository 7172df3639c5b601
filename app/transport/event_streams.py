"""Server-Sent Events as graphql-sse has them, in its distinct connections mode.

Line feeds only: clients look for two of them in a row.
"""

import re
from typing import Final

from app.transport import media_types
from app.transport.errors import Code, HttpRefusal

CONTENT_TYPE: Final = f"{media_types.EVENT_STREAM}; charset=utf-8"

KEEP_ALIVE: Final = b":\n\n"
"""A comment. The first one comes at once: some clients see nothing before the first byte of a body."""

COMPLETE: Final = b"event: complete\ndata:\n\n"
"""The empty line of data makes browsers dispatch it, and is no JSON that a client would try to read."""


def next_(answer: bytes, id_: int | None = None) -> bytes:
    """An answer; its JSON has no line break. Clients send the last id back as ``Last-Event-ID``."""
    head = b"" if id_ is None else b"id: %d\n" % id_
    return b"%bevent: next\ndata: %b\n\n" % (head, answer)


def last_event_id(values: list[str]) -> int | None:
    """The number that a client goes on after; None when it begins.

    Raises:
        HttpRefusal
    """
    if not values:
        return None
    if len(values) > 1 or not re.fullmatch("[0-9]{1,18}", values[0]):
        message = "`Last-Event-ID` must be the id of an event: leave it out to begin anew."
        raise HttpRefusal(400, Code.BAD_REQUEST, message)
    return int(values[0])


class EventStream:
    """A subscription as a stream of events."""

    content_type = CONTENT_TYPE
    opening = KEEP_ALIVE
    keep_alive = KEEP_ALIVE
    closing = COMPLETE

    def event(self, answer: bytes, resume_point: int | None) -> bytes:
        """One answer, with its number where it has one."""
        return next_(answer, resume_point)

    def ended(self, refusal: bytes) -> bytes:
        """Why the server ends it: the protocol knows errors inside of answers only."""
        return next_(refusal)
