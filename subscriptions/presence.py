"""Who is present in a party's chat, and who is typing. At most once: none of it is kept.

Presence is written again and again, and ends by itself when that ends: a process that dies takes its people
along. All readers of a chat in one process share what is read.
"""

import asyncio
import logging
import random
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Self, TypeAlias
from uuid import UUID, uuid4

from redis.asyncio import Redis

from subscriptions import channels
from subscriptions.breaker import Breaker
from subscriptions.envelope import Envelope
from subscriptions.hearing import hear
from subscriptions.hub import Hub
from subscriptions.listener import GAP, HubClosed, LiveEvent, Policy
from subscriptions.presence_sets import PresenceSets, PresenceState, Sets, present_key, typing_key
from subscriptions.tasks import end

log = logging.getLogger(__name__)

KIND = "presence"

_Person: TypeAlias = tuple[UUID, UUID]
"""A party, and somebody in its chat."""
_SETS_AT_ONCE = 500


@dataclass(frozen=True)
class Tempo:
    """How long presence and typing last, and what is waited for."""

    #: Whoever is present is written again so often …
    beat_s: float = 15
    #: … and forgotten after so long without.
    present_s: float = 45
    typing_s: float = 5
    #: For one round trip to Redis, and a turn to make it.
    answer_within_s: float = 1
    #: For the answer that a sender of a message waits for.
    present_within_s: float = 0.25
    #: The changes of a chat are read at most so often, and read again so long after a failure.
    read_every_s: float = 0.02
    read_again_s: float = 3


class PresenceUnknown(Exception):
    """Redis can't be asked now."""


class _Source:
    """What the readers of one chat share."""

    __slots__ = ("changed", "end", "is_stale", "readers", "state", "tasks")

    def __init__(self) -> None:
        self.readers = 0
        self.state: PresenceState | None = None
        self.end: HubClosed | None = None
        #: For who keeps the state, and for the readers.
        self.is_stale = asyncio.Event()
        self.changed = asyncio.Event()
        self.tasks: tuple[asyncio.Task[None], ...] = ()

    def tell(self) -> None:
        """Wake every reader."""
        self.changed.set()
        self.changed = asyncio.Event()

    def finish(self, why: HubClosed) -> None:
        """End every reader's stream."""
        self.end = self.end or why
        self.tell()


