"""Live changes of the parties around a point.

The map is cut into coarse cells (H3, resolution 5: about 170 km² in Seoul), and each is a channel. A change
is published where the party is, and where it was. A process listens to every cell that a circle of its
subscribers touches, once, and picks from what comes by the exact distance, without a command to Redis.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, partial
from math import asin, cos, degrees, radians, sin
from typing import Any, NamedTuple, NoReturn, Self, TypeAlias, TypeVar, cast
from uuid import UUID

import h3

from subscriptions import channels
from subscriptions.envelope import Envelope
from subscriptions.hearing import hear
from subscriptions.hub import Hub
from subscriptions.listener import GAP, Gap, HubClosed, Listener, LiveEvent, Policy
from subscriptions.tasks import end

KIND = "party"

Distance: TypeAlias = Callable[[float, float, float, float], float]
"""Metres between two points: latitude and longitude of the one, then of the other, in degrees."""

Key = TypeVar("Key")

_RESOLUTION = 5
_EARTH_RADIUS_M = 6_371_008.8
_RING_M = 9_000
"""From the middle cell to beyond so many rings around it is at least so far, each; but the first: 6,900."""

_COPIES = 10_000
_VERSIONS = 1_000
_LISTEN_WITHIN_S = 5.0
_GAPS_WITHIN_S = 0.02


class Place(NamedTuple):
    """A point on the globe, in degrees."""

    latitude: float
    longitude: float


class ChangeKind(Enum):
    """What a change is to somebody who looks at a circle."""

    APPEARED = "appeared"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """A party changed in a circle, came into it, or went from it."""

    party_id: UUID
    version: int
    kind: ChangeKind
    #: From the middle of the circle to where the party is now. None when it is no longer listed.
    distance_m: float | None


def cell_of(latitude: float, longitude: float) -> str:
    """The coarse cell that a point is in."""
    return cast(str, h3.latlng_to_cell(latitude, longitude, _RESOLUTION))  # pyright: ignore[reportUnknownMemberType]


def cells_around(latitude: float, longitude: float, within_m: float) -> list[str]:
    """Every cell that the circle touches. Meant for up to 50 km: the number of cells grows with the area."""
    here = (latitude, longitude)
    # One ring more than the arithmetic says.
    disk = _disk(cell_of(latitude, longitude), int(within_m // _RING_M) + 2)
    return [cell for cell, middle, reach_m in disk if _globe_m(here, middle) <= within_m + reach_m]


def party_changed(party_id: UUID, version: int, was: Place | None, now: Place | None) -> list[Envelope]:
    """What to publish when a party changes: one envelope for the cell it is in, and one for the cell it left.

    `was` and `now` are None when the party was not listed, or is no longer.
    """
    data = {"party": str(party_id), "version": version, "was": _written(was), "now": _written(now)}
    cells = sorted({cell_of(*place) for place in (was, now) if place is not None})
    return [Envelope(KIND, channels.region(cell), data=data) for cell in cells]


class Around:
    """The changes in one circle: `async for change in around`. It ends by `MustResume` only.

    GAP says that some may have been missed. Somebody who reads too slowly has a gap, too. What comes after a
    newer version of the same party is left out.
    """

    __slots__ = (
        *("_distance_m", "_live", "_middle", "_versions", "_within_m"),
        *("east", "end", "gap", "north", "offer", "south", "west"),
    )

    def __init__(self, middle: Place, within_m: float, distance_m: Distance, counts: Counter[str]) -> None:
        self._middle = middle
        self._within_m = within_m
        self._distance_m = distance_m
        self._live = Listener(Policy.ORDERED, counts)
        # The newest that was told, by party. By reader: a move from cell to cell to cell comes in any order,
        # and who hasn't seen the last of it still needs the first.
        self._versions = OrderedDict[UUID, int]()
        #: A box around the circle, in degrees, to tell cheaply what is far away.
        self.south, self.north, self.west, self.east = _box(middle, within_m)
        self.offer = self._live.offer
        self.gap = self._live.gap
        self.end = self._live.end

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change | Gap:
        while True:
            event = await anext(self._live)
            if event is GAP:
                return GAP
            change = self._change(event)
            if change is not None:
                return change

    def _change(self, event: Envelope) -> Change | None:
        move = _move_of(event.data)
        if move is None:
            return None
        was_m, now_m = (self._from_middle(place) for place in (move.was, move.now))
        was_in, is_in = (each is not None and each <= self._within_m for each in (was_m, now_m))
        if not (was_in or is_in):
            return None
        if self._versions.get(move.party_id, -1) >= move.version:
            return None
        self._versions[move.party_id] = move.version
        _forget(self._versions, move.party_id, _VERSIONS)
        kind = ChangeKind.GONE if not is_in else ChangeKind.CHANGED if was_in else ChangeKind.APPEARED
        return Change(move.party_id, move.version, kind, now_m)

    def _from_middle(self, place: Place | None) -> float | None:
        return None if place is None else self._distance_m(*self._middle, *place)


class _Room:
    """A cell with those whose circles touch it."""

    __slots__ = ("arounds", "empty_since", "is_late", "is_listening", "task")

    def __init__(self) -> None:
        self.arounds = set[Around]()
        self.task: asyncio.Task[None] | None = None
        self.is_listening = asyncio.Event()
        #: Somebody has stopped waiting for it to listen.
        self.is_late = False
        self.empty_since = 0.0


class Regions:
    """One per process: `async with Regions(hub, distance_m) as regions`."""

    def __init__(self, hub: Hub, distance_m: Distance, *, grace_s: float = 5) -> None:
        """A cell is listened to for `grace_s` after the last subscriber has left."""
        self._hub = hub
        self._distance_m = distance_m
        self._grace_s = grace_s
        self._rooms: dict[str, _Room] = {}
        self._empty: dict[str, _Room] = {}
        self._tasks = set[asyncio.Task[None]]()
        # What came of late: party and version.
        self._came = OrderedDict[tuple[UUID, int], None]()
        self._gapped = set[_Room]()
        self._gap_timer: asyncio.TimerHandle | None = None
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        self._own(self._sweep(), "regions leaves cells")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        if self._gap_timer is not None:
            self._gap_timer.cancel()
        for cell, room in list(self._rooms.items()):
            self._close(cell, room)
        await end(self._tasks)

    @asynccontextmanager
    async def around(
        self, latitude: float, longitude: float, within_m: float
    ) -> AsyncGenerator[Around, None]:
        """Changes within a circle: when the body begins, they come. Read the parties after that.

        Raises:
            HubClosed
        """
        if not self._is_open:
            raise HubClosed("The server is about to stop.")
        around = Around(Place(latitude, longitude), within_m, self._distance_m, self._hub.counts)
        cells = cells_around(latitude, longitude, within_m)
        rooms = [(cell, self._enter(cell, around)) for cell in cells]
        try:
            await _until_listening([room for _, room in rooms])
            yield around
        finally:
            for cell, room in rooms:
                self._leave(cell, room, around)

    @property
    def cells(self) -> int:
        """How many cells this process listens to."""
        return len(self._rooms)

    def _enter(self, cell: str, around: Around) -> _Room:
        room = self._rooms.get(cell)
        if room is None:
            room = self._rooms[cell] = _Room()
            room.task = self._own(self._listen(cell, room), f"regions listens to {cell}")
        room.arounds.add(around)
        self._empty.pop(cell, None)
        return room

    def _leave(self, cell: str, room: _Room, around: Around) -> None:
        room.arounds.discard(around)
        if not room.arounds and self._rooms.get(cell) is room:
            room.empty_since = time.monotonic()
            self._empty[cell] = room

    def _close(self, cell: str, room: _Room) -> None:
        """End those who look, and forget the cell."""
        for around in room.arounds:
            around.end(HubClosed("The server is about to stop; subscribe again."))
        room.is_listening.set()
        self._empty.pop(cell, None)
        del self._rooms[cell]

    def _own(self, work: Any, name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _sweep(self) -> NoReturn:
        """Leave the cells that nobody has looked at for a while."""
        while True:
            await asyncio.sleep(self._grace_s / 2)
            due = time.monotonic() - self._grace_s
            for cell, room in list(self._empty.items()):
                if room.empty_since <= due and room.task is not None:
                    del self._empty[cell], self._rooms[cell]
                    room.task.cancel()

    async def _listen(self, cell: str, room: _Room) -> None:
        await hear(self._hub, channels.region(cell), partial(self._hear, room))
        if self._rooms.get(cell) is room:
            self._close(cell, room)

    def _hear(self, room: _Room, event: LiveEvent) -> None:
        if event is not GAP:
            self._dispatch(event)
        elif room.is_late or room.is_listening.is_set():
            self._gap(room)
        room.is_listening.set()

    def _dispatch(self, event: Envelope) -> None:
        """Offer a change to those who may care, whichever cell it came from. Its second copy is dropped."""
        move = _move_of(event.data)
        if move is None:
            self._hub.counts["malformed"] += 1
            return
        if self._is_copy(move):
            return
        concerned = set[Around]()
        for latitude, longitude in {place for place in (move.was, move.now) if place is not None}:
            # All circles that the point is in touch the cell of the point.
            room = self._rooms.get(cell_of(latitude, longitude))
            if room is not None:
                concerned.update([
                    each
                    for each in room.arounds
                    if each.south <= latitude <= each.north and each.west <= longitude <= each.east
                ])  # fmt: skip
        for each in concerned:
            each.offer(event)

    def _is_copy(self, move: "_Move") -> bool:
        key = (move.party_id, move.version)
        if key in self._came:
            return True
        self._came[key] = None
        _forget(self._came, key, _COPIES)
        return False

    def _gap(self, room: _Room) -> None:
        """Tell those who look, soon: a gap is mostly one of many cells, and said once to each."""
        self._gapped.add(room)
        if self._gap_timer is None:
            self._gap_timer = asyncio.get_running_loop().call_later(_GAPS_WITHIN_S, self._tell_of_gaps)

    def _tell_of_gaps(self) -> None:
        self._gap_timer = None
        for around in {each for room in self._gapped for each in room.arounds}:
            around.gap()
        self._gapped.clear()


async def _until_listening(rooms: list[_Room]) -> None:
    waiting = [room for room in rooms if not room.is_listening.is_set()]
    if not waiting:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_LISTEN_WITHIN_S):
            for room in waiting:
                await room.is_listening.wait()
        return
    for room in waiting:
        room.is_late = True


class _Move(NamedTuple):
    party_id: UUID
    version: int
    was: Place | None
    now: Place | None


def _move_of(data: Any) -> _Move | None:
    """None of what nobody here understands."""
    try:
        return _Move(UUID(data["party"]), int(data["version"]), _read(data["was"]), _read(data["now"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _forget(memory: OrderedDict[Key, Any], newest: Key, most: int) -> None:
    """Keep the newest, and not more than `most`: those who came longest ago are forgotten."""
    memory.move_to_end(newest)
    if len(memory) > most:
        memory.popitem(last=False)


def _written(place: Place | None) -> dict[str, float] | None:
    return None if place is None else {"lat": place.latitude, "lon": place.longitude}


def _read(written: Any) -> Place | None:
    return None if written is None else Place(float(written["lat"]), float(written["lon"]))


def _box(middle: Place, within_m: float) -> tuple[float, float, float, float]:
    """South, north, west, east. A circle that holds a pole or crosses 180° is not bounded to the sides."""
    angle = 1.001 * within_m / _EARTH_RADIUS_M + 1e-9
    south, north = middle.latitude - degrees(angle), middle.latitude + degrees(angle)
    west, east = -180.0, 180.0
    if max(-south, north) < 90:
        aside = degrees(asin(min(1.0, sin(angle) / cos(radians(middle.latitude)))))
        if middle.longitude - aside >= -180 and middle.longitude + aside <= 180:
            west, east = middle.longitude - aside, middle.longitude + aside
    return south, north, west, east


@lru_cache(maxsize=512)
def _disk(cell: str, rings: int) -> tuple[tuple[str, tuple[float, float], float], ...]:
    """A cell and those around it; of each its middle, and the metres from there to what is farthest in it."""
    cells = cast(list[str], h3.grid_disk(cell, rings))  # pyright: ignore[reportUnknownMemberType]
    return tuple((each, *_extent(each)) for each in cells)


@lru_cache(maxsize=10_000)
def _extent(cell: str) -> tuple[tuple[float, float], float]:
    middle = cast(tuple[float, float], h3.cell_to_latlng(cell))  # pyright: ignore[reportUnknownMemberType]
    corners = cast(tuple[tuple[float, float], ...], h3.cell_to_boundary(cell))  # pyright: ignore[reportUnknownMemberType]
    return middle, 1.001 * max(_globe_m(middle, corner) for corner in corners)


def _globe_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    return cast(float, h3.great_circle_distance(one, other, "m"))  # pyright: ignore[reportUnknownMemberType]
