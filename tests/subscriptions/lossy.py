"""A backend in memory that does to messages whatever it is told, and a database to go with it."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from broadcaster import BroadcastBackend, Event

from subscriptions.batches import Cursor
from subscriptions.envelope import Envelope
from subscriptions.feed import Page
from subscriptions.link import LinkDown, LinkUp


class Fate(Enum):
    DELIVERED = "delivered"
    LOST = "lost"
    DOUBLED = "doubled"
    LATE = "late"  # comes after the next one that is released
    WITHOUT_DATA = "without data"


class LossyBackend(BroadcastBackend):
    def __init__(self) -> None:  # the original raises NotImplementedError
        self.events = asyncio.Queue[Event]()
        self.subscribed = set[str]()
        self.subscribes = 0
        self.unsubscribes = 0
        self.late: list[Event] = []
        self.fate = Fate.DELIVERED

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def subscribe(self, group: str) -> None:
        self.subscribes += 1
        await asyncio.sleep(0)
        self.subscribed.add(group)

    async def unsubscribe(self, group: str) -> None:
        self.unsubscribes += 1
        self.subscribed.discard(group)

    async def publish(self, channel: str, message: Any) -> None:
        self.post(Event(channel, message))

    def post(self, event: Event) -> None:
        match self.fate:
            case Fate.LOST:
                return
            case Fate.LATE:
                self.late.append(event)
                return
            case Fate.DOUBLED:
                self.put(event)
            case _:
                pass
        self.put(event)
        self.release()

    def put(self, event: Event) -> None:
        if event.channel in self.subscribed:
            self.events.put_nowait(event)

    def release(self) -> None:
        for event in self.late:
            self.put(event)
        self.late.clear()

    def reconnect(self) -> None:
        """Forget what was under way, and say so."""
        while not self.events.empty():
            self.events.get_nowait()
        self.late.clear()
        self.events.put_nowait(LinkDown())
        self.events.put_nowait(LinkUp())

    async def next_published(self) -> Event:
        return await self.events.get()


@dataclass(frozen=True)
class Message:
    number: int
    text: str


class Table:
    """Numbered rows by channel, read as the database would read them."""

    def __init__(self, page: int = 100) -> None:
        self.rows: dict[str, list[Message]] = defaultdict(list[Message])
        self.page = page
        self.reads: list[int] = []
        self.head_reads: list[int] = []
        self.is_away = False

    def commit(self, channel: str) -> Envelope:
        number = len(self.rows[channel]) + 1
        self.rows[channel].append(Message(number, f"text {number}"))
        return Envelope("message", channel, number, f"text {number}")

    async def read_many(self, cursors: Sequence[Cursor]) -> Mapping[Cursor, Page[Message]]:
        self.reads.append(len(cursors))
        await asyncio.sleep(0)
        if self.is_away:
            raise ConnectionError("The database is away.")
        return {cursor: self.page_of(cursor) for cursor in cursors}

    def page_of(self, cursor: Cursor) -> Page[Message]:
        rows = self.rows[cursor.channel]
        if cursor.after is None:
            return Page((), len(rows))
        above = rows[cursor.after : cursor.after + self.page]
        has_more = cursor.after + len(above) < len(rows)
        return Page(above, above[-1].number if has_more else max(len(rows), cursor.after), has_more)

    async def heads(self, channels: Sequence[str]) -> Mapping[str, int]:
        self.head_reads.append(len(channels))
        await asyncio.sleep(0)
        return {channel: len(self.rows[channel]) for channel in channels}


def message_of(envelope: Envelope) -> Message | None:
    if envelope.data is None or envelope.number is None:
        return None
    return Message(envelope.number, envelope.data)
