"""Follows the numbered rows of a channel: each once, in order, whatever happens to the events.

The database is the truth and events only save reading it. A lost, doubled or late event costs a read.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from subscriptions.envelope import Envelope
from subscriptions.hub import Hub
from subscriptions.listener import GAP

_READ_WITHIN_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0


class Numbered(Protocol):
    """A row that knows its place in the channel."""

    @property
    def number(self) -> int:
        """1, 2, 3 … in the order in which the rows of the channel were committed."""
        ...


Row = TypeVar("Row", bound=Numbered)
Row_co = TypeVar("Row_co", bound=Numbered, covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row_co]):
    """Rows above a cursor, in the order of their numbers."""

    rows: "tuple[Row_co, ...] | list[Row_co]"
    #: Nothing up to here is still owed. On the last page that is the highest number ever given, even if its
    #: row is gone; it comes from the same snapshot as the rows.
    cursor: int
    #: There was more above the cursor than fits on a page, and the cursor of this one is higher.
    has_more: bool = False


class ReadFailed(Exception):
    """The rows could not be read now. It is worth trying again."""


ReadAfter: TypeAlias = Callable[[int | None], Awaitable[Page[Row]]]
"""Reads the rows numbered above a cursor. Of None: no rows, and the highest number as the cursor."""

FromEvent: TypeAlias = Callable[[Envelope], Row | None]
"""Makes the row of an event's data; None when it isn't in there."""


async def follow(
    hub: Hub,
    channel: str,
    after: int | None,
    read_after: ReadAfter[Row],
    from_event: FromEvent[Row] | None = None,
) -> AsyncGenerator[Row, None]:
    """Every row numbered above `after`, once each, in order, then live ones. Without `after`: live ones only.

    Close it by name (`contextlib.aclosing`): else it listens until the garbage collector comes.

    Raises:
        MustResume: begin again from the last number.
        ReadFailed: the database has not answered for half a minute.
    """
    # Listening begins first and reading second: the other way round, what is committed in between is lost.
    async with hub.listen(channel) as live:
        cursor = after
        is_behind = True
        while True:
            while is_behind:
                page = await _read(read_after, cursor)
                for row in page.rows:
                    if cursor is None or row.number > cursor:
                        cursor = live.seen = row.number
                        yield row
                is_behind = page.has_more
                cursor = live.seen = max(page.cursor, cursor or 0)
            event = await anext(live)
            if event is GAP:
                is_behind = True
            elif event.number is None or (cursor is not None and event.number <= cursor):
                continue
            elif cursor is not None and event.number == cursor + 1 and from_event is not None:
                row = from_event(event)
                if row is None:
                    is_behind = True
                else:
                    cursor = live.seen = event.number
                    yield row
            else:
                is_behind = True


async def _read(read_after: ReadAfter[Row], cursor: int | None) -> Page[Row]:
    """Read a page. While the database is away, subscribers wait for it instead of all coming back at once."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + _READ_WITHIN_S
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return await read_after(cursor)
        except ReadFailed:
            if loop.time() >= give_up_at:
                raise
        await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - spreads load, guards nothing
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