class Presence:
    """One per process: `async with Presence(redis, hub, clock) as presence`."""

    def __init__(
        self, redis: Redis, hub: Hub, clock: Callable[[], datetime], *, tempo: Tempo | None = None
    ) -> None:
        self._hub = hub
        self._tempo = tempo or Tempo()
        self._sets = PresenceSets(redis, clock, self._tempo.answer_within_s)
        # Whoever sends a message waits for this answer: not again and again for one that does not come.
        self._asking = Breaker(1, self._tempo.answer_within_s)
        # Two devices of a person may be at two processes: neither ends what the other has begun.
        self._process = uuid4().hex
        self._here: dict[UUID, Counter[UUID]] = {}
        self._to_write = set[_Person]()
        self._typing_to_write: dict[_Person, bool] = {}
        self._awaiting_write: list[asyncio.Future[None]] = []
        self._write_wake = asyncio.Event()
        self._is_failing = False
        self._sources: dict[UUID, _Source] = {}
        self._tasks = set[asyncio.Task[None]]()
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        await self._write((), {})  # to set the clock
        self._own(self._write_for_ever(), "presence is written")
        self._own(hear(self._hub, channels.link(), self._on_link, Policy.NEWEST), "presence hears of gaps")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        for source in self._sources.values():
            source.finish(HubClosed("The server is about to stop; subscribe again."))
        await end(self._tasks)
        self._release(self._awaiting_write)

    @asynccontextmanager
    async def entered(self, party_id: UUID, user_id: UUID) -> AsyncGenerator[None, None]:
        """Somebody is present while the body runs, on this device. It runs also when Redis is away."""
        here = self._here.setdefault(party_id, Counter())
        here[user_id] += 1
        try:
            if here[user_id] == 1:
                self._to_write.add((party_id, user_id))
                await self._written()
            yield
        finally:
            here[user_id] -= 1
            if not here[user_id]:
                del here[user_id]
                self._to_write.add((party_id, user_id))
                self._write_wake.set()
            if not here:
                del self._here[party_id]

    async def set_typing(self, party_id: UUID, user_id: UUID, is_typing: bool) -> None:
        """Somebody types, for 5 s if it isn't said again, or has stopped. Lost when Redis is away."""
        self._typing_to_write[party_id, user_id] = is_typing
        await self._written()

    async def state(self, party_id: UUID) -> PresenceState:
        """Who is in the chat now.

        Raises:
            PresenceUnknown
        """
        try:
            return (await self._sets.read(party_id))[0]
        except Exception as problem:
            raise PresenceUnknown(f"{type(problem).__name__}: {problem}") from problem

    async def present(self, party_id: UUID) -> set[UUID]:
        """Who is present and needs no notification. Nobody, as long as Redis can't tell."""
        if not self._hub.is_up or not self._asking.allows():
            return set()
        try:
            async with asyncio.timeout(self._tempo.present_within_s):
                state = await self.state(party_id)
        except (PresenceUnknown, TimeoutError) as problem:
            self._asking.failed()
            log.warning("Nobody counts as present: %s", problem)
            return set()
        self._asking.succeeded()
        return set(state.present)

    async def changes(self, party_id: UUID) -> AsyncGenerator[PresenceState, None]:
        """Who is there now, as soon as that is known, and after each change. Slow readers get the newest.

        Close it by name (`contextlib.aclosing`).

        Raises:
            HubClosed
        """
        source = self._source(party_id)
        last: PresenceState | None = None
        try:
            while source.end is None:
                changed = source.changed
                if source.state is not None and source.state != last:
                    last = source.state
                    yield last
                else:
                    await changed.wait()
            raise source.end
        finally:
            source.readers -= 1
            if not source.readers:
                del self._sources[party_id]
                await end(source.tasks)

    def _source(self, party_id: UUID) -> _Source:
        """What all readers of a chat in this process share, with one more reader."""
        if not self._is_open:
            raise HubClosed("The server is about to stop.")
        source = self._sources.get(party_id)
        if source is None:
            source = self._sources[party_id] = _Source()
            source.tasks = (
                self._own(self._hear(party_id, source), f"presence hears {party_id}"),
                self._own(self._keep_fresh(party_id, source), f"presence reads {party_id}"),
            )
        source.readers += 1
        return source

    async def _hear(self, party_id: UUID, source: _Source) -> None:
        await hear(self._hub, channels.presence(party_id), lambda _: source.is_stale.set(), Policy.RECENT)
        source.finish(HubClosed("The server is about to stop; subscribe again."))

    async def _keep_fresh(self, party_id: UUID, source: _Source) -> NoReturn:
        """Read after each event, and when somebody's presence or typing ends by itself.

        Events that come while we read or pause are one.
        """
        valid_for_s = self._tempo.present_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(valid_for_s, self._tempo.present_s)):
                    await source.is_stale.wait()
            source.is_stale.clear()
            valid_for_s = self._tempo.read_again_s
            # While Redis is away the last state stands. When it comes back, a gap calls for a new one.
            if self._hub.is_up:
                try:
                    state, valid_for_s = await self._sets.read(party_id)
                except Exception as problem:
                    log.warning("Presence could not be read: %s: %s", type(problem).__name__, problem)
                else:
                    if state != source.state:
                        source.state = state
                        source.tell()
            await asyncio.sleep(self._tempo.read_every_s)

    def _on_link(self, event: LiveEvent) -> None:
        """Redis may have forgotten everybody."""
        if event is GAP:
            self._to_write.update(self._everybody())
            self._write_wake.set()

    def _everybody(self) -> Iterable[_Person]:
        return ((party_id, user_id) for party_id, here in self._here.items() for user_id in here)

    async def _written(self) -> None:
        """Wait for the next write, unless Redis is away."""
        self._write_wake.set()
        if self._is_open and self._hub.is_up:
            written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaiting_write.append(written)
            await written

    async def _write_for_ever(self) -> NoReturn:
        """Write what has changed, at once, and everybody, now and then."""
        clock = asyncio.get_running_loop().time
        beat_at = clock() + self._tempo.beat_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(beat_at):
                    await self._write_wake.wait()
            self._write_wake.clear()
            changed, self._to_write = self._to_write, set[_Person]()
            typing, self._typing_to_write = self._typing_to_write, {}
            awaiting, self._awaiting_write = self._awaiting_write, []
            is_beat = clock() >= beat_at
            try:
                people = {*changed, *self._everybody()} if is_beat else changed
                is_written = await self._write(people, typing)
            finally:
                self._release(awaiting)
            for party_id in {party_id for party_id, _ in (*changed, *typing)} if is_written else ():
                self._hub.publish(Envelope(KIND, channels.presence(party_id)))
            if is_beat:
                # By chance, so that processes that started together don't write together.
                beat_at = clock() + self._tempo.beat_s * random.uniform(0.8, 1)  # noqa: S311

    async def _write(self, people: Iterable[_Person], typing: Mapping[_Person, bool]) -> bool:
        """Write what is so now, if Redis lets us. Else it is left to the next beat, and to time."""
        sets: dict[str, dict[str, float]] = defaultdict(dict[str, float])
        for party_id, user_id in people:
            is_here = user_id in self._here.get(party_id, ())
            sets[present_key(party_id)][f"{user_id}:{self._process}"] = is_here * self._tempo.present_s
        for (party_id, user_id), is_typing in typing.items():
            sets[typing_key(party_id)][str(user_id)] = is_typing * self._tempo.typing_s
        try:
            for some in _batches(sets):
                await self._sets.write(some)
        except Exception as problem:
            level = logging.DEBUG if self._is_failing else logging.WARNING
            log.log(level, "Presence could not be written: %s: %s", type(problem).__name__, problem)
            self._is_failing = True
            return False
        self._is_failing = False
        return True

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _release(self, awaiting: Iterable[asyncio.Future[None]]) -> None:
        for each in awaiting:
            if not each.done():
                each.set_result(None)


def _batches(sets: Sets) -> Iterable[Sets]:
    keys = list(sets)
    for start in range(0, max(1, len(keys)), _SETS_AT_ONCE):
        yield {key: sets[key] for key in keys[start : start + _SETS_AT_ONCE]}
