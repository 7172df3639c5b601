"""One connection to Redis that is subscribed to channels, from its making to its end."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol
from uuid import uuid4

from broadcaster import Event
from redis.exceptions import RedisError

from subscriptions.tasks import unswallowed

log = logging.getLogger(__name__)

_CHANNELS_PER_COMMAND = 500
_LOOKS = 10


@dataclass(frozen=True)
class Pace:
    """How long a link waits, and for what. All in seconds."""

    #: For a connection to Redis, and for one command.
    answer_within_s: float = 2
    #: For the confirmation of a SUBSCRIBE.
    confirm_within_s: float = 2
    #: A message to ourselves is published so often …
    probe_every_s: float = 1
    #: … and a link that has delivered nothing for so long is given up. More than twice the time between.
    silent_within_s: float = 2.5
    #: The pause before a new connection: from the first to the longest, doubled each time, varied by chance.
    first_pause_s: float = 0.05
    longest_pause_s: float = 2


class LinkLost(Exception):
    """The connection over which events come is gone, or delivers nothing."""


class NotConfirmed(Exception):
    """Redis has not confirmed a SUBSCRIBE. It will be asked again, and a gap announced when it has."""


class LinkDown(Event):
    """From here on nothing comes, on any channel, until `LinkUp`."""

    def __init__(self) -> None:
        super().__init__("", "")


class LinkUp(Event):
    """Every channel is subscribed and delivers. What was published before may have been missed."""

    def __init__(self) -> None:
        super().__init__("", "")


class ConfirmedLate(Event):
    """A channel is subscribed whose subscriber has stopped waiting: it may have missed something."""

    def __init__(self, channel: str) -> None:
        super().__init__(channel, "")


class Wire(Protocol):
    """What we need of redis-py's connection, which is typed in parts only."""

    async def connect(self) -> None:
        """Open, authenticate and choose the database."""
        ...

    async def disconnect(self, nowait: bool = ...) -> None:
        """Close."""
        ...

    async def send_command(self, *args: str, check_health: bool) -> None:
        """Send without waiting for the answer."""
        ...

    async def read_response(
        self,
        *,
        disable_decoding: bool,
        timeout: float,  # noqa: ASYNC109 - redis-py's name
        disconnect_on_error: bool,
        push_request: bool,
    ) -> Any:
        """Wait for whatever comes next."""
        ...


