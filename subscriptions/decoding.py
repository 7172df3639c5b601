"""Live events made rows once for a process, however many readers take them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic

from subscriptions.envelope import Envelope
from subscriptions.feed import Row

_KEPT = 1_000


class Decoded(Generic[Row]):
    """Remembers what was made of the newest events: give it to `follow` as its `from_event`."""

    def __init__(self, from_event: Callable[[Envelope], Row | None]) -> None:
        self._from_event = from_event
        self._rows: OrderedDict[str, Row | None] = OrderedDict()

    def __call__(self, event: Envelope) -> Row | None:
        """The row of an event; None when it brings none."""
        try:
            return self._rows[event.id]
        except KeyError:
            row = self._rows[event.id] = self._from_event(event)
            if len(self._rows) > _KEPT:
                self._rows.popitem(last=False)
            return row