class Link:
    """Subscribes over one connection and hands on what comes. Broken, it is thrown away, never mended.

    `wanted` is the owner's set of channels; `ask` says that it has changed. Names on the wire have a prefix.
    `publish` sends a message to a channel over another connection, as everybody does.
    """

    def __init__(
        self,
        wire: Wire,
        wanted: set[str],
        events: asyncio.Queue[Event],
        publish: Callable[[str, str], Awaitable[None]],
        pace: Pace,
        prefix: str,
    ) -> None:
        self._wire = wire
        self._wanted = wanted
        self._events = events
        self._publish = publish
        self._pace = pace
        self._prefix = prefix
        self._probe = f"probe:{uuid4().hex}"
        self._dirty: set[str] = {self._probe, *wanted}
        self._changed = asyncio.Event()
        self._changed.set()
        # Channels that we have asked for, and have not asked to leave again.
        self._asked = set[str]()
        # Commands without an answer, by channel: SUBSCRIBE, UNSUBSCRIBE, SUBSCRIBE has three answers, and
        # only the last one says that messages come.
        self._unanswered = Counter[str]()
        self._confirmed = set[str]()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        # What has to be confirmed before the link is up.
        self._missing = set(self._dirty)
        self._all_confirmed = asyncio.Event()
        self._sign = 0  # of life: counts what came
        #: Whether everything is confirmed and a message of ours came back, now or ever.
        self.is_up = self.was_up = False

    async def run(self, on_up: Callable[[], None]) -> NoReturn:
        """Serve until the connection breaks.

        Raises:
            LinkLost: always, in the end.
        """
        try:
            async with asyncio.timeout(self._pace.answer_within_s):
                await unswallowed(self._wire.connect())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(on_up), name="redis link reads")
                tasks.create_task(self._write(), name="redis link writes")
                tasks.create_task(self._probe_for_ever(), name="redis link probes")
                tasks.create_task(self._watch(), name="redis link watches")
        except ExceptionGroup as group:
            raise _lost(group.exceptions[0]) from group.exceptions[0]
        except Exception as problem:
            raise _lost(problem) from problem
        finally:
            self.is_up = False
            for waiters in self._waiting.values():
                _release(waiters)
            await self._wire.disconnect(nowait=True)
        raise LinkLost("The connection has ended.")  # pragma: no cover - a task group ends by an exception

    def ask(self, channel: str) -> None:
        """Make the subscription to a channel what `wanted` says, soon."""
        self._dirty.add(channel)
        self._changed.set()

    async def confirm(self, channel: str) -> None:
        """Wait until Redis has confirmed the subscription.

        Raises:
            NotConfirmed
        """
        if not self.is_up:
            raise NotConfirmed("There is no connection to Redis.")
        if channel in self._confirmed:
            return
        waiter = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(channel, set())
        waiters.add(waiter)
        try:
            async with asyncio.timeout(self._pace.confirm_within_s):
                await waiter
        except TimeoutError:
            raise NotConfirmed(f"Redis has not confirmed {channel} in time.") from None
        finally:
            waiters.discard(waiter)
            if not waiters and self._waiting.get(channel) is waiters:
                del self._waiting[channel]
        if not self.is_up:
            raise NotConfirmed("The connection to Redis was lost.")

    async def _read(self, on_up: Callable[[], None]) -> NoReturn:
        # Twice as long as the watch looks on: it is the judge, this is for when it fails.
        patience_s = 2 * self._pace.silent_within_s
        cut = len(self._prefix)
        while True:
            reply = await self._wire.read_response(
                disable_decoding=True, timeout=patience_s, disconnect_on_error=False, push_request=True
            )
            match reply:
                case [b"message", bytes(name), bytes(message)]:
                    self._sign += 1
                    channel = name.decode(errors="replace")[cut:]
                    if channel != self._probe:
                        await self._events.put(Event(channel, message.decode(errors="replace")))
                    elif not self.is_up:
                        self.is_up = self.was_up = True
                        await self._events.put(LinkUp())
                        on_up()
                case [b"subscribe" | b"unsubscribe" as verb, bytes(name), int()]:
                    await self._on_answer(verb == b"subscribe", name.decode()[cut:])
                case _:
                    log.debug("Redis said something unexpected: %r", reply)

    async def _on_answer(self, is_subscribed: bool, channel: str) -> None:
        self._unanswered[channel] -= 1
        if self._unanswered[channel] > 0:
            return
        del self._unanswered[channel]
        if not is_subscribed:
            return
        self._confirmed.add(channel)
        if not self._all_confirmed.is_set():
            self._sign += 1  # many channels take their time
            self._no_longer_missing({channel})
        waiters = self._waiting.get(channel)
        if waiters:
            _release(waiters)
        elif self.is_up:
            await self._events.put(ConfirmedLate(channel))

    def _no_longer_missing(self, channels: set[str]) -> None:
        self._missing -= channels
        if not self._missing:
            self._all_confirmed.set()

    async def _write(self) -> NoReturn:
        while True:
            await self._changed.wait()
            self._changed.clear()
            dirty, self._dirty = self._dirty, set[str]()
            wanted = {each for each in dirty if each in self._wanted or each == self._probe}
            joining = wanted - self._asked
            leaving = (dirty - wanted) & self._asked
            self._no_longer_missing(dirty - wanted)
            self._asked |= joining
            self._asked -= leaving
            self._confirmed -= leaving
            for verb, channels in (("SUBSCRIBE", list(joining)), ("UNSUBSCRIBE", list(leaving))):
                for start in range(0, len(channels), _CHANNELS_PER_COMMAND):
                    some = channels[start : start + _CHANNELS_PER_COMMAND]
                    self._unanswered.update(some)
                    names = [self._prefix + each for each in some]
                    await unswallowed(self._wire.send_command(verb, *names, check_health=False))

    async def _probe_for_ever(self) -> NoReturn:
        await self._all_confirmed.wait()
        while True:
            try:
                await self._publish(self._probe, "")
            except (RedisError, OSError) as problem:
                # No verdict: what others publish shows as well that the link delivers.
                log.debug("The probe could not be published: %s", problem)
            await asyncio.sleep(self._pace.probe_every_s)

    async def _watch(self) -> NoReturn:
        """Raise when nothing was delivered for too long.

        Counts looks instead of asking the clock, so that a process that stood still does not blame Redis.
        """
        silent, sign = 0, self._sign
        while silent < _LOOKS:
            await asyncio.sleep(self._pace.silent_within_s / _LOOKS)
            silent = silent + 1 if sign == self._sign else 0
            sign = self._sign
        raise LinkLost(f"Redis has delivered nothing for {self._pace.silent_within_s:g} s.")


def _release(waiters: set[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _lost(problem: BaseException) -> LinkLost:
    if isinstance(problem, LinkLost):
        return problem
    return LinkLost(f"{type(problem).__name__}: {problem}")
